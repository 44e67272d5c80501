"""Test the events of a reply: the types of openai, the order of the backend, and the concatenated deltas."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from codex_backend_sdk.testing import Turn

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
    {"tools": [{"type": "web_search"}], "include": ["web_search_call.action.sources"]},
    {"tools": [{"type": "image_generation", "partial_images": 2}]},
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


def test_annotation_follows_the_delta_with_its_end(raw_client: Any) -> None:
    events = raw_client.events("Explain tides", tools=[{"type": "web_search"}])
    text, annotations = "", []
    for event in events:
        if event["type"] == "response.output_text.delta":
            text += event["delta"]
        elif event["type"] == "response.output_text.annotation.added":
            annotations.append(event["annotation"])
            assert event["annotation_index"] == len(annotations) - 1
            assert event["annotation"]["end_index"] <= len(text) < event["annotation"]["end_index"] + 10
    done = next(event for event in events if event["type"] == "response.content_part.done")
    assert annotations == done["part"]["annotations"] != []
    added = next(event for event in events if event["type"] == "response.content_part.added")
    assert added["part"]["annotations"] == []


def test_annotation_without_a_position_is_sent(raw_client: Any) -> None:
    part = {"type": "output_text", "text": "a", "annotations": [{"type": "file_citation", "file_id": "f", "index": 9}]}
    raw_client.sim.script(Turn.items({"type": "message", "id": "m", "role": "assistant", "content": [part]}))
    assert [e["type"] for e in raw_client.events("x")].count("response.output_text.annotation.added") == 1
    part["annotations"] = [{"type": "url_citation", "end_index": 99}]
    raw_client.sim.script(Turn.items({"type": "message", "id": "m", "role": "assistant", "content": [part]}))
    assert [e["type"] for e in raw_client.events("x")].count("response.output_text.annotation.added") == 1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_partial_images_precede_the_image(raw_client: Any, count: int) -> None:
    events = raw_client.events("Draw", tools=[{"type": "image_generation", "partial_images": count}])
    prefix = "response.image_generation_call"
    types = [event["type"].removeprefix(prefix) for event in events if event["type"].startswith(prefix)]
    assert types == [".in_progress", ".generating", *[".partial_image"] * count, ".completed"]
    previews = [event["partial_image_b64"] for event in events if event["type"].endswith("partial_image")]
    assert len(set(previews)) == count
    added = next(event for event in events if event["type"] == "response.output_item.added")
    assert added["item"]["result"] is None
    usage = events[-1]["response"]["usage"]
    assert usage["output_tokens"] < 300, "the image is not text of the model"


def test_usage_increases_with_the_length_of_texts(raw_client: Any) -> None:
    short = raw_client.events("hi")[-1]["response"]["usage"]
    long = raw_client.events("hi " * 400, reasoning={"summary": "auto"})[-1]["response"]["usage"]
    assert long["input_tokens"] > short["input_tokens"] + 200
    assert long["output_tokens_details"]["reasoning_tokens"] > short["output_tokens_details"]["reasoning_tokens"] == 0
    assert long["total_tokens"] == long["input_tokens"] + long["output_tokens"]
