"""The streams of a conversation: the official events of one call, then its response.

A stream sends its request when it is entered or first iterated. The history changes while it is read.

A caller may leave a stream without closing it. The stream, its generator and its iterators form no reference cycle, so
it is closed when the caller drops it. If something still refers to it, for example the traceback of an exception, the
next call of the conversation closes it as soon as all its iterators are gone, or after `interrupt()`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import anyio

from .._exceptions import ConversationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
    from typing import Self

    from openai.types.responses import Response, ResponseStreamEvent

__all__ = ["AsyncConversationStream", "ConversationStream", "Outcome"]

_UNREAD = "The stream has no response yet. Read it to its end: `for event in stream: ...`, or call `until_done()`."
_LEFT = "The stream was left before its response began, so it has none. Send the input again."


class Outcome:
    """What becomes of the call of a stream. The call and the stream share it, and neither refers to the other."""

    def __init__(self) -> None:
        self.response: Any = None
        self.exchange: Any = None  # of a stream that was left: it has what was received
        self.is_left = False  # the caller closed the stream before its end
        self.is_dropped = False  # nothing refers to the stream any more
        self.end: anyio.Event | None = None  # of an async call: set when it has released the conversation


class _BaseStream:
    """The response of a stream, and who reads it."""

    def __init__(self, streams: WeakSet[Any]) -> None:
        self._outcome = Outcome()
        self._streams = streams  # those of the conversation
        self._readers: WeakSet[Any] = WeakSet()
        self._had_reader = False
        self._is_held = False  # by a `with` block, or by `next()` calls on the stream itself

    @property
    def response(self) -> Response:
        """The response, after the last event. If you left the stream early, the part that was received.

        Raises ConversationError before the end, and if nothing was received.
        """
        outcome = self._outcome
        response: Response | None = outcome.response
        if response is None and outcome.exchange is not None:
            response = outcome.response = outcome.exchange.interrupted_response()
        if response is None:
            raise ConversationError(_LEFT if outcome.is_left else _UNREAD)
        return response

    @property
    def _is_abandoned(self) -> bool:
        """Whether the stream was iterated, and all its iterators are gone."""
        return self._had_reader and not self._readers and not self._is_held

    def _add_reader(self, reader: Any) -> None:
        self._had_reader = True
        self._readers.add(reader)


class ConversationStream(_BaseStream):
    """The stream that `conversation.stream()` returns: a context manager and an iterator of official events."""

    def __init__(self, start: Callable[[Outcome], Generator[Any]], streams: WeakSet[Any]) -> None:
        super().__init__(streams)
        self._events: Any = start(self._outcome)  # a generator
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._is_held = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        return _Reader(self)

    def __next__(self) -> ResponseStreamEvent:
        self._is_held = True
        return self._next()

    def _next(self) -> ResponseStreamEvent:
        if self._thread is None:
            self._streams.add(self)
        self._thread = threading.current_thread()
        event: ResponseStreamEvent = next(self._events)
        return event

    def text_deltas(self) -> Iterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        return _TextReader(self)

    def until_done(self) -> Response:
        """Read the stream to its end and return the response."""
        for _ in iter(self):
            pass
        return self.response

    def close(self) -> None:
        """Stop reading and close the connection. `keep_partial` decides whether the received part stays."""
        self._events.close()

    def _may_be_closed(self, *, is_interrupted: bool) -> bool:
        """Return whether the next call may close the stream: it is abandoned, or interrupted and not being read."""
        if self._events.gi_frame is None or self._events.gi_running:
            return False
        thread = self._thread
        is_paused = thread is None or thread is threading.current_thread() or not thread.is_alive()
        return self._is_abandoned or (is_interrupted and is_paused)

    def __del__(self) -> None:
        # The garbage collector would end the generators of a reference cycle in any order.
        if self._thread is not None and not self._events.gi_running:
            self.close()


class _Reader:
    def __init__(self, stream: ConversationStream) -> None:
        self._stream = stream
        stream._add_reader(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._stream._next()


class _TextReader(_Reader):
    def __next__(self) -> str:
        while True:
            event: Any = self._stream._next()
            if event.type == "response.output_text.delta":
                text: str = event.delta
                return text


class AsyncConversationStream(_BaseStream):
    """The stream that `conversation.stream()` returns: an async context manager and iterator of official events."""

    def __init__(self, start: Callable[[Outcome], AsyncGenerator[Any]], streams: WeakSet[Any]) -> None:
        super().__init__(streams)
        self._events: Any = start(self._outcome)  # a generator
        self._is_started = self._is_closing = False

    async def __aenter__(self) -> Self:
        self._is_held = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return _AsyncReader(self)

    async def __anext__(self) -> ResponseStreamEvent:
        self._is_held = True
        return await self._next()

    async def _next(self) -> ResponseStreamEvent:
        if not self._is_started:
            self._is_started = True
            self._streams.add(self)
        if self._is_closing and self._outcome.end is not None:
            await self._outcome.end.wait()  # another task is closing it
            raise StopAsyncIteration
        event: ResponseStreamEvent = await anext(self._events)
        return event

    def text_deltas(self) -> AsyncIterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        return _AsyncTextReader(self)

    async def until_done(self) -> Response:
        """Read the stream to its end and return the response."""
        async for _ in aiter(self):
            pass
        return self.response

    async def close(self) -> None:
        """Stop reading and close the connection. `keep_partial` decides whether the received part stays."""
        self._is_closing = True
        await self._events.aclose()

    def _may_be_closed(self, *, is_interrupted: bool) -> bool:
        """Return whether the next call may close the stream: it is abandoned, or interrupted and not being read."""
        if self._events.ag_frame is None or self._events.ag_running:
            return False
        return self._is_abandoned or is_interrupted

    def __del__(self) -> None:
        self._outcome.is_dropped = True  # the event loop closes the generator


class _AsyncReader:
    def __init__(self, stream: AsyncConversationStream) -> None:
        self._stream = stream
        stream._add_reader(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._stream._next()


class _AsyncTextReader(_AsyncReader):
    async def __anext__(self) -> str:
        while True:
            event: Any = await self._stream._next()
            if event.type == "response.output_text.delta":
                text: str = event.delta
                return text
