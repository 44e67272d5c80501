"""Test the values that are generated for a JSON schema."""

from __future__ import annotations

import random
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import jsonschema
import pytest
from pydantic import BaseModel, Field

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
    "recursive in required": {
        "$ref": "#/$defs/A",
        "$defs": {
            "A": closed_object(b={"$ref": "#/$defs/B"}),
            "B": closed_object(a={"anyOf": [{"$ref": "#/$defs/A"}, {"type": "array", "items": {"$ref": "#/$defs/A"}}]}),
        },
    },
    "recursive root": closed_object(value=STRING, children={"type": "array", "items": {"$ref": "#"}}),
    "recursive optional": {"type": "object", "properties": {"next": {"$ref": "#"}, "name": STRING}},
    "recursive map": closed_object(children={"type": "object", "additionalProperties": {"$ref": "#"}}),
    "recursive alternative first": {
        "$ref": "#/$defs/Sum",
        "$defs": {
            "Sum": closed_object(terms={"type": "array", "items": {"$ref": "#/$defs/Term"}, "minItems": 2}),
            "Term": {"anyOf": [{"$ref": "#/$defs/Sum"}, {"type": "number"}]},
        },
    },
    "reference into an array": closed_object(a={"anyOf": [{"type": "integer"}]}, b={"$ref": "#/properties/a/anyOf/0"}),
    "escaped reference": {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "integer"}}},
    "reference with siblings": {"$ref": "#/$defs/A", "minimum": 50, "$defs": {"A": {"type": "integer"}}},
    "decimal": closed_object(
        amount={"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}]}
    ),
    "decimal text": closed_object(amount={"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"}),
    "number": closed_object(x={"type": "number", "multipleOf": 0.01, "minimum": 0.5, "exclusiveMaximum": 1}),
    "narrow number": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.001},
    "negative": {"type": "integer", "minimum": -7, "maximum": -6},
    "tuple": {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "minItems": 2, "items": False},
    "dictionary": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "required without a schema": {"type": "object", "required": ["a", "b"]},
    "all of": {"allOf": [closed_object(a=STRING) | {"additionalProperties": True}, {"required": ["b"]}]},
    "negated": {"type": "integer", "not": {"enum": [1, 2]}},
    "forbidden optional": {"type": "object", "properties": {"a": STRING}, "not": {"required": ["a"]}},
    "long": {"type": "string", "minLength": 400, "maxLength": 401},
    "lookahead": {"type": "string", "pattern": "^(?=.*[0-9])[a-z0-9-]{3,}$"},
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
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#/prefixItems/1", "prefixItems": [{"type": "integer"}]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 1},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "^(?>[xyz]{7})$"},
        {"type": "string", "pattern": "^a$", "minLength": 5},
        {"anyOf": [False, False]},
        {"type": "array", "minItems": 10**9},
    ],
)
def test_unsatisfiable_schema_raises(schema: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedSchemaError):
        example_value(schema)


def test_global_random_state_is_unchanged() -> None:
    state = random.getstate()
    example_value(closed_object(name=STRING, code={"type": "string", "pattern": "^[A-Z]{9}$"}))
    assert random.getstate() == state


def test_recursion_ends_as_early_as_possible() -> None:
    assert example_value(SCHEMAS["recursive root"])["children"] == []
    assert "next" not in example_value(SCHEMAS["recursive optional"])
    assert example_value(SCHEMAS["recursive"])["next"] is None


def test_schema_with_huge_values_is_rejected_soon() -> None:
    levels = {
        f"L{level}": {"type": "array", "items": {"$ref": f"#/$defs/L{level + 1}"}, "minItems": 9} for level in range(30)
    }
    schema = {"$ref": "#/$defs/L0", "$defs": {**levels, "L30": STRING}}
    with pytest.raises(UnsupportedSchemaError, match="more than 10,000 parts"):
        example_value(schema)


@pytest.mark.parametrize("count", [40, 2000])
def test_long_chain_of_references_is_no_recursion_error(count: int) -> None:
    chain = {f"L{level}": {"$ref": f"#/$defs/L{level + 1}"} for level in range(count)}
    schema = {"$ref": "#/$defs/L0", "$defs": {**chain, f"L{count}": {"type": "integer"}}}
    if count == 40:
        assert isinstance(example_value(schema), int)
    else:
        with pytest.raises(UnsupportedSchemaError, match="too many levels"):
            example_value(schema)


@pytest.mark.parametrize("keyword", ["items", "properties", "anyOf", "oneOf", "allOf"])
def test_deeply_nested_schema_takes_no_long_time(keyword: str) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(33):
        child: Any = {"items": schema, "properties": {"x": schema}}.get(keyword, [schema])
        schema = {**{"items": {"type": "array"}, "properties": {"type": "object"}}.get(keyword, {}), keyword: child}
    jsonschema.Draft202012Validator(schema).validate(example_value(schema))


class Node(BaseModel):
    name: str
    children: list[Node] = []
    parent: Node | None = None


class Price(BaseModel):
    amount: Decimal
    discount: Annotated[Decimal, Field(ge=0, le=1)] | None


class Expression(BaseModel):
    left: Expression | int
    operator: Literal["+", "-"]
    right: Expression | int


class Event(BaseModel):
    day: date
    at: datetime
    key: UUID
    labels: dict[str, list[str]]
    point: tuple[float, float]
    codes: Annotated[set[str], Field(min_length=2)]


@pytest.mark.parametrize("model", [Node, Price, Expression, Event])
def test_model_is_parsed_from_its_example(client: Any, model: type[BaseModel]) -> None:
    assert isinstance(model.model_validate(example_value(model.model_json_schema())), model)
    if model is not Event:  # maps are no strict schemas
        assert isinstance(client.responses.parse(input="x", text_format=model).output_parsed, model)
