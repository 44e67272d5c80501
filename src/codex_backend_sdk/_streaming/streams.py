"""Streams that `create(stream=True)` returns: the official classes, read with `ResponseReader`.

The events of a response are delivered as they are, or translated to the chunks of a chat completion (`_chat.chunks`).

A stream can send its request again when the response is interrupted: before the first event was delivered, and after it
with `on_interrupt="restart"`. A chat completion has no event that begins a response, so it is restarted only before its
first content, which the caller does not notice. The client supplies the function for that (`_set_retry`), so that
failures to open and to read a stream share one retry count.

The generator that reads has no reference to the stream, only to the state that both share. Without a reference cycle, a
stream that the caller discards closes its connection at once and not at the next garbage collection.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import types
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast, get_origin

import openai
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent

from .._chat.chunks import ChunkBuilder
from .._request.context import RequestContext, context_of
from .._request.routes import Route
from .body import async_read_chunks, read_chunks
from .events import build_chunks
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator

    import httpx2


__all__ = [
    "INTERRUPT_EXTENSION",
    "AsyncChatCompletionStream",
    "AsyncDataStream",
    "AsyncEventStream",
    "AsyncResponseEventStream",
    "ChatCompletionStream",
    "EventStream",
    "ResponseEventStream",
    "with_reader",
]

_EventT = TypeVar("_EventT")

# In `response.extensions`: the function that requests an early end of the response. Only a WebSocket has one.
INTERRUPT_EXTENSION: Final = "codex_backend_sdk.interrupt"

# For a response without a context: a custom `auth` of the HTTP client may replace the request.
_NO_CONTEXT: Final = RequestContext(route=Route.RESPONSES, is_streamed=True)


class _StreamState:
    """The state that a stream shares with the generator that reads it."""

    def __init__(self, response: httpx2.Response, *, yields_data: bool) -> None:
        self.response = response
        self.yields_data = yields_data
        self.restarts = 0
        self.is_closed = False
        self.retry: Callable[..., Any] | None = None
        chat = self.context.chat
        self._chunks = None if chat is None else ChunkBuilder(chat)

    def begin(self) -> ResponseReader:
        """Return a reader for the current response."""
        context = self.context
        if self._chunks is not None:
            self._chunks.begin()
            self._chunks.account_id = context.account_id
        return ResponseReader(self.response, context, yields_data=self.yields_data)

    def delivered(self, events: Iterable[Any]) -> Iterable[Any]:
        """Return what the caller receives for these events. An error between the events is raised at its place."""
        if self.yields_data:
            return _in_lists(events if self._chunks is None else self._chunks.chunks(events))
        if self._chunks is None:
            return events
        if isinstance(events, (list, tuple)):
            return build_chunks(list(self._chunks.chunks(events))) if events else ()
        return (chunk for event in events for chunk in self.delivered([event]))

    @property
    def is_complete(self) -> bool:
        """Whether the rest of the response is not needed."""
        return self._chunks is not None and self._chunks.is_complete

    def can_restart(self, reader: ResponseReader) -> bool:
        """Return whether another response may replace the current one."""
        return reader.can_restart if self._chunks is None else not self._chunks.has_output

    @property
    def context(self) -> RequestContext:
        return context_of(self.response.request) or _NO_CONTEXT


class _EventStreamMixin:
    """Attributes shared by the sync and the async stream."""

    _state: _StreamState
    _yields_data = False

    @property
    def response(self) -> httpx2.Response:
        """The HTTP response that the stream reads. A restart replaces it."""
        return self._state.response

    @response.setter
    def response(self, response: httpx2.Response) -> None:
        # Called by the constructor of `openai.Stream`.
        self._state = _StreamState(response, yields_data=self._yields_data)

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


class EventStream(_EventStreamMixin, Generic[_EventT]):
    """The methods of the sync streams. openai's code finds the type of the events in their direct base class only."""

    _iterator: Iterator[_EventT]

    def __iter__(self) -> Iterator[_EventT]:
        return self._iterator

    def __stream__(self) -> Iterator[_EventT]:
        return _read(self._state)

    def close(self) -> None:
        """Close the connection. From another thread this interrupts the iteration with `StreamInterruptedError`."""
        self._state.is_closed = True
        try:
            cast("Generator[Any]", self._iterator).close()
        except ValueError:  # another thread is running the generator
            _interrupt_read(self._state.response)
        super().close()  # type: ignore[misc]  # of `openai.Stream`

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


class ResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    EventStream[ResponseStreamEvent], openai.Stream[ResponseStreamEvent]
):
    """The event stream that `client.responses.create(..., stream=True)` returns.

    It is an `openai.Stream` with the additional attributes `restarts` and `dropped_parameters`. Iterating raises
    `StreamInterruptedError` if the response is interrupted, and the exception of the failure if the response fails.
    """

    def text_deltas(self) -> Iterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        for event in self:
            if event.type == "response.output_text.delta":
                yield event.delta


class ChatCompletionStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    EventStream[ChatCompletionChunk], openai.Stream[ChatCompletionChunk]
):
    """The stream of chunks that `client.chat.completions.create(..., stream=True)` returns.

    It is an `openai.Stream` with the attributes of `ResponseEventStream`. Iterating raises as there.
    """

    def text_deltas(self) -> Iterator[str]:
        """Iterate over the content of the completion, chunk by chunk, as it arrives."""
        for chunk in self:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class AsyncEventStream(_EventStreamMixin, Generic[_EventT]):
    """The methods of the async streams."""

    _iterator: AsyncIterator[_EventT]

    def __aiter__(self) -> AsyncIterator[_EventT]:
        return self._iterator

    def __stream__(self) -> AsyncIterator[_EventT]:
        return _async_read(self._state)

    async def close(self) -> None:
        """Close the connection."""
        self._state.is_closed = True
        with contextlib.suppress(RuntimeError):  # another task is running the generator
            await cast("AsyncGenerator[Any]", self._iterator).aclose()
        await super().close()  # type: ignore[misc]  # of `openai.AsyncStream`

    async def interrupt(self) -> None:
        """End the response early, from this or another task, as `ResponseEventStream.interrupt` does."""
        request_interrupt = self._state.response.extensions.get(INTERRUPT_EXTENSION)
        if request_interrupt is None:
            self._state.is_closed = True
            await self._state.response.aclose()
        else:
            await request_interrupt()


class AsyncResponseEventStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    AsyncEventStream[ResponseStreamEvent], openai.AsyncStream[ResponseStreamEvent]
):
    """The async counterpart of `ResponseEventStream`."""

    async def text_deltas(self) -> AsyncIterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        async for event in self:
            if event.type == "response.output_text.delta":
                yield event.delta


class AsyncChatCompletionStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    AsyncEventStream[ChatCompletionChunk], openai.AsyncStream[ChatCompletionChunk]
):
    """The async counterpart of `ChatCompletionStream`."""

    async def text_deltas(self) -> AsyncIterator[str]:
        """Iterate over the content of the completion, chunk by chunk, as it arrives."""
        async for chunk in self:
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


class AsyncDataStream(  # pyright: ignore[reportIncompatibleVariableOverride]  # a restart replaces `response`
    AsyncEventStream[list[dict[str, Any]]], openai.AsyncStream[list[dict[str, Any]]]
):
    """A stream of JSON data: a list of events, or of chunks of a chat completion, for each chunk of the body.

    Pass it as `stream_cls` to `client.post`. Building the official objects takes ten times as long as reading the data,
    and a program that writes the data again does not need them.
    """

    _yields_data = True


def with_reader(stream_class: Any, reader_class: type) -> type:
    """Return the stream class of a request: `reader_class`, or its combination with a subclass that a tracer passes.

    A tracer that replaces `client.request` records the events in a subclass of openai's `Stream`. `AsyncDataStream` is
    returned unchanged.
    """
    requested = get_origin(stream_class) or stream_class
    if isinstance(requested, type) and issubclass(requested, AsyncDataStream):
        return requested
    if not isinstance(requested, type) or issubclass(reader_class, requested):
        return reader_class
    return type(requested.__name__, (requested, reader_class), {})


def _in_lists(events: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the events in one list. An error between the events is raised after the list of the earlier ones."""
    received: list[Any] = []
    error: openai.APIError | None = None
    try:
        received.extend(events)
    except openai.APIError as failure:
        error = failure
    if received:
        yield received
    if error is not None:
        raise error


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
        reader = state.begin()
        try:
            reader.require_own_process()
            with closing(read_chunks(reader, state.response, state.context.deadline)) as chunks:
                for chunk in chunks:
                    yield from state.delivered(reader.events(chunk))
                    if state.is_complete:
                        return
                    reader.require_own_process()
            yield from state.delivered(reader.last_events())
        except GeneratorExit:  # at the exit of the interpreter the names below may be gone
            raise
        except openai.APIError as error:
            if state.retry is None or state.is_closed:
                raise
            state.response = state.retry(error, can_restart=state.can_restart(reader)).response
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
        reader = state.begin()
        try:
            reader.require_own_process()
            async with aclosing(async_read_chunks(reader, state.response, state.context.deadline)) as chunks:
                chunk = await _start_unregistered(chunks)
                while chunk is not None:
                    for event in state.delivered(reader.events(chunk)):
                        yield event
                    if state.is_complete:
                        return
                    reader.require_own_process()
                    chunk = await anext(chunks, None)
            for event in state.delivered(reader.last_events()):
                yield event
        except openai.APIError as error:
            if state.retry is None or state.is_closed:
                raise
            state.response = (await state.retry(error, can_restart=state.can_restart(reader))).response
            state.restarts += 1
            if state.is_closed:  # by another task during the retry
                await state.response.aclose()
                raise
        else:
            return
