"""Event data → the official typed object for its `type`.

The official client validates every event against a union of all event classes. Here the type is read first and only
its class is asked. What does not validate is still delivered: a known type as its own class with the fields as they
came, as the official client does, and an unknown one as `UnknownEvent` or `UnknownItem`.
"""

from __future__ import annotations

import os
import threading
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from openai import BaseModel
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent, Tool
from pydantic import BaseModel as PydanticModel
from pydantic import TypeAdapter, ValidationError, create_model

from .._items import UnknownItem, subscriptable
from .accumulator import TERMINAL
from .sse_batch import read_run

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from .sse_batch import Reader

__all__ = [
    "UnknownEvent",
    "build_event",
    "build_item",
    "build_response",
    "build_usual_validators",
    "read_events",
]


class UnknownEvent(BaseModel):
    """An event of a type that the installed `openai` does not know; its members are attributes."""

    type: str = ""
    sequence_number: int | None = None  # declared, because programs read it of every event


def read_events(frames: bytes) -> list[Any] | None:
    """Return the events of frames that are all of one type and valid; None when they have to be read one by one."""
    return read_run(frames, _run_readers)


def build_event(payload: Any) -> BaseModel:
    """Return the event for decoded data, whatever it is."""
    if not isinstance(payload, dict):
        return UnknownEvent.model_construct(type="", data=payload)
    kind = payload.get("type")
    model = _event_classes().get(kind) if isinstance(kind, str) else None
    if model is None:
        return _as_model(_construct(UnknownEvent.model_construct, payload))
    for member, build in _NESTED.items():
        if member in payload and member in model.model_fields:
            return _with_nested(model, payload, member, build(payload[member]))
    validator = _event_validator(str(kind))
    try:
        if validator is not None:
            return _as_model(validator.validate_python(payload))
    except ValidationError:
        pass
    return _as_model(_construct(model.model_construct, payload))


def build_item(value: Any) -> Any:
    """Return the official output item for decoded data; what is no mapping is returned as it is."""
    if not isinstance(value, dict):
        return value
    try:
        return subscriptable(_item_validator().validate_python(value))
    except ValidationError:
        model = _item_classes().get(str(value.get("type")), UnknownItem)
        return subscriptable(_as_model(_construct(model.model_construct, value)))


def build_response(value: Any) -> Any:
    """Return the official response for decoded data; what is no mapping is returned as it is."""
    if not isinstance(value, dict):
        return value
    try:
        response = _response_validator().validate_python(value)
    except ValidationError:
        # The backend leaves members out, and an item or an echoed tool may be of a newer type. Type what can be typed.
        rest = {key: member for key, member in value.items() if key not in _LISTS}
        response = _construct(Response.model_construct, rest)
        for member, build in _LISTS.items():
            if member in value:
                given = value[member]
                response.__dict__[member] = [build(each) for each in given] if isinstance(given, list) else given
                response.model_fields_set.add(member)
    else:
        for item in response.output or ():
            subscriptable(item)
    return subscriptable(response)


def _build_tool(value: Any) -> Any:
    try:
        return _tool_validator().validate_python(value)
    except ValidationError:
        return value


_LISTS: Final = {"output": build_item, "tools": _build_tool}
_NESTED: Final = {"response": build_response, "item": build_item}


def _with_nested(model: type[BaseModel], payload: dict[str, Any], member: str, nested: Any) -> BaseModel:
    """Assemble an event around an object that is built already.

    pydantic's own `model_construct`: openai's replacement would validate the nested object once more. As openai's
    does, a declared member that is missing is None.
    """
    official: Any = PydanticModel.model_construct.__func__  # type: ignore[attr-defined]
    event = _as_model(_construct(partial(official, model), {**payload, member: nested}))
    event.__dict__.update({name: None for name in model.model_fields if name not in event.__dict__})
    return event


def _as_model(value: object) -> BaseModel:
    assert isinstance(value, BaseModel)
    return value


def _construct(build: Any, values: dict[str, Any]) -> Any:
    """Call a `model_construct`; members whose names it would take for its own arguments are added afterwards."""
    reserved = {name: values[name] for name in _RESERVED if name in values}
    built = build(**{name: value for name, value in values.items() if name not in reserved})
    built.__pydantic_extra__.update(reserved)
    return built


_RESERVED: Final = ("_fields_set", "cls", "_BaseModel__cls")


@cache
def _event_classes() -> dict[str, type[BaseModel]]:
    return _by_type(ResponseStreamEvent)


@cache
def _item_classes() -> dict[str, type[BaseModel]]:
    return _by_type(ResponseOutputItem)


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    """Map each literal `type` of a union's members to the member; no schema is built for that."""
    members = get_args(get_args(union)[0])
    return {name: member for member in members for name in get_args(member.model_fields["type"].annotation)}


# Validators are built on first use: building all of them takes 0.4 s, and a stream sees a handful.


@cache
def _event_validator(kind: str) -> SchemaValidator | None:
    model = _event_classes().get(kind)
    if model is None or not _NESTED.keys().isdisjoint(model.model_fields):
        return None
    return _validator(model)


@lru_cache(maxsize=256)  # more than there are types; a bound, because a server may make them up
def _run_readers(kind: str) -> tuple[Reader, ...]:
    if kind in TERMINAL or kind not in _event_classes() or _event_validator(kind) is None:
        return ()  # the end of an answer is looked at closely
    return _validator(list[_event_classes()[kind]]).validate_json, partial(_read_lean, kind)  # type: ignore[misc]


def _read_lean(kind: str, events: bytes) -> list[Any]:
    """Read events that lack members: as the official client builds them, a declared member that is missing is None.

    Strictly, because the official client converts nothing in an event that does not validate.
    """
    found: list[Any] = _lean_validator(kind).validate_json(events, strict=True)
    for event in found:
        object.__setattr__(event, "__class__", _event_classes()[kind])
    return found


@cache
def _lean_validator(kind: str) -> SchemaValidator:
    model = _event_classes()[kind]
    members = {name: field for name, field in model.model_fields.items() if field.is_required() and name != "type"}
    optional: Any = {name: (field.annotation, None) for name, field in members.items()}
    with _building:
        return _validator(list[create_model(model.__name__, __base__=model, **optional)])  # type: ignore[misc]


@cache
def _item_validator() -> SchemaValidator:
    return _validator(ResponseOutputItem)


@cache
def _tool_validator() -> SchemaValidator:
    return _validator(Tool)


@cache
def _response_validator() -> SchemaValidator:
    return _validator(Response)


def build_usual_validators() -> None:
    """Build what nearly every answer needs: 60 ms, better spent while the backend thinks than when it has answered."""
    _response_validator()
    _item_validator()
    for kind in _USUAL:
        _run_readers(kind)


_USUAL: Final = (
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.reasoning_summary_text.delta",
    "response.function_call_arguments.delta",
)
_building: Final = threading.RLock()  # pydantic may not build a model in two threads at once
if hasattr(os, "register_at_fork"):
    # A child has no other thread to release it, nor the lock that pydantic builds under: a fork waits for the builder.
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)


def _validator(annotation: Any) -> SchemaValidator:
    with _building:
        return _build_validator(annotation)


def _build_validator(annotation: Any) -> SchemaValidator:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        annotation.model_rebuild()  # openai's models are declared without their schema
        validator: Any = annotation.__pydantic_validator__
    else:
        validator = TypeAdapter(annotation).validator
    return cast("SchemaValidator", validator)
