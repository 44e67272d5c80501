"""Test the events of a reply: the types of openai, the order of the backend, and the concatenated deltas."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
JSON = {"format": {"type": "json_schema", "name": "person", "schema": FUNCTION["parameters"]}}

REQUESTS: list[dict[str, Any]] = [
    {"reasoning": {"effort": "low", "summary": "auto"}},
    {"include": ["reasoning.encrypted_content"], "instructions": "Be brief."},
    {"tools": [FUNCTION], "tool_choice": "required"},
    {"tools": [{"type": "custom", "name": "code"}]},
    {"tools": [{"type": "web_search"}]},
    {"text": JSON},
]


@pytest.mark.parametrize("members", REQUESTS)
def test_every_event_has_a_type_of_openai(raw_client: Any, members: dict[str, Any]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in raw_client.events("Explain tides", **members)[2:]:
        assert adapter.validate_python(event).type == event["type"]


def test_message_events_have_the_order_of_the_backend(raw_client: Any) -> None:
    events = raw_client.events("Say hi two times")
    assert [event["type"] for event in events] == [
        "codex.rate_limits",
        "codex.response.metadata",
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events[2:]] == list(range(10))
    assert "".join(event["delta"] for event in events if event["type"].endswith(".delta")) == "hi hi"
    assert events[-1]["response"]["output"] == []


def test_function_call_deltas_concatenate_to_the_arguments(raw_client: Any) -> None:
    events = raw_client.events("What's the weather?", tools=[FUNCTION])
    deltas = [event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"]
    done = next(event for event in events if event["type"] == "response.function_call_arguments.done")
    assert len(deltas) > 1
    assert "".join(deltas) == done["arguments"]


def test_text_deltas_preserve_the_whitespace(raw_client: Any) -> None:
    raw_client.sim.script("  two  spaces\n\nand a line ")
    events = raw_client.events("x")
    deltas = [event["delta"] for event in events if event["type"].endswith("text.delta")]
    assert "".join(deltas) == "  two  spaces\n\nand a line "


def test_usage_increases_with_the_length_of_texts(raw_client: Any) -> None:
    short = raw_client.events("hi")[-1]["response"]["usage"]
    long = raw_client.events("hi " * 400, reasoning={"summary": "auto"})[-1]["response"]["usage"]
    assert long["input_tokens"] > short["input_tokens"] + 200
    assert long["output_tokens_details"]["reasoning_tokens"] > short["output_tokens_details"]["reasoning_tokens"] == 0
    assert long["total_tokens"] == long["input_tokens"] + long["output_tokens"]
