"""Validate the text of a response: against a class for `text_format`, or against a JSON schema.

The backend guarantees a strict schema only for complete responses that are no refusal, and a batch must not take
anything else for a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import TypeAdapter

from .._json import decode

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ResponseFormat"]

_FormatT = TypeVar("_FormatT")
_DEFAULT_NAME = "result"


class ResponseFormat(Generic[_FormatT]):
    """The format of the responses of a batch.

    `text_format` is a class, as for `responses.parse()`, or a JSON schema. `param` is the parameter `text` of a request
    with this format. A schema is checked completely if the package jsonschema is installed; without it, only that the
    text is JSON.
    """

    def __init__(self, text_format: type[_FormatT] | dict[str, Any]) -> None:
        if isinstance(text_format, dict):
            schema = text_format.get("schema", text_format)  # an object with `name` and `schema`, or the schema itself
            strict = text_format.get("strict", True) if "schema" in text_format else True
            name = str(text_format.get("name") or schema.get("title") or _DEFAULT_NAME)
            name = "".join(c if c.isascii() and c.isalnum() else "_" for c in name)[:64]
            self.param: dict[str, Any] = {"type": "json_schema", "name": name, "schema": schema, "strict": strict}
            self._validate = _schema_validator(schema)
        else:
            from .._upstream import type_to_text_format_param  # imports openai

            self.param = dict(type_to_text_format_param(text_format))
            adapter: TypeAdapter[Any] = TypeAdapter(text_format)
            self._validate = adapter.validate_json

    def parse(self, text: str) -> _FormatT:
        """Return the value of a text. Raises ValueError if it does not match."""
        return cast("_FormatT", self._validate(text.encode("utf-8", "surrogatepass")))


def _schema_validator(schema: dict[str, Any]) -> Callable[[bytes], Any]:
    try:
        from jsonschema.exceptions import SchemaError, ValidationError
        from jsonschema.validators import validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError:
        return decode
    validator_class = validator_for(schema)
    try:
        validator_class.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"`text_format` is not a valid JSON schema: {error.json_path}: {error.message:.200}") from None
    validator = validator_class(schema, registry=Registry())  # with a registry of its own, it downloads no schemas

    def validate(text: bytes) -> Any:
        value = decode(text)
        try:
            validator.validate(value)
        except ValidationError as error:
            raise ValueError(f"{error.json_path}: {error.message:.200}") from None
        except Unresolvable as error:
            raise ValueError(f"The schema refers to {error.ref!r:.200}, which it does not contain.") from None
        return value

    return validate
