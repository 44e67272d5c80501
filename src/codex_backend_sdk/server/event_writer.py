"""Send the events of a response to a client as they arrive, with the real status if the response fails at once.

The backend reports used-up limits, a full context and overload within a stream of status 200. So the status, and the
events with which each response begins, are held until another event arrives, or for a second. A failure until then is
an error response with its real status; a later one ends the stream in the form of its dialect.

All events of one network read of the client are sent with one call of `send`. Nothing else is buffered: `send` waits
while the client does not read, and meanwhile nothing is read from the backend. A client that reads nothing for minutes
is disconnected, because it holds one of the few slots.

While a stream is silent, a comment is sent every few seconds, always between two events, and ended by a single line
feed: a blank line would be an empty event for some clients.

A disconnected client cancels everything: the wait for a slot, the request to the backend, the reading of its response.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import openai

from .json_responses import send_error, send_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import Receive, Scope, Send

    from .api_errors import ApiError
    from .dialects import Data, Dialect

__all__ = ["EventWriter", "HttpSink", "Sink", "partial_output", "until_disconnected"]

_COMMENT: Final = b": keepalive\n"
_STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",  # for nginx
}


class Sink(Protocol):
    """Where events are sent: an HTTP response or a WebSocket."""

    async def start(self) -> None:
        """Send the status 200."""

    async def write(self, batch: list[Data], dialect: Dialect) -> None:
        """Send events, and return when the client can take more."""

    async def keep_alive(self) -> None:
        """Show that the connection is alive."""

    async def reject(self, error: ApiError) -> None:
        """Send an error instead of a response."""

    async def end(self, dialect: Dialect) -> None:
        """End the response."""


class HttpSink:
    """An HTTP response of server-sent events. The caller may add to `headers` until `start`."""

    def __init__(self, scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._scope = scope
        self._send = send

    async def start(self) -> None:
        """Send the status and the headers."""
        await send_head(self._send, 200, {**_STREAM_HEADERS, **self.headers})

    async def write(self, batch: list[Data], dialect: Dialect) -> None:
        """Send events as one part of the body."""
        await self._send({"type": "http.response.body", "body": dialect.encode(batch), "more_body": True})

    async def keep_alive(self) -> None:
        """Send a comment."""
        await self._send({"type": "http.response.body", "body": _COMMENT, "more_body": True})

    async def reject(self, error: ApiError) -> None:
        """Send an error response."""
        await send_error(self._scope, self._send, error, headers=self.headers)

    async def end(self, dialect: Dialect) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": dialect.ending})


class EventWriter:
    """Writer of one response. Run `keep_alive` in another task of the same group as the other methods.

    The times are those of `ServerSettings`. `on_stalled` is called if the client reads nothing for too long.
    """

    def __init__(
        self,
        sink: Sink,
        dialect: Dialect,
        *,
        commit_seconds: float,
        keepalive_seconds: float,
        stalled_seconds: float,
        on_stalled: Callable[[], object],
    ) -> None:
        self._sink = sink
        self._dialect = dialect
        self._commit_seconds = commit_seconds
        self._keepalive_seconds = keepalive_seconds
        self._on_stalled = on_stalled
        self._stalled_seconds = stalled_seconds
        self._held: list[Data] | None = []  # None after the status was sent
        self._lock = asyncio.Lock()  # one call of `send` at a time
        self._last_write = time.monotonic()
        self._is_ended = False

    async def add(self, batch: list[Data]) -> None:
        """Send events, or hold them if they do not decide the status."""
        visible = self._dialect.visible(batch)
        if not visible:
            return
        async with self._lock:
            if self._held is None:
                await self._write(visible)
            else:
                self._held += visible
                if any(map(self._dialect.decides, visible)):
                    await self._commit()

    async def end(self) -> None:
        """End the response after its last event."""
        async with self._lock:
            self._is_ended = True
            await self._commit()
            await self._sink.end(self._dialect)

    async def fail(self, error: ApiError, partial: Data | None = None) -> None:
        """End the response with an error: its status, if no other one was sent."""
        async with self._lock:
            self._is_ended = True
            if self._held is not None:
                await self._sink.reject(error)
                return
            await self._write(self._dialect.failure(error, partial))
            await self._sink.end(self._dialect)

    async def keep_alive(self) -> None:
        """Send the status after a while, and comments while there are no events, until the response ends."""
        await anyio.sleep(self._commit_seconds)
        if self._held is not None:
            await self._send_between_events(self._commit)
        while not self._is_ended:
            silent_seconds = time.monotonic() - self._last_write
            if silent_seconds < self._keepalive_seconds:
                await anyio.sleep(self._keepalive_seconds - silent_seconds)
            else:
                await self._send_between_events(self._sink.keep_alive)

    async def _send_between_events(self, send: Callable[[], Awaitable[None]]) -> None:
        """Wait until no other task sends, and send something, within the time that a client may take to read."""
        with anyio.move_on_after(self._stalled_seconds) as scope:
            async with self._lock:
                if not self._is_ended:
                    await send()
                    self._last_write = time.monotonic()
        if scope.cancelled_caught:
            self._on_stalled()

    async def _commit(self) -> None:
        if self._held is None:
            return
        held, self._held = self._held, None
        await self._sink.start()
        if held:
            await self._write(held)

    async def _write(self, batch: list[Data]) -> None:
        await self._sink.write(batch, self._dialect)
        self._last_write = time.monotonic()


async def until_disconnected(receive: Receive, scope: anyio.CancelScope, on_disconnect: Callable[[], object]) -> None:
    """Wait within `scope` until the client disconnects, then call `on_disconnect`, unless `scope` is cancelled.

    After the end of a response, `receive` returns the disconnect at once, even in a cancelled scope.
    """
    with scope:
        while (await receive())["type"] != "http.disconnect":
            pass
        if not scope.cancel_called:
            on_disconnect()


def partial_output(error: Exception) -> Data | None:
    """Return the response so far as JSON data, if the error has it."""
    partial = getattr(error, "partial", None)
    return partial.to_dict(mode="json", warnings=False) if isinstance(partial, openai.BaseModel) else None
