"""How long a sign-in may take: a time limit and a cancellation, from the call to the login."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from codex_backend_sdk.auth._failures import CANCELLED, login_failed, not_finished

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limit"]

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
        self._seconds = seconds
        self._cancel = cancel or threading.Event()
        self._clock = clock
        self._end = float("inf") if seconds is None else clock() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; never less than 0."""
        return max(0.0, self._end - self._clock())

    @property
    def reached(self) -> tuple[str, str] | None:
        """What ended the sign-in: the words and the code of its LoginFailed; None while it may go on."""
        if self._cancel.is_set():
            return CANCELLED, "cancelled"
        if self._clock() >= self._end:
            return not_finished(self._seconds), "timeout"
        return None

    def check(self) -> None:
        """Raise LoginFailed when the sign-in must not go on."""
        reached = self.reached
        if reached is not None:
            words, code = reached
            raise login_failed(words, code=code)

    def pause(self, seconds: float) -> None:
        """Let some time pass, less where the end comes first: it is time for a last look. LoginFailed on `cancel`."""
        self._cancel.wait(min(seconds, self.left))
        if self._cancel.is_set():
            self.check()

    def shorter(self, seconds: float) -> Limit:
        """Return the limit that is reached in `seconds` from now, or earlier with this one."""
        if seconds >= self.left:
            return self
        return Limit(seconds, self._cancel, clock=self._clock)

    def acquire(self, lock: threading.Lock) -> None:
        """Wait for a lock; LoginFailed when the sign-in ends before it is free."""
        while not lock.acquire(timeout=min(_LOOK_SECONDS, self.left)):
            self.check()
