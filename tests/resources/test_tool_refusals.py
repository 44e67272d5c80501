from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.tool_refusals import TOOL_RULES

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CLOSED = {**OPEN, "additionalProperties": False}


def function(name: Any = "f", parameters: Any = None, **members: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": parameters, **members}


def form(schema: Any, **members: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "name": "s", "schema": schema, **members}}


def told(**body: Any) -> list[str]:
    return [str(finding) for rule in TOOL_RULES for finding in rule(body)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": None, "text": {"verbosity": "low"}, "tool_choice": "auto"},
        {"tools": [function(), {"type": "web_search"}, "odd"], "tool_choice": {"type": "function", "name": "f"}},
        {"tools": [function(parameters=OPEN), function(parameters=CLOSED, strict=True)]},
        {"tools": [{"type": "namespace", "name": "n", "tools": [function()]}]},
        {"text": form(CLOSED, strict=True), "tool_choice": {"type": "web_search"}},
        {"text": {"format": {"type": "text"}}},
        {"text": form({"type": "array", "items": {"type": "array", "prefixItems": [{}]}, "properties": []})},
        {"text": form({"type": "object", "additionalProperties": False}, strict=True)},
    ],
)
def test_what_is_taken(body: dict[str, Any]) -> None:
    assert told(**body) == []


ROWS: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "computer_use"}]}, "`tools[0]` is of the type 'computer_use'"),
    ({"tools": [function("a b")]}, "`tools[0].name` is 'a b'."),
    ({"tools": [function(None)]}, "`tools[0].name` is None."),
    ({"tools": [{"type": "namespace", "name": "n", "tools": [function("a.b")]}]}, "`tools[0].tools[0].name`"),
    ({"tool_choice": {"type": "function", "name": "g"}, "tools": [function()]}, "demands 'g'"),
    (
        {"tools": [function(parameters={"properties": {"a": {"type": "array"}}})]},
        "parameters.properties.a` is an array",
    ),
    ({"text": form({"anyOf": [{"items": {"type": "array"}}]})}, "`text.format.schema.anyOf[0].items` is an array"),
    ({"tools": [function(parameters=OPEN, strict=True)]}, "`additionalProperties` has to be false"),
    ({"text": form({**CLOSED, "required": []}, strict=True)}, "`required` lacks 'a'"),
]


@pytest.mark.parametrize(("body", "words"), ROWS)
def test_what_is_refused(body: dict[str, Any], words: str) -> None:
    (text,) = told(**body)
    assert words in text
