from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, Optional, Union
from uuid import UUID

import jsonschema
import pytest
from pydantic import AfterValidator, AnyUrl, BaseModel, Field
from typing_extensions import TypedDict

from codex_backend_sdk import ToolDefinitionError
from codex_backend_sdk.tools.schema import (
    ArgumentsError,
    NotStrictError,
    Signature,
    strict_schema,
    without_defaulted_nulls,
)

if TYPE_CHECKING:
    from nowhere import Missing  # type: ignore[import-not-found]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(BaseModel):
    x: int
    label: str = "origin"
    note: str | None = None


ORIGIN = Point(x=0)


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float = 1.0


class Square(BaseModel):
    kind: Literal["square"]
    radius: float | None = None


class Node(BaseModel):
    name: str
    children: list[Node] = []


@dataclasses.dataclass
class Pair:
    left: int
    right: list[Point] = dataclasses.field(default_factory=list)


class Options(TypedDict):
    depth: int
    width: NotRequired[int]


def signature(function: Callable[..., Any], *, strict: bool | None = None, **descriptions: str) -> Signature:
    return Signature.of(function, descriptions=descriptions, strict=strict)


def one(annotation: Any, *default: Any) -> Signature:
    """The signature of a function with the parameter `value`."""

    def function(value, /): ...  # type: ignore[no-untyped-def]

    function.__annotations__ = {"value": annotation}
    function.__defaults__ = default or None
    return signature(function)


def values(made: Signature, **arguments: Any) -> Any:
    positional, by_keyword = made.parse(json.dumps(arguments))
    return positional[0] if positional else by_keyword


def nodes(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for keyword in ("properties", "$defs"):
        for child in schema.get(keyword, {}).values():
            yield from nodes(child)
    for child in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from nodes(child)


# Annotation, JSON, Python value: strict mode can express all of these.
STRICT_TYPES: list[tuple[Any, Any, Any]] = [
    (int, 5, 5),
    (bool, True, True),
    (float, 1.5, 1.5),
    (str, "a", "a"),
    (Annotated[int, "text"], 5, 5),
    (Annotated[int, Field(ge=1, multiple_of=2)], 4, 4),
    (Annotated[str, Field(min_length=2, pattern="^a")], "ab", "ab"),
    (Annotated[str, AfterValidator(str.upper)], "a", "A"),
    (Literal["a", "b"], "a", "a"),
    (Literal["only"], "only", "only"),
    (Literal["a", 1, None], 1, 1),
    (Color, "blue", Color.BLUE),
    (Level, 2, Level.HIGH),
    (Optional[int], None, None),  # noqa: UP045 - the old spelling
    (Union[int, str], "a", "a"),  # noqa: UP007 - the old spelling
    (Point, {"x": 1, "label": "p", "note": "n"}, Point(x=1, label="p", note="n")),
    (Point, {"x": 1, "label": None, "note": None}, Point(x=1)),
    (list[Point], [{"x": 1, "label": None, "note": None}], [Point(x=1)]),
    (Pair, {"left": 1, "right": None}, Pair(1)),
    (Pair, {"left": 1, "right": [{"x": 2, "label": None, "note": None}]}, Pair(1, [Point(x=2)])),
    (Options, {"depth": 1, "width": None}, {"depth": 1}),
    (Options, {"depth": 1, "width": 2}, {"depth": 1, "width": 2}),
    (date, "2026-02-03", date(2026, 2, 3)),
    (datetime, "2026-02-03T04:05:06", datetime(2026, 2, 3, 4, 5, 6)),
    (UUID, "12345678-1234-5678-1234-567812345678", UUID("12345678-1234-5678-1234-567812345678")),
    (Decimal, "1.50", Decimal("1.50")),
    (AnyUrl, "https://a.test/", AnyUrl("https://a.test/")),
    (Path, "a/b", Path("a/b")),
    (set[int], [1, 2], {1, 2}),
    (
        Annotated[Circle | Square, Field(discriminator="kind")],
        {"kind": "circle", "radius": None},
        Circle(kind="circle"),
    ),
    (Circle | Square, {"kind": "square", "radius": None}, Square(kind="square")),
    (list[Circle | Square], [{"kind": "circle", "radius": None}], [Circle(kind="circle")]),
    (Node, {"name": "a", "children": [{"name": "b", "children": None}]}, Node(name="a", children=[Node(name="b")])),
]


@pytest.mark.parametrize(("annotation", "sent", "received"), STRICT_TYPES, ids=range(len(STRICT_TYPES)))
def test_strict_type_arrives_as_python_object(annotation: Any, sent: Any, received: Any) -> None:
    made = one(annotation)
    assert made.is_strict
    jsonschema.validate({"value": sent}, made.schema)  # the model may send it
    value = values(made, value=sent)
    assert value == received
    assert type(value) is type(received)


@pytest.mark.parametrize(("annotation", "sent", "received"), STRICT_TYPES, ids=range(len(STRICT_TYPES)))
def test_strict_schema_has_only_what_strict_mode_supports(annotation: Any, sent: Any, received: Any) -> None:
    for node in nodes(one(annotation).schema):
        assert {"type", "anyOf", "$ref"} & node.keys(), node
        assert not {"default", "title", "oneOf", "allOf", "discriminator", "minLength", "uniqueItems"} & node.keys()
        assert not ("$ref" in node and len(node) > 1)
        assert "(?" not in node.get("pattern", "")
        assert node.get("format", "date") in {"date", "date-time", "uuid"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == [*node["properties"]]


# Annotation, default if any, and the reason why strict mode cannot express it.
LOOSE_TYPES: list[tuple[Any, tuple[Any, ...], str, Any, Any]] = [
    (Any, (), "value has no type", 5, 5),
    (dict[str, int], (), "value is a mapping with arbitrary keys", {"a": 1}, {"a": 1}),
    (dict, (), "value is a mapping with arbitrary keys", {"a": [1]}, {"a": [1]}),
    (list, (), r"value\[\] has no type", [1, "a"], [1, "a"]),
    (list[dict[str, int]], (), r"value\[\] is a mapping with arbitrary keys", [{"a": 1}], [{"a": 1}]),
    (tuple[int, str], (), "value is a tuple", [1, "a"], (1, "a")),
    (int | None, (5,), "value may be null, but null is not its default", None, None),
    (dict[str, Point], (), "value is a mapping", {"p": {"x": 1}}, {"p": Point(x=1)}),
]


@pytest.mark.parametrize(
    ("annotation", "default", "reason", "sent", "received"), LOOSE_TYPES, ids=range(len(LOOSE_TYPES))
)
def test_inexpressible_type_switches_strict_mode_off(
    annotation: Any, default: Any, reason: str, sent: Any, received: Any
) -> None:
    made = one(annotation, *default)
    assert not made.is_strict
    jsonschema.validate({"value": sent}, made.schema)
    assert values(made, value=sent) == received

    def demanded(value, /): ...  # type: ignore[no-untyped-def]

    demanded.__annotations__ = {"value": annotation}
    demanded.__defaults__ = default or None
    with pytest.raises(ToolDefinitionError, match=f"demanded.* cannot use strict mode: {reason}"):
        signature(demanded, strict=True)


def test_null_stands_for_a_default_without_strict_mode_too() -> None:
    assert values(one(dict[str, Point]), value={"p": {"x": 1, "label": None}}) == {"p": Point(x=1)}


def test_strict_mode_can_be_switched_off() -> None:
    def function(x: int, y: Point | None = None, z: int = 5) -> None: ...

    made = signature(function, strict=False)
    assert made.schema["required"] == ["x"]
    assert made.schema["properties"]["z"] == {"default": 5, "type": "integer"}
    assert made.schema["$defs"]["Point"]["additionalProperties"] is False
    assert values(made, x=1) == {"x": 1, "y": None, "z": 5}


def test_optional_parameter_is_required_and_nullable() -> None:
    def function(a: int, b: str = "x", c: Annotated[Point, "A point."] = ORIGIN, d: int | None = None) -> None: ...

    made = signature(function, b="The b.")
    assert made.schema["required"] == ["a", "b", "c", "d"]
    assert made.schema["properties"] == {
        "a": {"type": "integer"},
        "b": {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": 'The b. (default if null: "x")',
        },
        "c": {
            "anyOf": [{"$ref": "#/$defs/Point"}, {"type": "null"}],
            "description": 'A point. (default if null: {"x":0,"label":"origin","note":null})',
        },
        "d": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    }
    assert values(made, a=1, b=None, c=None, d=None) == {"a": 1, "b": "x", "c": Point(x=0), "d": None}
    assert values(made, a=1) == {"a": 1, "b": "x", "c": Point(x=0), "d": None}


def test_default_that_json_cannot_represent_is_put_in() -> None:
    missing = object()

    def function(a: int = missing, b: int | None = missing) -> None: ...  # type: ignore[assignment]

    made = signature(function)
    assert not made.is_strict  # null for `b` would have two meanings
    assert "default" not in made.schema["properties"]["a"]
    assert values(made, a=None, b=None) == {"a": missing, "b": None}
    assert values(made) == {"a": missing, "b": missing}


def test_field_as_default_describes_and_constrains() -> None:
    empty: Any = Field(default_factory=list)

    def function(a: int = Field(description="The a.", ge=1), b: list[int] = empty) -> None: ...

    made = signature(function, a="ignored")
    assert made.schema["properties"]["a"] == {"type": "integer", "minimum": 1, "description": "The a."}
    assert values(made, a=2, b=None) == {"a": 2, "b": []}
    with pytest.raises(ArgumentsError, match="a: Input should be greater than or equal to 1"):
        made.parse('{"a": 0}')


def test_default_in_an_annotation_is_used() -> None:
    def function(a: Annotated[int, Field(default=7, description="The a.")]) -> None: ...

    made = signature(function)
    assert made.schema["properties"]["a"]["description"] == "The a. (default if null: 7)"
    assert values(made, a=None) == {"a": 7}


DESCRIPTIONS = [
    (Annotated[int, "text"], "text"),
    (Annotated[int, Field(description="text")], "text"),
    (Annotated[int, Field(ge=1), "text"], "text"),
    (int, "documented"),
    (Point, "documented"),
    (Annotated[Point, "text"], "text"),
]


@pytest.mark.parametrize(("annotation", "text"), DESCRIPTIONS)
def test_description_of_the_annotation_wins(annotation: Any, text: str) -> None:
    def function(value): ...  # type: ignore[no-untyped-def]

    function.__annotations__ = {"value": annotation}
    assert signature(function, value="documented").schema["properties"]["value"]["description"] == text


def test_unsupported_keywords_move_into_the_description() -> None:
    node = one(Annotated[str, Field(min_length=2, max_length=5, description="Short.")]).schema["properties"]["value"]
    assert node == {"type": "string", "description": "Short. (maxLength: 5; minLength: 2)"}


def test_names_of_model_attributes_are_possible() -> None:
    def function(copy: int, json: int, _private: int, model_config: int, title: str, self: int) -> None: ...

    arguments = {"copy": 1, "json": 2, "_private": 3, "model_config": 4, "title": "t", "self": 5}
    made = signature(function)
    assert [*made.schema["properties"]] == [*arguments]
    assert values(made, **arguments) == arguments


def test_kinds_of_parameters_are_respected() -> None:
    def function(a: int, /, b: int, *, c: int = 3) -> None: ...

    assert signature(function).parse('{"a": 1, "b": 2, "c": null}') == ((1,), {"b": 2, "c": 3})


def test_function_without_parameters_has_an_empty_schema() -> None:
    made = signature(lambda: None)
    assert made.is_strict
    assert made.schema == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert made.parse("") == made.parse("{}") == ((), {})


class Kit:
    def method(self, x: int) -> int:
        return x

    @classmethod
    def of(cls, x: int) -> int:
        return x

    @staticmethod
    def static(x: int) -> int:
        return x

    def __call__(self, x: int) -> int:
        return x


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@decorated
def wrapped(x: int) -> int:
    return x


async def coroutine(x: int) -> int:
    return x


def with_fixed(y: str, x: int) -> tuple[str, int]:
    return (y, x)


CALLABLES = [
    Kit().method,
    Kit.of,
    Kit.static,
    Kit(),
    wrapped,
    coroutine,
    functools.partial(with_fixed, "y"),
    functools.partial(functools.partial(with_fixed), y="y"),
    functools.partial(Kit().method),
    lambda x: x,
]


@pytest.mark.parametrize("function", CALLABLES, ids=lambda function: type(function).__name__)
def test_callables_of_all_kinds_have_a_signature(function: Callable[..., Any]) -> None:
    made = signature(function)
    assert [*made.schema["properties"]] == ["x"]
    assert values(made, x=1) == {"x": 1}


def test_value_of_a_partial_is_not_for_the_model() -> None:
    made = signature(functools.partial(with_fixed, y="secret"))
    assert [*made.schema["properties"]] == ["x"]
    with pytest.raises(ArgumentsError, match="y: Extra inputs are not permitted"):
        made.parse('{"x": 1, "y": "other"}')


def test_other_annotations_need_not_exist() -> None:
    def function(x: int) -> Missing: ...

    assert signature(function).is_strict


class Opaque:
    pass


def takes_args(x: int, *items: int) -> None: ...
def takes_kwargs(x: int, **options: int) -> None: ...
def takes_missing(x: int, y: Missing) -> None: ...
def takes_opaque(x: int, y: Opaque) -> None: ...
def takes_callable(x: int, y: Callable[[], int]) -> None: ...


REFUSED = [
    (takes_args, r"takes_args\(\) has the parameter \*items, .*list"),
    (functools.partial(takes_args, 1), r"takes_args\(\) has the parameter \*items"),
    (takes_kwargs, r"takes_kwargs\(\) has the parameter \*\*options, .*mapping"),
    (takes_missing, r"takes_missing\(\) annotates the parameter 'y' with 'Missing', .*module"),
    (takes_opaque, r"takes_opaque\(\) has the parameter 'y', .*Opaque.* no JSON schema"),
    (takes_callable, r"takes_callable\(\) has the parameter 'y', .* no JSON schema"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_impossible_parameter_is_named(function: Callable[..., Any], message: str) -> None:
    with pytest.raises(ToolDefinitionError, match=message):
        signature(function)


class Broken(BaseModel):
    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        broken.append(1)
        if len(broken) == 1:
            raise ValueError("only together")
        return {"type": "object", "properties": {}}


broken: list[int] = []


def test_failure_of_all_parameters_is_reported() -> None:
    def function(x: Broken) -> None: ...

    with pytest.raises(ToolDefinitionError, match="only together"):
        signature(function)


INVALID = [
    ("[1]", "must be a JSON object"),
    ("{", "not valid JSON"),
    ('{"x": 1', "not valid JSON"),
    ("null", "must be a JSON object"),
    ("{}", "x: Field required$"),
    ('{"x": "abc"}', r"x: Input should be a valid integer.* \(received 'abc'\)"),
    ('{"x": 1, "z": 2}', "z: Extra inputs"),
    ('{"x": "' + "9" * 5000 + 'z"}', r"x: .*…\)$"),
    ('{"x": 1, "p": {"x": "no"}}', r"p\.x: Input should be a valid integer"),
    ('{"x": null}', "x: Input should be a valid integer"),  # it has no default
]


@pytest.mark.parametrize(("arguments", "message"), INVALID)
def test_invalid_arguments_are_explained_to_the_model(arguments: str, message: str) -> None:
    def function(x: int, p: Point | None = None) -> None: ...

    with pytest.raises(ArgumentsError, match=message) as caught:
        signature(function).parse(arguments)
    assert len(str(caught.value)) < 500


# --- schemas that pydantic does not generate from signatures ---------------------------------------------------------

INEXPRESSIBLE = [
    ({"type": "object", "patternProperties": {"a": {}}}, "the schema is a mapping"),
    ({"type": "object"}, "the schema is a mapping"),
    ({"type": "object", "properties": {}, "additionalProperties": True}, "the schema is a mapping"),
    ({"not": {"type": "string"}}, "the schema has a conditional"),
    ({"allOf": [{"type": "string"}, {"type": "string"}]}, "the schema combines"),
    ({"type": "array"}, "the schema is a list of values of any type"),
    ({"type": "object", "properties": {"a": {"enum": [[1]]}}, "required": ["a"]}, "a has no type"),
    ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "a may be null"),
    ({"type": "object", "properties": {"a": {"enum": ["x", None]}}}, "a may be null"),
    ({"type": "object", "properties": {"a": {"const": None}}}, "a may be null"),
]


@pytest.mark.parametrize(("schema", "reason"), INEXPRESSIBLE)
def test_inexpressible_schema_raises(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotStrictError, match=reason):
        strict_schema(schema)


EXPRESSIBLE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"allOf": [{"type": "string"}], "description": "d"}, {"type": "string", "description": "d"}),
    (
        {"enum": ["a", 1, 2.5, True, None]},
        {"enum": ["a", 1, 2.5, True, None], "type": ["string", "integer", "number", "boolean", "null"]},
    ),
    ({"type": "string", "format": "uri"}, {"type": "string", "description": '(format: "uri")'}),
    ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
]


@pytest.mark.parametrize(("schema", "strict"), EXPRESSIBLE)
def test_schema_is_rewritten_without_changing_it(schema: dict[str, Any], strict: dict[str, Any]) -> None:
    before = json.dumps(schema)
    assert strict_schema(schema) == strict
    assert json.dumps(schema) == before


TREE = {"$defs": {"T": {"anyOf": [{"$ref": "#/$defs/T"}, {"type": "string"}]}}, "$ref": "#/$defs/T"}
SHAPES: list[tuple[Any, dict[str, Any], Any]] = [
    ({"a": None}, {"type": "object", "properties": {"a": {"type": "string"}}}, {}),
    ({"a": None}, {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"a": None}),
    ({"a": None}, {"type": "object", "properties": {"a": {}}}, {"a": None}),
    ({"b": None}, {"type": "object", "properties": {"a": {}}}, {"b": None}),  # no branch describes it
    ({"a": None}, {"type": "object"}, {"a": None}),
    ([{"a": None}], {"type": "array"}, [{"a": None}]),
    ("text", TREE, "text"),
    ({"a": None}, TREE, {"a": None}),
]


@pytest.mark.parametrize(("value", "schema", "result"), SHAPES)
def test_only_null_for_a_default_is_removed(value: Any, schema: dict[str, Any], result: Any) -> None:
    assert without_defaulted_nulls(value, schema) == result
