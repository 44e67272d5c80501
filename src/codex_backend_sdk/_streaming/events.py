"""Build the official typed objects from the data of events.

The official client validates every event against a union of all event classes. This module reads the type first and
validates against its class alone, which takes a thirtieth of the time. Data that does not validate is still delivered:
a known type as its own class with the members as they came, as the official client does it, and an unknown type as
`UnknownEvent` or `UnknownItem`.

Validators are built on first use: building all of them takes 0.4 s, and a stream needs a handful.
"""

from __future__ import annotations

from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, cast, get_args

from openai import BaseModel
from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent, Tool
from pydantic import BaseModel as PydanticModel
from pydantic import TypeAdapter, ValidationError, create_model

from .._items import UnknownItem, make_subscriptable
from .._threads import create_lock
from .accumulator import TERMINAL_EVENTS
from .sse import read_batch

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from .sse import BatchParser

__all__ = ["UnknownEvent", "build_event", "build_item", "build_response", "read_events"]


class UnknownEvent(BaseModel):
    """An event of a type that the installed `openai` does not know; its members are attributes."""

    type: str = ""
    sequence_number: int | None = None  # declared, because programs read it of every event


def read_events(text: bytes) -> list[Any] | None:
    """Return the events of frames that are valid and all of one type; None when they have to be read one by one."""
    return read_batch(text, _event_parsers)


def build_event(payload: Any) -> BaseModel:
    """Return the official event for decoded data. Any JSON value is accepted."""
    if not isinstance(payload, dict):
        return UnknownEvent.model_construct(type="", data=payload)
    kind = payload.get("type")
    model = _event_classes().get(kind) if isinstance(kind, str) else None
    if model is None:
        return _as_model(_construct(UnknownEvent.model_construct, payload))
    for member, build in _NESTED.items():
        if member in payload and member in model.model_fields:
            return _build_around(model, payload, member, build(payload[member]))
    validator = _event_validator(str(kind))
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
        # The backend leaves members out, and an item or an echoed tool may have a newer type. Each member of the
        # lists is typed by itself, so that one unknown item does not cost the types of the others.
        rest = {key: member for key, member in value.items() if key not in _LISTS}
        response = _construct(Response.model_construct, rest)
        for name, build in _LISTS.items():
            if name in value:
                members = value[name]
                response.__dict__[name] = list(map(build, members)) if isinstance(members, list) else members
                response.model_fields_set.add(name)
    else:
        for item in response.output or ():
            make_subscriptable(item)
    return make_subscriptable(response)


def _build_tool(value: Any) -> Any:
    try:
        return _validator_for(Tool).validate_python(value)
    except ValidationError:
        return value


_LISTS: Final = {"output": build_item, "tools": _build_tool}
_NESTED: Final = {"response": build_response, "item": build_item}


def _build_around(model: type[BaseModel], payload: dict[str, Any], member: str, nested: Any) -> BaseModel:
    """Build an event around an object that is already built.

    This uses pydantic's own `model_construct`, because openai's would validate the nested object once more. As with
    openai's, a declared member that is missing is None.
    """
    construct: Any = PydanticModel.model_construct.__func__  # type: ignore[attr-defined]
    event = _as_model(_construct(partial(construct, model), {**payload, member: nested}))
    vars(event).update({name: None for name in model.model_fields if name not in vars(event)})
    return event


# The names of the arguments of `model_construct`, which a server could send as members of an event.
_RESERVED: Final = ("_fields_set", "cls", "_BaseModel__cls")


def _construct(construct: Any, values: dict[str, Any]) -> Any:
    """Call a `model_construct` with any members."""
    reserved = {name: values[name] for name in _RESERVED if name in values}
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
    """Map each literal `type` to its class in a union; this builds no schema."""
    members = get_args(get_args(union)[0])
    return {name: member for member in members for name in get_args(member.model_fields["type"].annotation)}


@lru_cache(maxsize=256)  # bounded, because a server may invent types; openai has fewer
def _event_parsers(kind: str) -> tuple[BatchParser, ...]:
    # Terminal events need the accumulator, and events around an item or a response need `build_item`: one by one.
    if kind in TERMINAL_EVENTS or _event_validator(kind) is None:
        return ()
    return _validator_for(list[_event_classes()[kind]]).validate_json, partial(_parse_lean, kind)  # type: ignore[misc]


@lru_cache(maxsize=256)
def _event_validator(kind: str) -> SchemaValidator | None:
    model = _event_classes().get(kind)
    return None if model is None or _NESTED.keys() & model.model_fields else _validator_for(model)


def _parse_lean(kind: str, array: bytes) -> list[Any]:
    """Read events that lack required members, such as the `logprobs` that the backend leaves out of text deltas.

    As the official client builds them, a missing member is None. The validation is strict, because the official
    client converts nothing in an event that does not validate.
    """
    events: list[Any] = _lean_validator(kind).validate_json(array, strict=True)
    for event in events:
        object.__setattr__(event, "__class__", _event_classes()[kind])
    return events


@cache
def _lean_validator(kind: str) -> SchemaValidator:
    model = _event_classes()[kind]
    optional: Any = {
        name: (field.annotation, None)
        for name, field in model.model_fields.items()
        if field.is_required() and name != "type"
    }
    with _building:
        lean = create_model(model.__name__, __base__=model, **optional)
    return _validator_for(list[lean])  # type: ignore[valid-type]


# pydantic must not build one model in two threads at once. The lock is free again in a child of a fork.
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
