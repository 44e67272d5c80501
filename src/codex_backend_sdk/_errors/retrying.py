"""The attempts at one call: asked after each failure, how long to wait for the next."""

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

__all__ = ["RetryLoop", "SystemClock"]

_log = logging.getLogger("codex_backend_sdk")


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        """Return the time of day."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds from an unknown beginning."""
        return time.monotonic()

    def jitter(self) -> float:
        """Return a number between 0 and 1."""
        return random.random()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait, and let others run."""
        await anyio.sleep(seconds)


class RetryLoop:
    """One call, from its first attempt to its last; `until` is the monotonic time at which it has to be over."""

    def __init__(self, what: str, settings: ClientOptions, clock: Clock, *, max_retries: int) -> None:
        self._what = what
        self._clock = clock
        self._attempts = RetryPolicy(settings.retries, max_retries=max_retries)
        self._began = clock.monotonic()
        self._total = settings.timeouts.total
        self.until = None if self._total is None else time.monotonic() + self._total

    @property
    def taken(self) -> int:
        """How many repeats there were."""
        return self._attempts.taken

    def wait_after(self, error: openai.APIError) -> float | None:
        """Return the seconds to wait before the next attempt, None when this error is the caller's."""
        failure = failure_of(error)
        if failure is None:
            return None
        clock = self._clock
        elapsed = clock.monotonic() - self._began
        wait = self._attempts.wait_after(failure, elapsed=elapsed, now=clock.now(), jitter=clock.jitter())
        if wait is not None and self._total is not None and elapsed + wait >= self._total:
            return None
        if wait is not None:
            _log.info("%s is sent again in %.2f s, after: %s", self._what, wait, error.message)
        return wait
