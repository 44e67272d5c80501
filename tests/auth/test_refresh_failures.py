"""The login survives slow and lost responses, stores that fail, and callers that stop waiting."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from issuer_stub import IssuerStub

from codex_backend_sdk import AsyncOpenAI
from codex_backend_sdk._exceptions import CredentialStoreError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import Credentials, FileStore, MemoryStore
from codex_backend_sdk.testing import SimulatedAccount, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits as POSIX has them")


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


class FaultyStore(MemoryStore):
    """Raises the exception in `faults` for the name server a method."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document)
        self.faults: dict[str, Exception] = {}

    def _try(self, name: str) -> None:
        if name in self.faults:
            raise self.faults[name]

    def load(self) -> dict[str, Any] | None:
        self._try("load")
        return super().load()

    def save(self, document: dict[str, Any]) -> None:
        self._try("save")
        super().save(document)


def refreshes(server: Simulator | IssuerStub) -> list[Any]:
    return [request for request in server.requests if request.path == "/oauth/token"]


def client_of(sim: Simulator, source: Credentials) -> AsyncOpenAI:
    return AsyncOpenAI(credentials=source, base_url=sim.base_url, issuer=sim.issuer, max_retries=0)


# --- async callers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_in", [-HOUR, 2 * MINUTE, 2 * HOUR])
def test_event_loop_is_not_blocked_by_a_refresh(expires_in: timedelta) -> None:
    """Whether the token has expired, is about to, or is rejected with 401: twenty tasks wait and the loop continues."""
    pauses: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.01)
            pauses.append(time.perf_counter() - before - 0.01)

    async def main(sim: Simulator, source: Credentials) -> None:
        watcher = asyncio.create_task(watch())
        async with client_of(sim, source) as client:
            results = await asyncio.gather(*(client.codex.usage() for _ in range(20)))
        watcher.cancel()
        assert len(results) == 20

    clock = Clock()
    with Simulator(refresh_delay=SECOND, clock=clock) as sim:
        source = Credentials(MemoryStore(sim.login_document(expires_in=expires_in)), issuer=sim.issuer)
        if expires_in > HOUR:
            clock.now += 3 * HOUR  # the backend's clock only: it rejects a token that the client considers valid
        began = time.monotonic()
        asyncio.run(main(sim, source))
        assert time.monotonic() - began > 1
        assert len(refreshes(sim)) == 1
    assert len(pauses) > 20
    assert max(pauses) < 0.5, sorted(pauses)[-5:]


def test_refresh_continues_when_its_caller_is_cancelled() -> None:
    async def main(sim: Simulator, source: Credentials) -> None:
        async with client_of(sim, source) as client:
            with anyio.move_on_after(0.5) as scope:
                await client.codex.usage()
            assert scope.cancelled_caught
            await client.codex.usage()

    with Simulator(refresh_delay=SECOND) as sim:
        source = Credentials(MemoryStore(sim.login_document(expires_in=-HOUR)), issuer=sim.issuer)
        anyio.run(main, sim, source)
        assert len(refreshes(sim)) == 1


TIMES_OUT = """
import asyncio, sys
from codex_backend_sdk import AsyncOpenAI
async def main():
    client = AsyncOpenAI(max_retries=0)
    try:
        await asyncio.wait_for(client.codex.usage(), 0.5)
    except TimeoutError:
        print("gone", flush=True)
    await client.close()
asyncio.run(main())
"""
INTERRUPTED = """
from codex_backend_sdk import OpenAI
print("calling", flush=True)
OpenAI(max_retries=0).codex.usage()
"""
INTERRUPTED_LOGIN = INTERRUPTED.replace("codex.usage()", "authenticate()")
INTERRUPTED_REUSE = INTERRUPTED.replace("codex.usage()", "authenticate(interactive=False)")


@posix
@pytest.mark.parametrize(
    ("program", "output"),
    [(TIMES_OUT, "gone"), (INTERRUPTED, "calling"), (INTERRUPTED_LOGIN, "calling"), (INTERRUPTED_REUSE, "calling")],
    ids=["timeout", "Ctrl-C", "Ctrl-C in authenticate", "Ctrl-C, not interactive"],
)
def test_program_that_exits_mid_refresh_stores_the_tokens(tmp_path: Path, program: str, output: str) -> None:
    """Its old refresh token is used up: if the new tokens were not stored, the login would be lost."""
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


@pytest.mark.parametrize("number", [1, 8])
def test_valid_token_is_used_while_the_issuer_hangs(number: int) -> None:
    with Simulator(refresh_delay=20 * SECOND) as sim:
        store = MemoryStore(sim.login_document(expires_in=4 * MINUTE))
        source = Credentials(store, issuer=sim.issuer)
        before = Credentials(store, issuer=sim.issuer)._reload().login
        began = time.monotonic()
        with ThreadPoolExecutor(number) as pool:
            logins = [future.result() for future in [pool.submit(source.current) for _ in range(number)]]
        assert time.monotonic() - began < 12
        assert set(logins) == {before}
        sim.refresh_delay = 0 * SECOND
        assert len(refreshes(sim)) == 1


# --- lost responses ----------------------------------------------------------------------------------------------


def close_connection() -> None:
    raise ConnectionAbortedError("the stub cuts the connection instead server answering")


def test_lost_refresh_response_keeps_the_old_token() -> None:
    clock = Clock()
    with IssuerStub(clock=clock, before_response=close_connection) as issuer:
        source = Credentials(MemoryStore(issuer.document(expires_in=4 * MINUTE)), issuer=issuer.url, clock=clock)
        login = source.current()
        clock.now += 11 * SECOND
        issuer.before_response = lambda: None
        assert source.current() == login, (
            "the refresh token is refused as used, and the old access token is still valid"
        )
        assert len(refreshes(issuer)) == 2
        clock.now += 11 * SECOND
        assert source.current() == login
        assert len(refreshes(issuer)) == 2, "the refusal is remembered"
        clock.now += 4 * MINUTE
        with pytest.raises(LoginRequiredError, match="was already used"):
            source.current()


def test_lost_refresh_response_uses_a_newer_stored_login() -> None:
    clock = Clock()
    with IssuerStub(clock=clock, before_response=close_connection) as issuer:
        store = MemoryStore(issuer.document(expires_in=-HOUR))
        source = Credentials(store, issuer=issuer.url, clock=clock)
        with pytest.raises(TokenRefreshError):
            source.current()
        newer = issuer.document(expires_in=2 * HOUR)
        issuer.before_response = lambda: store.save(newer)  # a peer without our lock, between request and response
        assert source.current().access_token.reveal() == newer["tokens"]["access_token"]


def test_refusal_waits_for_a_peer_to_store_its_tokens() -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        issuer.live_refresh_token = "used by a peer"
        store = MemoryStore(issuer.document(expires_in=-HOUR))
        newer = issuer.document(expires_in=2 * HOUR)
        issuer.before_response = lambda: threading.Timer(0.1, store.save, [newer]).start()
        source = Credentials(store, issuer=issuer.url, clock=clock)
        assert source.current().access_token.reveal() == newer["tokens"]["access_token"]


# --- stores that fail --------------------------------------------------------------------------------------------


def test_unreadable_store_keeps_the_valid_token(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        store = FaultyStore(issuer.document())
        source = Credentials(store, issuer=issuer.url, clock=clock)
        login = source.current()
        clock.now += HOUR - MINUTE
        store.faults["load"] = CredentialStoreError("Cannot read Redis: it is away")
        assert source.current() is login
        assert "could not be read; its old token is still used. Cannot read Redis" in caplog.text
        clock.now += MINUTE
        with pytest.raises(CredentialStoreError, match="it is away"):
            source.current()
        assert refreshes(issuer) == []
        store.faults.clear()
        assert source.current() != login


def unsaved_credentials(issuer: IssuerStub, clock: Clock) -> tuple[Credentials, FaultyStore]:
    store = FaultyStore(issuer.document(expires_in=-HOUR))
    store.faults["save"] = CredentialStoreError("the disk is full")
    source = Credentials(store, issuer=issuer.url, clock=clock)
    source.current()
    return source, store


def test_unsaved_login_is_saved_once_the_store_recovers(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        source, store = unsaved_credentials(issuer, clock)
        login = source.ready()
        assert login is not None
        clock.now += MINUTE
        assert source.ready() is None, "saving is retried once a minute"
        assert source.current() == login
        assert source.ready() is login, "it failed again; the next attempt follows a minute later"
        clock.now += MINUTE
        store.faults.clear()
        assert source.current() == source.ready() == login
        assert Credentials(store, issuer=issuer.url, clock=clock).current() == login
        assert len(refreshes(issuer)) == 1
        clock.now += MINUTE
        assert source.ready() is login
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("change", [MemoryStore.clear, lambda store: store.save({"auth_mode": "apikey"})])
def test_unsaved_login_does_not_overwrite_a_changed_store(change: Callable[[MemoryStore], object]) -> None:
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        source, store = unsaved_credentials(issuer, clock)
        store.faults.clear()
        change(store)
        after = store.load()
        clock.now += MINUTE
        assert source.current() is source.ready()
        assert store.load() == after


FULL = """
import json, logging, os, resource, signal, sys
from codex_backend_sdk import OpenAI
from codex_backend_sdk.auth import MemoryStore
logging.basicConfig(format="%(levelname)s %(message)s")
limit, other = sys.argv[1:]
# Import all that a refresh needs, before this process loses the right to read its own packages.
OpenAI(credentials=MemoryStore(json.loads(other)), max_retries=0).codex.usage()
client = OpenAI(max_retries=0)
client.credentials.store.load()
if limit == "full":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
elif os.getuid() == 0:
    os.setuid(65534)  # root can write to any folder
for _ in range(3):
    assert client.codex.usage()
"""


@posix
@pytest.mark.parametrize(("limit", "output"), [("full", "File too large"), ("read-only", "Permission denied")])
def test_client_works_with_full_or_read_only_disk(limit: str, output: str) -> None:
    with Simulator() as sim, tempfile.TemporaryDirectory() as folder:
        store = FileStore(Path(folder) / "auth.json")
        before = sim.login_document(expires_in=-HOUR)
        store.save(before)
        if limit == "read-only":
            if os.getuid() == 0:
                os.chown(store.path, 65534, 65534)
            os.chmod(folder, 0o555)
        env = {**os.environ, **sim.environment, "CODEX_HOME": folder}
        done = subprocess.run(
            [sys.executable, "-c", FULL, limit, json.dumps(sim.login_document(expires_in=-HOUR))],
            env=env,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        os.chmod(folder, 0o755)
        assert done.returncode == 0, done.stderr
        warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
        assert warnings[-1].startswith(
            f"WARNING The refreshed login could not be stored: Cannot write {store.path}: {output}"
        )
        assert f"Make {store.path} writable." in warnings[-1]
        assert len(warnings) == (1 if limit == "full" else 2), "if read-only, the lock file is missing, too"
        assert len(refreshes(sim)) == 2, "one server them is for the other login"
        assert store.load() == before
        assert os.listdir(folder) in (["auth.json"], ["auth.json", "auth.json.lock"], ["auth.json.lock", "auth.json"])


# --- long-running -------------------------------------------------------------------------------------------------


def test_client_running_for_weeks_refreshes_per_lifetime() -> None:
    clock = Clock()
    with Simulator(clock=clock) as sim:
        store = MemoryStore(sim.login_document())
        source = Credentials(store, issuer=sim.issuer, clock=clock)
        with sim.client(credentials=source, max_retries=0) as client:
            for _ in range(100 * 4):
                client.codex.usage()
                clock.now += 6 * HOUR
        reasons = [json.loads(request.body)["refresh_reason"] for request in refreshes(sim)]
    assert reasons == ["proactive_expiry"] * 9, "100 days, 10 days for each token, the first one from the login"


# --- forks -------------------------------------------------------------------------------------------------------


def output_of_forking_program(program: str, *arguments: str, sim: Simulator) -> tuple[str, str]:
    """Run a program that forks when it reads a line, which it gets while its thread waits for the simulator."""
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not sim.requests:
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(1)  # shortly after a request the thread may hold a lock server Python itself, as during an import
        return process.communicate("\n", timeout=45)


FORK = """
import os, signal, sys, threading
from codex_backend_sdk.auth import StaticToken, Credentials, FileStore
kind, path, issuer, token = sys.argv[1:]
source = Credentials(FileStore(path), issuer=issuer) if kind == "file" else StaticToken(token, issuer=issuer)
thread = threading.Thread(target=source.current)
thread.start()
sys.stdin.readline()  # the issuer has the request, and responds after two seconds
child = os.fork()
if child == 0:
    signal.alarm(20)
login = source.current()
if child == 0:
    os._exit(login.account_id is None)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize(("kind", "request_count"), [("file", 1), ("access token", 2)])
def test_fork_mid_refresh_leaves_the_child_usable(tmp_path: Path, kind: str, request_count: int) -> None:
    """Locks that the parent's thread held are free in the child, except the lock file, for which the child waits."""
    with Simulator(refresh_delay=2 * SECOND) as sim:
        sim.fail("delayed:2@/api/accounts/v1/user-auth-credential/whoami", times=None)
        path = tmp_path / "auth.json"
        FileStore(path).save(sim.login_document(expires_in=-HOUR))
        arguments = [kind, str(path), sim.issuer, sim.personal_access_token()]
        assert output_of_forking_program(FORK, *arguments, sim=sim) == ("0\n", "")
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_fork_mid_routing_lookup_leaves_the_child_usable(tmp_path: Path) -> None:
    with Simulator(account=SimulatedAccount(plan="enterprise")) as sim:
        sim.fail("delayed:3@accounts")
        path = tmp_path / "auth.json"
        FileStore(path).save(sim.login_document())
        assert output_of_forking_program(FORK_DURING_LOOKUP, str(path), sim.issuer, sim.base_url, sim=sim) == (
            "0\n",
            "",
        )
