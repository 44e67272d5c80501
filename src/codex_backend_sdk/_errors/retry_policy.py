"""Decide after each failed attempt whether to send the request again, and how long to wait first.

There are two different waits:
- A retry follows a failure that can pass quickly (`Failure.is_retryable`). Its wait is the backend's `Retry-After`, or
  exponential backoff with full jitter. The caller bounds retries by number (`max_retries`), by the longest
  `Retry-After` (`max_retry_after`) and by the time of all attempts (`retry_deadline`).
- A wait for the reset of an exhausted usage limit is not a retry. The reset time is known and may be hours away, so the
  client waits only if `wait_for_limit` is set. This wait counts toward neither `max_retries` nor `retry_deadline`.

This module has no I/O, clock or randomness.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from .._timefmt import format_duration
from .classify import FailureKind

if TYPE_CHECKING:
    from datetime import datetime

    from .._options import RetryOptions
    from .classify import Failure

__all__ = ["RetryPolicy"]

# The backoff of openai's client.
_INITIAL_WAIT_SECONDS: Final = 0.5
_MAX_WAIT_SECONDS: Final = 8.0
# Added to the reset time, because the backend's clock may be slow.
_RESET_MARGIN_SECONDS: Final = 1.0


class RetryPolicy:
    """The retry policy of one call. `retries_taken` is the number of retries so far."""

    def __init__(self, options: RetryOptions, *, max_retries: int) -> None:
        self.retries_taken = 0
        self._options = options
        self._max_retries = max_retries
        self._reset_wait_seconds = 0.0

    def wait_after(self, failure: Failure, *, elapsed: float, now: datetime, jitter: float) -> float | None:
        """Record a retry and return the seconds to wait before it, or return None to give up.

        `elapsed` is the time since the first attempt began, in seconds. `jitter` is a random number from 0 to 1.
        """
        if failure.kind is FailureKind.USAGE_LIMIT:
            return self.wait_until_reset(failure.limit.resets_at if failure.limit else None, now=now)
        if not failure.is_retryable or self.retries_taken >= self._max_retries:
            return None
        wait = failure.retry_after
        if wait is None:
            # Full jitter: clients that failed at the same time must not retry at the same time.
            wait = min(_INITIAL_WAIT_SECONDS * 2**self.retries_taken, _MAX_WAIT_SECONDS) * jitter
        elif wait > self._options.max_retry_after:
            return None
        retry_deadline = self._options.deadline_seconds
        if retry_deadline is not None and elapsed - self._reset_wait_seconds + wait > retry_deadline:
            return None
        self.retries_taken += 1
        return wait

    def wait_until_reset(self, resets_at: datetime | None, *, now: datetime) -> float | None:
        """Record a wait for the reset of an exhausted limit and return its seconds, or return None to give up."""
        if resets_at is None:
            return None
        until_reset = resets_at - now
        # All waits of a call share one budget. Otherwise a backend that never resets would block the call forever.
        budget = self._options.wait_for_limit - timedelta(seconds=self._reset_wait_seconds)
        if until_reset > budget or budget <= timedelta(0):
            return None
        wait = max(until_reset.total_seconds(), 0.0) + _RESET_MARGIN_SECONDS
        self._reset_wait_seconds += wait
        return wait

    def reason_not_to_wait(self, resets_at: datetime | None, *, now: datetime) -> str | None:
        """Return why the client does not wait for a reset, as a sentence, or None if it may wait or was not asked to.

        Call before `wait_until_reset`, which uses up a part of `wait_for_limit`.
        """
        if self._options.wait_for_limit <= timedelta(0):
            return None
        if resets_at is None:
            return "The client does not wait, because the backend did not report when the limit resets."
        budget = max(self._options.wait_for_limit - timedelta(seconds=self._reset_wait_seconds), timedelta(0))
        if resets_at - now <= budget and budget:
            return None
        return (
            f"The client does not wait: the limit resets in {format_duration(resets_at - now)}, and `wait_for_limit` "
            f"allows {format_duration(budget)}{' more' if self._reset_wait_seconds else ''}."
        )
