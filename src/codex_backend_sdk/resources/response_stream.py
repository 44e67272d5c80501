"""`client.responses.stream(...)`: the official helper, for streams that also hold what is not in its books.

The official state machine refuses an event before `response.created`, does not know Codex-only events, and counts an
incomplete response as none.
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

from .._items import make_subscriptable
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

__all__ = ["AsyncStreamManager", "StreamManager"]

_FormatT = TypeVar("_FormatT")


class StreamManager(ResponseStreamManager[_FormatT]):
    """The official context manager; it opens the official `ResponseStream`."""

    def __init__(self, official: ResponseStreamManager[_FormatT]) -> None:
        self._official = official

    def __enter__(self) -> ResponseStream[_FormatT]:
        stream = self._official.__enter__()
        stream._state = _State.instead_of(stream._state)
        return stream

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._official.__exit__(exc_type, exc, exc_tb)


class AsyncStreamManager(AsyncResponseStreamManager[_FormatT]):
    """The official context manager; it opens the official `AsyncResponseStream`."""

    def __init__(self, official: AsyncResponseStreamManager[_FormatT]) -> None:
        self._official = official

    async def __aenter__(self) -> AsyncResponseStream[_FormatT]:
        stream = await self._official.__aenter__()
        stream._state = _State.instead_of(stream._state)
        return stream

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self._official.__aexit__(exc_type, exc, exc_tb)


class _State(ResponseStreamState[_FormatT], Generic[_FormatT]):
    @classmethod
    def instead_of(cls, official: ResponseStreamState[_FormatT]) -> _State[_FormatT]:
        return cls(input_tools=official._input_tools, text_format=official._text_format)

    def handle_event(self, event: Any) -> Any:
        if isinstance(event, UnknownEvent):
            return [event]
        if event.type == "response.created" and self._output_items:  # the answer was asked for anew
            _State.__init__(self, input_tools=self._input_tools, text_format=self._text_format)
        try:
            quickly = _QUICK.get(event.type)
            if quickly is not None:
                built = quickly(self._output_items.get(event.output_index), event)
                if built is not None:
                    return [built]
            if event.type == "response.output_text.delta":
                self._announce_part(event)
            events = super().handle_event(event)
        except _NOT_IN_ITS_BOOKS:
            events = [event]
        if event.type in _ENDS and self._completed_response is None:
            self._completed_response = parse_response(
                text_format=self._text_format, response=event.response, input_tools=self._input_tools
            )
        if self._completed_response is not None:
            for part in (self._completed_response, *(self._completed_response.output or ())):
                if isinstance(part, BaseModel):
                    make_subscriptable(part)
        return events

    def _announce_part(self, delta: Any) -> None:
        """Open the part that a delta belongs to if the backend did not; the official state has no place for it else."""
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


# What the official state machine raises on an event that does not fit what came before it. The event is delivered as
# it is then, and the final response is that of the last event.
_NOT_IN_ITS_BOOKS: Final = (RuntimeError, TypeError, LookupError, AttributeError, AssertionError)
_ENDS: Final = ("response.completed", "response.incomplete")

# Nearly all events of a stream are one of these two. The official state machine builds them through its generic
# construction, ten times slower; these do to the snapshot what it does, and leave everything unusual to it.


def _text_delta(item: Any, event: Any) -> BaseModel | None:
    if not isinstance(item, ResponseOutputMessage) or len(item.content) <= event.content_index:
        return None
    part = item.content[event.content_index]
    if not isinstance(part, ResponseOutputText) or type(event.delta) is not str:
        return None
    part.text += event.delta
    return _built(
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
    if not isinstance(item, ResponseFunctionToolCall) or type(event.delta) is not str:
        return None
    item.arguments += event.delta
    return _built(
        ResponseFunctionCallArgumentsDeltaEvent,
        delta=event.delta,
        item_id=event.item_id,
        output_index=event.output_index,
        sequence_number=event.sequence_number,
        type=event.type,
        snapshot=item.arguments,
    )


_QUICK: Final = {
    "response.output_text.delta": _text_delta,
    "response.function_call_arguments.delta": _arguments_delta,
}


def _built(model: type[BaseModel], **values: Any) -> BaseModel:
    """Construct a model from values that are right already, as `model_construct` leaves it."""
    built = model.__new__(model)
    object.__setattr__(built, "__dict__", values)
    object.__setattr__(built, "__pydantic_fields_set__", set(values))
    object.__setattr__(built, "__pydantic_extra__", {})
    object.__setattr__(built, "__pydantic_private__", None)
    return built
