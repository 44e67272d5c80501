"""A sign-in ends when its time is over or when somebody cancels it, whatever the issuer does meanwhile."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk._exceptions import LoginFailedError
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WAYS = ["browser", "device code"]
AT_ONCE = 3.0  # seconds; with all that a busy machine adds
SLOW = 12  # seconds that the issuer takes, where nobody shall wait for it


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(device_login=DeviceLoginSettings(interval_seconds=1)) as simulator:
        yield simulator


def visit(url: str) -> None:
    """Be a browser that approves."""

    def go() -> None:
        with suppress(httpx2.HTTPError):  # the way back may be closed before the last page is read
            httpx2.get(url, follow_redirects=True, timeout=30)

    threading.Thread(target=go, daemon=True).start()


def sign_in(credentials: Credentials, way: str, **limits: Any) -> object:
    if way == "browser":
        return credentials.authenticate(open_browser=visit, on_url=lambda url: None, ports=(0,), **limits)
    return credentials.authenticate_device_code(on_code=lambda code: None, **limits)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_asked(sim: Simulator, path: str) -> bool:
    return any(request.path.endswith(path) for request in sim.requests)


def ended(credentials: Credentials, way: str, **limits: Any) -> tuple[str | None, float]:
    """The code of the failure, and the seconds that it took."""
    began = time.monotonic()
    with pytest.raises(LoginFailedError) as caught:
        sign_in(credentials, way, **limits)
    return caught.value.code, time.monotonic() - began


DEVICE = "/api/accounts/deviceauth"
# The requests in which the issuer is slow.
ROWS = [
    ("browser", "token"),
    ("device code", f"{DEVICE}/usercode"),
    ("device code", f"{DEVICE}/token"),
    ("device code", "token"),
]


@pytest.mark.parametrize(("way", "place"), ROWS)
@pytest.mark.parametrize("fault", [f"delayed:{SLOW}", "throttled:1,0.3"])
@pytest.mark.parametrize("code", ["timeout", "cancelled"])
def test_deadline_does_not_wait_for_the_issuer(way: str, place: str, fault: str, code: str, sim: Simulator) -> None:
    sim.fail(f"{fault}@{place}", times=None)
    cancel = threading.Event()
    store = MemoryStore()
    credentials = Credentials(store, issuer=sim.issuer)
    threading.Timer(1.0, cancel.set).start()
    ending, seconds = ended(credentials, way, **({"timeout": 1.0} if code == "timeout" else {"cancel": cancel}))
    assert (ending, store.load()) == (code, None)
    assert seconds < 1.0 + AT_ONCE
    assert ended(credentials, way, timeout=0.1)[1] < AT_ONCE, "the next one need not wait for it, either"


@pytest.mark.parametrize("way", WAYS)
def test_tokens_after_the_deadline_are_not_stored(way: str, sim: Simulator) -> None:
    sim.fail("delayed:2@token")
    store = MemoryStore()
    assert ended(Credentials(store, issuer=sim.issuer), way, timeout=1.0)[0] == "timeout"
    time.sleep(3)
    assert is_asked(sim, "/oauth/token")
    assert store.load() is None


def test_login_cancelled_during_exchange_stores_nothing(
    sim: Simulator,
) -> None:
    sim.fail("delayed:2@token")
    store, urls = MemoryStore(), list[str]()
    errors: list[LoginFailedError] = []

    def older() -> None:
        with pytest.raises(LoginFailedError) as caught:
            Credentials(store, issuer=sim.issuer).authenticate(open_browser=visit, on_url=urls.append, ports=(0,))
        errors.append(caught.value)

    thread = threading.Thread(target=older)
    thread.start()
    until(lambda: is_asked(sim, "/oauth/token"))
    back = httpx2.URL(urls[0]).params["redirect_uri"]
    assert httpx2.get(back.replace("/auth/callback", "/cancel")).text == "Login cancelled"
    thread.join(AT_ONCE)
    assert [error.code for error in errors] == ["cancelled"]
    time.sleep(3)
    assert store.load() is None


@pytest.mark.parametrize("way", WAYS)
def test_login_stored_before_cancellation_stays(way: str, sim: Simulator) -> None:
    cancel = threading.Event()

    class Cancelling(MemoryStore):
        def save(self, document: dict[str, Any]) -> None:
            super().save(document)
            cancel.set()

    store = Cancelling()
    assert ended(Credentials(store, issuer=sim.issuer), way, cancel=cancel)[0] == "cancelled"
    document = store.load()
    assert document is not None
    assert document["tokens"]["account_id"] == sim.account.account_id


@pytest.mark.parametrize("way", WAYS)
def test_refresh_continues_after_its_caller_times_out(way: str, sim: Simulator) -> None:
    sim.fail("delayed:2@token")
    store = MemoryStore(sim.login_document(expires_in=-timedelta(minutes=1)))
    credentials = Credentials(store, issuer=sim.issuer)
    version = store.version()
    code, seconds = ended(credentials, way, timeout=0.3)
    assert code == "timeout"
    assert seconds < 2
    until(lambda: store.version() != version)
    assert credentials.authenticate(interactive=False)
