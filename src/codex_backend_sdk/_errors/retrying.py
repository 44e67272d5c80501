"""Apply the retry policy to one call: measure the elapsed time and log each retry.

The client sleeps and sends; this module only computes the wait. `total_timeout` ends a call in any case: no wait may
extend beyond it.

A `SharedLimit` informs the calls of a client about an exhausted usage limit. With `wait_for_limit`, a
call that starts during the wait of another one waits, too, instead of sending a request that must fail.
"""

from __future__ import annotations

import logging
import math
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from .._exceptions import UsageLimitError
from ..types import Retry
from .exception_mapping import failure_of
from .retry_policy import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    import openai

    from .._options import ClientOptions
    from ..types import Clock

__all__ = ["CallRetries", "SharedLimit", "SystemClock"]

_log = logging.getLogger("codex_backend_sdk")


class SystemClock:
    """The system's time, sleep and randomness."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary start; the value never decreases."""
        return time.monotonic()

    def jitter(self) -> float:
        """Return a random number from 0 to 1."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """Block this thread."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Suspend this task, with asyncio or trio."""
        await anyio.sleep(seconds)


class SharedLimit:
    """The last usage limit that stopped a call of this client, for the calls that start before its reset."""

    def __init__(self) -> None:
        # One value, because calls read and replace it without a lock.
        self._last: tuple[UsageLimitError, datetime] | None = None

    def record(self, error: openai.APIError) -> None:
        """Record the error of a call, if it reports when a limit of the whole plan resets."""
        if isinstance(error, UsageLimitError) and error.resets_at is not None and error.limit_name is None:
            self._last = (error, error.resets_at)

    def current(self, now: datetime) -> tuple[UsageLimitError, datetime] | None:
        """Return the error and the reset time of the limit, or None if there is none or it has been reset."""
        last = self._last
        return last if last is not None and now < last[1] else None


class CallRetries:
    """The retries of one call: decides after each failed attempt whether and when to retry.

    `request_name` names the request in the log, for example `POST /responses`. `deadline` is the `time.monotonic()` at
    which the whole call must end, or None. It uses the system clock instead of `clock`, because socket timeouts do.
    `on_retry` is called before each wait.
    """

    def __init__(
        self,
        request_name: str,
        options: ClientOptions,
        clock: Clock,
        *,
        max_retries: int,
        shared_limit: SharedLimit,
        on_retry: Callable[[Retry], object] | None = None,
    ) -> None:
        self._request_name = request_name
        self._clock = clock
        self._shared_limit = shared_limit
        self._on_retry = on_retry
        self._attempts = 0
        self._policy = RetryPolicy(options.retries, max_retries=max_retries)
        self._started_at = clock.monotonic()
        self._total_seconds = options.timeouts.total
        self.deadline = None if self._total_seconds in (None, math.inf) else time.monotonic() + self._total_seconds

    @property
    def retries_taken(self) -> int:
        """The number of retries so far."""
        return self._policy.retries_taken

    def wait_before_first(self) -> float | None:
        """Return the seconds to wait for the reset of a limit that stopped another call, or None to send at once."""
        limit = self._shared_limit.current(self._clock.now())
        if limit is None:
            return None
        error, resets_at = limit
        return self._allow(error, self._policy.wait_until_reset(resets_at, now=self._clock.now()))

    def wait_after(self, error: openai.APIError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if this error must be raised."""
        self._attempts += 1
        self._shared_limit.record(error)
        failure = failure_of(error)
        if failure is None:
            return None
        clock = self._clock
        elapsed = clock.monotonic() - self._started_at
        if isinstance(error, UsageLimitError):
            reason = self._policy.reason_not_to_wait(error.resets_at, now=clock.now())
            if reason is not None:
                error.message = f"{error.message} {reason}"
                error.args = (error.message,)
        return self._allow(
            error, self._policy.wait_after(failure, elapsed=elapsed, now=clock.now(), jitter=clock.jitter())
        )

    def _allow(self, error: openai.APIError, wait: float | None) -> float | None:
        """Return the wait if it ends before `total_timeout`, and report it."""
        elapsed = self._clock.monotonic() - self._started_at
        if wait is None or (self._total_seconds is not None and elapsed + wait >= self._total_seconds):
            return None
        _log.info("Retrying %s in %.2f s after: %s", self._request_name, wait, error.message)
        if self._on_retry is not None:
            try:
                self._on_retry(Retry(error=error, attempt=self._attempts, wait_seconds=wait))
            except Exception:  # a bug in the callback must not make the call fail
                _log.exception("`on_retry` raised an exception. The call continues.")
        return wait
