"""Official output items that can also be read like the dictionaries they are on the wire.

`item.type` and `item["type"]` both work, and so do `item.get("name")`, `"name" in item` and `{**item}`. The official
classes are left alone: an item is moved to a subclass of its own class, made on first use, which adds the four
methods and nothing else. It stays an instance of the official class, equal to one, and shows itself as one.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from openai import BaseModel

if TYPE_CHECKING:
    from collections.abc import KeysView

__all__ = ["UnknownItem", "make_subscriptable"]

_ModelT = TypeVar("_ModelT", bound=BaseModel)


class UnknownItem(BaseModel):
    """An output item of a type that the installed `openai` does not know; its members are attributes."""

    type: str = ""


class _Subscriptable:
    """Reading by key: a member that the backend sent, or an optional one that the class declares."""

    def __getitem__(self, key: str) -> Any:
        model = _as_model(self)
        name = _names(type(model)).get(key)
        if name is not None:
            return _readable(getattr(model, name))
        try:
            return _readable((model.__pydantic_extra__ or {})[key])
        except KeyError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return key in _sent(_as_model(self))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member of that name, or `default` when the backend did not send it."""
        return self[key] if key in self else default  # noqa: SIM401 - this is the method it names

    def keys(self) -> KeysView[str]:
        """Return the names of the members that the backend sent."""
        return _sent(_as_model(self))

    def __eq__(self, other: object) -> bool:
        # pydantic compares only objects of one class. Python asks the subclass first, on either side.
        return isinstance(other, BaseModel) and _official(self) == _official(other)

    __hash__ = None  # type: ignore[assignment]  # as pydantic's: a mutable model has no hash

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (_official(self),)


def make_subscriptable(model: _ModelT) -> _ModelT:
    """Make an official object readable by key, in place, and return it."""
    if not isinstance(model, _Subscriptable):
        object.__setattr__(model, "__class__", _subclass(type(model)))
    return model


@cache
def _subclass(official: type[BaseModel]) -> type[BaseModel]:
    names = {
        "__module__": official.__module__,
        "__qualname__": official.__qualname__,
        "__doc__": official.__doc__,
    }
    metaclass: Any = type(official)
    made: type[BaseModel] = metaclass(official.__name__, (_Subscriptable, official), names)
    return made


@cache
def _names(model: type[BaseModel]) -> dict[str, str]:
    """Map wire names to attribute names, which differ where Python reserves the word (`async`, `from`)."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _sent(model: BaseModel) -> KeysView[str]:
    wire = {name: key for key, name in _names(type(model)).items()}
    sent = [wire.get(name, name) for name in model.model_fields_set]
    return dict.fromkeys([*sent, *(model.__pydantic_extra__ or {})]).keys()


def _as_model(value: object) -> BaseModel:
    assert isinstance(value, BaseModel)
    return value


def _readable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return make_subscriptable(value)
    if isinstance(value, list):
        for member in value:
            if isinstance(member, BaseModel):
                make_subscriptable(member)
    return value


def _official(value: object) -> BaseModel:
    """Return a shallow twin of the official class."""
    model = _as_model(value)
    if not isinstance(model, _Subscriptable):
        return model
    twin = model.model_copy()
    object.__setattr__(twin, "__class__", type(model).__mro__[2])
    return twin


def _restore(official: BaseModel) -> BaseModel:
    return make_subscriptable(official)
