"""A failure and what was tried before → the seconds to wait before the next attempt, or None for no other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from .classify import Kind

if TYPE_CHECKING:
    from datetime import datetime

    from .._options import RetryOptions
    from .classify import Failure

__all__ = ["RetryPolicy"]

# The official client's.
_FIRST_SECONDS: Final = 0.5
_LONGEST_SECONDS: Final = 8.0
# A window is open again a little after its reset: clocks differ.
_AFTER_RESET_SECONDS: Final = 1.0


class RetryPolicy:
    """The attempts at one call. `taken` is the number of those that were repeats."""

    def __init__(self, retries: RetryOptions, *, max_retries: int) -> None:
        self.taken = 0
        self._retries = retries
        self._max_retries = max_retries
        self._waited_for_limits = 0.0

    def wait_after(self, failure: Failure, *, elapsed: float, now: datetime, jitter: float) -> float | None:
        """Return the seconds to wait before the next attempt, None when there shall be none.

        `elapsed` is the time since the first attempt began, in seconds; `jitter` lies between 0 and 1.
        """
        if failure.kind is Kind.USAGE_LIMIT:
            return self._wait_for_reset(failure, now)
        if not (failure.may_repeat and self.taken < self._max_retries):
            return None
        wait = failure.retry_after
        if wait is None:
            # "Full jitter": clients that failed together must not come back together.
            wait = min(_FIRST_SECONDS * 2**self.taken, _LONGEST_SECONDS) * jitter
        elif wait > self._retries.max_retry_after:
            return None
        deadline = self._retries.deadline
        if deadline is not None and elapsed - self._waited_for_limits + wait > deadline:
            return None
        self.taken += 1
        return wait

    def _wait_for_reset(self, failure: Failure, now: datetime) -> float | None:
        """Waiting for a reset is no retry: the call was refused for a reason that ends at a known time."""
        resets_at = failure.limit.resets_at if failure.limit else None
        if resets_at is None:
            return None
        wait = max((resets_at - now).total_seconds(), 0.0) + _AFTER_RESET_SECONDS
        longest = self._retries.wait_for_limit - timedelta(seconds=self._waited_for_limits)
        if (resets_at - now) > longest or longest <= timedelta(0):
            return None
        self._waited_for_limits += wait
        return wait
