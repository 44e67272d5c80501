"""Test refreshes with slow or lost responses, failing stores, cancelled callers and forks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from issuer_stub import IssuerStub
from manager_support import HOUR, MINUTE, Clock, RecordingStore

from codex_backend_sdk import AsyncOpenAI
from codex_backend_sdk._exceptions import CredentialStoreError, LoginRequiredError
from codex_backend_sdk.auth import Credentials, FileStore, MemoryStore
from codex_backend_sdk.testing import SimulatedAccount, Simulator

SECOND = timedelta(seconds=1)
posix = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals and resource limits")


def refreshes(server: Simulator | IssuerStub) -> list[Any]:
    return [request for request in server.requests if request.path == "/oauth/token"]


def create_client(sim: Simulator, credentials: Credentials) -> AsyncOpenAI:
    return AsyncOpenAI(credentials=credentials, base_url=sim.base_url, issuer=sim.issuer, max_retries=0)


# --- async callers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_in", [-HOUR, 2 * MINUTE, 2 * HOUR])
def test_event_loop_is_not_blocked_by_a_refresh(expires_in: timedelta) -> None:
    """Twenty tasks wait for one refresh of a token that has expired, is about to expire, or is rejected with 401."""
    pauses: list[float] = []

    async def measure_pauses() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            pauses.append(time.perf_counter() - before - 0.01)

    async def main(sim: Simulator, credentials: Credentials) -> None:
        watcher = asyncio.create_task(measure_pauses())
        async with create_client(sim, credentials) as client:
            results = await asyncio.gather(*(client.codex.usage() for _ in range(20)))
        watcher.cancel()
        assert len(results) == 20

    clock = Clock(datetime.now(UTC))
    with Simulator(refresh_delay=SECOND, clock=clock) as sim:
        credentials = Credentials(MemoryStore(sim.login_document(expires_in=expires_in)), issuer=sim.issuer)
        if expires_in > HOUR:
            clock.now += 3 * HOUR  # the backend's clock only: it rejects a token that the client considers valid
        started = time.monotonic()
        asyncio.run(main(sim, credentials))
        assert time.monotonic() - started > 1
        assert len(refreshes(sim)) == 1
    assert len(pauses) > 20
    assert max(pauses) < 0.5, sorted(pauses)[-5:]


def test_refresh_continues_when_its_caller_is_cancelled() -> None:
    async def main(sim: Simulator, credentials: Credentials) -> None:
        async with create_client(sim, credentials) as client:
            with anyio.move_on_after(0.5) as scope:
                await client.codex.usage()
            assert scope.cancelled_caught
            await client.codex.usage()

    with Simulator(refresh_delay=SECOND) as sim:
        credentials = Credentials(MemoryStore(sim.login_document(expires_in=-HOUR)), issuer=sim.issuer)
        anyio.run(main, sim, credentials)
        assert len(refreshes(sim)) == 1


PROGRAM_WITH_TIMEOUT = """
import asyncio, sys
from codex_backend_sdk import AsyncOpenAI
async def main():
    client = AsyncOpenAI(max_retries=0)
    try:
        await asyncio.wait_for(client.codex.usage(), 0.5)
    except TimeoutError:
        print("timed out", flush=True)
    await client.close()
asyncio.run(main())
"""
PROGRAM_WITH_CALL = """
from codex_backend_sdk import OpenAI
print("calling", flush=True)
OpenAI(max_retries=0).codex.usage()
"""
PROGRAM_WITH_LOGIN = PROGRAM_WITH_CALL.replace("codex.usage()", "authenticate()")
PROGRAM_WITH_STORED_LOGIN = PROGRAM_WITH_CALL.replace("codex.usage()", "authenticate(interactive=False)")


@posix
@pytest.mark.parametrize(
    ("program", "output"),
    [
        (PROGRAM_WITH_TIMEOUT, "timed out"),
        (PROGRAM_WITH_CALL, "calling"),
        (PROGRAM_WITH_LOGIN, "calling"),
        (PROGRAM_WITH_STORED_LOGIN, "calling"),
    ],
    ids=["timeout", "Ctrl-C", "Ctrl-C in authenticate", "Ctrl-C, not interactive"],
)
def test_program_that_ends_during_a_refresh_stores_tokens(tmp_path: Path, program: str, output: str) -> None:
    """The issuer accepts a refresh token once, so the login would be lost if the new tokens were not stored."""
    with Simulator(refresh_delay=2 * SECOND) as sim:
        store = FileStore(tmp_path / "auth.json")
        store.save(sim.login_document(expires_in=-HOUR))
        env = {**os.environ, **sim.environment, "CODEX_HOME": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        while not refreshes(sim):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        if output == "calling":
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
        assert out.decode().strip() == output, err
        assert (b"KeyboardInterrupt" in err) is (output == "calling")
        Credentials(store, issuer=sim.issuer).current()
        assert len(refreshes(sim)) == 1


@pytest.mark.parametrize("thread_count", [1, 8])
def test_valid_token_is_used_while_the_issuer_hangs(thread_count: int) -> None:
    with Simulator(refresh_delay=20 * SECOND) as sim:
        store = MemoryStore(sim.login_document(expires_in=4 * MINUTE))
        credentials = Credentials(store, issuer=sim.issuer)
        before = Credentials(store, issuer=sim.issuer)._reload().login
        started = time.monotonic()
        with ThreadPoolExecutor(thread_count) as pool:
            logins = [future.result() for future in [pool.submit(credentials.current) for _ in range(thread_count)]]
        assert time.monotonic() - started < 12
        assert set(logins) == {before}
        sim.refresh_delay = 0 * SECOND
        assert len(refreshes(sim)) == 1


# --- lost responses --------------------------------------------------------------------------------------------------


def close_connection() -> None:
    raise ConnectionAbortedError("The stub closes the connection without a response.")


def test_lost_refresh_response_keeps_the_old_token() -> None:
    clock = Clock()
    with IssuerStub(clock=clock, before_response=close_connection) as issuer:
        credentials = Credentials(MemoryStore(issuer.document(expires_in=4 * MINUTE)), issuer=issuer.url, clock=clock)
        login = credentials.current()
        clock.now += 11 * SECOND
        issuer.before_response = lambda: None
        assert credentials.current() == login, (
            "the refresh token is rejected as used, and the old access token is still valid"
        )
        assert len(refreshes(issuer)) == 2
        clock.now += 11 * SECOND
        assert credentials.current() == login
        assert len(refreshes(issuer)) == 2, "the rejection is cached"
        clock.now += 4 * MINUTE
        with pytest.raises(LoginRequiredError, match="was already used"):
            credentials.current()


def test_rejected_refresh_uses_tokens_stored_by_a_peer() -> None:
    """The Codex CLI refreshes without the lock and stores its tokens a moment after our refresh is rejected."""
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        issuer.live_refresh_token = "used by a peer"
        store = MemoryStore(issuer.document(expires_in=-HOUR))
        newer = issuer.document(expires_in=2 * HOUR)
        issuer.before_response = lambda: threading.Timer(0.1, store.save, [newer]).start()
        credentials = Credentials(store, issuer=issuer.url, clock=clock)
        assert credentials.current().access_token.reveal() == newer["tokens"]["access_token"]


# --- stores that fail ------------------------------------------------------------------------------------------------


def test_unreadable_store_keeps_the_valid_token(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        store = RecordingStore(issuer.document())
        credentials = Credentials(store, issuer=issuer.url, clock=clock)
        login = credentials.current()
        clock.now += HOUR - MINUTE
        store.errors["load"] = CredentialStoreError("Cannot read Redis: connection refused")
        assert credentials.current() is login
        assert "could not be read; its old token is still used. Cannot read Redis" in caplog.text
        clock.now += MINUTE
        with pytest.raises(CredentialStoreError, match="connection refused"):
            credentials.current()
        assert refreshes(issuer) == []
        store.errors.clear()
        assert credentials.current() != login


@pytest.mark.parametrize("method", ["load", "lock"])
def test_valid_token_outlives_any_exception_of_a_custom_store(method: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        store = RecordingStore(issuer.document())
        credentials = Credentials(store, issuer=issuer.url, clock=clock)
        login = credentials.current()
        clock.now += HOUR - MINUTE
        store.errors[method] = ConnectionError("secret")
        assert credentials.current() == login
        assert "its old token is still used. ConnectionError." in caplog.text
        assert "secret" not in caplog.text, "the message of a foreign exception may hold the document"
        clock.now += MINUTE
        with pytest.raises(ConnectionError):
            credentials.current()


def test_removed_login_is_not_used_for_the_rest_of_its_token() -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        store = MemoryStore(issuer.document())
        credentials = Credentials(store, issuer=issuer.url, clock=clock)
        credentials.current()
        clock.now += HOUR - MINUTE
        store.clear()
        with pytest.raises(LoginRequiredError, match="There is no login"):
            credentials.current()


def test_unreadable_login_can_be_deleted() -> None:
    with IssuerStub() as issuer:
        store = RecordingStore(issuer.document())
        store.errors["load"] = RuntimeError("the format is unknown")
        assert Credentials(store, issuer=issuer.url).logout()
        store.errors.clear()
        assert store.load() is None


def unsaved_credentials(issuer: IssuerStub, clock: Clock) -> tuple[Credentials, RecordingStore]:
    store = RecordingStore(issuer.document(expires_in=-HOUR))
    store.errors["save"] = CredentialStoreError("the disk is full")
    credentials = Credentials(store, issuer=issuer.url, clock=clock)
    credentials.current()
    return credentials, store


def test_unsaved_login_is_saved_when_the_store_recovers(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        credentials, store = unsaved_credentials(issuer, clock)
        login = credentials.ready()
        assert login is not None
        clock.now += MINUTE
        assert credentials.ready() is None, "saving is retried once a minute"
        assert credentials.current() == login
        assert credentials.ready() is login, "the second attempt failed; the next one follows after a minute"
        clock.now += MINUTE
        store.errors.clear()
        assert credentials.current() == credentials.ready() == login
        assert Credentials(store, issuer=issuer.url, clock=clock).current() == login
        assert len(refreshes(issuer)) == 1
        clock.now += MINUTE
        assert credentials.ready() is login
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# --- long-running ----------------------------------------------------------------------------------------------------


def test_client_running_for_weeks_refreshes_per_lifetime() -> None:
    clock = Clock()
    with Simulator(clock=clock) as sim:
        store = MemoryStore(sim.login_document())
        credentials = Credentials(store, issuer=sim.issuer, clock=clock)
        with sim.client(credentials=credentials, max_retries=0) as client:
            for _ in range(100 * 4):
                client.codex.usage()
                clock.now += 6 * HOUR
        reasons = [json.loads(request.body)["refresh_reason"] for request in refreshes(sim)]
    assert reasons == ["proactive_expiry"] * 9, (
        "100 days with 10 days for each token, of which the login provides the first"
    )


# --- forks -----------------------------------------------------------------------------------------------------------


def run_forking_program(program: str, *arguments: str, sim: Simulator) -> tuple[str, str]:
    """Run a program that forks when it reads a line. Write the line while its thread waits for the simulator."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not sim.requests:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(1)  # right after the request, the thread may hold a lock of Python itself, such as the import lock
        return process.communicate("\n", timeout=45)


FORK_DURING_REFRESH = """
import os, signal, sys, threading
from codex_backend_sdk.auth import StaticToken, Credentials, FileStore
credential_type, path, issuer, token = sys.argv[1:]
if credential_type == "file":
    credentials = Credentials(FileStore(path), issuer=issuer)
else:
    credentials = StaticToken(token, issuer=issuer)
thread = threading.Thread(target=credentials.current)
thread.start()
sys.stdin.readline()  # the issuer has the request, and responds after two seconds
child = os.fork()
if child == 0:
    signal.alarm(20)
login = credentials.current()
if child == 0:
    os._exit(login.account_id is None)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
@pytest.mark.parametrize(("credential_type", "request_count"), [("file", 1), ("access token", 2)])
def test_child_of_a_fork_during_a_refresh_works(tmp_path: Path, credential_type: str, request_count: int) -> None:
    """Locks held by the parent's thread are free in the child, except the lock file."""
    with Simulator(refresh_delay=2 * SECOND) as sim:
        sim.fail("delayed:2@/api/accounts/v1/user-auth-credential/whoami", times=None)
        path = tmp_path / "auth.json"
        FileStore(path).save(sim.login_document(expires_in=-HOUR))
        arguments = [credential_type, str(path), sim.issuer, sim.personal_access_token()]
        assert run_forking_program(FORK_DURING_REFRESH, *arguments, sim=sim) == ("0\n", "")
        assert len(sim.requests) == request_count


FORK_DURING_LOOKUP = """
import os, signal, sys, threading
from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import FileStore
path, issuer, backend = sys.argv[1:]
client = OpenAI(credentials=FileStore(path), issuer=issuer, base_url=backend)
thread = threading.Thread(target=lambda: client.responses.create(input="hi"))
thread.start()
sys.stdin.readline()  # the backend has the request for the workspaces, and responds after three seconds
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(not client.responses.create(input="hi").output_text)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
def test_child_of_a_fork_during_a_lookup_works(tmp_path: Path) -> None:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as sim:
        sim.fail("delayed:3@accounts")
        path = tmp_path / "auth.json"
        FileStore(path).save(sim.login_document())
        assert run_forking_program(FORK_DURING_LOOKUP, str(path), sim.issuer, sim.base_url, sim=sim) == (
            "0\n",
            "",
        )
