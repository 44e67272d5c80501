"""When a login ends: a time limit and a cancellation, from the call to the stored tokens.

One `LoginDeadline` is handed through all steps of a login. Each step that waits, waits no longer than it; the step that
stores the tokens checks it last, so that a login that timed out or was cancelled stores nothing afterwards.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from .._threads import start_in_thread
from . import _auth_errors

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExpiryReason", "LoginDeadline"]

_T = TypeVar("_T")

_POLL_SECONDS: Final = 0.2  # how soon a cancellation is noticed while waiting for something else


class ExpiryReason(NamedTuple):
    """Why a login must not continue: the message and the code of its LoginFailedError."""

    message: str
    code: str


class LoginDeadline:
    """The end of one login: `seconds` from now (None: never), or as soon as `cancel` is set."""

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
        self._cancel_event = cancel or threading.Event()
        self._clock = clock
        self._ends_at = float("inf") if seconds is None else clock() + seconds
        self._is_cancelled = False

    @property
    def remaining_seconds(self) -> float:
        """The seconds until the time limit; never negative."""
        return max(0.0, self._ends_at - self._clock())

    def cancel(self) -> None:
        """End the login, without setting the caller's event. Work that still runs for it then stores nothing."""
        self._is_cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """True if the login was cancelled, before or after its time limit."""
        return self._is_cancelled or self._cancel_event.is_set()

    @property
    def expiry_reason(self) -> ExpiryReason | None:
        """Why the login must not continue; None while it may."""
        if self.is_cancelled:
            return ExpiryReason(_auth_errors.CANCELLED_MESSAGE, "cancelled")
        if self._clock() >= self._ends_at:
            return ExpiryReason(f"The login was not finished within {self._seconds:g} seconds.", "timeout")
        return None

    def check(self) -> None:
        """Raise LoginFailedError if the login must not continue."""
        reason = self.expiry_reason
        if reason is not None:
            raise _auth_errors.LoginFailedError(reason.message, code=reason.code)

    def sleep(self, seconds: float) -> None:
        """Sleep, no longer than until the end; raise LoginFailedError if the end came."""
        self._cancel_event.wait(min(seconds, self.remaining_seconds))
        self.check()

    def with_timeout(self, seconds: float) -> LoginDeadline:
        """Return a deadline that ends `seconds` from now, or with this one if that is earlier."""
        if seconds >= self.remaining_seconds:
            return self
        return LoginDeadline(seconds, self._cancel_event, clock=self._clock)

    def acquire(self, lock: threading.Lock) -> None:
        """Acquire a lock; raise LoginFailedError if the login ends first."""
        while not lock.acquire(timeout=min(_POLL_SECONDS, self.remaining_seconds)):
            self.check()

    def run(self, action: Callable[[], _T], *, must_finish: bool = False) -> _T:
        """Run `action` in a thread and return its result; raise LoginFailedError if the login ends first.

        The action then continues without its caller, so it must check this deadline itself before it stores anything.
        The end of the process cuts it off, unless it `must_finish`.
        """
        self.check()
        outcome = start_in_thread(action, name="codex-login-step", daemon=not must_finish)
        while not wait([outcome], min(_POLL_SECONDS, self.remaining_seconds)).done:
            self.check()
        if self.is_cancelled:  # a caller who cancelled gets no login, even one that came in the same moment
            self.check()
        return outcome.result()
