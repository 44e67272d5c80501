"""Official output items that can also be read by key, as dictionaries.

`item.type` and `item["type"]` both work, and so do `item.get("name")`, `"name" in item` and `{**item}`. Code that was
written for the JSON of an item runs unchanged.

The official classes are not patched. An item is moved to a subclass of its own class, created on first use, which adds
the four methods. It stays an instance of the official class, compares equal to one, and has the same `repr`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from openai import BaseModel

if TYPE_CHECKING:
    from collections.abc import KeysView

__all__ = ["UnknownItem", "make_response_subscriptable", "make_subscriptable"]

_ModelT = TypeVar("_ModelT", bound=BaseModel)


class UnknownItem(BaseModel):
    """An output item of a type that the installed `openai` does not know; its members are attributes."""

    type: str = ""


def make_subscriptable(model: _ModelT) -> _ModelT:
    """Make an official object readable by key, in place, and return it."""
    if not isinstance(model, _Subscriptable):
        object.__setattr__(model, "__class__", _subclass_of(type(model)))
    return model


def make_response_subscriptable(response: Any) -> None:
    """Make a response and its output items readable by key, in place."""
    for part in (response, *(getattr(response, "output", None) or ())):
        if isinstance(part, BaseModel):
            make_subscriptable(part)


class _Subscriptable:
    """Access by key, to the members that the backend sent and to the optional ones that the class declares."""

    def __getitem__(self, key: str) -> Any:
        model = _as_model(self)
        name = _attribute_names(type(model)).get(key)
        if name is not None:
            return _subscriptable_value(getattr(model, name))
        try:
            return _subscriptable_value((model.__pydantic_extra__ or {})[key])
        except KeyError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return key in _sent_keys(_as_model(self))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member of that name, or `default` when the backend did not send it."""
        return self[key] if key in self else default  # noqa: SIM401 - this is the `get` that the rule suggests

    def keys(self) -> KeysView[str]:
        """Return the names of the members that the backend sent."""
        return _sent_keys(_as_model(self))

    def __eq__(self, other: object) -> bool:
        # pydantic compares only objects of one class. Python calls this method first, on whichever side it stands,
        # because its class is a subclass of the other.
        return isinstance(other, BaseModel) and _as_official(self) == _as_official(other)

    __hash__ = None  # type: ignore[assignment]  # as in pydantic: a mutable model has no hash

    def __reduce__(self) -> tuple[Any, ...]:
        return make_subscriptable, (_as_official(self),)  # the subclass cannot be imported by name


@cache
def _subclass_of(official: type[BaseModel]) -> type[BaseModel]:
    names = {
        "__module__": official.__module__,
        "__qualname__": official.__qualname__,
        "__doc__": official.__doc__,
    }
    metaclass: Any = type(official)
    subclass: type[BaseModel] = metaclass(official.__name__, (_Subscriptable, official), names)
    return subclass


@cache
def _attribute_names(model: type[BaseModel]) -> dict[str, str]:
    """Map wire names to attribute names; they differ where the wire name is a Python keyword (`async`, `from`)."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _sent_keys(model: BaseModel) -> KeysView[str]:
    wire_names = {name: key for key, name in _attribute_names(type(model)).items()}
    sent = [wire_names.get(name, name) for name in model.model_fields_set]
    ordered: dict[str, None] = dict.fromkeys([*sent, *(model.__pydantic_extra__ or {})])
    return ordered.keys()


def _as_model(value: object) -> BaseModel:
    assert isinstance(value, BaseModel)
    return value


def _subscriptable_value(value: Any) -> Any:
    """Return the value of a member; models in it become subscriptable when they are read."""
    for member in value if isinstance(value, list) else (value,):
        if isinstance(member, BaseModel):
            make_subscriptable(member)
    return value


def _as_official(value: object) -> BaseModel:
    """Return a shallow copy in the official class."""
    model = _as_model(value)
    if not isinstance(model, _Subscriptable):
        return model
    copy = model.model_copy()
    object.__setattr__(copy, "__class__", type(model).__mro__[2])
    return copy
