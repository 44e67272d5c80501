"""What is done with a stream whose answer is over but which has not ended.

Read to its end, a connection can serve the next call without another handshake. But nobody shall wait for the end of a
stream that only says that it is still there. Codex CLI: codex-api/src/sse/responses.rs stops at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import anyio

from .._request.timeouts import reads_end_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx2

__all__ = ["async_drain", "drain", "leave"]

_LONGEST_SECONDS: Final = 0.2


def drain(chunks: Iterator[bytes], response: httpx2.Response) -> None:
    """Read to the end, but not for long."""
    until = time.monotonic() + _LONGEST_SECONDS
    with reads_end_at(until, response):
        for _ in chunks:
            if time.monotonic() > until:
                break


async def async_drain(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end, but not for long."""
    with anyio.move_on_after(_LONGEST_SECONDS):
        async for _ in chunks:
            pass


async def leave(chunks: AsyncIterator[bytes]) -> None:
    """End a reading that nobody goes on with.

    The chunks come out of a row of async generators. Closing the first leaves the others to the garbage collector,
    which trio warns of; a read that is cancelled ends them all.
    """
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass
