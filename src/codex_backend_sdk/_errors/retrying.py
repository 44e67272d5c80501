"""Apply the retry policy to one call: measure the elapsed time and log each retry.

The client sleeps and sends; this module only computes the wait. `total_timeout` ends a call in any case: no wait may
extend beyond it.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio

from .exception_mapping import failure_of
from .retry_policy import RetryPolicy

if TYPE_CHECKING:
    import openai

    from .._options import ClientOptions
    from ..types import Clock

__all__ = ["CallRetries", "SystemClock"]

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


class CallRetries:
    """The retries of one call: decides after each failed attempt whether and when to retry.

    `request_name` names the request in the log, for example `POST /responses`. `deadline` is the `time.monotonic()` at
    which the whole call must end, or None. It uses the system clock instead of `clock`, because socket timeouts do.
    """

    def __init__(self, request_name: str, options: ClientOptions, clock: Clock, *, max_retries: int) -> None:
        self._request_name = request_name
        self._clock = clock
        self._policy = RetryPolicy(options.retries, max_retries=max_retries)
        self._started_at = clock.monotonic()
        self._total_seconds = options.timeouts.total
        self.deadline = None if self._total_seconds is None else time.monotonic() + self._total_seconds

    @property
    def retries_taken(self) -> int:
        """The number of retries so far."""
        return self._policy.retries_taken

    def wait_after(self, error: openai.APIError) -> float | None:
        """Return the seconds to wait before the next attempt, or None if this error must be raised."""
        failure = failure_of(error)
        if failure is None:
            return None
        clock = self._clock
        elapsed = clock.monotonic() - self._started_at
        wait = self._policy.wait_after(failure, elapsed=elapsed, now=clock.now(), jitter=clock.jitter())
        if wait is None or (self._total_seconds is not None and elapsed + wait >= self._total_seconds):
            return None
        _log.info("Retrying %s in %.2f s after: %s", self._request_name, wait, error.message)
        return wait
