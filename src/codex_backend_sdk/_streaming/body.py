"""Read a response body to its end, within the request deadline, without blocking other callers.

`read_chunks` yields the chunks for a `ResponseReader`. Three rules apply to every body:

- The request deadline (`total_timeout`) ends a call even when no data arrives. The read timeout is not sufficient,
  because httpcore takes it from the request once, before the first read of a body. In async code a cancel scope ends
  the read. In sync code a blocking read cannot be interrupted, so the connection's `read` is wrapped (`_DeadlineRead`):
  it shortens the timeout of each read to the remaining time. The wrapper finds the deadline in a thread-local variable,
  because another thread may reuse the connection as soon as the body ends.
- A connection is reusable only if the body was read to its end. Reuse saves the next call a TCP and TLS handshake: two
  round trips, or 60 ms with a round-trip time of 30 ms. The rest of a body is therefore read after the terminal event,
  for at most 0.2 s, because a server may keep the stream open with comments. The Codex CLI stops at the event
  (codex-api/src/sse/responses.rs).
- Closing an async body closes all of its generators. If only the outermost generator is closed, the others are left to
  the garbage collector, and trio warns about that.
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
    "async_close_chunks",
    "async_discard",
    "async_iterate_until_deadline",
    "async_read_chunks",
    "discard",
    "iterate_until_deadline",
    "read_chunks",
]

_MAX_REST_SECONDS: Final = 0.2


def read_chunks(reader: ResponseReader, response: httpx2.Response, deadline: float | None) -> Generator[bytes]:
    """Yield the chunks up to the terminal event, then read the rest of the body and close it.

    Raises the error that `ResponseReader.error_for_transport_exception` returns for an exception of the transport.
    """
    try:
        chunks = iterate_until_deadline(response, response.iter_bytes(), deadline)
        for chunk in chunks:
            yield chunk
            if reader.has_terminal_event:
                _read_rest(chunks, response)
                return
    except (*timeout_exceptions(), *request_exceptions()) as error:
        interruption = reader.error_for_transport_exception(error)
        if interruption is not None:
            raise interruption from error
    finally:
        response.close()


async def async_read_chunks(
    reader: ResponseReader, response: httpx2.Response, deadline: float | None
) -> AsyncGenerator[bytes]:
    """Yield the chunks of an async response, as `read_chunks` does."""
    chunks = async_iterate_until_deadline(response, response.aiter_bytes(), deadline)
    try:
        async for chunk in chunks:
            yield chunk
            if reader.has_terminal_event:
                await _async_read_rest(chunks)
                return
    except (*timeout_exceptions(), *request_exceptions()) as error:
        interruption = reader.error_for_transport_exception(error)
        if interruption is not None:
            raise interruption from error
    finally:
        await async_close_chunks(chunks)
        await response.aclose()


def discard(response: httpx2.Response) -> None:
    """Close an unneeded response. Its connection is reused if the rest of the body arrives within 0.2 s."""
    if not response.is_stream_consumed:  # a caller's transport may return responses that were already read
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            _read_rest(response.iter_raw(), response)
    response.close()


async def async_discard(response: httpx2.Response) -> None:
    """Close an unneeded async response, as `discard` does."""
    if not response.is_stream_consumed:
        chunks = response.aiter_raw()
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            await _async_read_rest(chunks)
        await async_close_chunks(chunks)
    await response.aclose()


def iterate_until_deadline(
    response: httpx2.Response, chunks: Iterator[bytes], deadline: float | None
) -> Iterator[bytes]:
    """Return an iterator over the chunks. It raises httpx2.ReadTimeout at the deadline, even while no data arrives."""
    return chunks if deadline is None else _iterate_with_deadline(response, chunks, deadline)


def _iterate_with_deadline(response: httpx2.Response, chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    _wrap_read(response)
    while (chunk := _next_before(deadline, chunks)) is not None:
        yield chunk
        if time.monotonic() > deadline:
            raise httpx2.ReadTimeout("The call exceeded its deadline.", request=response.request)


def async_iterate_until_deadline(
    response: httpx2.Response, chunks: AsyncIterator[bytes], deadline: float | None
) -> AsyncIterator[bytes]:
    """Return an async iterator over the chunks. It raises httpx2.ReadTimeout at the deadline."""
    return chunks if deadline is None else _async_iterate_with_deadline(response, chunks, deadline)


async def _async_iterate_with_deadline(
    response: httpx2.Response, chunks: AsyncIterator[bytes], deadline: float
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


def _read_rest(chunks: Iterator[bytes], response: httpx2.Response) -> None:
    """Read to the end of the body. Raises httpx's exception for a broken connection, and for a timeout after 0.2 s."""
    for _ in iterate_until_deadline(response, chunks, time.monotonic() + _MAX_REST_SECONDS):
        pass


async def _async_read_rest(chunks: AsyncIterator[bytes]) -> None:
    with anyio.move_on_after(_MAX_REST_SECONDS):
        async for _ in chunks:
            pass


async def async_close_chunks(chunks: AsyncIterator[bytes]) -> None:
    """Run one read in a cancelled scope, so that the cancellation closes every generator of the chain."""
    with anyio.CancelScope() as scope:
        scope.cancel()
        async for _ in chunks:
            pass


# Deadlines of sync reads


class _ThreadState(threading.local):
    deadline: float = math.inf


_thread_state: Final = _ThreadState()


def _next_before(deadline: float, chunks: Iterator[bytes]) -> bytes | None:
    """Return the next chunk, or None at the end.

    Every read of this thread is limited by the earlier of this deadline and an enclosing one.
    """
    outer_deadline = _thread_state.deadline
    _thread_state.deadline = min(outer_deadline, deadline)
    try:
        return next(chunks, None)
    finally:
        _thread_state.deadline = outer_deadline


def _wrap_read(response: httpx2.Response) -> None:
    """Apply the calling thread's deadline to every read of this connection.

    HTTP/2 connections are not wrapped, because several calls share them. If the read cannot be wrapped (the connection
    of a caller's own transport), a read without data ends with the read timeout.
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
        self._read = weakref.WeakMethod(read)  # a strong reference would keep an unreferenced connection open

    def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        deadline = _thread_state.deadline
        if deadline < math.inf:
            remaining = max(deadline - time.monotonic(), 0.001)  # 0 would make the socket non-blocking
            timeout = remaining if timeout is None else min(timeout, remaining)
        read = self._read()
        assert read is not None  # the caller has a reference to the connection
        data: bytes = read(max_bytes, timeout=timeout)
        return data
