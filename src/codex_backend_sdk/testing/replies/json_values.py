"""Generate a JSON value that matches a JSON schema. The same schema always returns the same value.

`_Generator` walks the schema and builds a value: the first alternative of a union, one element for an array, and all
properties of an object. A reference that contains itself is not followed a second time: an optional property is left
out, an array is left empty, or another alternative is chosen. No value needs more, because a value that contains the
same reference within itself can be shortened. Keywords that the walk does not read (`not`, `if`, `contains`, …) may
make the value invalid, so `jsonschema` validates it, and other values are tried.
"""

from __future__ import annotations

import json
import math
import random
import re
from contextlib import suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["UnsupportedSchemaError", "example_value"]

_ATTEMPTS: Final = 8
# A schema of a kilobyte can describe only values that fill the memory.
_MAX_NODES: Final = 10_000
_MAX_CANDIDATES: Final = 60

_WORDS: Final = ("text", "sample", "value", "example", "item", "word", "entry", "detail")
# Strings for `format`, and candidates for `pattern`. None depends on the clock.
_FORMATS: Final = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_PATTERN_CANDIDATES: Final = ("1", "1.5", "a", "A", "abc", "ABC", "abc-1", "ABC-12", "#ffffff", *_FORMATS.values())


class UnsupportedSchemaError(ValueError):
    """The simulator cannot generate a value that matches the schema. Script a `Turn` with a value instead."""


class _NoValueError(Exception):
    """A part of the schema has no value, or none without following a reference again."""


def example_value(schema: Mapping[str, Any]) -> Any:
    """Return a value that matches the schema. Raises `UnsupportedSchemaError` if no value can be generated."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    root = dict(schema)
    problem = f"none of {_ATTEMPTS} generated values matches it"
    try:
        Draft202012Validator.check_schema(root)
        validator = Draft202012Validator(root)
        for attempt in range(_ATTEMPTS):
            value = _Generator(root, validator, attempt).value(root)
            if validator.is_valid(value):
                return value
    except SchemaError as error:
        problem = f"it is not a valid JSON schema: {error.message}"
    except _NoValueError as error:
        problem = str(error)
    except RecursionError:
        problem = "it has too many levels"
    except re.error as error:
        problem = f"it has an invalid pattern: {error}"
    raise UnsupportedSchemaError(problem)


class _Generator:
    """Generate one value. `attempt` selects among possible values; odd attempts leave optional properties out."""

    def __init__(self, root: dict[str, Any], validator: Any, attempt: int) -> None:
        self._root = root
        self._validator = validator
        self._has_optional = attempt % 2 == 0
        self._counter = attempt // 2  # makes the values of an array differ
        self._open_references = ["#"]
        self._node_count = 0

    def value(self, schema: Any) -> Any:
        """Return a value for the schema. Raises `_NoValueError` if there is none."""
        self._node_count += 1
        if self._node_count > _MAX_NODES:
            raise _NoValueError(f"its values have more than {_MAX_NODES:,} parts")
        if schema is False:
            raise _NoValueError("a part of it allows no value")
        if not isinstance(schema, dict):
            return self._string({})
        if "$ref" in schema:
            return self._referenced(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                rest = {name: member for name, member in schema.items() if name != keyword}
                return self._first_value(_merged(rest, alternative) for alternative in schema[keyword])
        if "allOf" in schema:
            merged: Any = {name: member for name, member in schema.items() if name != "allOf"}
            for part in schema["allOf"]:
                merged = _merged(merged, self._resolved(part))
            return self.value(merged)
        makers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
            "boolean": lambda _: True,
            "null": lambda _: None,
        }
        return makers[_type_of(schema)](schema)

    def _first_value(self, alternatives: Iterator[Any]) -> Any:
        problem = _NoValueError("a union has no alternatives")
        for alternative in alternatives:
            try:
                return self.value(alternative)
            except _NoValueError as error:
                problem = error
        raise problem

    def _referenced(self, schema: dict[str, Any]) -> Any:
        reference = schema["$ref"]
        if reference in self._open_references:
            raise _NoValueError(f"{reference} contains itself without an end")
        self._open_references.append(reference)
        try:
            return self.value(self._resolved(schema))
        finally:
            self._open_references.pop()

    def _resolved(self, schema: Any) -> Any:
        """Return the schema with the target of its `$ref` (RFC 6901 in a URI fragment) in place of the reference."""
        if not isinstance(schema, dict) or "$ref" not in schema:
            return schema
        target: Any = self._root
        pointer = unquote(str(schema["$ref"]))
        for part in pointer.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list):
                target = target[int(key)] if key.isdigit() and int(key) < len(target) else None
            else:
                target = target.get(key) if isinstance(target, dict) else None
        if target is None or pointer.partition("/")[0] != "#":
            raise _NoValueError(f"the reference {pointer} cannot be resolved")
        return _merged(target, {name: member for name, member in schema.items() if name != "$ref"})

    def _object(self, schema: dict[str, Any]) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        additional = schema.get("additionalProperties", {})
        result: dict[str, Any] = {}
        for name in dict.fromkeys([*properties, *required]):
            if name in required:
                result[name] = self.value(properties.get(name, additional))
            elif self._has_optional:
                result |= self._optional_member(name, properties[name])
        if not properties and self._has_optional and isinstance(additional, dict) and additional:
            result |= self._optional_member("key", additional)
        while len(result) < schema.get("minProperties", 0):
            result[f"key{len(result)}"] = self.value(additional)
        return result

    def _optional_member(self, name: str, schema: Any) -> dict[str, Any]:
        try:
            return {name: self.value(schema)}
        except _NoValueError:
            return {}

    def _array(self, schema: dict[str, Any]) -> list[Any]:
        elements, minimum = schema.get("prefixItems", []), schema.get("minItems", 0)
        items = schema.get("items", {})
        length = max(minimum, min(schema.get("maxItems", math.inf), max(1, len(elements))))
        result: list[Any] = []
        for index in range(int(length)):
            try:
                result.append(self.value(elements[index] if index < len(elements) else items))
            except _NoValueError:
                if len(result) < minimum:
                    raise
                break
        return result

    def _string(self, schema: dict[str, Any]) -> str:
        if schema.get("format") in _FORMATS and "pattern" not in schema:
            return _FORMATS[schema["format"]]
        self._counter += 1
        word = _WORDS[self._counter % len(_WORDS)]
        if "pattern" in schema:
            return str(self._first_valid(schema, chain(_PATTERN_CANDIDATES, self._from_pattern(schema["pattern"]))))
        text = word if self._counter <= len(_WORDS) else f"{word} {self._counter}"
        return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]

    def _from_pattern(self, pattern: str) -> Iterator[str]:
        from rstr import Rstr

        source = Rstr(random.Random(self._counter))
        with suppress(KeyError):  # rstr does not support possessive and atomic groups
            while True:
                yield source.xeger(pattern)

    def _number(self, schema: dict[str, Any]) -> Any:
        self._counter += 1
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        step = schema.get("multipleOf", 1)
        if low is None:
            low = 0 if high is None else high - 100
        high = low + 100 if high is None else high
        first = math.ceil(low / step)
        count = int(min((high - low) / step, 40)) + 2
        multiples = [(first + (index + self._counter) % count) * step for index in range(count)]
        middles = [(low + high) / 2, low + (high - low) / 4, low, high]
        return self._first_valid(schema, iter((*multiples, *middles)))

    def _first_valid(self, schema: dict[str, Any], candidates: Iterator[Any]) -> Any:
        is_valid = self._validator.evolve(schema=schema).is_valid
        for candidate in islice(candidates, _MAX_CANDIDATES):
            if is_valid(candidate):
                return candidate
        raise _NoValueError(f"no value was found for {json.dumps(schema, ensure_ascii=False)[:100]}")


def _type_of(schema: dict[str, Any]) -> str:
    """Return the first type that is not null. Without `type`, return the type that the keywords describe."""
    types = schema.get("type")
    if isinstance(types, str):
        return types
    if types:
        return str(next((name for name in types if name != "null"), "null"))
    if {"properties", "required", "additionalProperties", "minProperties"} & schema.keys():
        return "object"
    if {"items", "prefixItems", "minItems"} & schema.keys():
        return "array"
    if {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"} & schema.keys():
        return "number"
    return "string"


def _merged(first: Any, second: Any) -> Any:
    """Return a schema for values that match both schemas. The members of the second one have precedence."""
    if first is False or second is False:
        return False
    if not isinstance(first, dict) or not isinstance(second, dict):
        return first if isinstance(first, dict) else second
    merged = {**first, **second}
    if "properties" in first and "properties" in second:
        merged["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        merged["required"] = [*first["required"], *second["required"]]
    if "allOf" in first and "allOf" in second:
        merged["allOf"] = [*first["allOf"], *second["allOf"]]
    return merged
