"""JSON values made for a schema."""

from __future__ import annotations

import random
from typing import Any

import jsonschema
import pytest

from codex_backend_sdk.testing.replies.schema import NoInstance, instance_of


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


STRING = {"type": "string"}
STEP = {"type": "array", "items": {"$ref": "#/$defs/Step"}}

SCHEMAS: dict[str, dict[str, Any]] = {
    "nested": closed(a=closed(b={"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 9}})),
    "enum and const": closed(c={"type": "string", "enum": ["x", "y"]}, k={"const": 5}, n={"enum": [None]}),
    "reference": {**closed(steps=STEP), "$defs": {"Step": closed(text=STRING)}},
    "recursive": {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": closed(value=STRING, next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})},
    },
    "nullable": closed(n={"type": ["string", "null"]}, m={"anyOf": [{"type": "number"}, {"type": "null"}]}),
    "bounds": closed(
        i={"type": "integer", "multipleOf": 7, "minimum": 50, "maximum": 60},
        x={"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
        s={"type": "string", "minLength": 3, "maxLength": 4},
        one={"type": "string", "maxLength": 1},
    ),
    "pattern": closed(p={"type": "string", "pattern": r"^[A-Z]{3}-\d{2}$"}),
    "formats": closed(
        **{
            form.replace("-", "_"): {"type": "string", "format": form}
            for form in ("date", "date-time", "email", "uuid")
        }
    ),
    "optional": {"type": "object", "properties": {"p": STRING}},
    "one of": {"oneOf": [closed(kind={"const": "a"}, a=STRING), closed(kind={"const": "b"}, b=STRING)]},
    "all of one": closed(a={"allOf": [{"$ref": "#/$defs/A"}], "description": "an A"})
    | {"$defs": {"A": closed(b=STRING)}},
    "array without items": {"type": "array"},
    "unique": {"type": "array", "uniqueItems": True, "items": {"type": "integer"}, "minItems": 3, "maxItems": 5},
    "boolean": closed(yes={"type": "boolean"}),
    "no parameters": {"type": "object", "properties": {}},
    "true": closed(anything=True),
    "empty": {},
}
PROMPTS = ["", "Extract: Bob is 42 years old and lives in New York.", "ten 7 and 3.5 words, mail a@b.example"]


@pytest.mark.parametrize("name", SCHEMAS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_value_fits_and_is_the_same_every_time(name: str, prompt: str) -> None:
    schema = SCHEMAS[name]
    value = instance_of(schema, prompt)
    jsonschema.Draft202012Validator(schema).validate(value)
    assert instance_of(schema, prompt) == value


@pytest.mark.parametrize(
    ("prompt", "schema", "value"),
    [
        ("Extract: Bob is 42 years old.", closed(name=STRING, age={"type": "integer"}), {"name": "Bob", "age": 42}),
        ("What's the weather in Paris?", closed(city=STRING), {"city": "Paris"}),
        ("weather in paris", closed(location=STRING), {"location": "paris"}),
        (
            "Alice and Bob are going to a science fair on Friday.",
            closed(name=STRING, date=STRING, participants={"type": "array", "items": STRING}),
            {"name": "science fair", "date": "Friday", "participants": ["Alice", "Bob"]},
        ),
        (
            "Weather in Rome in celsius",
            closed(city=STRING, unit={"type": "string", "enum": ["fahrenheit", "celsius"]}),
            {"city": "Rome", "unit": "celsius"},
        ),
        (
            "Pay 3.5 to ada@example.com",
            closed(email=STRING, sum={"type": "number"}),
            {"email": "ada@example.com", "sum": 3.5},
        ),
        ("From 2026-02-03 on", closed(date={"type": "string", "format": "date"}), {"date": "2026-02-03"}),
        ("Find tides", closed(query=STRING), {"query": "Find tides"}),
        (
            "Ann is 30. Ben is 31.",
            closed(people={"type": "array", "minItems": 2, "maxItems": 2, "items": {"$ref": "#/$defs/P"}})
            | {"$defs": {"P": closed(name=STRING, age={"type": ["integer", "null"]})}},
            {"people": [{"name": "Ann", "age": 30}, {"name": "Ben", "age": 31}]},
        ),
    ],
)
def test_fields_are_filled_from_the_prompt(prompt: str, schema: dict[str, Any], value: Any) -> None:
    assert instance_of(schema, prompt) == value


def test_what_the_prompt_says_is_not_used_where_the_schema_forbids_it() -> None:
    value = instance_of(
        closed(age={"type": "integer", "maximum": 10}, name={"type": "string", "pattern": "^[a-z]+$"}), "Bob is 42"
    )
    assert value["age"] <= 10
    assert value["name"] != "Bob"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"a": False}, "required": ["a"]},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "no such type"},
        {"$ref": "#/$defs/missing"},
    ],
)
def test_a_schema_that_cannot_be_met_is_an_error_and_not_a_wrong_value(schema: dict[str, Any]) -> None:
    with pytest.raises(NoInstance):
        instance_of(schema)


def test_the_programs_own_random_numbers_are_left_alone() -> None:
    random.seed(7)
    expected = [random.random() for _ in range(2)]
    random.seed(7)
    first = random.random()
    instance_of(closed(name=STRING), "x")
    assert [first, random.random()] == expected
