"""Official helper behind `client.responses.stream(...)`, with an event handler that accepts any order of events.

The official helper maintains a snapshot of the response and builds each event from the snapshot. Its state machine
raises for an event before `response.created`, for the events that only Codex has, and for contradictory events, and it
has no final response for an incomplete response. `StreamState` replaces it: it delivers such an event unchanged and
reads the final response from the terminal event.

It also builds the two types of deltas, which are nearly all events of a stream. The generic construction of the
official state machine takes ten times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from openai import BaseModel
from openai.types.responses import (
    ResponseContentPartAddedEvent,
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from .._items import make_response_subscriptable
from .._request.output_parsing import parse_output
from .._streaming.events import UnknownEvent
from .._upstream import (
    AsyncResponseStream,
    AsyncResponseStreamManager,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseStream,
    ResponseStreamManager,
    ResponseStreamState,
    ResponseTextDeltaEvent,
    parse_response,
)

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["AsyncStreamManager", "StreamManager", "StreamState"]

_FormatT = TypeVar("_FormatT")


class StreamManager(ResponseStreamManager[_FormatT]):
    """Official context manager for a `ResponseStream` that uses `StreamState`."""

    def __init__(self, official: ResponseStreamManager[_FormatT]) -> None:
        self._official = official

    def __enter__(self) -> ResponseStream[_FormatT]:
        stream = self._official.__enter__()
        stream._state = StreamState.replacing(stream._state)
        return stream

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._official.__exit__(exc_type, exc, exc_tb)


class AsyncStreamManager(AsyncResponseStreamManager[_FormatT]):
    """Official context manager for an `AsyncResponseStream` that uses `StreamState`."""

    def __init__(self, official: AsyncResponseStreamManager[_FormatT]) -> None:
        self._official = official

    async def __aenter__(self) -> AsyncResponseStream[_FormatT]:
        stream = await self._official.__aenter__()
        stream._state = StreamState.replacing(stream._state)
        return stream

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self._official.__aexit__(exc_type, exc, exc_tb)


class StreamState(ResponseStreamState[_FormatT], Generic[_FormatT]):
    """Official state machine that accepts any order of events."""

    @classmethod
    def replacing(cls, official: ResponseStreamState[_FormatT]) -> StreamState[_FormatT]:
        """Return a new state with the arguments of an official one."""
        return cls(input_tools=official._input_tools, text_format=official._text_format)

    def handle_event(self, event: Any) -> Any:
        """Return the helper's events for one event of the stream."""
        if isinstance(event, UnknownEvent):
            return [event]
        if event.type == "response.created" and self._output_items:  # the stream was restarted
            StreamState.__init__(self, input_tools=self._input_tools, text_format=self._text_format)
        try:
            build_delta = _DELTA_BUILDERS.get(event.type)
            if build_delta is not None:
                delta = build_delta(self._output_items.get(event.output_index), event)
                if delta is not None:
                    return [delta]
            if event.type == "response.output_text.delta":
                self._add_missing_part(event)
            events = super().handle_event(event)
        except _STATE_ERRORS:
            events = [event]
        if event.type in _TERMINAL_EVENTS and self._completed_response is None:
            self._completed_response = parse_output(event.response, self._parse)
        if self._completed_response is not None:
            make_response_subscriptable(self._completed_response)
        return events

    def _parse(self, response: Any) -> Any:
        return parse_response(text_format=self._text_format, response=response, input_tools=self._input_tools)

    def _add_missing_part(self, delta: Any) -> None:
        """Add the content part of a delta if its `added` event is missing, because the official state requires it."""
        item = self._output_items.get(delta.output_index)
        if isinstance(item, ResponseOutputMessage) and len(item.content) <= delta.content_index:
            part = ResponseOutputText(type="output_text", text="", annotations=[])
            super().handle_event(
                ResponseContentPartAddedEvent.model_construct(
                    type="response.content_part.added",
                    item_id=delta.item_id,
                    output_index=delta.output_index,
                    content_index=delta.content_index,
                    part=part,
                    sequence_number=delta.sequence_number or 0,
                )
            )


# The exceptions of the official state machine for an event that contradicts the earlier events. Some of them are not
# deliberate (an index that is out of range, an attribute of None), so a narrower list is not possible. A ValueError
# means that a text does not match the format; `parse_output` raises the error, with the whole response.
_STATE_ERRORS: Final = (RuntimeError, TypeError, LookupError, AttributeError, AssertionError, ValueError)
_TERMINAL_EVENTS: Final = ("response.completed", "response.incomplete")


def _text_delta(item: Any, event: Any) -> BaseModel | None:
    """Apply a text delta to the snapshot and return its event, or None if the official state must handle the delta."""
    if not isinstance(item, ResponseOutputMessage) or len(item.content) <= event.content_index:
        return None
    part = item.content[event.content_index]
    if not isinstance(part, ResponseOutputText) or type(event.delta) is not str:
        return None
    part.text += event.delta
    return _construct(
        ResponseTextDeltaEvent,
        content_index=event.content_index,
        delta=event.delta,
        item_id=event.item_id,
        logprobs=event.logprobs,
        output_index=event.output_index,
        sequence_number=event.sequence_number,
        type=event.type,
        snapshot=part.text,
    )


def _arguments_delta(item: Any, event: Any) -> BaseModel | None:
    """Apply a delta of function call arguments, as `_text_delta` does."""
    if not isinstance(item, ResponseFunctionToolCall) or type(event.delta) is not str:
        return None
    item.arguments += event.delta
    return _construct(
        ResponseFunctionCallArgumentsDeltaEvent,
        delta=event.delta,
        item_id=event.item_id,
        output_index=event.output_index,
        sequence_number=event.sequence_number,
        type=event.type,
        snapshot=item.arguments,
    )


_DELTA_BUILDERS: Final = {
    "response.output_text.delta": _text_delta,
    "response.function_call_arguments.delta": _arguments_delta,
}


def _construct(model: type[BaseModel], **values: Any) -> BaseModel:
    """Construct a model from valid values. openai's `model_construct` has the same result and takes 300 µs."""
    constructed = model.__new__(model)
    object.__setattr__(constructed, "__dict__", values)
    object.__setattr__(constructed, "__pydantic_fields_set__", set(values))
    object.__setattr__(constructed, "__pydantic_extra__", {})
    object.__setattr__(constructed, "__pydantic_private__", None)
    return constructed
