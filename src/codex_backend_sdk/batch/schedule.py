"""Decide when a batch may send its next request: concurrency, usage limits, pauses and the estimate of the end.

- Concurrency is adaptive (additive increase, multiplicative decrease). It starts at 4, rises by one after as many
  successes as it allows requests, and is halved when the backend is overloaded. One `AdaptiveLimit` belongs to a client
  and its copies, so that several batches share it.
- A usage limit is a state of the run, not the failure of a line. When one is reached, no request is started, those that
  run end, and the lines that were rejected are sent again later. Then the run stops, or it waits for the reset that the
  server gave. After the reset, one request is sent alone; only when it succeeds, the others follow.
- Times are wall clock times, because a machine may sleep during a wait of hours.

Both drivers and the Dask coordinator call `admit` before each request, and `started` and `finished` around it. Pure:
the time and the randomness are arguments.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from ..limits.limit_types import RateLimits

__all__ = ["AdaptiveLimit", "Pause", "PauseReason", "RateEstimate", "Schedule", "Start", "Stop", "Wait"]

_INITIAL_CONCURRENCY: Final = 4
_MAX_CONCURRENCY: Final = 64
# The requests that run when the backend is overloaded are rejected one after the other: they are one overload.
_OVERLOAD_PERIOD: Final = timedelta(seconds=5)
# The clock of the backend may be slow, and other programs wait for the same reset.
_RESET_MARGIN_SECONDS: Final = 1.0
_RESET_JITTER_SECONDS: Final = 15.0
_OTHER_BATCH_SECONDS: Final = 0.1
_MIN_FAILURES_IN_ROW: Final = 10
_RATE_PERIOD_SECONDS: Final = 300.0


class AdaptiveLimit:
    """How many requests of a client may run at once, and how many do."""

    def __init__(self) -> None:
        self.allowed = _INITIAL_CONCURRENCY
        self.running = 0
        self._successes = 0
        self._halved_at: datetime | None = None

    def raise_to(self, concurrency: int) -> None:
        """Allow this many requests at once from now on, because the caller chose the number."""
        self.allowed = max(self.allowed, concurrency)

    def succeed(self) -> None:
        """Record a success: after as many as are allowed at once, allow one more."""
        self._successes += 1
        if self._successes >= self.allowed:
            self._successes = 0
            if self.allowed < _MAX_CONCURRENCY:
                self.allowed += 1

    def overload(self, now: datetime) -> None:
        """Record that the backend is overloaded: allow half of the requests, once in five seconds."""
        self._successes = 0
        if self._halved_at is None or not timedelta(0) <= now - self._halved_at < _OVERLOAD_PERIOD:
            self._halved_at = now
            self.allowed = max(1, self.allowed // 2)


class PauseReason(Enum):
    """Why no request may be started."""

    USAGE_LIMIT = "usage_limit"  # the backend rejected a request
    STOP_AT = "stop_at"  # the share of the plan that the caller allows is used


@dataclass(frozen=True, slots=True)
class Pause:
    """A usage limit that is reached. `resets_at` is None if the server did not give the time."""

    reason: PauseReason
    resets_at: datetime | None


@dataclass(frozen=True, slots=True)
class Start:
    """Start a request now."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a request ends, but not longer than `seconds`, unless that is None."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run: the limit does not reset within the time that the caller allows."""

    pause: Pause


class Schedule:
    """The admission of one run.

    `concurrency` is the most requests at once, None for an adaptive number. `stop_at` is the percentage of a window of
    the plan from which no request is started. With `can_wait`, the run waits for a reset, at most `max_wait` for each.
    """

    def __init__(
        self,
        limit: AdaptiveLimit,
        *,
        concurrency: int | None = None,
        stop_at: float | None = None,
        can_wait: bool = False,
        max_wait: timedelta | None = None,
    ) -> None:
        self._limit = limit
        if concurrency is not None:
            limit.raise_to(concurrency)
        self._concurrency = _MAX_CONCURRENCY if concurrency is None else concurrency
        self._stop_at = stop_at
        self._can_wait = can_wait
        self._max_wait = max_wait
        self.running = 0
        self.pause: Pause | None = None
        self._resume_at: datetime | None = None
        self._is_probing = False
        self._failures_in_row = 0

    def allow(self, concurrency: int) -> None:
        """Allow this many requests at once, because another limit applies to them."""
        self._limit = AdaptiveLimit()
        self._limit.raise_to(concurrency)
        self._concurrency = concurrency

    @property
    def concurrency(self) -> int:
        """How many requests of this run may run at once, at the moment."""
        return max(1, min(self._concurrency, self._limit.allowed))

    @property
    def has_failed_too_often(self) -> bool:
        """Whether so many requests failed in a row, each after its retries, that the cause is not in the lines."""
        return self._failures_in_row >= max(_MIN_FAILURES_IN_ROW, 2 * self.concurrency)

    def admit(
        self, *, now: datetime, jitter: float, unread: int = 0, limits: RateLimits | None = None
    ) -> Start | Wait | Stop:
        """Return what to do with the next line.

        `jitter` is a random number from 0 to 1. `unread` is the number of results that the caller has not read yet:
        they and the running requests are at most twice the concurrency. `limits` are the newest limits of the plan.
        """
        self._check_used_share(limits, now)
        if self.pause is not None:
            decision = self._during_pause(self.pause, now, jitter)
            if decision is not None:
                return decision
        if self._is_probing and self.running:
            return Wait()
        if self.running + unread >= 2 * self.concurrency or self.running >= self.concurrency:
            return Wait()
        if self._limit.running >= self._limit.allowed:  # of other batches of this client
            return Wait(_OTHER_BATCH_SECONDS)
        return Start()

    def _check_used_share(self, limits: RateLimits | None, now: datetime) -> None:
        if self._stop_at is None or limits is None or self.pause is not None or self._is_probing:
            return
        # A window whose reset is in the past says nothing about the present one.
        reached = [
            window
            for window in limits.windows
            if window.used_percent >= self._stop_at and (window.resets_at is None or window.resets_at > now)
        ]
        if reached:
            resets = [window.resets_at for window in reached if window.resets_at is not None]
            self.pause = Pause(PauseReason.STOP_AT, max(resets) if len(resets) == len(reached) else None)

    def _during_pause(self, pause: Pause, now: datetime, jitter: float) -> Wait | Stop | None:
        if self.running:  # they end first
            return Wait()
        if self._resume_at is None:
            if not self._can_wait or pause.resets_at is None:
                return Stop(pause)
            if self._max_wait is not None and pause.resets_at - now > self._max_wait:
                return Stop(pause)
            delay = _RESET_MARGIN_SECONDS + jitter * _RESET_JITTER_SECONDS
            self._resume_at = max(pause.resets_at, now) + timedelta(seconds=delay)
        if now < self._resume_at:
            return Wait((self._resume_at - now).total_seconds())
        self.pause = self._resume_at = None
        self._is_probing = True
        return None

    def started(self) -> None:
        """Record that a request was started."""
        self.running += 1
        self._limit.running += 1

    def finished(self) -> None:
        """Record that a request ended, in any way. Call this before the method that says how."""
        self.running -= 1
        self._limit.running -= 1

    def abandon(self) -> None:
        """Record that the run has ended, and no request of it counts any more."""
        self._limit.running -= self.running
        self.running = 0

    def succeed(self) -> None:
        """Record a response of the model, or an error that says something about the line."""
        self._is_probing = False
        self._failures_in_row = 0
        self._limit.succeed()

    def fail(self) -> None:
        """Record the failure of a request, after its retries, that may be temporary."""
        self._is_probing = False
        self._failures_in_row += 1

    def overload(self, now: datetime) -> None:
        """Record that the backend is overloaded, or rejected a request because of too many."""
        self._limit.overload(now)

    def reach_limit(self, resets_at: datetime | None, now: datetime) -> None:
        """Record that the backend rejected a request because a usage limit is reached."""
        if self._is_probing and (resets_at is None or resets_at <= now):
            resets_at = None  # the reset was awaited, and the server gives no later one
        known = self.pause.resets_at if self.pause is not None else None
        if self.pause is None or self.pause.reason is PauseReason.STOP_AT:
            known = None
        latest = resets_at if known is None or (resets_at is not None and resets_at > known) else known
        self.pause = Pause(PauseReason.USAGE_LIMIT, latest)
        self._resume_at = None


class RateEstimate:
    """Estimate when a run ends, from the lines that were finished in the last five minutes."""

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def record(self, completed: int, seconds: float) -> None:
        """Record the number of lines that were finished until now. `seconds` is the time of a monotonic clock."""
        if self._counts and seconds - self._counts[-1][0] < 1:  # one entry for each second
            return
        self._counts.append((seconds, completed))
        while seconds - self._counts[0][0] > _RATE_PERIOD_SECONDS:
            self._counts.popleft()

    def eta_seconds(self, remaining: int, completed: int, seconds: float, *, pause_seconds: float = 0) -> float | None:
        """Return the seconds until the end, or None if nothing was finished lately. A pause is added."""
        if not remaining:
            return 0.0
        if not self._counts:
            return None
        start, count = self._counts[0]
        if completed <= count or seconds <= start:
            return None
        return pause_seconds + remaining * (seconds - start) / (completed - count)
