"""Test locks, threads and single-flight across forks, Ctrl-C and the exit of the interpreter."""

from __future__ import annotations

import gc
import linecache
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import _threads
from codex_backend_sdk._threads import SingleFlight, create_lock, reset_in_child, run_uninterrupted, start_in_thread
from codex_backend_sdk.auth import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="os.fork is not available")
# These tests fork on purpose while other threads run.
forks_with_threads = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def exit_code_of_child(action: Callable[[], int]) -> int:
    """Fork, run `action` in the child, and return its result. Kill the child after 20 seconds."""
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        code = 99
        try:
            code = action()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- fork --------------------------------------------------------------------------------------------------------


@needs_fork
@forks_with_threads
def test_lock_held_at_fork_is_free_in_the_child() -> None:
    store = MemoryStore()

    def acquire() -> int:
        with store.lock():
            return 0

    with store.lock():
        assert exit_code_of_child(acquire) == 0


class ConnectionPool:
    """An object with state that a child must not inherit."""

    def __init__(self) -> None:
        self.connections = ["parent's"]
        reset_in_child(self, ConnectionPool.clear)

    def clear(self) -> None:
        self.connections = []


@needs_fork
@forks_with_threads
def test_registered_owner_is_reset_in_the_child_only() -> None:
    pool = ConnectionPool()
    assert exit_code_of_child(lambda: len(pool.connections)) == 0
    assert pool.connections == ["parent's"]


@needs_fork
@forks_with_threads
def test_registered_owner_can_be_collected() -> None:
    ConnectionPool()
    gc.collect()
    assert not any(isinstance(owner, ConnectionPool) for owner in gc.get_objects())


@needs_fork
@forks_with_threads
def test_child_does_not_wait_for_a_run_of_the_parent() -> None:
    """The thread of the parent's run does not exist in the child."""
    flight: SingleFlight[str] = SingleFlight()
    release = threading.Event()
    parent = threading.Thread(target=flight.run, args=(lambda: str(release.wait(20)),))
    parent.start()
    code = exit_code_of_child(lambda: int(flight.run(lambda: "child's") != "child's"))
    release.set()
    parent.join()
    assert code == 0


# --- single-flight -----------------------------------------------------------------------------------------------


def test_concurrent_callers_share_one_run() -> None:
    flight: SingleFlight[object] = SingleFlight()
    runs: list[object] = []

    def action() -> object:
        runs.append(object())
        time.sleep(0.3)
        return runs[-1]

    with ThreadPoolExecutor(8) as pool:
        results = [future.result() for future in [pool.submit(flight.run, action) for _ in range(8)]]
    assert results == runs * 8
    assert flight.run(action) is runs[1], "a caller after the run starts a new one"


def test_run_raises_the_error_of_the_action() -> None:
    def fail() -> None:
        raise LookupError("no")

    flight: SingleFlight[None] = SingleFlight()
    for _ in range(2):
        with pytest.raises(LookupError, match="no"):
            flight.run(fail)


@pytest.mark.parametrize(("fallback", "result"), [("old", "old"), (None, "new")])
def test_slow_run_is_replaced_by_the_fallback(fallback: str | None, result: str) -> None:
    flight: SingleFlight[str] = SingleFlight()

    def action() -> str:
        time.sleep(3.5)
        return "new"

    assert flight.run(action, fallback=lambda: fallback) == result


def test_interrupted_caller_leaves_no_run_that_never_ends() -> None:
    """Raise KeyboardInterrupt before each line of the caller, one after another: later callers still get a result."""
    interrupted_lines: set[int] = set()

    def run_until(line_number: int, flight: SingleFlight[str]) -> None:
        seen_lines = 0

        def trace(frame: FrameType, event: str, _: object) -> Any:
            nonlocal seen_lines
            if frame.f_code.co_filename != _threads.__file__:
                return None
            # Python handles no signal before the `__exit__` of a `with` block, where a trace function could raise.
            is_with = linecache.getline(_threads.__file__, frame.f_lineno).lstrip().startswith("with ")
            if event == "line" and not is_with:
                seen_lines += 1
                if seen_lines == line_number:
                    interrupted_lines.add(frame.f_lineno)
                    raise KeyboardInterrupt
            return trace

        sys.settrace(trace)
        try:
            with suppress(KeyboardInterrupt):
                flight.run(lambda: "interrupted")
        finally:
            sys.settrace(None)

    for line_number in range(1, 40):
        flight: SingleFlight[str] = SingleFlight()
        run_until(line_number, flight)
        later = start_in_thread(partial(flight.run, lambda: "later"), name="later caller", daemon=True)
        assert later.result(timeout=20) in ("later", "interrupted")
    assert len(interrupted_lines) > 10


# --- threads -----------------------------------------------------------------------------------------------------


def test_started_thread_returns_a_result_or_raises() -> None:
    assert start_in_thread(lambda: 5, name="test", daemon=True).result(10) == 5
    with pytest.raises(ZeroDivisionError):
        start_in_thread(lambda: 1 / 0, name="test", daemon=True).result(10)


def test_uninterrupted_run_uses_the_calling_worker_thread() -> None:
    names = {run_uninterrupted(lambda: threading.current_thread().name, name="own thread")}
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        names.add(pool.submit(run_uninterrupted, lambda: threading.current_thread().name).result()[:4])
    assert names == {"own thread", "pool"}


AT_EXIT = """
import atexit
from codex_backend_sdk._threads import SingleFlight, run_uninterrupted
atexit.register(lambda: print(run_uninterrupted(lambda: "uninterrupted"), SingleFlight().run(lambda: "flight")))
"""


def test_actions_still_run_when_the_interpreter_exits() -> None:
    result = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=40, check=True)
    assert (result.stdout, result.stderr) == ("uninterrupted flight\n", "")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="signal.setitimer is not available")
def test_interrupt_leaves_no_lock_held() -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        for microseconds in range(100, 600, 2):
            lock = create_lock()
            with suppress(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_VIRTUAL, microseconds / 1e6)
                for _ in range(1_000_000):
                    with lock:
                        pass
            assert lock.acquire(timeout=0), "the interrupt left the lock held"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
