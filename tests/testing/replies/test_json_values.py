"""Test the values that are generated for a JSON schema."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from codex_backend_sdk.testing.replies.json_values import UnsupportedSchemaError, example_value


def closed_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


STRING = {"type": "string"}
STEPS = {"type": "array", "items": {"$ref": "#/$defs/Step"}}

SCHEMAS: dict[str, dict[str, Any]] = {
    "nested": closed_object(
        a=closed_object(b={"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 9}})
    ),
    "enum and const": closed_object(c={"type": "string", "enum": ["x", "y"]}, k={"const": 5}, n={"enum": [None]}),
    "reference": {**closed_object(steps=STEPS), "$defs": {"Step": closed_object(text=STRING)}},
    "recursive": {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": closed_object(value=STRING, next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})},
    },
    "nullable": closed_object(n={"type": ["string", "null"]}, m={"anyOf": [{"type": "number"}, {"type": "null"}]}),
    "bounds": closed_object(
        i={"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
        x={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
        low={"type": "integer", "maximum": -5},
        high={"type": "number", "minimum": 10_000},
        s={"type": "string", "minLength": 3, "maxLength": 4},
        one={"type": "string", "maxLength": 1},
    ),
    "pattern": closed_object(p={"type": "string", "pattern": r"^[A-Z]{3}-\d{2}$"}),
    "formats": closed_object(
        **{
            name.replace("-", "_"): {"type": "string", "format": name}
            for name in ("date", "date-time", "time", "email", "uuid")
        }
    ),
    "optional": {"type": "object", "properties": {"p": STRING}},
    "one of": {"oneOf": [closed_object(kind={"const": "a"}, a=STRING), closed_object(kind={"const": "b"}, b=STRING)]},
    "all of one": closed_object(a={"allOf": [{"$ref": "#/$defs/A"}], "description": "an A"})
    | {"$defs": {"A": closed_object(b=STRING)}},
    "array without items": {"type": "array"},
    "unique": {"type": "array", "uniqueItems": True, "items": {"type": "integer"}, "minItems": 3, "maxItems": 5},
    "boolean": closed_object(yes={"type": "boolean"}),
    "no parameters": {"type": "object", "properties": {}},
    "true": closed_object(anything=True),
    "empty": {},
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_value_matches_the_schema_and_is_repeatable(name: str) -> None:
    schema = SCHEMAS[name]
    value = example_value(schema)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert example_value(schema) == value


def test_times_do_not_depend_on_the_clock() -> None:
    assert example_value(closed_object(day={"type": "string", "format": "date"})) == {"day": "2026-01-15"}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "no such type"},
        {"$ref": "#/$defs/missing"},
    ],
)
def test_unsatisfiable_schema_raises(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSchemaError):
        example_value(schema)


def test_global_random_state_is_restored() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(2)]
    random.seed(7)
    first = random.random()
    example_value(closed_object(name=STRING))
    assert [first, random.random()] == expected
