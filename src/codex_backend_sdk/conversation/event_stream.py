"""The streams of a conversation: the official events of one call, then its response.

A stream sends its request when it is entered or first iterated. The history changes while it is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._exceptions import ConversationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
    from typing import Self

    from openai.types.responses import Response, ResponseStreamEvent

__all__ = ["AsyncConversationStream", "ConversationStream"]

_NO_RESPONSE = "The stream has no response yet. Read it to its end: `for event in stream: ...`, or call `until_done()`."


class _BaseStream:
    def __init__(self) -> None:
        # The generator has this list instead of the stream, so that a stream that nobody reads any more is not part of
        # a cycle, and is closed at once.
        self._responses: list[Response] = []

    @property
    def response(self) -> Response:
        """The response, after the last event. Raises ConversationError before."""
        if not self._responses:
            raise ConversationError(_NO_RESPONSE)
        return self._responses[-1]


class ConversationStream(_BaseStream):
    """The stream that `conversation.stream()` returns: a context manager and an iterator of official events."""

    def __init__(self, start: Callable[[], Generator[Any, None, Response | None]]) -> None:
        super().__init__()
        self._events = _read(start, self._responses)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[ResponseStreamEvent]:
        return self._events

    def __next__(self) -> ResponseStreamEvent:
        event: ResponseStreamEvent = next(self._events)
        return event

    def text_deltas(self) -> Iterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        for event in self._events:
            if event.type == "response.output_text.delta":
                yield event.delta

    def until_done(self) -> Response:
        """Read the stream to its end and return the response."""
        for _ in self._events:
            pass
        return self.response

    def close(self) -> None:
        """Stop reading and close the connection. `keep_partial` decides whether the received part stays."""
        self._events.close()


def _read(start: Callable[[], Generator[Any, None, Response | None]], responses: list[Response]) -> Generator[Any]:
    response = yield from start()
    if response is not None:
        responses.append(response)


class AsyncConversationStream(_BaseStream):
    """The stream that `conversation.stream()` returns: an async context manager and iterator of official events."""

    def __init__(self, start: Callable[[list[Response]], AsyncGenerator[Any]]) -> None:
        super().__init__()
        self._events = start(self._responses)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[ResponseStreamEvent]:
        return self._events

    async def __anext__(self) -> ResponseStreamEvent:
        event: ResponseStreamEvent = await anext(self._events)
        return event

    async def text_deltas(self) -> AsyncIterator[str]:
        """Iterate over the text of the response, chunk by chunk, as it arrives."""
        async for event in self._events:
            if event.type == "response.output_text.delta":
                yield event.delta

    async def until_done(self) -> Response:
        """Read the stream to its end and return the response."""
        async for _ in self._events:
            pass
        return self.response

    async def close(self) -> None:
        """Stop reading and close the connection. `keep_partial` decides whether the received part stays."""
        await self._events.aclose()
