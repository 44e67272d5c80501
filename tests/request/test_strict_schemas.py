"""Test the check of strict schemas for mappings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from codex_backend_sdk._request.strict_schemas import require_closed_schemas

MAPPING = {"type": "object", "additionalProperties": {"type": "integer"}}


def with_field(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, "required": ["a"], "additionalProperties": False}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = MAPPING
    for _ in range(levels):
        schema = {"anyOf": [schema]}
    return schema


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        (MAPPING, "and it is a mapping"),
        ({"type": "object", "additionalProperties": True}, "and it is a mapping"),
        (with_field(MAPPING), "field `a`"),
        (with_field({"type": "array", "items": MAPPING}), "field `a[]`"),
        (with_field({"anyOf": [{"type": "null"}, MAPPING]}), "field `a`"),
        ({"$ref": "#/$defs/Inner", "$defs": {"Inner": with_field(MAPPING)}}, "field `Inner.a`"),
    ],
)
def test_mapping_is_named(schema: Any, where: str) -> None:
    for text, tools in (({"format": {"name": "N", "strict": True, "schema": schema}}, None),
                        (None, [{"type": "function", "name": "N", "strict": True, "parameters": schema}])):  # fmt: skip
        with pytest.raises(ValueError, match="'N' is strict") as caught:
            require_closed_schemas(text, tools)
        assert where in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        with_field({"type": "string"}),
        {"type": "object"},
        deep(100),
        {"properties": 7, "anyOf": 7, "items": 7},
        None,
        "x",
    ],
)
def test_other_schemas_are_sent(schema: Any) -> None:
    require_closed_schemas({"format": {"strict": True, "schema": schema}}, ["x", {"strict": True}])


@pytest.mark.parametrize("text", [None, "x", {}, {"format": "x"}, {"format": {"strict": False, "schema": MAPPING}}])
def test_format_that_is_not_strict_is_sent(text: Any) -> None:
    require_closed_schemas(text, None)


class Report(BaseModel):
    title: str
    scores: dict[str, int]


def test_parse_names_the_field(client: Any, sim: Any) -> None:
    with pytest.raises(ValueError, match=r"`scores` is a mapping.*list of objects"):
        client.responses.parse(input="hi", text_format=Report)
    assert sim.model_requests == []


def test_explain_names_the_field(client: Any) -> None:
    schema = {"type": "object", "properties": {"scores": MAPPING}}
    text = {"format": {"type": "json_schema", "name": "R", "strict": True, "schema": schema}}
    explanation = client.codex.explain(input="hi", text=text)
    assert any("`scores` is a mapping" in (finding.why or "") for finding in explanation.findings)


def test_batch_reports_the_field(client: Any) -> None:
    (result,) = client.codex.batch(["hi"], text_format=Report)
    assert "`scores` is a mapping" in result.error.message


def test_format_without_strict_is_accepted(client: Any, sim: Any) -> None:
    sim.script('{"scores": {}}')
    schema = {"type": "object", "properties": {"scores": MAPPING}}
    text = {"format": {"type": "json_schema", "name": "R", "strict": False, "schema": schema}}
    assert client.responses.create(input="hi", text=text).output_text == '{"scores": {}}'
