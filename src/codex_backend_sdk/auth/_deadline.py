"""How long a sign-in may take: a time limit and a cancellation, from the call to the login."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Final, TypeVar

from ._failures import CANCELLED, login_failed, not_finished

if TYPE_CHECKING:
    from collections.abc import Callable


__all__ = ["Limit", "begun"]

_T = TypeVar("_T")

_LOOK_SECONDS: Final = 0.2  # how soon a cancellation is seen where something else is waited for


class Limit:
    """The end of one sign-in: `seconds` from now (None: never), or once `cancel` is set."""

    def __init__(
        self,
        seconds: float | None = None,
        cancel: threading.Event | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float, type(None))):
            raise TypeError(f"`timeout` must be a number of seconds, or None for no limit; not {seconds!r}.")
        self._seconds = seconds
        self._cancel = cancel or threading.Event()
        self._clock = clock
        self._end = float("inf") if seconds is None else clock() + seconds
        self._is_stopped = False

    @property
    def left(self) -> float:
        """The seconds that are left; never less than 0."""
        return max(0.0, self._end - self._clock())

    def stop(self) -> None:
        """End the sign-in, as `cancel` does: whatever still works for it stores nothing any more."""
        self._is_stopped = True

    @property
    def is_cancelled(self) -> bool:
        """Tell whether somebody ended the sign-in, before its time or after."""
        return self._is_stopped or self._cancel.is_set()

    @property
    def reached(self) -> tuple[str, str] | None:
        """What ended the sign-in: the words and the code of its LoginFailedError; None while it may go on."""
        if self.is_cancelled:
            return CANCELLED, "cancelled"
        if self._clock() >= self._end:
            return not_finished(self._seconds), "timeout"
        return None

    def check(self) -> None:
        """Raise LoginFailedError when the sign-in must not go on."""
        reached = self.reached
        if reached is not None:
            words, code = reached
            raise login_failed(words, code=code)

    def pause(self, seconds: float) -> None:
        """Let some time pass, less where the end comes first; LoginFailedError when it has come."""
        self._cancel.wait(min(seconds, self.left))
        self.check()

    def shorter(self, seconds: float) -> Limit:
        """Return the limit that is reached in `seconds` from now, or earlier with this one."""
        if seconds >= self.left:
            return self
        return Limit(seconds, self._cancel, clock=self._clock)

    def acquire(self, lock: threading.Lock) -> None:
        """Wait for a lock; LoginFailedError when the sign-in ends before it is free."""
        while not lock.acquire(timeout=min(_LOOK_SECONDS, self.left)):
            self.check()

    def run(self, action: Callable[[], _T], *, to_its_end: bool = False) -> _T:
        """Run `action`, which may take as long as the issuer likes, and wait for it no longer than this.

        LoginFailedError when the sign-in ends before; the action goes on without its caller, and before it stores anything
        it looks at this limit itself. The end of the process cuts it off, unless it has to come `to_its_end`.
        """
        self.check()
        outcome = begun(action, name="codex-sign-in", daemon=not to_its_end)
        while not wait([outcome], min(_LOOK_SECONDS, self.left)).done:
            self.check()
        if self.is_cancelled:  # whoever cancelled is not told of a login
            self.check()
        return outcome.result()


def begun(action: Callable[[], _T], *, name: str, daemon: bool = True) -> Future[_T]:
    """Run `action` in a thread of its own; whoever has waited long enough for its outcome can leave it."""
    outcome: Future[_T] = Future()
    try:
        threading.Thread(target=_fulfil, args=(outcome, action), name=name, daemon=daemon).start()
    except RuntimeError:  # the interpreter is ending: no more threads
        _fulfil(outcome, action)
    return outcome


def _fulfil(outcome: Future[_T], action: Callable[[], _T]) -> None:
    try:
        outcome.set_result(action())
    except BaseException as error:  # whatever it is, it is the caller's
        outcome.set_exception(error)
