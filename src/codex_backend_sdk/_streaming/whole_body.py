"""An answer that is no event stream, read as a whole: within the time of its call, and not without end."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Final

import httpx2

from .._request.timeouts import async_within, within
from .._upstream import request_exceptions, set_body, timeout_exceptions
from .drain import async_drain, drain, leave

if TYPE_CHECKING:
    from .._request.context import RequestContext

__all__ = ["async_discard", "async_read_body", "discard", "read_body"]

# The backend's largest answer, its catalogue of models, has less than one.
_MOST_BYTES: Final = 16 << 20
# An error is known by its status. For what it says, nobody waits as long as for an answer.
_ERROR_SECONDS: Final = 10.0
_DAMAGED: Final[tuple[type[Exception], ...]] = (httpx2.DecodingError,)


def read_body(response: httpx2.Response, context: RequestContext) -> None:
    """Read the body, so that `response` has it; what is too long is cut off.

    The body of an error ends, too, where it falls silent, goes on for too long, or is damaged.
    """
    body = bytearray()
    try:
        for chunk in within(_ends(response, context), response.iter_bytes(), response):
            body += chunk
            if len(body) > _MOST_BYTES:
                break
    except (*timeout_exceptions(), *_DAMAGED):
        if not _says_enough(response, context):
            raise
    finally:
        response.close()
    set_body(response, bytes(body))


async def async_read_body(response: httpx2.Response, context: RequestContext) -> None:
    """Read the body, as `read_body` does."""
    body = bytearray()
    chunks = async_within(_ends(response, context), response.aiter_bytes(), response)
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) > _MOST_BYTES:
                break
    except (*timeout_exceptions(), *_DAMAGED):
        if not _says_enough(response, context):
            raise
    finally:
        await leave(chunks)
        await response.aclose()
    set_body(response, bytes(body))


def discard(response: httpx2.Response) -> None:
    """Let go of an answer that nobody reads, with its connection in order if that takes no time."""
    if not response.is_stream_consumed:  # a transport of the caller's may hand out whole answers
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            drain(response.iter_raw(), response)
    response.close()


async def async_discard(response: httpx2.Response) -> None:
    """Let go of an answer, as `discard` does."""
    if not response.is_stream_consumed:
        chunks = response.aiter_raw()
        with contextlib.suppress(*timeout_exceptions(), *request_exceptions()):
            await async_drain(chunks)
        await leave(chunks)
    await response.aclose()


def _ends(response: httpx2.Response, context: RequestContext) -> float | None:
    if response.is_success:
        return context.until
    latest = time.monotonic() + _ERROR_SECONDS
    return latest if context.until is None else min(context.until, latest)


def _says_enough(response: httpx2.Response, context: RequestContext) -> bool:
    return not response.is_success and (context.until is None or time.monotonic() < context.until)
