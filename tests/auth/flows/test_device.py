"""Test the device code login against the simulator."""

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
    from collections.abc import Callable

POLL_PATH = "/api/accounts/deviceauth/token"


def count_requests(sim: Simulator, path: str) -> int:
    return sum(request.path == path for request in sim.requests)


class FakeCancelEvent(threading.Event):
    """A cancellation event that is set after `wait_count` waits. A wait takes no time."""

    def __init__(self, wait_count: int | None = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._wait_count = wait_count

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        if len(self.seconds) == self._wait_count:
            self.set()
        return self.is_set()


def test_device_code_is_polled_until_approval() -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=3, interval_seconds=7)) as sim:
        store, codes, waits = MemoryStore(), [], FakeCancelEvent()
        credentials = Credentials(store, issuer=sim.issuer)
        login = credentials.authenticate_device_code(on_code=codes.append, cancel=waits)
        (code,) = codes
        assert isinstance(code, DeviceCode)
        assert code.url == f"{sim.issuer}/codex/device"
        assert waits.seconds == [7.0] * 3, "the first poll is sent at once"
        assert count_requests(sim, POLL_PATH) == 4
        assert login.email == "user@example.com"
        stored = store.load()
        assert stored is not None
        assert stored["tokens"]["account_id"] == sim.account.account_id
        assert stored["OPENAI_API_KEY"] is None
        assert credentials.authenticate_device_code() == login, "a stored login needs no code"
        assert count_requests(sim, "/api/accounts/deviceauth/usercode") == 1


def test_code_is_logged_without_a_callback(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        Credentials(MemoryStore(), issuer=sim.issuer).authenticate_device_code()
    assert f"Open {sim.issuer}/codex/device on any device and enter the code " in caplog.text
    assert "deviceauth_" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "approval", "options", "code", "message"),
    [
        (DeviceLoginSettings(enabled=False), "auto", {}, "device_code_not_enabled", "is not enabled for this account"),
        (DeviceLoginSettings(), "deny", {}, "access_denied", "failed with status 400"),
        (DeviceLoginSettings(), "manual", {"cancel": FakeCancelEvent(wait_count=2)}, "cancelled", "Login cancelled"),
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
    settings: DeviceLoginSettings, approval: Any, options: dict[str, Any], code: str, message: str
) -> None:
    store = MemoryStore()
    with (
        Simulator(approval=approval, device_login=settings) as sim,
        pytest.raises(LoginFailedError, match=message) as caught,
    ):
        Credentials(store, issuer=sim.issuer).authenticate_device_code(on_code=lambda code: None, **options)
    assert caught.value.code == code
    assert store.load() is None


def wait_for_another_login(sim: Simulator, flow: str, **options: Any) -> tuple[LoginFailedError, list[object]]:
    """Start a login while another thread logs in; return its error and the URLs or codes that it showed."""
    credentials = Credentials(MemoryStore(), issuer=sim.issuer)
    is_shown, cancel = threading.Event(), threading.Event()
    shown_values: list[object] = []

    def first() -> None:
        with pytest.raises(LoginFailedError, match="Login cancelled"):
            credentials.authenticate(open_browser=False, on_url=lambda url: is_shown.set(), ports=(0,), cancel=cancel)

    thread = threading.Thread(target=first)
    thread.start()
    assert is_shown.wait(10)
    flows: dict[str, Callable[..., object]] = {
        "browser": partial(credentials.authenticate, open_browser=False, on_url=shown_values.append, ports=(0,)),
        "device code": partial(credentials.authenticate_device_code, on_code=shown_values.append),
    }
    try:
        with pytest.raises(LoginFailedError) as caught:
            flows[flow](**options)
        with pytest.raises(LoginRequiredError):
            credentials.authenticate(interactive=False)
        assert thread.is_alive(), "the other login must still wait"
    finally:
        cancel.set()
        thread.join(10)
    return caught.value, shown_values


@pytest.mark.parametrize("flow", ["browser", "device code"])
def test_waiting_login_ends_at_its_deadline(flow: str) -> None:
    with Simulator(approval="manual", device_login=DeviceLoginSettings()) as sim:
        error, shown_values = wait_for_another_login(sim, flow, timeout=0.3)
        assert (error.code, shown_values) == ("timeout", [])
        assert "within 0.3 seconds" in str(error)
        cancel = threading.Event()
        threading.Timer(0.3, cancel.set).start()
        error, shown_values = wait_for_another_login(sim, flow, cancel=cancel)
        assert (error.code, shown_values) == ("cancelled", [])
        assert count_requests(sim, "/api/accounts/deviceauth/usercode") == 0


def test_device_login_ends_when_the_code_expires() -> None:
    from codex_backend_sdk.auth._deadline import LoginDeadline
    from codex_backend_sdk.auth._issuer import IssuerClient
    from codex_backend_sdk.auth.flows import device

    now = [0.0]

    class AdvancingCancelEvent(FakeCancelEvent):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            return super().wait(timeout)

    waits = AdvancingCancelEvent()
    with Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=60)) as sim:
        issuer = IssuerClient(sim.issuer, originator="tests")
        with pytest.raises(LoginFailedError, match="not finished within 900 seconds"):
            device.log_in_with_device_code(
                lambda grant: pytest.fail("there is no grant"),
                issuer=issuer,
                on_code=None,
                deadline=LoginDeadline(86400, waits, monotonic=lambda: now[0]),
            )
        assert count_requests(sim, POLL_PATH) == 15
    assert waits.seconds == [60.0] * 15


@pytest.mark.parametrize(
    "fault", ["status:502", "status:429", "html+status:503", "reset", "cut_after_bytes:20", "not_http"]
)
def test_transient_poll_failure_is_retried(fault: str) -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=2)) as sim:
        sim.fail(f"{fault}@{POLL_PATH}", times=2)
        credentials = Credentials(MemoryStore(), issuer=sim.issuer)
        assert credentials.authenticate_device_code(cancel=FakeCancelEvent(), timeout=20).email == "user@example.com"
        assert count_requests(sim, POLL_PATH) >= 3


def test_unreachable_issuer_raises_login_failed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(LoginFailedError, match=r"The issuer returned no device code: .* could not be reached"):
        Credentials(MemoryStore(), issuer=f"http://127.0.0.1:{port}").authenticate_device_code()
