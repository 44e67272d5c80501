"""Test that a login ends at its deadline or cancellation while the issuer is slow."""

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

FLOWS = ["browser", "device code"]
MARGIN_SECONDS = 3.0  # for a busy machine
ISSUER_DELAY_SECONDS = 12


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(device_login=DeviceLoginSettings(interval_seconds=1)) as simulator:
        yield simulator


def approve(url: str) -> None:
    """Visit the URL in a thread, as the browser of a user who approves the login."""

    def visit() -> None:
        with suppress(httpx2.HTTPError):  # the callback server may stop before the last page is read
            httpx2.get(url, follow_redirects=True, timeout=30)

    threading.Thread(target=visit, daemon=True).start()


def log_in(credentials: Credentials, flow: str, **options: Any) -> object:
    if flow == "browser":
        return credentials.authenticate(open_browser=approve, on_url=lambda url: None, ports=(0,), **options)
    return credentials.authenticate_device_code(on_code=lambda code: None, **options)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def was_requested(sim: Simulator, path: str) -> bool:
    return any(request.path.endswith(path) for request in sim.requests)


def fail_login(credentials: Credentials, flow: str, **options: Any) -> tuple[str | None, float]:
    """Return the code of the failure and the duration of the login in seconds."""
    started = time.monotonic()
    with pytest.raises(LoginFailedError) as caught:
        log_in(credentials, flow, **options)
    return caught.value.code, time.monotonic() - started


DEVICE_PATH = "/api/accounts/deviceauth"
# flow, path with a slow response
SLOW_PATHS = [
    ("browser", "token"),
    ("device code", f"{DEVICE_PATH}/usercode"),
    ("device code", f"{DEVICE_PATH}/token"),
    ("device code", "token"),
]


@pytest.mark.parametrize(("flow", "path"), SLOW_PATHS)
@pytest.mark.parametrize("fault", [f"delayed:{ISSUER_DELAY_SECONDS}", "throttled:1,0.3"])
@pytest.mark.parametrize("code", ["timeout", "cancelled"])
def test_deadline_does_not_wait_for_the_issuer(flow: str, path: str, fault: str, code: str, sim: Simulator) -> None:
    sim.fail(f"{fault}@{path}", times=None)
    cancel = threading.Event()
    store = MemoryStore()
    credentials = Credentials(store, issuer=sim.issuer)
    threading.Timer(1.0, cancel.set).start()
    actual_code, seconds = fail_login(
        credentials, flow, **({"timeout": 1.0} if code == "timeout" else {"cancel": cancel})
    )
    assert (actual_code, store.load()) == (code, None)
    assert seconds < 1.0 + MARGIN_SECONDS
    assert fail_login(credentials, flow, timeout=0.1)[1] < MARGIN_SECONDS, "the next login must not wait for the issuer"


@pytest.mark.parametrize("flow", FLOWS)
def test_tokens_after_the_deadline_are_not_stored(flow: str, sim: Simulator) -> None:
    sim.fail("delayed:2@token")
    store = MemoryStore()
    assert fail_login(Credentials(store, issuer=sim.issuer), flow, timeout=1.0)[0] == "timeout"
    time.sleep(3)
    assert was_requested(sim, "/oauth/token")
    assert store.load() is None


def test_login_cancelled_during_exchange_stores_nothing(sim: Simulator) -> None:
    sim.fail("delayed:2@token")
    store, urls = MemoryStore(), list[str]()
    errors: list[LoginFailedError] = []

    def run_login() -> None:
        with pytest.raises(LoginFailedError) as caught:
            Credentials(store, issuer=sim.issuer).authenticate(open_browser=approve, on_url=urls.append, ports=(0,))
        errors.append(caught.value)

    thread = threading.Thread(target=run_login)
    thread.start()
    wait_until(lambda: was_requested(sim, "/oauth/token"))
    callback_url = httpx2.URL(urls[0]).params["redirect_uri"]
    assert httpx2.get(callback_url.replace("/auth/callback", "/cancel")).text == "Login cancelled"
    thread.join(MARGIN_SECONDS)
    assert [error.code for error in errors] == ["cancelled"]
    time.sleep(3)
    assert store.load() is None


@pytest.mark.parametrize("flow", FLOWS)
def test_login_stored_before_cancellation_is_kept(flow: str, sim: Simulator) -> None:
    cancel = threading.Event()

    class CancellingStore(MemoryStore):
        def save(self, document: dict[str, Any]) -> None:
            super().save(document)
            cancel.set()

    store = CancellingStore()
    assert fail_login(Credentials(store, issuer=sim.issuer), flow, cancel=cancel)[0] == "cancelled"
    document = store.load()
    assert document is not None
    assert document["tokens"]["account_id"] == sim.account.account_id


@pytest.mark.parametrize("flow", FLOWS)
def test_refresh_continues_after_its_caller_times_out(flow: str, sim: Simulator) -> None:
    sim.fail("delayed:2@token")
    store = MemoryStore(sim.login_document(expires_in=-timedelta(minutes=1)))
    credentials = Credentials(store, issuer=sim.issuer)
    version = store.version()
    code, seconds = fail_login(credentials, flow, timeout=0.3)
    assert code == "timeout"
    assert seconds < 2
    wait_until(lambda: store.version() != version)
    assert credentials.authenticate(interactive=False)
