"""The event streams that `responses.create(stream=True)` returns: the official classes, read with `ResponseReader`.

A stream can send its request again when the response breaks off: before the caller has seen an event, and after it
with `on_interrupt="restart"`. The client supplies the function for that (`set_retry`), so that attempts at opening and
at reading a stream are counted together.

The generator that reads does not refer to the stream, only to the state that both share. Without a reference cycle, a
stream that the caller drops closes its connection at once and not at the next garbage collection.
"""

from __future__ import annotations

import contextlib
import socket
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final, cast

import openai
from openai.types.responses import ResponseStreamEvent

from .._request.context import RequestContext, context_of
from .._request.routes import Route
from .body import async_read_chunks, read_chunks
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    import httpx2


__all__ = ["AsyncResponseEventStream", "ResponseEventStream"]

# For a response whose request does not carry its context: a custom `auth` of the HTTP client may replace the request.
_NO_CONTEXT: Final = RequestContext(route=Route.RESPONSES, is_streamed=True)


class _StreamState:
    """The state that a stream shares with the generator that reads it."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.restarts = 0
        self.is_closed = False
        self.retry: Callable[..., Any] | None = None

    @property
    def context(self) -> RequestContext:
        return context_of(self.response.request) or _NO_CONTEXT

    def retry_for(self, reader: ResponseReader) -> Callable[..., Any] | None:
        """Return the function that sends the request again; None when the response stays broken."""
        if self.retry is None or self.is_closed:
            return None
        self.restarts += reader.can_restart
        return self.retry


class _EventStream:
    """The members that both streams have."""

    _state: _StreamState

    @property
    def response(self) -> httpx2.Response:
        """The HTTP response that is read; another one after a restart."""
        return self._state.response

    @response.setter
    def response(self, response: httpx2.Response) -> None:
        self._state = _StreamState(response)  # the official constructor sets it

    @property
    def dropped_parameters(self) -> tuple[str, ...]:
        """The names of the request parameters that were left out (`OpenAI(unsupported="drop")`)."""
        return self._state.context.dropped_parameters or ()

    @property
    def restarts(self) -> int:
        """How many times the response broke off and the request was sent again.

        After each restart the events begin with `response.created` again. Discard the events from before it.
        """
        return self._state.restarts

    def set_retry(self, retry: Callable[..., Any]) -> None:
        """Set the function that sends the request again.

        It is called with the error and `may_repeat`, which is False when the caller has seen events and does not want
        a restart. It waits and returns another stream, or raises the error.
        """
        self._state.retry = retry


class ResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # `response` follows restarts
    openai.Stream[ResponseStreamEvent], _EventStream
):
    """The events of one response, as `client.responses.create(..., stream=True)` returns them.

    It is an `openai.Stream`, with `restarts` and `dropped_parameters`. Iterating raises `StreamInterruptedError` when
    the response breaks off, and the exception of the failure when the response fails.
    """

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        return self._iterator

    def __stream__(self) -> Iterator[ResponseStreamEvent]:
        return _read(self._state)

    def close(self) -> None:
        """Close the connection. From another thread this interrupts the iteration with `StreamInterruptedError`."""
        self._state.is_closed = True
        try:
            cast("Generator[ResponseStreamEvent]", self._iterator).close()
        except ValueError:  # another thread is inside the generator
            _interrupt_read(self._state.response)
        super().close()


class AsyncResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
    openai.AsyncStream[ResponseStreamEvent], _EventStream
):
    """The events of one response on the async client, as `ResponseEventStream`."""

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return self._iterator

    def __stream__(self) -> AsyncIterator[ResponseStreamEvent]:
        return _async_read(self._state)

    async def close(self) -> None:
        """Close the connection."""
        self._state.is_closed = True
        with contextlib.suppress(RuntimeError):  # another task is inside the generator
            await cast("AsyncGenerator[ResponseStreamEvent]", self._iterator).aclose()
        await super().close()


def _interrupt_read(response: httpx2.Response) -> None:
    """End the read of another thread, which does not notice when its socket is closed."""
    connection = response.extensions.get("network_stream")
    if connection is None or response.is_closed or not response.http_version.startswith("HTTP/1"):
        return
    if isinstance(tcp := connection.get_extra_info("socket"), socket.socket):
        with contextlib.suppress(OSError):
            # Not `SSLSocket.shutdown`: it would change the TLS state that the other thread is using.
            socket.socket.shutdown(tcp, socket.SHUT_RDWR)


def _read(state: _StreamState) -> Iterator[Any]:
    while True:
        context = state.context
        reader = ResponseReader(state.response, context)
        try:
            with closing(read_chunks(reader, state.response, context.deadline)) as chunks:
                for chunk in chunks:
                    yield from reader.events(chunk)
            yield from reader.last_events()
        except openai.APIError as error:
            retry = state.retry_for(reader)
            if retry is None:
                raise
            state.response = retry(error, may_repeat=reader.can_restart).response
            if state.is_closed:  # by another thread, meanwhile
                state.response.close()
                raise
        else:
            return


async def _async_read(state: _StreamState) -> AsyncIterator[Any]:
    while True:
        context = state.context
        reader = ResponseReader(state.response, context)
        try:
            async with aclosing(async_read_chunks(reader, state.response, context.deadline)) as chunks:
                async for chunk in chunks:
                    for event in reader.events(chunk):
                        yield event
            for event in reader.last_events():
                yield event
        except openai.APIError as error:
            retry = state.retry_for(reader)
            if retry is None:
                raise
            state.response = (await retry(error, may_repeat=reader.can_restart)).response
            if state.is_closed:  # by another task, meanwhile
                await state.response.aclose()
                raise
        else:
            return
