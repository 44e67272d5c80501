"""Bound a login by a timeout and a cancellation, from the call until the tokens are stored.

All steps of a login share one `LoginDeadline`. No step waits beyond it. The step that stores the tokens checks it last,
so a login that timed out or was cancelled stores no tokens afterwards.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Final, TypeVar

from .._threads import start_in_thread
from . import _auth_errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._exceptions import LoginFailedError

__all__ = ["LoginDeadline"]

_T = TypeVar("_T")

_POLL_SECONDS: Final = 0.2  # interval between two checks for a cancellation while waiting for something else


class LoginDeadline:
    """A deadline with cancellation for one login.

    `timeout` is in seconds (None: no timeout). Setting `cancel_event` cancels the login, and so does `cancel()`.
    """

    def __init__(
        self,
        timeout: float | None = None,
        cancel_event: threading.Event | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout_seconds = timeout
        self._cancel_event = cancel_event or threading.Event()
        self._monotonic = monotonic
        self._deadline = float("inf") if timeout is None else monotonic() + timeout
        self._is_cancelled = False

    @property
    def remaining_seconds(self) -> float:
        """The seconds until the deadline; never negative."""
        return max(0.0, self._deadline - self._monotonic())

    def cancel(self) -> None:
        """Cancel the login without setting the caller's event. Threads that still run for it store no tokens."""
        self._is_cancelled = True

    @property
    def is_cancelled(self) -> bool:
        """True if the login was cancelled, before or after its deadline."""
        return self._is_cancelled or self._cancel_event.is_set()

    @property
    def expiry_error(self) -> LoginFailedError | None:
        """The error to raise if the login was cancelled or timed out; None while it may continue."""
        if self.is_cancelled:
            return _auth_errors.LoginFailedError(_auth_errors.CANCELLED_MESSAGE, code="cancelled")
        if self._monotonic() >= self._deadline:
            return _auth_errors.LoginFailedError(
                f"The login was not finished within {self.timeout_seconds:g} seconds. "
                "Log in again, with a longer `timeout`.",
                code="timeout",
            )
        return None

    def check(self) -> None:
        """Raise LoginFailedError if the login was cancelled or timed out."""
        error = self.expiry_error
        if error is not None:
            raise error

    def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the deadline. Raises LoginFailedError as `check()` does."""
        self._cancel_event.wait(min(seconds, self.remaining_seconds))
        self.check()

    def with_timeout(self, timeout: float) -> LoginDeadline:
        """Return the earlier of this deadline and one in `timeout` seconds. It has the same cancellation event."""
        if timeout >= self.remaining_seconds:
            return self
        return LoginDeadline(timeout, self._cancel_event, monotonic=self._monotonic)

    def acquire(self, lock: threading.Lock) -> None:
        """Acquire a lock. Raises LoginFailedError as `check()` does while waiting."""
        while not lock.acquire(timeout=min(_POLL_SECONDS, self.remaining_seconds)):
            self.check()

    def run(self, action: Callable[[], _T], *, is_daemon: bool = True) -> _T:
        """Run `action` in a thread and return its result. Raises LoginFailedError as `check()` does while waiting.

        The action then continues without its caller, so it must check this deadline itself before it stores anything.
        At exit the interpreter waits for it, unless the thread `is_daemon`.
        """
        self.check()
        outcome = start_in_thread(action, name="codex-login-step", daemon=is_daemon)
        while not wait([outcome], min(_POLL_SECONDS, self.remaining_seconds)).done:
            self.check()
        if self.is_cancelled:  # discard a result that arrives at the moment of the cancellation
            self.check()
        return outcome.result()
