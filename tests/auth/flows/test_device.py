"""Every way to sign in that is not the browser of this machine, against the simulator; and what is known afterwards."""

from __future__ import annotations

import logging
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk._exceptions import LoginFailedError, LoginRequiredError
from codex_backend_sdk.auth import (
    Credentials,
    DeviceCode,
    MemoryStore,
)
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL = "/api/accounts/deviceauth/token"
WHOAMI = "/api/accounts/v1/user-auth-credential/whoami"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def asked(sim: Simulator, path: str) -> int:
    return sum(request.path == path for request in sim.requests)


class Pauses(threading.Event):
    """A cancellation that nobody asks for until `after` pauses were made; a pause takes no time."""

    def __init__(self, after: int | None = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._after = after

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        if len(self.seconds) == self._after:
            self.set()
        return self.is_set()


def test_device_code_is_polled_until_entered() -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=3, interval_seconds=7)) as sim:
        store, codes, pauses = MemoryStore(), [], Pauses()
        credentials = Credentials(store, issuer=sim.issuer)
        login = credentials.authenticate_device_code(on_code=codes.append, cancel=pauses)
        (code,) = codes
        assert isinstance(code, DeviceCode)
        assert code.url == f"{sim.issuer}/codex/device"
        assert pauses.seconds == [7.0] * 3, "the first question is asked at once"
        assert asked(sim, POLL) == 4
        assert login.email == "user@example.com"
        stored = store.load()
        assert stored is not None
        assert stored["tokens"]["account_id"] == sim.account.account_id
        assert stored["OPENAI_API_KEY"] is None
        assert credentials.authenticate_device_code() == login, "a stored login needs no code"
        assert asked(sim, "/api/accounts/deviceauth/usercode") == 1


def test_code_is_logged_without_a_callback(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Credentials(MemoryStore(), issuer=sim.issuer).authenticate_device_code()
    assert f"Open {sim.issuer}/codex/device on any device and enter the code " in caplog.text
    assert "deviceauth_" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "approve", "options", "code", "words"),
    [
        (DeviceLoginSettings(enabled=False), "auto", {}, "device_code_not_enabled", "is not enabled for this account"),
        (DeviceLoginSettings(), "deny", {}, "access_denied", "failed with status 400"),
        (DeviceLoginSettings(), "manual", {"cancel": Pauses(after=2)}, "cancelled", "Login cancelled"),
        (
            DeviceLoginSettings(interval_seconds=1),
            "manual",
            {"timeout": 0.2},
            "timeout",
            "not finished within 0.2 seconds",
        ),
        (
            DeviceLoginSettings(),
            "auto",
            {"workspace_id": "acc-other"},
            "workspace_restriction",
            "workspace id.s. acc-other",
        ),
    ],
)
def test_failed_device_login_raises_with_its_code(
    settings: DeviceLoginSettings, approve: Any, options: dict[str, Any], code: str, words: str
) -> None:
    store = MemoryStore()
    with (
        Simulator(approval=approve, device_login=settings) as sim,
        pytest.raises(LoginFailedError, match=words) as caught,
    ):
        Credentials(store, issuer=sim.issuer).authenticate_device_code(on_code=lambda code: None, **options)
    assert caught.value.code == code
    assert store.load() is None


def waits_for_another(sim: Simulator, way: str, **limits: Any) -> tuple[LoginFailedError, list[object]]:
    """How a sign-in ends that waited for the one of another thread, and what it showed."""
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    shows, cancel = threading.Event(), threading.Event()
    shown: list[object] = []

    def first() -> None:
        with pytest.raises(LoginFailedError, match="Login cancelled"):
            credentials.authenticate(open_browser=False, on_url=lambda url: shows.set(), ports=(0,), cancel=cancel)

    thread = threading.Thread(target=first)
    thread.start()
    assert shows.wait(10)
    ways: dict[str, Callable[..., object]] = {
        "browser": partial(credentials.authenticate, open_browser=False, on_url=shown.append, ports=(0,)),
        "device code": partial(credentials.authenticate_device_code, on_code=shown.append),
    }
    try:
        with pytest.raises(LoginFailedError) as caught:
            ways[way](**limits)
        with pytest.raises(LoginRequiredError):
            credentials.authenticate(interactive=False)
        assert thread.is_alive(), "neither of them has waited for the person"
    finally:
        cancel.set()
        thread.join(10)
    return caught.value, shown


@pytest.mark.parametrize("way", ["browser", "device code"])
def test_waiting_login_ends_in_time_and_shows_nothing(way: str) -> None:
    with Simulator(approval="manual", device_login=DeviceLoginSettings()) as sim:
        error, shown = waits_for_another(sim, way, timeout=0.3)
        assert (error.code, shown) == ("timeout", [])
        assert "within 0.3 seconds" in str(error)
        cancel = threading.Event()
        threading.Timer(0.3, cancel.set).start()
        error, shown = waits_for_another(sim, way, cancel=cancel)
        assert (error.code, shown) == ("cancelled", [])
        assert asked(sim, "/api/accounts/deviceauth/usercode") == 0


def test_device_login_ends_with_the_lifetime_of_the_code() -> None:
    from codex_backend_sdk.auth._deadline import Deadline
    from codex_backend_sdk.auth._issuer import IssuerClient
    from codex_backend_sdk.auth.flows import device

    now = [0.0]

    class Hours(Pauses):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            return super().wait(timeout)

    pauses = Hours()
    with Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=60)) as sim:
        issuer = IssuerClient(sim.issuer, originator="tests")
        with pytest.raises(LoginFailedError, match="not finished within 900 seconds"):
            device.log_in_with_device_code(
                lambda grant: pytest.fail("there is no grant"),
                issuer=issuer,
                on_code=None,
                deadline=Deadline(86400, pauses, clock=lambda: now[0]),
            )
        assert asked(sim, POLL) == 15
    assert pauses.seconds == [60.0] * 15


@pytest.mark.parametrize(
    "fault", ["status:502", "status:429", "html+status:503", "reset", "cut_after_bytes:20", "not_http"]
)
def test_transient_poll_failure_is_retried(fault: str) -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=2)) as sim:
        sim.fail(f"{fault}@{POLL}", times=2)
        credentials = Credentials(MemoryStore(), issuer=sim.issuer)
        assert credentials.authenticate_device_code(cancel=Pauses(), timeout=20).email == "user@example.com"
        assert asked(sim, POLL) >= 3


def test_unreachable_issuer_raises_login_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with pytest.raises(LoginFailedError, match=r"The issuer gave no device code: .* could not be reached"):
        Credentials(MemoryStore(), issuer=f"http://127.0.0.1:{port}").authenticate_device_code()
