"""A clock for tests of retries and waits."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["RecordingClock"]


class RecordingClock:
    """A clock that records every wait in `waits` and advances by it without waiting."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._elapsed_seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, 0, tzinfo=UTC) + timedelta(seconds=self._elapsed_seconds)

    def monotonic(self) -> float:
        return self._elapsed_seconds

    def jitter(self) -> float:
        return 1.0

    def advance(self, seconds: float) -> None:
        """Advance the time without a wait."""
        self._elapsed_seconds += seconds

    def sleep(self, seconds: float) -> None:
        assert asyncio._get_running_loop() is None, "the call blocks the event loop"
        self.waits.append(seconds)
        self.advance(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.advance(seconds)
