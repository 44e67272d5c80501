"""What many threads want at once is done by one, and nobody has to wait for it for ever."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from .._threads import new_lock

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE_SECONDS", "Turn"]

_T = TypeVar("_T")

# A renewal takes a second; an issuer that hangs, half a minute. In between, who has an old token had better use it.
PATIENCE_SECONDS: Final = 3.0


class _Run(Future[_T]):
    def __init__(self) -> None:
        super().__init__()
        self.process = os.getpid()
        self.impatient_at = time.monotonic() + PATIENCE_SECONDS


class Turn(Generic[_T]):
    """Runs one action at a time, in a thread of its own, whose outcome is that of all who asked meanwhile.

    The thread goes on where an interrupt takes the caller away, and the process waits for it: a renewal whose answer
    nobody stores has used up the refresh token.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._run: _Run[_T] | None = None

    def outcome(self, action: Callable[[], _T], *, instead: Callable[[], _T | None] = lambda: None) -> _T:
        """Return or raise what `action` does, or the one that runs already.

        When that takes more than a few seconds, what `instead` returns is taken for it, if that is something.
        """
        run = self._begun(action)
        wait([run], timeout=run.impatient_at - time.monotonic())
        if not run.done():
            other = instead()
            if other is not None:
                return other
        return run.result()

    def _begun(self, action: Callable[[], _T]) -> _Run[_T]:
        with self._lock:
            run = self._run
            # In a forked child the thread of its parent does not go on.
            if run is not None and run.process == os.getpid():
                return run
            run = self._run = _Run()
        thread = threading.Thread(target=self._do, args=(action, run), name="codex-login")
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending: no more threads, and no more interrupts
            self._do(action, run)
        return run

    def _do(self, action: Callable[[], _T], run: _Run[_T]) -> None:
        try:
            result = action()
        except BaseException as error:  # whatever it is, it is the callers'
            self._end(run)
            run.set_exception(error)
        else:
            self._end(run)
            run.set_result(result)

    def _end(self, run: _Run[_T]) -> None:
        with self._lock:
            if self._run is run:
                self._run = None
