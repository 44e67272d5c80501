"""Event streams that `responses.create(stream=True)` returns: the official classes, read with `ResponseReader`.

A stream can send its request again when the response is interrupted: before the first event was delivered, and after it
with `on_interrupt="restart"`. The client supplies the function for that (`_set_retry`), so that failures to open and to
read a stream share one retry count.

The generator that reads has no reference to the stream, only to the state that both share. Without a reference cycle, a
stream that the caller discards closes its connection at once and not at the next garbage collection.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import types
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final, cast, get_origin

import openai
from openai.types.responses import ResponseStreamEvent

from .._request.context import RequestContext, context_of
from .._request.routes import Route
from .body import async_read_chunks, read_chunks
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    import httpx2


__all__ = ["INTERRUPT_EXTENSION", "AsyncResponseEventStream", "ResponseEventStream", "with_reader"]

# In `response.extensions`: the function that requests an early end of the response. Only a WebSocket has one.
INTERRUPT_EXTENSION: Final = "codex_backend_sdk.interrupt"

# For a response without a context: a custom `auth` of the HTTP client may replace the request.
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


class _EventStreamMixin:
    """Attributes shared by the sync and the async stream."""

    _state: _StreamState

    @property
    def response(self) -> httpx2.Response:
        """The HTTP response that the stream reads. A restart replaces it."""
        return self._state.response

    @response.setter
    def response(self, response: httpx2.Response) -> None:
        self._state = _StreamState(response)  # called by the constructor of `openai.Stream`

    @property
    def dropped_parameters(self) -> tuple[str, ...]:
        """The names of the request parameters that were dropped (`OpenAI(unsupported="drop")`)."""
        return self._state.context.dropped_parameters or ()

    @property
    def restarts(self) -> int:
        """The number of times the response was interrupted and the request was sent again.

        After each restart the events begin with `response.created` again. Discard the earlier events.
        """
        return self._state.restarts

    def _set_retry(self, retry: Callable[..., Any]) -> None:
        """Set the function that sends the request again.

        It takes the error and `can_restart`, which is False if events were delivered and `on_interrupt` is "raise". It
        waits and returns a new stream, or raises the error.
        """
        self._state.retry = retry


class ResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    openai.Stream[ResponseStreamEvent], _EventStreamMixin
):
    """The event stream that `client.responses.create(..., stream=True)` returns.

    It is an `openai.Stream` with the additional attributes `restarts` and `dropped_parameters`. Iterating raises
    `StreamInterruptedError` if the response is interrupted, and the exception of the failure if the response fails.
    """

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        return self._iterator

    def __stream__(self) -> Iterator[ResponseStreamEvent]:
        return _read(self._state)

    def text_deltas(self) -> Iterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        for event in self:
            if event.type == "response.output_text.delta":
                yield event.delta

    def close(self) -> None:
        """Close the connection. From another thread this interrupts the iteration with `StreamInterruptedError`."""
        self._state.is_closed = True
        try:
            cast("Generator[ResponseStreamEvent]", self._iterator).close()
        except ValueError:  # another thread is running the generator
            _interrupt_read(self._state.response)
        super().close()

    def interrupt(self) -> None:
        """End the response early, from this or another thread.

        Over the WebSocket, the client sends an interrupt: the stream continues up to `response.incomplete` with the
        reason `interrupted`, and the connection stays open. Over HTTP, the iteration raises `StreamInterruptedError`.
        """
        request_interrupt = self._state.response.extensions.get(INTERRUPT_EXTENSION)
        if request_interrupt is None:
            # Without `close()`, because the other thread may be about to resume the generator.
            self._state.is_closed = True
            _interrupt_read(self._state.response)
        else:
            request_interrupt()


class AsyncResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # as above
    openai.AsyncStream[ResponseStreamEvent], _EventStreamMixin
):
    """The async counterpart of `ResponseEventStream`."""

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return self._iterator

    def __stream__(self) -> AsyncIterator[ResponseStreamEvent]:
        return _async_read(self._state)

    async def text_deltas(self) -> AsyncIterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        async for event in self:
            if event.type == "response.output_text.delta":
                yield event.delta

    async def close(self) -> None:
        """Close the connection."""
        self._state.is_closed = True
        with contextlib.suppress(RuntimeError):  # another task is running the generator
            await cast("AsyncGenerator[ResponseStreamEvent]", self._iterator).aclose()
        await super().close()

    async def interrupt(self) -> None:
        """End the response early, from this or another task, as `ResponseEventStream.interrupt` does."""
        request_interrupt = self._state.response.extensions.get(INTERRUPT_EXTENSION)
        if request_interrupt is None:
            self._state.is_closed = True
            await self._state.response.aclose()
        else:
            await request_interrupt()


def with_reader(stream_class: Any, reader_class: type) -> type:
    """Return the stream class of a request: `reader_class`, or its combination with a subclass that a tracer passes.

    A tracer that replaces `client.request` records the events in a subclass of openai's `Stream`.
    """
    requested = get_origin(stream_class) or stream_class
    if not isinstance(requested, type) or issubclass(reader_class, requested):
        return reader_class
    return type(requested.__name__, (requested, reader_class), {})


def _interrupt_read(response: httpx2.Response) -> None:
    """Interrupt a read in another thread. Closing the socket would not wake that thread."""
    connection = response.extensions.get("network_stream")
    if connection is None or response.is_closed or not response.http_version.startswith("HTTP/1"):
        return
    if isinstance(tcp_socket := connection.get_extra_info("socket"), socket.socket):
        with contextlib.suppress(OSError):
            # `SSLSocket.shutdown` would change the TLS state while the other thread uses it.
            socket.socket.shutdown(tcp_socket, socket.SHUT_RDWR)


def _read(state: _StreamState) -> Iterator[Any]:
    while True:
        context = state.context
        reader = ResponseReader(state.response, context)
        try:
            reader.require_own_process()
            with closing(read_chunks(reader, state.response, context.deadline)) as chunks:
                for chunk in chunks:
                    yield from reader.events(chunk)
                    reader.require_own_process()
            yield from reader.last_events()
        except GeneratorExit:  # at the exit of the interpreter the names below may be gone
            raise
        except openai.APIError as error:
            if state.retry is None or state.is_closed:
                raise
            state.response = state.retry(error, can_restart=reader.can_restart).response
            state.restarts += 1
            if state.is_closed:  # by another thread during the retry
                state.response.close()
                raise
        else:
            return


@types.coroutine
def _start_unregistered(chunks: AsyncGenerator[bytes]) -> Generator[Any, Any, bytes | None]:
    """Return the first chunk. The event loop does not learn of the async generator and of the generators inside.

    A loop that ends closes all generators that it knows at the same time, and then one fails to close another one. Here
    it closes only the outermost one, which closes the others. The hook for garbage collection stays: without it, Python
    would close a forgotten generator within another task.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None)  # Python reads the hooks when `anext()` is called the first time
    try:
        steps = anext(chunks, None).__await__()
        step = steps.send(None)
    except StopIteration as end:
        return cast("bytes | None", end.value)
    finally:
        sys.set_asyncgen_hooks(*hooks)
    # `yield from steps`, after its first step
    try:
        while True:
            try:
                sent = yield step
            except BaseException as error:
                step = steps.throw(error)
            else:
                step = steps.send(sent)
    except StopIteration as end:
        return cast("bytes | None", end.value)


async def _async_read(state: _StreamState) -> AsyncIterator[Any]:
    while True:
        context = state.context
        reader = ResponseReader(state.response, context)
        try:
            reader.require_own_process()
            async with aclosing(async_read_chunks(reader, state.response, context.deadline)) as chunks:
                chunk = await _start_unregistered(chunks)
                while chunk is not None:
                    for event in reader.events(chunk):
                        yield event
                    reader.require_own_process()
                    chunk = await anext(chunks, None)
            for event in reader.last_events():
                yield event
        except openai.APIError as error:
            if state.retry is None or state.is_closed:
                raise
            state.response = (await state.retry(error, can_restart=reader.can_restart)).response
            state.restarts += 1
            if state.is_closed:  # by another task during the retry
                await state.response.aclose()
                raise
        else:
            return
