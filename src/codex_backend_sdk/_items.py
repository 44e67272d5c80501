"""Make official output items subscriptable, like dictionaries.

`item.type` and `item["type"]` both work, and so do `item.get("name")`, `"name" in item` and `{**item}`. Code for the
JSON form of an item therefore runs unchanged.

The official classes are not patched. The class of an item is set to a subclass of its class, which is created on first
use and adds the mapping methods. The item remains an instance of the official class, compares equal to such an
instance, and has the same `repr`.
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
    """An output item of a type that the installed `openai` does not define. Its members are attributes."""

    type: str = ""


def make_subscriptable(model: _ModelT) -> _ModelT:
    """Make an official object subscriptable, in place, and return it."""
    if not isinstance(model, _Subscriptable):
        object.__setattr__(model, "__class__", _subclass_of(type(model)))
    return model


def make_response_subscriptable(response: Any) -> None:
    """Make a response and its output items subscriptable, in place."""
    for model in (response, *(getattr(response, "output", None) or ())):
        if isinstance(model, BaseModel):
            make_subscriptable(model)


class _Subscriptable:
    """Mixin with access by key to the members that the backend sent and to the fields that the class declares."""

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
        return key in _received_keys(_as_model(self))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the member of that name, or `default` if the backend did not send it."""
        return self[key] if key in self else default  # noqa: SIM401 - this method is the `get` of the suggestion

    def keys(self) -> KeysView[str]:
        """Return the names of the members that the backend sent."""
        return _received_keys(_as_model(self))

    def __eq__(self, other: object) -> bool:
        # pydantic compares only objects of the same class. Python calls this method first, on either side of `==`,
        # because its class is a subclass of the other class.
        return isinstance(other, BaseModel) and _as_official(self) == _as_official(other)

    __hash__ = None  # type: ignore[assignment]  # as in pydantic, because the model is mutable

    def __reduce__(self) -> tuple[Any, ...]:
        return make_subscriptable, (_as_official(self),)  # the subclass cannot be imported by name


@cache
def _subclass_of(model_class: type[BaseModel]) -> type[BaseModel]:
    namespace = {
        "__module__": model_class.__module__,
        "__qualname__": model_class.__qualname__,
        "__doc__": model_class.__doc__,
    }
    metaclass: Any = type(model_class)
    subclass: type[BaseModel] = metaclass(model_class.__name__, (_Subscriptable, model_class), namespace)
    return subclass


@cache
def _attribute_names(model_class: type[BaseModel]) -> dict[str, str]:
    """Map wire names to attribute names. They differ if the wire name is a Python keyword (`async`, `from`)."""
    return {field.alias or name: name for name, field in model_class.model_fields.items()}


def _received_keys(model: BaseModel) -> KeysView[str]:
    wire_names = {name: key for key, name in _attribute_names(type(model)).items()}
    declared = [wire_names.get(name, name) for name in model.model_fields_set]
    ordered: dict[str, None] = dict.fromkeys([*declared, *(model.__pydantic_extra__ or {})])
    return ordered.keys()


def _as_model(value: object) -> BaseModel:
    assert isinstance(value, BaseModel)
    return value


def _subscriptable_value(value: Any) -> Any:
    """Make the models in the value of a member subscriptable, and return the value."""
    for element in value if isinstance(value, list) else (value,):
        if isinstance(element, BaseModel):
            make_subscriptable(element)
    return value


def _as_official(value: object) -> BaseModel:
    """Return a shallow copy with the official class."""
    model = _as_model(value)
    if not isinstance(model, _Subscriptable):
        return model
    copy = model.model_copy()
    object.__setattr__(copy, "__class__", type(model).__mro__[2])
    return copy
