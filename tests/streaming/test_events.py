from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import openai.types.responses as official
import pytest

from codex_backend_sdk._items import UnknownItem
from codex_backend_sdk._streaming import events

DELTA = {
    "type": "response.output_text.delta",
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "delta": "hello",
    "logprobs": [],
    "sequence_number": 3,
}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
LEAN_RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "status": "in_progress", "output": []}
FULL_RESPONSE = {**LEAN_RESPONSE, "model": "m", "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


def encoded(payload: Any) -> bytes:
    return json.dumps(payload, separators=(",", ":")).encode()


def read(*payloads: Any, line: bytes = b"event: response.output_text.delta\n") -> Any:
    return events.read_events(b"\n\n".join(line + b"data: " + encoded(payload) for payload in payloads))


@pytest.mark.parametrize("line", [b"event: response.output_text.delta\n", b"", b"event: unknown.type\n", b"event:\n"])
def test_valid_event_has_the_official_class(line: bytes) -> None:
    (event,) = read(DELTA, line=line)
    assert type(event) is official.ResponseTextDeltaEvent
    assert event.delta == "hello"
    assert event == events.build_event(DELTA)


def test_events_of_one_type_are_a_batch() -> None:
    deltas = [{**DELTA, "delta": text, "sequence_number": number} for number, text in enumerate(("a,{}\n", "", "]"))]
    assert read(*deltas) == [events.build_event(delta) for delta in deltas]


def test_events_that_lack_members_are_a_batch() -> None:
    lean = {"type": DELTA["type"], "delta": "hello", "new_member": 1}
    batch = read(lean, DELTA)
    assert [type(event) for event in batch] == [official.ResponseTextDeltaEvent] * 2
    assert (batch[0].delta, batch[0].logprobs, batch[0].new_member) == ("hello", None, 1)
    assert batch[0].model_fields_set == lean.keys()
    assert batch == [events.build_event(lean), events.build_event(DELTA)]


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "codex.rate_limits", "plan_type": "plus"},
        {"type": "response.created", "response": LEAN_RESPONSE},
        {"type": "response.completed", "response": LEAN_RESPONSE},
        {"type": "error", "message": "x"},
        {**DELTA, "delta": 5},
        {**DELTA, "delta": None},
        {"type": DELTA["type"], "sequence_number": "3"},
    ],
)
def test_other_events_are_not_a_batch(payload: dict[str, Any]) -> None:
    assert read(payload) is None
    assert read(DELTA, payload) is None
    assert read(payload, DELTA) is None


def test_batch_needs_the_type_as_first_member() -> None:
    assert read(dict(reversed(DELTA.items()))) is None


def test_cache_of_unknown_types_is_bounded() -> None:
    for number in range(1000):
        read({"type": f"unknown.type.{number}", "delta": ""})
    assert events._event_parsers.cache_info().currsize < 1000


@pytest.mark.parametrize(
    ("change", "attribute", "expected"),
    [
        ({"sequence_number": None}, "sequence_number", None),
        ({"delta": 5}, "delta", 5),
        ({"extra": [1]}, "extra", [1]),
        ({"_fields_set": 1, "cls": 2, "_BaseModel__cls": 3, "delta": 5}, "cls", 2),
    ],
)
def test_missing_wrong_and_extra_members_are_delivered(change: dict[str, Any], attribute: str, expected: Any) -> None:
    event = events.build_event({**DELTA, **change})
    assert type(event) is official.ResponseTextDeltaEvent
    assert getattr(event, attribute) == expected


def test_unknown_event_keeps_its_members() -> None:
    event = events.build_event({"type": "codex.rate_limits", "plan_type": "plus", "_fields_set": 1})
    assert isinstance(event, events.UnknownEvent)
    assert (event.type, event.plan_type) == ("codex.rate_limits", "plus")  # type: ignore[attr-defined]
    assert event.sequence_number is None


@pytest.mark.parametrize("payload", [[], "text", None, 7])
def test_data_other_than_an_object_is_delivered(payload: Any) -> None:
    event = events.build_event(payload)
    assert isinstance(event, events.UnknownEvent)
    assert event.data == payload  # type: ignore[attr-defined]


@pytest.mark.parametrize("payload", [{"no": "type"}, {"type": 5}])
def test_data_without_a_type_is_an_unknown_event(payload: dict[str, Any]) -> None:
    assert isinstance(events.build_event(payload), events.UnknownEvent)


def test_item_in_an_event_is_typed() -> None:
    event = events.build_event({"type": "response.output_item.done", "output_index": 0, "item": MESSAGE})
    assert type(event) is official.ResponseOutputItemDoneEvent
    assert isinstance(event.item, official.ResponseOutputMessage)
    assert event.item["content"][0]["text"] == "hello"  # type: ignore[index]


def test_item_in_an_event_may_be_missing() -> None:
    event = events.build_event({"type": "response.output_item.added", "output_index": 4})
    assert type(event) is official.ResponseOutputItemAddedEvent
    assert (event.item, event.output_index) == (None, 4)


@pytest.mark.parametrize("response", [LEAN_RESPONSE, FULL_RESPONSE])
def test_response_in_an_event_is_typed(response: dict[str, Any]) -> None:
    event = events.build_event({"type": "response.created", "response": response})
    assert type(event) is official.ResponseCreatedEvent
    assert event.sequence_number is None
    assert event.model_fields_set == {"type", "response"}
    assert isinstance(event.response, official.Response)
    assert event.response.id == "resp_1"


def test_unknown_items_do_not_change_the_types_of_others() -> None:
    function = {"type": "function", "name": "f", "parameters": {}, "strict": False}
    response = events.build_response(
        {**FULL_RESPONSE, "output": [{"type": "new_member", "id": "x"}, MESSAGE], "tools": [{"type": "new"}, function]}
    )
    assert isinstance(response.output[0], UnknownItem)
    assert response.output[0]["id"] == "x"  # type: ignore[index]
    assert isinstance(response.output[1], official.ResponseOutputMessage)
    assert response.output_text == "hello"
    assert response.tools[0] == {"type": "new"}
    assert isinstance(response.tools[1], official.FunctionTool)


def test_output_other_than_a_list_is_unchanged() -> None:
    assert events.build_response({"id": "resp_1", "output": None}).output is None


def test_invalid_item_has_its_own_class() -> None:
    item = events.build_item({"type": "function_call", "name": "f", "arguments": {"not": "text"}})
    assert isinstance(item, official.ResponseFunctionToolCall)
    assert item.arguments == {"not": "text"}


@pytest.mark.parametrize("value", [None, 5, "x", [1]])
def test_values_other_than_mappings_are_returned(value: Any) -> None:
    assert events.build_item(value) is value
    assert events.build_response(value) is value


def test_all_official_event_types_are_known() -> None:
    """The table of classes is derived from the official union, so a new event type needs no change."""
    from typing import get_args

    members = get_args(get_args(official.ResponseStreamEvent)[0])
    assert {type(events.build_event({"type": name})) for name in events._event_classes()} == set(members)
    assert len(members) > 40


FORK = """
import os, signal, threading
from codex_backend_sdk._streaming import events
is_building, may_end = threading.Event(), threading.Event()

def build():
    with events._building:
        is_building.set()
        may_end.wait()

thread = threading.Thread(target=build)
thread.start()
is_building.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    events.build_response({"id": "resp_1"})
    os._exit(0)
may_end.set()
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_forked_child_can_build_validators() -> None:
    code = [sys.executable, "-W", "ignore", "-c", FORK]
    process = subprocess.run(code, capture_output=True, text=True, timeout=50, check=True)
    assert process.stdout == "0\n"
