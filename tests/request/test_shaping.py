"""Test the conversion of parameters to the request body."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from codex_backend_sdk._request.shaping import ShapedRequest, build_compaction_body, shape, to_json_data

HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def shaped(**given: Any) -> ShapedRequest:
    return shape({"input": "hi", **given}, model="default-model", instructions="default instructions")


def body(**given: Any) -> dict[str, Any]:
    return shaped(**given).body


def test_minimal_body() -> None:
    assert body() == {
        "model": "default-model",
        "instructions": "default instructions",
        "input": [HI],
        "include": ["reasoning.encrypted_content"],
        "stream": True,
        "store": False,
    }


def test_given_values_replace_defaults() -> None:
    request = body(model="m", instructions="i", tool_choice="auto", new_parameter={"x": 1})
    assert (request["model"], request["instructions"], request["tool_choice"]) == ("m", "i", "auto")
    assert request["new_parameter"] == {"x": 1}


@pytest.mark.parametrize("absent", [None, openai.omit, openai.NOT_GIVEN])
def test_absent_values_are_not_sent(absent: Any) -> None:
    assert body(model=absent, temperature=absent, store=absent, include=absent, instructions=absent) == body()


def test_empty_instructions_are_not_sent() -> None:
    assert "instructions" not in body(instructions="")


def test_include_is_not_repeated() -> None:
    include = body(include=["reasoning.encrypted_content", "web_search_call.results"])["include"]
    assert include == ["reasoning.encrypted_content", "web_search_call.results"]


@pytest.mark.parametrize("include", ["text", {"a": 1}, 7])
def test_invalid_include_is_sent_unchanged(include: Any) -> None:
    assert body(include=include)["include"] == include


def test_unhashable_include_is_sent() -> None:
    assert body(include=[{}])["include"] == [{}, "reasoning.encrypted_content"]


@pytest.mark.parametrize(
    "neutral",
    [
        {"temperature": 1},
        {"temperature": 1.0},
        {"top_p": 1},
        {"truncation": "disabled"},
        {"metadata": {}},
        {"background": False},
        {"store": False},
        {"include": []},
        {"stream_options": {}},
        {"service_tier": "auto"},
    ],
    ids=str,
)
def test_default_values_are_not_sent(neutral: dict[str, Any]) -> None:
    assert shaped(**neutral) == shaped()


DROPPABLE_VALUES = {
    "temperature": 0,
    "top_p": 0.5,
    "max_output_tokens": 10,
    "max_tool_calls": 1,
    "metadata": {"a": "b"},
    "user": "me",
    "safety_identifier": "x",
    "truncation": "auto",
    "top_logprobs": 3,
    "prompt_cache_retention": "24h",
    "stream_options": {"include_usage": True},
    "context_management": [{"type": "compaction"}],
    "seed": 1,
    "max_tokens": 1,
}


@pytest.mark.parametrize("name", DROPPABLE_VALUES)
def test_droppable_parameter_is_not_in_the_body(name: str) -> None:
    result = shaped(**{name: DROPPABLE_VALUES[name]})
    assert [parameter.name for parameter in result.droppable] == [name]
    assert result.not_droppable == ()
    assert name not in result.body


@pytest.mark.parametrize(
    "meaningful",
    [
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"background": True},
        {"prompt": {"id": "p"}},
        {"store": True},
    ],
    ids=str,
)
def test_meaningful_parameter_is_not_droppable(meaningful: dict[str, Any]) -> None:
    result = shaped(**meaningful)
    assert [parameter.name for parameter in result.not_droppable] == list(meaningful)
    assert all(parameter.remedy for parameter in result.not_droppable)
    assert result.droppable == ()
    assert result.body["store"] is False


CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": {}, "strict": True}}
RESPONSES_TOOL = {"type": "function", "name": "f", "parameters": {}, "strict": True}


class City(BaseModel):
    """Look up a city."""

    name: str


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (CHAT_TOOL, RESPONSES_TOOL),
        (RESPONSES_TOOL, RESPONSES_TOOL),
        ({"type": "web_search"}, {"type": "web_search"}),
        (
            {"type": "custom", "name": "c", "function": {"name": "f"}},
            {"type": "custom", "name": "c", "function": {"name": "f"}},
        ),
        ({"type": "function", "function": "f"}, {"type": "function", "function": "f"}),
        ("web_search", "web_search"),
    ],
)
def test_tool_is_sent_in_the_form_of_responses(tool: Any, sent: Any) -> None:
    request = body(tools=[tool], tool_choice=tool)
    assert (request["tools"], request["tool_choice"]) == ([sent], sent)


def test_pydantic_function_tool_is_sent_flat() -> None:
    (tool,) = body(tools=[openai.pydantic_function_tool(City)])["tools"]
    assert (tool["type"], tool["name"], tool["description"]) == ("function", "City", "Look up a city.")


def test_tools_that_are_not_a_list_are_sent_unchanged() -> None:
    assert body(tools={"a": 1})["tools"] == {"a": 1}


def test_compaction_appends_the_trigger() -> None:
    assert build_compaction_body(body())["input"] == [HI, {"type": "compaction_trigger"}]


def test_nested_values_become_json_data() -> None:
    given = {"a": (1, {"b": openai.omit, "c": iter([2])}), "d": datetime(2026, 1, 2, tzinfo=UTC), "e": Large(3.5)}
    assert to_json_data(given, "input") == {"a": [1, {"c": [2]}], "d": "2026-01-02T00:00:00+00:00", "e": 3.5}


class Large(float):
    """A subclass of float, as numpy's numbers are."""


class Colour(enum.StrEnum):
    RED = "red"


def test_string_enum_is_sent_as_text() -> None:
    assert to_json_data({"a": Colour.RED}, "tools") == {"a": "red"}


def test_function_as_tool_raises() -> None:
    with pytest.raises(
        TypeError, match=r"JSON cannot represent the function 'body' in `tools`\. Pass a tool as a dict"
    ):
        to_json_data([body], "tools")


@pytest.mark.parametrize("wrong", [object(), b"x", bytearray(b"x"), memoryview(b"x"), Path("x"), BytesIO(b"x")])
def test_value_that_json_cannot_represent_raises(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"JSON cannot represent a value of type {type(wrong).__name__}"):
        to_json_data([wrong], "tools")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), Large("-inf")])
def test_number_that_json_cannot_represent_raises(wrong: float) -> None:
    with pytest.raises(ValueError, match=f"JSON cannot represent the number {wrong}"):
        to_json_data([wrong], "tools")


@pytest.mark.parametrize(
    ("options", "is_default"),
    [
        ({}, True),
        ({"comparison_response_id": "resp_1"}, True),
        ({"mode": "implicit", "ttl": "30m"}, True),
        ({"mode": "explicit"}, False),
        ({"ttl": "24h", "comparison_response_id": "resp_1"}, False),
        ({"unknown": 1}, False),
        ("implicit", False),
    ],
)
def test_cache_options_that_change_nothing_are_not_rejected(options: Any, is_default: bool) -> None:
    result = shaped(prompt_cache_options=options)
    assert "prompt_cache_options" not in result.body
    assert [parameter.name for parameter in result.droppable] == ([] if is_default else ["prompt_cache_options"])


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"tools": [RESPONSES_TOOL]}, "auto"),
        ({"tools": [RESPONSES_TOOL], "tool_choice": "required"}, "required"),
        ({"tools": [RESPONSES_TOOL], "tool_choice": "none"}, "none"),
        ({"tools": []}, None),
        ({"tool_choice": "auto"}, "auto"),
        ({}, None),
    ],
)
def test_tools_are_sent_with_a_tool_choice(given: dict[str, Any], sent: str | None) -> None:
    request = body(**given)
    assert request.get("tool_choice") == sent
    assert "parallel_tool_calls" not in request


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "prompt"])
def test_parameter_that_replaces_the_input_is_reported(name: str) -> None:
    result = shape({name: "x"}, model="m", instructions="")
    assert [parameter.name for parameter in result.not_droppable] == [name]


@pytest.mark.parametrize("tool", [{"name": "x"}, {"type": None}, {}])
def test_tool_without_type_is_an_error(tool: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`tools\[1\]` has no `type`"):
        shaped(tools=[{"type": "web_search"}, tool])
