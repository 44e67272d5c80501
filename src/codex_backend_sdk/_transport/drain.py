"""What is done with a stream whose answer is over but which has not ended.

Read to its end, a connection can serve the next call without another handshake. But nobody shall wait for the end of a
stream that only says that it is still there. Codex CLI: codex-api/src/sse/responses.rs stops at once.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx2

__all__ = ["async_drain", "drain"]

_LONGEST_SECONDS: Final = 0.2


def drain(chunks: Iterator[bytes], response: httpx2.Response) -> None:
    """Read to the end, but not for long."""
    until = time.monotonic() + _LONGEST_SECONDS
    with _reads_end_at(until, response):
        for _ in chunks:
            if time.monotonic() > until:
                break


@contextlib.contextmanager
def _reads_end_at(until: float, response: httpx2.Response) -> Iterator[None]:
    """Let no read of this answer's connection last longer: a request's timeouts are fixed when it is sent."""
    connection = response.extensions.get("network_stream")
    if connection is None or not response.http_version.startswith("HTTP/1"):  # HTTP/2: others read there too
        yield
        return
    read = connection.read

    def read_until(max_bytes: int, timeout: float | None = None) -> bytes:
        left = max(until - time.monotonic(), 0.001)
        data: bytes = read(max_bytes, timeout=left if timeout is None else min(timeout, left))
        return data

    try:
        connection.read = read_until
    except AttributeError:  # an object that takes none: the read timeout ends a silence then, as for any other read
        yield
        return
    try:
        yield
    finally:
        del connection.read


async def async_drain(chunks: AsyncIterator[bytes]) -> None:
    """Read to the end, but not for long."""
    with anyio.move_on_after(_LONGEST_SECONDS):
        async for _ in chunks:
            pass
