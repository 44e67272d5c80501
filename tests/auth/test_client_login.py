"""Test login, logout and refresh with the sync and the async client."""

from __future__ import annotations

import inspect
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import anyio.lowlevel
import httpx2
import pytest
from support.calls import requested_paths

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Account, Credentials, DeviceCode, MemoryStore, StaticToken
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable


# --- login -----------------------------------------------------------------------------------------------------------


def approve(url: str) -> None:
    """Visit the URL as the browser of a user who approves the login."""
    httpx2.get(url, follow_redirects=True, timeout=20).raise_for_status()


def fail_if_called(url: object) -> None:
    raise AssertionError("the login must not open a browser")


def test_default_timeout_and_ports() -> None:
    parameters = inspect.signature(Credentials.authenticate).parameters
    assert (parameters["timeout"].default, parameters["ports"].default) == (300.0, (1455, 1457))


def test_login_passes_arguments_to_the_issuer(new_client: Callable[..., Any], sim: Simulator) -> None:
    store, opened_urls, reported_urls = MemoryStore(), list[str](), list[str]()
    client = new_client(credentials=store)

    def open_browser(url: str) -> None:
        opened_urls.append(url)
        approve(url)

    client.authenticate(
        open_browser=open_browser,
        on_url=reported_urls.append,
        workspace_id=sim.account.account_id,
        scopes=["openid", "profile", "email", "offline_access"],
        timeout=30,
        ports=(0,),
    )
    assert opened_urls == reported_urls
    parameters = parse_qs(urlsplit(opened_urls[0]).query)
    assert parameters["scope"] == ["openid profile email offline_access"]
    assert parameters["allowed_workspace_id"] == [sim.account.account_id]
    assert client.account().email == "user@example.com"
    assert requested_paths(sim) == ["authorize", "token"], "no API key is requested"
    document = store.load()
    assert document is not None
    assert document["OPENAI_API_KEY"] is None


def test_stored_login_opens_no_browser_unless_forced(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    before = store.load()
    client = new_client(credentials=store)
    client.authenticate(open_browser=fail_if_called, on_url=fail_if_called)
    client.authenticate(interactive=False)
    assert store.load() == before
    client.authenticate(force=True, open_browser=approve, ports=(0,), timeout=30)
    assert store.load() != before
    with pytest.raises(ValueError, match="force=True requires an interactive login"):
        client.authenticate(force=True, interactive=False)


@pytest.mark.parametrize("code", ["timeout", "cancelled"])
def test_login_ends_at_timeout_or_cancellation(new_client: Callable[..., Any], code: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    options: dict[str, Any] = {"timeout": 0.5} if code == "timeout" else {"cancel": cancel}
    started = time.monotonic()
    with pytest.raises(sdk.LoginFailedError) as caught:
        new_client(credentials=MemoryStore()).authenticate(
            open_browser=False, on_url=lambda url: None, ports=(0,), **options
        )
    assert caught.value.code == code
    assert time.monotonic() - started < 4


# --- responses with status 401 ---------------------------------------------------------------------------------------

UNAUTHORIZED = Turn.error(401, {"detail": "Unauthorized"})

# responses of the backend, whether another process stores a login → requests, outcome
AFTER_401 = {
    "accepted": ([], False, ["responses"], "completed"),
    "refreshed": ([UNAUTHORIZED], False, ["responses", "token", "responses"], "completed"),
    "reloaded": ([UNAUTHORIZED], True, ["responses", "responses"], "completed"),
    "rejected after a refresh": (
        [UNAUTHORIZED] * 2,
        False,
        ["responses", "token", "responses"],
        sdk.LoginRejectedError,
    ),
    "rejected after a reload": ([UNAUTHORIZED] * 2, True, ["responses", "responses"], sdk.LoginRejectedError),
}


@pytest.mark.parametrize("stream", [False, True], ids=["create", "stream"])
@pytest.mark.parametrize("row", AFTER_401.values(), ids=list(AFTER_401))
def test_401_reloads_then_refreshes_then_fails(
    row: Any, stream: bool, new_client: Callable[..., Any], sim: Simulator
) -> None:
    responses, is_stored_by_a_peer, requests, outcome = row
    store = MemoryStore(sim.login_document())
    client = new_client(credentials=Credentials(store, issuer=sim.issuer))
    client.credentials.current()
    if is_stored_by_a_peer:
        store.save(sim.login_document())
    sim.script(*responses)

    def call() -> str:
        response = client.responses.create(input="hi", stream=stream)
        return str(list(response)[-1].response.status if stream else response.status)

    if isinstance(outcome, str):
        assert call() == outcome
    else:
        with pytest.raises(outcome):
            call()
    assert requested_paths(sim) == requests


# --- access tokens ---------------------------------------------------------------------------------------------------


def test_rejected_personal_token_is_not_refreshed(new_client: Callable[..., Any], sim: Simulator) -> None:
    token = sim.personal_access_token()
    client = new_client(credentials=StaticToken(token, issuer=sim.issuer))
    assert client.authenticate().responses.create(input="hi").status == "completed"
    assert sim.requests[-1].headers["authorization"] == f"Bearer {token}"
    assert sim.requests[-1].headers["chatgpt-account-id"] == sim.account.account_id
    sim.script(UNAUTHORIZED)
    with pytest.raises(
        sdk.LoginRequiredError, match=r"was rejected by the backend \(status 401\) and cannot be refreshed"
    ):
        client.responses.create(input="hi")
    assert requested_paths(sim) == ["whoami", "responses", "responses"]
    with pytest.raises(sdk.LoginFailedError, match="this client is from credentials=StaticToken"):
        client.authenticate(force=True)


def test_client_uses_the_access_token_variable(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, new_client: Callable[..., Any]
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", sim.personal_access_token())
    with sdk.OpenAI(base_url=sim.base_url, issuer=sim.issuer) as client:
        assert client.responses.create(input="hi").status == "completed"
        assert client.account().stored_in == "CODEX_ACCESS_TOKEN"


# --- account, logout and revocation ----------------------------------------------------------------------------------


def test_account_raises_after_logout(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    client = new_client(credentials=store)
    account = client.account()
    assert isinstance(account, Account)
    assert (account.email, account.plan, account.stored_in) == ("user@example.com", "pro", "memory")
    assert [client.logout(), client.logout()] == [True, False]
    assert sim.requests == []
    with pytest.raises(sdk.LoginRequiredError):
        client.account()
    with pytest.raises(sdk.LoginRequiredError, match=r"Log in with client\.authenticate"):
        client.responses.create(input="hi")


def test_revoke_sends_the_refresh_token(new_client: Callable[..., Any], sim: Simulator) -> None:
    document = sim.login_document()
    client = new_client(credentials=MemoryStore(document))
    assert client.revoke()
    assert requested_paths(sim) == ["revoke"]
    assert sim.requests[0].json()["token"] == document["tokens"]["refresh_token"]
    assert not client.revoke()


def test_custom_source_has_no_login_methods(new_client: Callable[..., Any], sim: Simulator) -> None:
    login = sim.credentials().current()

    class CustomSource:
        def ready(self) -> sdk.Login | None:
            return login

        def current(self) -> sdk.Login:
            return login

        def refresh(self, rejected: sdk.Login) -> sdk.Login:
            raise NotImplementedError

    client = new_client(credentials=CustomSource())
    assert client.account().email == "user@example.com"
    assert client.authenticate_device_code().account().stored_in is None
    for call in (client.logout, client.revoke, lambda: client.authenticate(force=True)):
        with pytest.raises(sdk.LoginFailedError, match="this client is from CustomSource"):
            call()


# --- device codes ----------------------------------------------------------------------------------------------------


def test_device_code_logs_in(new_client: Callable[..., Any]) -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=1, interval_seconds=1)) as device_sim:
        codes: list[DeviceCode] = []
        client = new_client(credentials=Credentials(MemoryStore(), issuer=device_sim.issuer))
        assert client.authenticate_device_code(on_code=codes.append).account().email == "user@example.com"
        assert codes[0].url == f"{device_sim.issuer}/codex/device"


@pytest.mark.parametrize("flow", ["device code", "browser"])
def test_cancelling_the_task_ends_the_login(flow: str) -> None:
    """The event loop is not blocked while the login waits for the user."""
    is_shown = threading.Event()
    pauses: list[float] = []

    async def measure_pauses(*, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        before = time.perf_counter()
        while True:
            await anyio.sleep(0.005)
            pauses.append(time.perf_counter() - before)
            before = time.perf_counter()

    async def run(sim: Simulator) -> None:
        async with sim.async_client(credentials=MemoryStore()) as client, anyio.create_task_group() as tasks:
            await tasks.start(measure_pauses)
            with anyio.move_on_after(1.0) as scope:
                if flow == "browser":
                    await client.authenticate(open_browser=False, on_url=lambda url: is_shown.set(), ports=(0,))
                else:
                    await client.authenticate_device_code(on_code=lambda code: is_shown.set())
            assert scope.cancelled_caught
            tasks.cancel_scope.cancel()

    with Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=1)) as sim:
        anyio.run(run, sim)
        assert is_shown.is_set()
        polls = len(sim.requests)
        time.sleep(1.5)
        assert len(sim.requests) <= polls + 1, "the polling must stop"
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("codex-login-server")]
    assert max(pauses) < 0.5


def test_many_logins_do_not_exhaust_worker_threads() -> None:
    """More logins wait than the event loop has worker threads. `on_url` needs one of these threads."""
    urls: list[str] = []
    codes: list[str | None] = []

    async def run(sim: Simulator) -> None:
        is_shown = anyio.Event()

        async def on_url(url: str) -> None:
            await anyio.to_thread.run_sync(urls.append, url)
            is_shown.set()

        async with sim.async_client(credentials=MemoryStore()) as client, anyio.create_task_group() as tasks:

            async def log_in(timeout: float) -> None:  # noqa: ASYNC109 - the test is about this timeout
                try:
                    await client.authenticate(open_browser=False, on_url=on_url, ports=(0,), timeout=timeout)
                except sdk.LoginFailedError as error:
                    codes.append(error.code)

            tasks.start_soon(log_in, 6.0)
            await is_shown.wait()
            for _ in range(44):
                tasks.start_soon(log_in, 1.0)

    with Simulator(approval="manual") as sim:
        anyio.run(run, sim)
    assert codes == ["timeout"] * 45
    assert len(urls) == 1


def test_slow_refresh_does_not_exhaust_worker_threads() -> None:
    worker_waits: list[float] = []

    async def run(sim: Simulator) -> None:
        expired = sim.login_document(expires_in=-timedelta(minutes=1))
        credentials = Credentials(MemoryStore(expired), issuer=sim.issuer)
        async with sim.async_client(credentials=credentials) as client, anyio.create_task_group() as tasks:

            async def call() -> None:
                assert (await client.responses.create(input="hi")).status == "completed"

            for _ in range(60):
                tasks.start_soon(call)
            await anyio.sleep(0.5)
            before = time.perf_counter()
            await anyio.to_thread.run_sync(lambda: None)
            worker_waits.append(time.perf_counter() - before)

    with Simulator(refresh_delay=timedelta(seconds=3)) as sim:
        anyio.run(run, sim)
        assert requested_paths(sim).count("token") == 1
    assert worker_waits[0] < 1
