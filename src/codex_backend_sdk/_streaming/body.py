"""Read a response body to its end, within the request deadline, without blocking other callers.

`read_chunks` yields the chunks for a `ResponseReader`. Three rules apply to every body:

- The request deadline (`total_timeout`) ends a call even when no data arrives. The read timeout is not sufficient,
  because httpcore takes it from the request once, before the first read of a body (`_connections`).
- A connection is reusable only if the body was read to its end. Reuse saves the next call a TCP and TLS handshake: two
  round trips, or 60 ms with a round-trip time of 30 ms. The rest of a body is therefore read after the terminal event,
  for at most 0.2 s, because a server may keep the stream open with comments. The Codex CLI stops at the event
  (codex-api/src/sse/responses.rs).
- Closing an async body closes all of its generators. If only the outermost generator is closed, the others are left to
  the garbage collector, and trio warns about that.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import anyio

from .._connections import DeadlineExceededError, async_deadline, io_deadline, track
from .._upstream import request_exceptions, timeout_exceptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    import httpx2

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
        chunks = response.iter_bytes()
        for chunk in iterate_until_deadline(response, chunks, deadline):
            yield chunk
            if reader.has_terminal_event:
                _read_rest(chunks, response, deadline)
                return
    except GeneratorExit:  # at the exit of the interpreter the names below may be gone
        raise
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
    chunks = async_iterate_until_deadline(response.aiter_bytes(), deadline)
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
        if not reader.is_from_parent_process:  # closing needs the event loop of the parent
            await async_close_chunks(chunks)
            await response.aclose()


def discard(response: httpx2.Response) -> None:
    """Close an unneeded response. Its connection is reused if the rest of the body arrives within 0.2 s."""
    if not response.is_stream_consumed:  # a caller's transport may return responses that were already read
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            _read_rest(response.iter_raw(), response, None)
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
    """Return an iterator over the chunks. It raises DeadlineExceededError at the deadline, even if no data arrives."""
    return chunks if deadline is None else _iterate_with_deadline(response, chunks, deadline)


def _iterate_with_deadline(response: httpx2.Response, chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    track(response.extensions.get("network_stream"))
    while True:
        with io_deadline(deadline):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk
        if time.monotonic() > deadline:
            raise DeadlineExceededError


def async_iterate_until_deadline(chunks: AsyncIterator[bytes], deadline: float | None) -> AsyncIterator[bytes]:
    """Return an async iterator over the chunks. It raises DeadlineExceededError at the deadline."""
    return chunks if deadline is None else _async_iterate_with_deadline(chunks, deadline)


async def _async_iterate_with_deadline(chunks: AsyncIterator[bytes], deadline: float) -> AsyncIterator[bytes]:
    while True:
        with async_deadline(deadline):
            chunk = await anext(chunks, None)
        if chunk is None:
            return
        yield chunk


def _read_rest(chunks: Iterator[bytes], response: httpx2.Response, deadline: float | None) -> None:
    """Read to the end of the body. Raises httpx's exception for a broken connection, and for a timeout after 0.2 s."""
    end = time.monotonic() + _MAX_REST_SECONDS
    for _ in iterate_until_deadline(response, chunks, end if deadline is None else min(end, deadline)):
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
