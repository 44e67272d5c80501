"""Limit the model requests that run at the same time, and let the others wait in the order in which they came.

The backend rejects an account with more than a few concurrent streams, for all of its programs. So the queue is here.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from .api_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Slots"]

_RETRY_AFTER_SECONDS: Final = 5


class Slots:
    """`concurrency` slots with a queue (FIFO) of at most `queue_limit` waiting requests.

        async with slots.take():
            ...  # a slot is taken

    A task that is cancelled while it waits leaves the queue.
    """

    def __init__(self, concurrency: int, queue_limit: int) -> None:
        self._concurrency = concurrency
        self._queue_limit = queue_limit
        self._semaphore = anyio.Semaphore(concurrency)

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return self._semaphore.statistics().tasks_waiting

    @property
    def running(self) -> int:
        """The number of slots that are taken."""
        return self._concurrency - self._semaphore.value

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it within the block. Raises ApiError (429) if the queue is full."""
        if self._semaphore.value == 0 and self.waiting >= self._queue_limit:
            raise ApiError(
                429,
                f"The queue of codex-backend serve is full: {self.running} requests are running and {self.waiting} are "
                "waiting. Send fewer requests at a time, or start it with a higher `--concurrency`. This is not a "
                "limit of your plan.",
                type="rate_limit_error",
                code="local_queue_full",
                headers={"retry-after": str(_RETRY_AFTER_SECONDS)},
            )
        async with self._semaphore:
            yield
