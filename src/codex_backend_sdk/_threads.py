"""Run work in threads, with locks and single-flight that handle a fork, Ctrl-C and interpreter exit.

Each of these events can interrupt work that runs in another thread. This module handles all three:

- Fork: the child has only the thread that forked. Locks that other threads held stay locked in the child, and their
  work never finishes. An object that owns such state registers a reset with `reset_in_child`; locks from `create_lock`
  and every `SingleFlight` are registered already.
- Ctrl-C: KeyboardInterrupt is raised in the main thread, between any two instructions. Work that must finish runs
  in a thread that is not a daemon (`run_uninterrupted`, `SingleFlight`): the interpreter waits for it at exit.
- Interpreter exit: no new thread can start. `start_in_thread` then runs the work in the calling thread.
"""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "FALLBACK_AFTER_SECONDS",
    "SingleFlight",
    "create_lock",
    "reset_in_child",
    "run_into",
    "run_uninterrupted",
    "start_in_thread",
]

_T = TypeVar("_T")

# --- fork --------------------------------------------------------------------------------------------------------

_resets: Final[WeakKeyDictionary[Any, Callable[[Any], object]]] = WeakKeyDictionary()


def reset_in_child(owner: _T, reset: Callable[[_T], object]) -> None:
    """Call `reset(owner)` in every forked child before the child runs other code, while `owner` exists.

    Only a weak reference to `owner` is kept, so `reset` must not reference `owner` either: pass a function or an
    unbound method. `owner` must be hashable by identity. A second registration replaces the first.
    """
    _resets[owner] = reset


def _reset_all() -> None:
    for owner, reset in list(_resets.items()):
        reset(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)


def create_lock() -> threading.Lock:
    """Create a lock that is free in every forked child, even if a thread of the parent held it.

    State that such a lock guards must be consistent after each single assignment, because a child continues with the
    assignments that the parent had made before the fork. The lock is a plain `threading.Lock`: in an `__enter__` in
    Python, Ctrl-C could occur between the acquisition and the `with` block, and the lock would never be released.
    """
    lock = threading.Lock()
    reset_in_child(lock, _reinitialize)
    return lock


def _reinitialize(lock: threading.Lock) -> None:
    lock._at_fork_reinit()  # type: ignore[attr-defined]  # threading and logging do the same with their own locks


# --- threads -----------------------------------------------------------------------------------------------------


def start_in_thread(action: Callable[[], _T], *, name: str, daemon: bool) -> Future[_T]:
    """Run `action` in a new thread and return the future of its outcome.

    A caller may stop waiting at any time; the action continues. At exit the interpreter stops daemon threads and waits
    for other threads.
    """
    future: Future[_T] = Future()
    if not _try_to_start(action, future, name=name, daemon=daemon):
        run_into(future, action)
    return future


def _try_to_start(action: Callable[[], _T], outcome: Future[_T], *, name: str, daemon: bool) -> bool:
    try:
        threading.Thread(target=run_into, args=(outcome, action), name=name, daemon=daemon).start()
    except RuntimeError:  # the interpreter is exiting, or the system's limit of threads is reached
        return False
    return True


def run_into(outcome: Future[_T], action: Callable[[], _T]) -> None:
    """Run `action` in this thread, and set the future to its outcome."""
    try:
        result = action()
    except BaseException as error:  # including KeyboardInterrupt and SystemExit: the caller decides
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def run_uninterrupted(action: Callable[[], _T], *, name: str = "codex-login") -> _T:
    """Run `action` and return its result. If Ctrl-C interrupts the caller, the action still runs to its end."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives KeyboardInterrupt
        return action()
    return start_in_thread(action, name=name, daemon=False).result()


# --- single-flight -----------------------------------------------------------------------------------------------

# A token refresh takes about a second, but up to a minute if the issuer hangs. After this time a caller uses its
# fallback, if it has one.
FALLBACK_AFTER_SECONDS: Final = 3.0


class _Flight(Future[_T]):
    def __init__(self) -> None:
        super().__init__()
        self.fallback_at = time.monotonic() + FALLBACK_AFTER_SECONDS


class SingleFlight(Generic[_T]):
    """Single-flight: concurrent callers share one run of an action and its outcome, with a bounded wait.

    The action runs in a separate thread that is not a daemon: Ctrl-C interrupts a caller, and the run continues.
    """

    def __init__(self, *, name: str = "codex-login") -> None:
        self._name = name
        self._lock = create_lock()
        self._flight: _Flight[_T] | None = None
        reset_in_child(self, SingleFlight._forget_flight)  # the parent's thread does not run in the child

    def run(self, action: Callable[[], _T], *, fallback: Callable[[], _T | None] = lambda: None) -> _T:
        """Run `action`, or join the run in progress, and return or raise its outcome.

        If the run has not finished three seconds after its start, call `fallback` and return its result. If the result
        is None, continue to wait for the run.
        """
        flight = self._join_or_start(action)
        wait([flight], timeout=flight.fallback_at - time.monotonic())
        if not flight.done():
            result = fallback()
            if result is not None:
                return result
        return flight.result()

    def _join_or_start(self, action: Callable[[], _T]) -> _Flight[_T]:
        flight: _Flight[_T] = _Flight()

        def run() -> _T:
            try:
                return action()
            finally:  # before the outcome is set, because a caller after that must start a new run
                with self._lock:
                    if self._flight is flight:
                        self._flight = None

        with self._lock:
            if self._flight is not None:
                return self._flight
            # Others can join only after the start: Ctrl-C before it must not leave a flight that never ends.
            is_started = _try_to_start(run, flight, name=self._name, daemon=False)
            if is_started:
                self._flight = flight
        if not is_started:
            run_into(flight, run)
        return flight

    def _forget_flight(self) -> None:
        self._flight = None
