"""`responses.stream()` returns the events of the official state machine."""

from __future__ import annotations

from typing import Any

import pytest
from openai import Omit
from openai.types.responses import ParsedResponseFunctionToolCall, ParsedResponseOutputMessage

from codex_backend_sdk._streaming.events import build_event
from codex_backend_sdk._upstream import ResponseStreamState
from codex_backend_sdk.resources.response_stream import StreamState

CREATED = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "r", "object": "response", "output": []},
}
MESSAGE = {"type": "message", "id": "m", "role": "assistant", "status": "in_progress", "content": []}
CALL = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": ""}
PART = {"type": "output_text", "text": "", "annotations": []}


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item, "sequence_number": 1}


def text(delta: Any, **more: Any) -> dict[str, Any]:
    where = {"item_id": "m", "output_index": 0, "content_index": 0, "sequence_number": 3}
    return {"type": "response.output_text.delta", "delta": delta, "logprobs": [], **where, **more}


def arguments(delta: Any) -> dict[str, Any]:
    where = {"item_id": "fc", "output_index": 1, "sequence_number": 4}
    return {"type": "response.function_call_arguments.delta", "delta": delta, **where}


OPENING = [
    CREATED,
    added(0, MESSAGE),
    {"type": "response.content_part.added", "item_id": "m", "output_index": 0, "content_index": 0, "part": PART},
    added(1, CALL),
]


def handled(state: Any, payloads: list[dict[str, Any]]) -> list[Any]:
    return [built for payload in payloads for built in state.handle_event(build_event(payload))]


@pytest.mark.parametrize(
    "deltas",
    [
        [text("hel"), text("lo")],
        [text("x", logprobs=[{"token": "x", "logprob": -0.1, "top_logprobs": []}])],
        [text("x", obfuscation="zzz")],
        [arguments('{"a"'), arguments(":1}")],
        [text("a"), arguments("b"), text("c"), arguments("d")],
    ],
)
def test_deltas_equal_those_of_the_official_state(deltas: list[dict[str, Any]]) -> None:
    ours = StreamState(input_tools=Omit(), text_format=Omit())
    official: ResponseStreamState[Any] = ResponseStreamState(input_tools=Omit(), text_format=Omit())
    found, expected = handled(ours, [*OPENING, *deltas]), handled(official, [*OPENING, *deltas])
    assert found == expected
    assert [type(event) for event in found] == [type(event) for event in expected]
    assert [event.model_fields_set for event in found] == [event.model_fields_set for event in expected]
    assert [event.to_dict() for event in found] == [event.to_dict() for event in expected]


def test_deltas_update_the_official_snapshot() -> None:
    state = StreamState(input_tools=Omit(), text_format=Omit())
    handled(state, [*OPENING, text("hel"), text("lo"), arguments("{}")])
    message, call = state._output_items[0], state._output_items[1]
    assert isinstance(message, ParsedResponseOutputMessage)
    assert isinstance(call, ParsedResponseFunctionToolCall)
    assert message.content[0].text == "hello"  # type: ignore[union-attr]
    assert call.arguments == "{}"


COMPLETED = {"type": "response.completed", "response": {"id": "r", "object": "response", "output": [MESSAGE]}}


@pytest.mark.parametrize(
    "odd",
    [
        text("x", output_index=7),
        text(None),
        text("x", content_index=None),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 5, "text": "x"},
        {"type": "response.output_item.done", "output_index": 0, "item": None},
        added(0, MESSAGE),
    ],
    ids=lambda odd: odd["type"],
)
def test_event_that_does_not_fit_is_delivered(odd: dict[str, Any]) -> None:
    state = StreamState(input_tools=Omit(), text_format=Omit())
    events = handled(state, [*OPENING, odd, COMPLETED])
    assert odd["type"] in {event.type for event in events[len(OPENING) :]}
    assert state._completed_response is not None
    assert state._completed_response.output[0]["id"] == "m"  # type: ignore[index]


def test_stream_may_begin_without_its_first_event() -> None:
    state = StreamState(input_tools=Omit(), text_format=Omit())
    handled(state, [text("x"), COMPLETED])
    assert state._completed_response is not None
