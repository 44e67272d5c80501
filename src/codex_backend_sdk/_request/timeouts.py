"""How long each part of a call may take, in the form that the HTTP client understands, and told apart afterwards.

The HTTP client has one limit for every read. Here the first read, for the beginning of the answer, has a limit of its
own, and so has a whole call.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from .._options import TimeoutOptions
    from .context import RequestContext

__all__ = ["async_within", "reads_end_at", "set_idle_limit", "set_limits", "within"]

# Codex CLI: model-provider-info, `stream_idle_timeout_ms`.
_IDLE_SECONDS: Final = 300.0


def set_limits(
    request: httpx2.Request, timeouts: TimeoutOptions, *, is_of_call: bool, until: float | None
) -> float | None:
    """Put the limits on a request and return the one for silence inside of its answer, in seconds.

    `is_of_call` says that the official `timeout` was given for this call, whose limits are kept then. `until` is the
    monotonic time at which the whole call ends.
    """
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    read = _or_infinity(limits.get("read"))
    idle = min(_IDLE_SECONDS, read) if timeouts.idle is None else timeouts.idle
    if is_of_call:
        idle = min(idle, read)
    else:
        given = {"connect": timeouts.connect, "read": timeouts.first_byte}
        limits.update({name: seconds for name, seconds in given.items() if seconds is not None})
    left = math.inf if until is None else max(until - time.monotonic(), 0.001)
    for name, seconds in limits.items():
        limits[name] = _or_none(min(_or_infinity(seconds), left))
    return _or_none(idle)


def set_idle_limit(request: httpx2.Request, context: RequestContext) -> None:
    """From here on, the limit is that for silence inside of the answer: the connection asks for it anew."""
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    limits["read"] = context.idle_timeout


def _or_infinity(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds


def _or_none(seconds: float) -> float | None:
    return None if math.isinf(seconds) else seconds


def within(until: float | None, chunks: Iterator[bytes], response: httpx2.Response) -> Iterator[bytes]:
    """Return the chunks, ended by a ReadTimeout when the time is over, in the middle of a silence too."""
    return chunks if until is None else _within(until, chunks, response)


def _within(until: float, chunks: Iterator[bytes], response: httpx2.Response) -> Iterator[bytes]:
    with reads_end_at(until, response) as end:
        for chunk in chunks:
            yield chunk
            end.thread = threading.get_ident()  # each part may be asked for by another thread
            if time.monotonic() > until:
                raise httpx2.ReadTimeout("The call is out of time.", request=response.request)


def async_within(until: float | None, chunks: AsyncIterator[bytes], response: httpx2.Response) -> AsyncIterator[bytes]:
    """Return the chunks, as `within` does."""
    return chunks if until is None else _async_within(until, chunks, response)


async def _async_within(until: float, chunks: AsyncIterator[bytes], response: httpx2.Response) -> AsyncIterator[bytes]:
    while True:
        chunk = None
        with anyio.move_on_after(max(until - time.monotonic(), 0.0)) as scope:
            chunk = await anext(chunks, None)
        if scope.cancelled_caught:
            raise httpx2.ReadTimeout("The call is out of time.", request=response.request)
        if chunk is None:
            return
        yield chunk


class _End:
    """A time by which the reads of a thread end."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.thread = threading.get_ident()


@contextlib.contextmanager
def reads_end_at(until: float, response: httpx2.Response) -> Iterator[_End]:
    """Let no read of this answer's connection last longer: a request's timeouts are fixed when it is sent."""
    connection, end = response.extensions.get("network_stream"), _End(until)
    if connection is None or not response.http_version.startswith("HTTP/1"):  # HTTP/2: others read there too
        yield end
        return
    limited = getattr(connection, "__dict__", {}).get("read")
    if limited is None:
        limited = _LimitedRead(connection.read)
        try:
            connection.read = limited
        except AttributeError:  # an object that takes none: the read timeout ends a silence then, as for any other read
            yield end
            return
    limited.ends.append(end)
    try:
        yield end
    finally:
        limited.ends.remove(end)
        if not limited.ends:
            vars(connection).pop("read", None)


class _LimitedRead:
    """A connection's `read` with times by which it ends; two may be in force, and need not end in their order.

    Each is for one thread: at the end of a stream its connection is free for a call of another one.
    """

    def __init__(self, read: Any) -> None:
        self._read = read
        self.ends: list[_End] = []

    def __call__(self, max_bytes: int, timeout: float | None = None) -> bytes:
        ends = [end.until for end in self.ends if end.thread == threading.get_ident()]
        if ends:
            left = max(min(ends) - time.monotonic(), 0.001)
            timeout = left if timeout is None else min(timeout, left)
        data: bytes = self._read(max_bytes, timeout=timeout)
        return data
