"""Read the body of a response from its connection: within its deadline, to its end, without blocking anyone else.

`read_chunks` feeds a `ResponseReader`. Three rules hold for every body:

- `total_timeout` ends a call in the middle of a silence. The read timeout cannot do that: httpcore takes it from the
  request once, before the first read of a body. In async code a cancel scope ends the read. In sync code nothing can
  interrupt a blocking read, so the connection's `read` is wrapped (`_DeadlineRead`): it shortens the timeout of each
  read to the time that is left. The wrapper looks the deadline up in a thread-local, because at the end of a body its
  connection is free for a call of another thread.
- A connection is reusable only if its body was read to the end, which saves the next call a TCP and TLS handshake: two
  round trips, 60 ms at a ping of 30 ms. So a body is drained after the terminal event, for 0.2 s at most, because a
  server may keep the stream open with comments. The Codex CLI stops at the event (codex-api/src/sse/responses.rs).
- An async body is closed through all of its generators. Closing only the outermost leaves the others to the garbage
  collector, and trio warns of that.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2

from .._upstream import request_exceptions, timeout_exceptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from .reader import ResponseReader

__all__ = [
    "async_bounded_chunks",
    "async_close_chunks",
    "async_discard",
    "async_read_chunks",
    "bounded_chunks",
    "discard",
    "read_chunks",
]

_DRAIN_SECONDS: Final = 0.2


def read_chunks(reader: ResponseReader, response: httpx2.Response, deadline: float | None) -> Generator[bytes]:
    """Yield the chunks up to the terminal event, then drain and close the body.

    `deadline` is the monotonic time at which the call ends. An exception of the transport is raised as the error that
    the reader makes of it.
    """
    try:
        chunks = bounded_chunks(deadline, response.iter_bytes(), response)
        for chunk in chunks:
            yield chunk
            if reader.has_ended:
                _drain(chunks, response)
                return
    except (*timeout_exceptions(), *request_exceptions()) as error:
        interruption = reader.interrupted_by(error)
        if interruption is not None:
            raise interruption from error
    finally:
        response.close()


async def async_read_chunks(
    reader: ResponseReader, response: httpx2.Response, deadline: float | None
) -> AsyncGenerator[bytes]:
    """Yield the chunks, as `read_chunks` does."""
    chunks = async_bounded_chunks(deadline, response.aiter_bytes(), response)
    try:
        async for chunk in chunks:
            yield chunk
            if reader.has_ended:
                await _async_drain(chunks)
                return
    except (*timeout_exceptions(), *request_exceptions()) as error:
        interruption = reader.interrupted_by(error)
        if interruption is not None:
            raise interruption from error
    finally:
        await async_close_chunks(chunks)
        await response.aclose()


def discard(response: httpx2.Response) -> None:
    """Close a response that is not needed; its connection stays usable if the body ends soon."""
    if not response.is_stream_consumed:  # the transport of a caller may return responses that are already read
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            _drain(response.iter_raw(), response)
    response.close()


async def async_discard(response: httpx2.Response) -> None:
    """Close a response that is not needed, as `discard` does."""
    if not response.is_stream_consumed:
        chunks = response.aiter_raw()
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            await _async_drain(chunks)
        await async_close_chunks(chunks)
    await response.aclose()


def bounded_chunks(deadline: float | None, chunks: Iterator[bytes], response: httpx2.Response) -> Iterator[bytes]:
    """Return the chunks, ended by a ReadTimeout at the deadline, which may fall into a silence."""
    return chunks if deadline is None else _bounded_chunks(deadline, chunks, response)


def _bounded_chunks(deadline: float, chunks: Iterator[bytes], response: httpx2.Response) -> Iterator[bytes]:
    _wrap_read(response)
    while (chunk := _next_before(deadline, chunks)) is not None:
        yield chunk
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("The call exceeded its deadline.", request=response.request)


def async_bounded_chunks(
    deadline: float | None, chunks: AsyncIterator[bytes], response: httpx2.Response
) -> AsyncIterator[bytes]:
    """Return the chunks, as `bounded_chunks` does."""
    return chunks if deadline is None else _async_bounded_chunks(deadline, chunks, response)


async def _async_bounded_chunks(
    deadline: float, chunks: AsyncIterator[bytes], response: httpx2.Response
) -> AsyncIterator[bytes]:
    while True:
        chunk = None
        with anyio.move_on_after(max(deadline - time.monotonic(), 0.0)) as scope:
            chunk = await anext(chunks, None)
        if scope.cancelled_caught:
            raise httpx2.ReadTimeout("The call exceeded its deadline.", request=response.request)
        if chunk is None:
            return
        yield chunk


def _drain(chunks: Iterator[bytes], response: httpx2.Response) -> None:
    """Read to the end, for a limited time; a timeout or a broken connection is raised."""
    for _ in bounded_chunks(time.monotonic() + _DRAIN_SECONDS, chunks, response):
        pass


async def _async_drain(chunks: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_DRAIN_SECONDS):
        async for _ in chunks:
            pass


async def async_close_chunks(chunks: AsyncIterator[bytes]) -> None:
    """Close a chain of async generators: a read that is cancelled at once ends each of them."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass


# Deadlines of sync reads


class _ThreadDeadline(threading.local):
    monotonic: float = math.inf


_read_deadline: Final = _ThreadDeadline()


def _next_before(deadline: float, chunks: Iterator[bytes]) -> bytes | None:
    """Return the next chunk, None at the end. Each read of this thread ends at the deadline, or at an outer one."""
    outer = _read_deadline.monotonic
    _read_deadline.monotonic = min(outer, deadline)
    try:
        return next(chunks, None)
    finally:
        _read_deadline.monotonic = outer


def _wrap_read(response: httpx2.Response) -> None:
    """Let the reads of this connection keep to the deadline of their thread.

    An HTTP/2 connection is left alone, because other calls read from it too. Where the read cannot be wrapped (the
    connection of a caller's own transport), a silence ends with the read timeout.
    """
    connection = response.extensions.get("network_stream")
    if connection is None or not response.http_version.startswith("HTTP/1"):
        return
    with contextlib.suppress(AttributeError, TypeError):
        if not isinstance(connection.read, _DeadlineRead):
            connection.read = _DeadlineRead(connection.read)


class _DeadlineRead:
    """The `read` of an httpcore network stream, bounded by the deadline of the calling thread."""

    def __init__(self, read: Any) -> None:
        self._read = weakref.WeakMethod(read)  # a strong reference would keep a forgotten connection open

    def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = _read_deadline.monotonic
        if deadline < math.inf:
            left = max(deadline - time.monotonic(), 0.001)  # 0 would make the socket non-blocking
            timeout = left if timeout is None else min(timeout, left)
        read = self._read()
        assert read is not None  # the caller holds the connection
        data: bytes = read(max_bytes, timeout=timeout)
        return data
