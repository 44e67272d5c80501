"""Build the official typed objects from the data of events.

The official client validates every event against a union of all event classes. This module reads the type first and
validates against that class only, which takes a thirtieth of the time. Invalid data is still delivered: a known type as
its class with unconverted members, as in the official client, and an unknown type as `UnknownEvent` or `UnknownItem`.

Validators are built on first use, because building all of them takes 0.4 s and a stream needs only a few.
"""

from __future__ import annotations

from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from openai import BaseModel
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent, Tool
from pydantic import BaseModel as PydanticModel
from pydantic import TypeAdapter, ValidationError, create_model

from .._items import UnknownItem, make_subscriptable
from .._threads import create_lock
from .accumulator import WHOLE_EVENTS
from .sse import read_batch

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from .sse import BatchParser

__all__ = [
    "UnknownEvent",
    "build_chunks",
    "build_event",
    "build_item",
    "build_response",
    "is_codex_event",
    "read_events",
]

# Events that the public API does not have. Programs written for it fail if one precedes `response.created`.
_CODEX_EVENTS: Final = frozenset({"keepalive", "response.heartbeat", "response.metadata"})
_CODEX_PREFIXES: Final = ("codex.", "responsesapi.")


class UnknownEvent(BaseModel):
    """An event of a type that the installed `openai` does not define. Its members are attributes."""

    type: str = ""
    sequence_number: int | None = None  # declared, because programs read it from every event


def read_events(frames: bytes) -> list[Any] | None:
    """Return the events of valid frames of one type, or None if the frames must be read one by one."""
    return read_batch(frames, _event_parsers)


def is_codex_event(payload: Any) -> bool:
    """Return whether decoded data is an event that only the Codex backend has, such as `codex.rate_limits`."""
    event_type = payload.get("type") if isinstance(payload, dict) else None
    return isinstance(event_type, str) and (event_type in _CODEX_EVENTS or event_type.startswith(_CODEX_PREFIXES))


def build_event(payload: Any) -> BaseModel:
    """Return the official event for decoded data. Any JSON value is accepted."""
    if not isinstance(payload, dict):
        return UnknownEvent.model_construct(type="", data=payload)
    event_type = payload.get("type")
    model = _event_classes().get(event_type) if isinstance(event_type, str) else None
    if model is None:
        return _as_model(_construct(UnknownEvent.model_construct, payload))
    for member, build in _MEMBER_BUILDERS.items():
        if member in payload and member in model.model_fields:
            return _build_around(model, payload, member, build(payload[member]))
    validator = _event_validator(str(event_type))
    try:
        if validator is not None:
            return _as_model(validator.validate_python(payload))
    except ValidationError:
        pass
    return _as_model(_construct(model.model_construct, payload))


def build_item(value: Any) -> Any:
    """Return the official output item for decoded data. A value that is not a mapping is returned unchanged."""
    if not isinstance(value, dict):
        return value
    try:
        return make_subscriptable(_validator_for(ResponseOutputItem).validate_python(value))
    except ValidationError:
        model = _item_classes().get(str(value.get("type")), UnknownItem)
        return make_subscriptable(_as_model(_construct(model.model_construct, value)))


def build_response(value: Any) -> Any:
    """Return the official response for decoded data. A value that is not a mapping is returned unchanged."""
    if not isinstance(value, dict):
        return value
    try:
        response = _validator_for(Response).validate_python(value)
    except ValidationError:
        # The backend omits members, and an item or a tool may have a newer type. Each element of the lists is validated
        # separately, so that an unknown item does not change the types of the others.
        other_members = {name: member for name, member in value.items() if name not in _ELEMENT_BUILDERS}
        response = _construct(Response.model_construct, other_members)
        for name, build in _ELEMENT_BUILDERS.items():
            if name in value:
                elements = value[name]
                response.__dict__[name] = list(map(build, elements)) if isinstance(elements, list) else elements
                response.model_fields_set.add(name)
    else:
        for item in response.output or ():
            make_subscriptable(item)
    return make_subscriptable(response)


def build_chunks(chunks: list[dict[str, Any]]) -> list[ChatCompletionChunk]:
    """Return the official chunks of a chat completion for their JSON data."""
    try:
        return cast("list[ChatCompletionChunk]", _validator_for(list[ChatCompletionChunk]).validate_python(chunks))
    except ValidationError:  # the official types do not have the calls of custom tools
        return [ChatCompletionChunk.construct(**chunk) for chunk in chunks]


def _build_tool(value: Any) -> Any:
    try:
        return _validator_for(Tool).validate_python(value)
    except ValidationError:
        return value


_ELEMENT_BUILDERS: Final = {"output": build_item, "tools": _build_tool}
_MEMBER_BUILDERS: Final = {"response": build_response, "item": build_item}


def _build_around(model: type[BaseModel], payload: dict[str, Any], member: str, nested: Any) -> BaseModel:
    """Build an event that contains an object which is already built.

    pydantic's `model_construct` is used, because openai's would validate the nested object again. As with openai's
    method, missing declared members are None.
    """
    construct: Any = PydanticModel.model_construct.__func__  # type: ignore[attr-defined]
    event = _as_model(_construct(partial(construct, model), {**payload, member: nested}))
    vars(event).update({name: None for name in model.model_fields if name not in vars(event)})
    return event


# The parameters of `model_construct`. A server could send members with these names.
_RESERVED_NAMES: Final = ("_fields_set", "cls", "_BaseModel__cls")


def _construct(construct: Any, values: dict[str, Any]) -> Any:
    """Call `construct`, a `model_construct` method, with members of any name."""
    reserved = {name: values[name] for name in _RESERVED_NAMES if name in values}
    built = construct(**{name: value for name, value in values.items() if name not in reserved})
    built.__pydantic_extra__.update(reserved)
    return built


def _as_model(value: object) -> BaseModel:
    assert isinstance(value, BaseModel)
    return value


@cache
def _event_classes() -> dict[str, type[BaseModel]]:
    return _members_by_type(ResponseStreamEvent)


@cache
def _item_classes() -> dict[str, type[BaseModel]]:
    return _members_by_type(ResponseOutputItem)


def _members_by_type(union: Any) -> dict[str, type[BaseModel]]:
    """Map each literal `type` to its class in a union, without building a schema."""
    classes = get_args(get_args(union)[0])
    return {name: model for model in classes for name in get_args(model.model_fields["type"].annotation)}


@lru_cache(maxsize=256)  # bounded, because the server determines the types; openai has fewer
def _event_parsers(event_type: str) -> tuple[BatchParser, ...]:
    # The accumulator needs some events one by one, and events that contain an item or a response need `build_event`.
    if event_type in WHOLE_EVENTS or _event_validator(event_type) is None:
        return ()
    return _validator_for(list[_event_classes()[event_type]]).validate_json, partial(_parse_lean, event_type)  # type: ignore[misc]


@lru_cache(maxsize=256)
def _event_validator(event_type: str) -> SchemaValidator | None:
    model = _event_classes().get(event_type)
    return None if model is None or _MEMBER_BUILDERS.keys() & model.model_fields else _validator_for(model)


def _parse_lean(event_type: str, array: bytes) -> list[Any]:
    """Parse events that lack required members, such as text deltas, which the backend sends without `logprobs`.

    As in the official client, a missing member is None. The validation is strict, because the official client does not
    convert members of an invalid event.
    """
    events: list[Any] = _lean_validator(event_type).validate_json(array, strict=True)
    for event in events:
        object.__setattr__(event, "__class__", _event_classes()[event_type])
    return events


@cache
def _lean_validator(event_type: str) -> SchemaValidator:
    model = _event_classes()[event_type]
    optional: Any = {
        name: (field.annotation, None)
        for name, field in model.model_fields.items()
        if field.is_required() and name != "type"
    }
    with _building:
        lean = create_model(model.__name__, __base__=model, **optional)
    return _validator_for(list[lean])  # type: ignore[valid-type]


# pydantic must not build a model in two threads at once. After a fork, the lock is released in the child process.
_building: Final = create_lock()


@cache
def _validator_for(annotation: Any) -> SchemaValidator:
    with _building:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            annotation.model_rebuild()  # openai declares its models without building their schema
            validator: Any = annotation.__pydantic_validator__
        else:
            validator = TypeAdapter(annotation).validator
    return cast("SchemaValidator", validator)
