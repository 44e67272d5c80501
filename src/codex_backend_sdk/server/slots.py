"""Limit the model requests that run at the same time, and let the others wait in the order in which they came.

The backend rejects an account with more than a few concurrent streams, for all of its programs. So the queue is here.
When the server stops, `Slots.close` ends waiting requests at once, and running ones after a grace period.
`Slots.take` then raises an ApiError, which the route sends to the client.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from .api_errors import SHUTTING_DOWN, ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["Slots"]

_RETRY_AFTER: Final = {"retry-after": "5"}


class Slots:
    """`concurrency` slots with a queue (FIFO) of at most `queue_limit` waiting requests.

        async with slots.take():
            ...  # a slot is taken

    A task that is cancelled while it waits leaves the queue. `close` sets `closed`.
    """

    def __init__(self, concurrency: int, queue_limit: int) -> None:
        self._concurrency = concurrency
        self._queue_limit = queue_limit
        self._semaphore = anyio.Semaphore(concurrency)
        self._is_running: dict[anyio.CancelScope, bool] = {}
        self.closed = anyio.Event()

    @property
    def waiting(self) -> int:
        """The number of requests in the queue."""
        return self._semaphore.statistics().tasks_waiting

    @property
    def running(self) -> int:
        """The number of slots that are taken."""
        return self._concurrency - self._semaphore.value

    def close(self, grace_seconds: float) -> None:
        """Refuse waiting and later requests, and end the running ones after the grace period."""
        self.closed.set()
        now = anyio.current_time()
        for scope, is_running in self._is_running.items():
            scope.deadline = now + grace_seconds if is_running else now

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a slot, and hold it within the block.

        Raises ApiError: 429 if the queue is full, 503 if the slots are closed before the end of the block.
        """
        if self.closed.is_set():
            raise _shutting_down()
        if self._semaphore.value == 0 and self.waiting >= self._queue_limit:
            raise ApiError(
                429,
                f"The queue of codex-backend serve is full: {self.running} running, {self.waiting} waiting. Send fewer "
                "requests at a time, or start it with a higher `--concurrency`. This is not a limit of your plan.",
                type="rate_limit_error",
                code="local_queue_full",
                headers=_RETRY_AFTER,
            )
        with anyio.CancelScope() as scope:
            self._is_running[scope] = False
            try:
                async with self._semaphore:
                    self._is_running[scope] = True
                    yield
            finally:
                del self._is_running[scope]
        if scope.cancelled_caught:
            raise _shutting_down()


def _shutting_down() -> ApiError:
    return ApiError(
        503,
        "codex-backend serve stopped before the end of this request. Start the server, then send the request again.",
        type="server_error",
        code=SHUTTING_DOWN,
        headers=_RETRY_AFTER,
    )
