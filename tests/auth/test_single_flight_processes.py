"""Test that processes share one refresh, with real processes on each type of store.

Set `CODEX_TEST_CALLS=200` for the long run: 16 processes instead of 8, 200 calls by each of their threads, and every
test on every store.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers import file_keyring_environment, needs_redis, needs_secret_service, redis_server, secret_service_command

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLS = int(os.environ.get("CODEX_TEST_CALLS", "3"))
IS_LONG = CALLS > 50
PROCESSES, THREADS = 16 if IS_LONG else 8, 4

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the processes are forked"),
    pytest.mark.timeout(1200 if IS_LONG else 60),
]


@dataclass
class StoreAccess:
    """A store, and the command prefix and environment that a program needs to access it."""

    store: tuple[str, str]
    prefix: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass
class OffsetClock:
    """The clock of the simulator, ahead of the real time by `offset`."""

    offset: timedelta = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


def access_file(folder: Path, stack: ExitStack) -> StoreAccess:
    return StoreAccess(("file", str(folder)))


def access_file_keyring(folder: Path, stack: ExitStack) -> StoreAccess:
    return StoreAccess(("keyring", str(folder)), env=file_keyring_environment(folder))


def access_secret_service(folder: Path, stack: ExitStack) -> StoreAccess:
    prefix, env = secret_service_command(folder)
    return StoreAccess(("keyring", str(folder)), prefix, env)


def access_redis(folder: Path, stack: ExitStack) -> StoreAccess:
    return StoreAccess(("redis", stack.enter_context(redis_server(folder, password="secret-word"))))


STORES = [
    pytest.param(access_file, id="file"),
    pytest.param(access_file_keyring, id="file-keyring"),
    pytest.param(access_secret_service, id="secret-service", marks=needs_secret_service),
    pytest.param(access_redis, id="redis", marks=needs_redis),
]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class ProcessGroup:
    """Processes on one simulator, started with an expired login in the store."""

    def __init__(self, access: StoreAccess, sim: Simulator, *, calls: int) -> None:
        self.sim = sim
        options = {
            "store": access.store,
            "document": sim.login_document(expires_in=timedelta(hours=-1)),
            "base_url": sim.base_url,
            "issuer": sim.issuer,
            "processes": PROCESSES,
            "threads": THREADS,
            "calls": calls,
        }
        command = [sys.executable, str(Path(__file__).with_name("process_group.py")), json.dumps(options)]
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [*access.prefix, *command],
            env=access.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def refreshes(self) -> list[Any]:
        return [request for request in self.sim.requests if request.path == "/oauth/token"]

    def wait_for(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert self._process.poll() is None, self._process.communicate()
            time.sleep(0.03)

    def outcome(self) -> dict[str, Any]:
        out, err = self._process.communicate()
        assert out, err
        outcome: dict[str, Any] = json.loads(out.splitlines()[-1])
        # In a container, dbus-daemon warns about a resource limit that it cannot raise.
        outcome["stderr"] = [line for line in err.splitlines() if not line.startswith("dbus-daemon")]
        seconds = time.monotonic() - self.started
        lines = [f"{outcome} in {seconds:.1f} s; {len(self.sim.requests)} requests"]
        for request in self.refreshes():
            lines.append(f"  refresh by {request.headers['originator']}: {request.json()['refresh_reason']}")
        sys.stdout.write("\n".join([*lines, ""]))  # shown by `pytest -rP`
        return outcome


@pytest.mark.parametrize("access_store", STORES if IS_LONG else STORES[:1])
def test_all_processes_share_one_refresh_per_expiry(
    access_store: Callable[[Path, ExitStack], StoreAccess], tmp_path: Path, stack: ExitStack
) -> None:
    """The stored login has expired. The refreshed login expires while all processes are calling."""
    clock = OffsetClock()
    sim = stack.enter_context(Simulator(clock=clock, refresh_delay=timedelta(seconds=0.3)))
    processes = ProcessGroup(access_store(tmp_path, stack), sim, calls=CALLS)
    processes.wait_for(lambda: len(sim.requests) > PROCESSES * THREADS * CALLS // 2)
    clock.offset = timedelta(days=11)
    outcome = processes.outcome()
    assert outcome == {"calls": PROCESSES * THREADS * CALLS, "failed": [], "killed": 0, "stderr": []}
    bodies = [request.json() for request in processes.refreshes()]
    assert [body["refresh_reason"] for body in bodies] == ["proactive_expiry", "unauthorized_recovery"]
    assert bodies[0]["refresh_token"] != bodies[1]["refresh_token"]


@pytest.mark.parametrize("access_store", STORES)
def test_killed_lock_holder_does_not_block_the_others(
    access_store: Callable[[Path, ExitStack], StoreAccess], tmp_path: Path, stack: ExitStack
) -> None:
    """The other processes also share the refresh after the next expiry."""
    clock = OffsetClock()
    sim = stack.enter_context(Simulator(clock=clock, refresh_delay=timedelta(minutes=5)))
    processes = ProcessGroup(access_store(tmp_path, stack), sim, calls=CALLS)
    processes.wait_for(processes.refreshes)
    sim.refresh_delay = timedelta(seconds=0.3)
    os.kill(int(processes.refreshes()[0].headers["originator"].removeprefix("process-")), signal.SIGKILL)
    processes.wait_for(lambda: len(sim.requests) > PROCESSES * THREADS * CALLS // 2)
    clock.offset = timedelta(days=11)
    outcome = processes.outcome()
    assert outcome == {"calls": (PROCESSES - 1) * THREADS * CALLS, "failed": [], "killed": 1, "stderr": []}
    interrupted, first, second = (request.json() for request in processes.refreshes())
    assert interrupted == first, "the interrupted refresh is sent again"
    assert (first["refresh_reason"], second["refresh_reason"]) == ("proactive_expiry", "unauthorized_recovery")
    assert first["refresh_token"] != second["refresh_token"]
