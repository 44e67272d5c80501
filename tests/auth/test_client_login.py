"""Logging in and out, on both clients."""

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


# --- logging in ---------------------------------------------------------------------------------------------------


def approve(url: str) -> None:
    """Act as the browser of a user who approves."""
    httpx2.get(url, follow_redirects=True, timeout=20).raise_for_status()


def never(what: object) -> None:
    raise AssertionError("nothing may be opened")


def test_default_timeout_and_ports() -> None:
    given = inspect.signature(Credentials.authenticate).parameters
    assert (given["timeout"].default, given["ports"].default) == (300.0, (1455, 1457))


def test_login_uses_all_arguments(new_client: Callable[..., Any], sim: Simulator) -> None:
    store, opened, shown = MemoryStore(), list[str](), list[str]()
    client = new_client(credentials=store)

    def open_browser(url: str) -> None:
        opened.append(url)
        approve(url)

    client.authenticate(
        open_browser=open_browser,
        on_url=shown.append,
        workspace_id=sim.account.account_id,
        scopes=["openid", "profile", "email", "offline_access"],
        timeout=30,
        ports=(0,),
    )
    assert opened == shown
    parameters = parse_qs(urlsplit(shown[0]).query)
    assert parameters["scope"] == ["openid profile email offline_access"]
    assert parameters["allowed_workspace_id"] == [sim.account.account_id]
    assert client.account().email == "user@example.com"
    assert requested_paths(sim) == ["authorize", "token"], "no API key is requested"
    document = store.load()
    assert document is not None
    assert document["OPENAI_API_KEY"] is None


def test_stored_login_opens_nothing_unless_forced(new_client: Callable[..., Any], sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    before = store.load()
    client = new_client(credentials=store)
    client.authenticate(open_browser=never, on_url=never)
    client.authenticate(interactive=False)
    assert store.load() == before
    client.authenticate(force=True, open_browser=approve, ports=(0,), timeout=30)
    assert store.load() != before
    with pytest.raises(ValueError, match="force=True logs in again"):
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


# --- after a 401 -------------------------------------------------------------------------------------------------

UNAUTHORIZED = Turn.error(401, {"detail": "Unauthorized"})

# responses of the backend · whether another process stores a login → requests · outcome
AFTER_401 = {
    "good": ([], False, ["responses"], "completed"),
    "refreshed": ([UNAUTHORIZED], False, ["responses", "token", "responses"], "completed"),
    "adopted": ([UNAUTHORIZED], True, ["responses", "responses"], "completed"),
    "refused": ([UNAUTHORIZED] * 2, False, ["responses", "token", "responses"], sdk.LoginRejectedError),
    "refused after adoption": ([UNAUTHORIZED] * 2, True, ["responses", "responses"], sdk.LoginRejectedError),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", AFTER_401.values(), ids=list(AFTER_401))
def test_401_reloads_then_refreshes_then_fails(
    row: Any, stream: bool, new_client: Callable[..., Any], sim: Simulator
) -> None:
    responses, is_stored_elsewhere, requests, outcome = row
    store = MemoryStore(sim.login_document())
    client = new_client(credentials=Credentials(store, issuer=sim.issuer))
    client.credentials.current()
    if is_stored_elsewhere:
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


# --- access tokens -----------------------------------------------------------------------------------------------


def test_personal_token_signs_requests_and_401_is_final(new_client: Callable[..., Any], sim: Simulator) -> None:
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
    with pytest.raises(sdk.LoginFailedError, match="this client comes from credentials=StaticToken"):
        client.authenticate(force=True)


def test_access_token_variable_is_enough(
    sim: Simulator, monkeypatch: pytest.MonkeyPatch, new_client: Callable[..., Any]
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", sim.personal_access_token())
    with sdk.OpenAI(base_url=sim.base_url, issuer=sim.issuer) as client:
        assert client.responses.create(input="hi").status == "completed"
        assert client.account().stored_in == "CODEX_ACCESS_TOKEN"


# --- account, logout, revoke -------------------------------------------------------------------------------------


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


def test_custom_source_cannot_be_logged_out_here(new_client: Callable[..., Any], sim: Simulator) -> None:
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
        with pytest.raises(sdk.LoginFailedError, match="this client comes from CustomSource"):
            call()


# --- device codes ------------------------------------------------------------------------------------------------


def test_device_code_logs_in(new_client: Callable[..., Any]) -> None:
    with Simulator(device_login=DeviceLoginSettings(pending_polls=1, interval_seconds=1)) as device_sim:
        codes: list[DeviceCode] = []
        client = new_client(credentials=Credentials(MemoryStore(), issuer=device_sim.issuer))
        assert client.authenticate_device_code(on_code=codes.append).account().email == "user@example.com"
        assert codes[0].url == f"{device_sim.issuer}/codex/device"


@pytest.mark.parametrize("flow", ["device code", "browser"])
def test_cancelling_the_task_ends_the_login(flow: str) -> None:
    """Measures the longest pause of the event loop while the login waits for the user."""
    seen_ = threading.Event()
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
                    await client.authenticate(open_browser=False, on_url=lambda url: seen_.set(), ports=(0,))
                else:
                    await client.authenticate_device_code(on_code=lambda code: seen_.set())
            assert scope.cancelled_caught
            tasks.cancel_scope.cancel()

    def waiting() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("codex-login-server")]

    with Simulator(approval="manual", device_login=DeviceLoginSettings(interval_seconds=1)) as sim:
        anyio.run(run, sim)
        assert seen_.is_set()
        polls = len(sim.requests)
        time.sleep(1.5)
        assert len(sim.requests) <= polls + 1, "the polling has stopped"
        assert waiting() == [], "the callback server has stopped, too"
    assert max(pauses) < 0.5


def test_many_logins_do_not_exhaust_worker_threads() -> None:
    """More logins wait than the event loop has worker threads, and `on_url` needs one of these threads."""
    seen_: list[str] = []
    codes: list[str | None] = []

    async def run(sim: Simulator) -> None:
        shown = anyio.Event()

        async def on_url(url: str) -> None:
            await anyio.to_thread.run_sync(seen_.append, url)
            shown.set()

        async with sim.async_client(credentials=MemoryStore()) as client, anyio.create_task_group() as tasks:

            async def sign_in(timeout: float) -> None:  # noqa: ASYNC109 - it is what is tested
                try:
                    await client.authenticate(open_browser=False, on_url=on_url, ports=(0,), timeout=timeout)
                except sdk.LoginFailedError as error:
                    codes.append(error.code)

            tasks.start_soon(sign_in, 6.0)
            await shown.wait()
            for _ in range(44):
                tasks.start_soon(sign_in, 1.0)

    with Simulator(approval="manual") as sim:
        anyio.run(run, sim)
    assert codes == ["timeout"] * 45
    assert len(seen_) == 1


def test_slow_refresh_does_not_exhaust_worker_threads() -> None:
    free_after: list[float] = []

    async def run(sim: Simulator) -> None:
        old = sim.login_document(expires_in=-timedelta(minutes=1))
        credentials = Credentials(MemoryStore(old), issuer=sim.issuer)
        async with sim.async_client(credentials=credentials) as client, anyio.create_task_group() as tasks:

            async def call() -> None:
                assert (await client.responses.create(input="hi")).status == "completed"

            for _ in range(60):
                tasks.start_soon(call)
            await anyio.sleep(0.5)
            before = time.perf_counter()
            await anyio.to_thread.run_sync(lambda: None)
            free_after.append(time.perf_counter() - before)

    with Simulator(refresh_delay=timedelta(seconds=3)) as sim:
        anyio.run(run, sim)
        assert requested_paths(sim).count("token") == 1
    assert free_after[0] < 1
