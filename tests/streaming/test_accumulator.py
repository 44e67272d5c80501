from __future__ import annotations

import time
from typing import Any

import pytest

from codex_backend_sdk._json import encode
from codex_backend_sdk._streaming.accumulator import Accumulator

CREATED = {
    "type": "response.created",
    "response": {"id": "resp_1", "model": "m", "status": "in_progress", "output": []},
}


def message(text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": f"msg_{text}", "role": "assistant", "content": content, **more}


def done(index: int, item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def completed(**members: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", **members}}


def accumulate(*payloads: dict[str, Any], **arguments: Any) -> Accumulator:
    accumulator = Accumulator(**arguments)
    for payload in payloads:
        accumulator.add(payload)
    return accumulator


@pytest.mark.parametrize("final", [{"output": []}, {"output": None}, {}])
def test_output_is_rebuilt_in_the_order_of_indexes(final: dict[str, Any]) -> None:
    accumulator = accumulate(CREATED, done(1, message("b")), done(0, message("a")), completed(**final))
    assert accumulator.response["output"] == [message("a"), message("b")]
    assert accumulator.terminal_event_type == "response.completed"
    assert accumulator.failure is None


def test_output_of_the_terminal_event_is_preserved() -> None:
    accumulator = accumulate(done(0, message("a")), completed(output=[message("z")]))
    assert accumulator.response["output"] == [message("z")]


def test_members_of_the_first_snapshot_are_kept() -> None:
    assert accumulate(CREATED, completed()).response["model"] == "m"


def test_missing_status_is_that_of_the_event() -> None:
    accumulator = accumulate(CREATED, {"type": "response.incomplete", "response": {"id": "resp_1"}})
    assert accumulator.response["status"] == "incomplete"


def test_status_of_the_terminal_event_is_kept() -> None:
    assert accumulate(completed(status="cancelled")).response["status"] == "cancelled"


def test_incomplete_response_keeps_reason_and_usage() -> None:
    details = {"reason": "max_output_tokens"}
    response = {"id": "resp_1", "status": "incomplete", "incomplete_details": details, "usage": {"total_tokens": 3}}
    accumulator = accumulate(CREATED, done(0, message("a")), {"type": "response.incomplete", "response": response})
    assert accumulator.response["incomplete_details"] == details
    assert accumulator.response["usage"]["total_tokens"] == 3
    assert accumulator.response["output"] == [message("a")]


def test_missing_usage_details_are_zero() -> None:
    usage = {"input_tokens": 2, "input_tokens_details": {"cached_tokens": 1}, "output_tokens_details": None}
    usage = accumulate(completed(usage=usage)).response["usage"]
    assert usage["input_tokens_details"] == {"cached_tokens": 1, "cache_write_tokens": 0}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_dropped_parameters_are_listed() -> None:
    assert accumulate(completed(), dropped_parameters=("temperature",)).response["dropped_parameters"] == [
        "temperature"
    ]
    assert accumulate(completed(), dropped_parameters=()).response["dropped_parameters"] == []
    assert "dropped_parameters" not in accumulate(completed()).response


@pytest.mark.parametrize(
    ("payload", "failure"),
    [
        (
            {"type": "response.failed", "response": {"error": {"code": "a", "message": "b"}}},
            {"code": "a", "message": "b"},
        ),
        ({"type": "response.failed"}, {"type": "response.failed"}),
        ({"type": "response.failed", "response": {"id": "x"}}, {"type": "response.failed"}),
        ({"type": "error", "error": {"code": "a"}}, {"code": "a"}),
        ({"type": "error", "error": "boom"}, {"message": "boom"}),
        ({"type": "error", "code": "a", "message": "b"}, {"type": "error", "code": "a", "message": "b"}),
    ],
)
def test_failure_is_the_error_object(payload: dict[str, Any], failure: dict[str, Any]) -> None:
    accumulator = accumulate(CREATED, payload)
    assert accumulator.failure == failure
    assert accumulator.partial is not None
    assert accumulator.partial["status"] == "failed"


def test_only_the_first_terminal_event_counts() -> None:
    accumulator = accumulate(
        completed(id="first"), completed(id="second"), {"type": "error", "error": {"code": "late"}}
    )
    assert accumulator.response["id"] == "first"
    assert accumulator.failure is None


def test_partial_response_has_the_items_so_far() -> None:
    added = {**done(1, message("", content=[])), "type": "response.output_item.added"}
    accumulator = accumulate(CREATED, done(0, message("a")), added)
    for part in ("hel", "lo", 5):
        accumulator.add({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": part})
    assert accumulator.terminal_event_type is None
    assert accumulator.partial is not None
    assert accumulator.partial["status"] == "in_progress"
    assert [item["content"][0]["text"] for item in accumulator.partial["output"]] == ["a", "hello"]


def test_unfinished_call_is_unchanged() -> None:
    call = {"type": "function_call", "name": "f", "arguments": ""}
    accumulator = accumulate({**done(0, call), "type": "response.output_item.added"})
    assert accumulator.partial == {"status": "in_progress", "output": [call]}


def test_partial_response_of_nothing_is_none() -> None:
    assert accumulate().partial is None


def test_items_without_an_index_keep_their_order() -> None:
    accumulator = accumulate(
        *({"type": "response.output_item.done", "item": message(name)} for name in "ab"), completed()
    )
    assert [item["id"] for item in accumulator.response["output"]] == ["msg_a", "msg_b"]


@pytest.mark.parametrize("item", [None, "text", []])
def test_event_without_its_item_adds_nothing(item: Any) -> None:
    accumulator = accumulate(CREATED, done(0, item), done(1, message("a")), completed())
    assert accumulator.response["output"] == [message("a")]


def test_other_events_are_ignored() -> None:
    accumulator = accumulate({"type": "keepalive"}, {"no": "type"}, {"type": "response.created", "response": None})
    assert accumulator.partial is None


def added(index: Any, item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def delta(text: Any, *, index: Any = 0, content: Any = 0, item_type: str = "output_text") -> dict[str, Any]:
    position = {"output_index": index, "content_index": content}
    return {"type": f"response.{item_type}.delta", "delta": text, **position}


@pytest.mark.parametrize("final", [{"response": None}, {}])
def test_empty_terminal_event_is_filled_in(final: dict[str, Any]) -> None:
    payload = {"type": "response.completed", **final}
    accumulator = accumulate(CREATED, done(0, message("a")), payload)
    assert accumulator.response["status"] == "completed"
    assert accumulator.response["id"] == "resp_1"
    assert accumulator.response["output"] == [message("a")]
    assert payload["response"] is accumulator.response


def test_incomplete_response_is_never_completed() -> None:
    accumulator = accumulate({"type": "response.incomplete", "response": {"status": "completed"}})
    assert accumulator.response["status"] == "incomplete"


def test_late_added_event_does_not_replace_an_item() -> None:
    accumulator = accumulate(done(0, message("a")), added(0, message("a", content=[])), completed())
    assert accumulator.response["output"] == [message("a")]


def test_two_items_with_one_index_are_both_kept() -> None:
    accumulator = accumulate(done(0, message("a")), done(0, message("b")), completed())
    assert [item["id"] for item in accumulator.response["output"]] == ["msg_a", "msg_b"]


def test_finished_item_may_have_another_id() -> None:
    accumulator = accumulate(added(0, message("a")), done(0, message("b")), completed())
    assert [item["id"] for item in accumulator.response["output"]] == ["msg_b"]


def test_item_is_found_by_its_id() -> None:
    accumulator = accumulate(added(None, message("a", content=[])), done(None, message("a")), completed())
    assert accumulator.response["output"] == [message("a")]


def test_unfinished_item_is_built_from_its_deltas() -> None:
    call = {"type": "function_call", "id": "fc", "name": "f", "arguments": ""}
    custom = {"type": "custom_tool_call", "id": "ctc", "name": "g", "input": ""}
    accumulator = accumulate(
        added(0, message("", content=[])),
        added(1, call),
        added(2, custom),
        delta("hel"),
        delta("lo"),
        delta("second", content=1),
        delta('{"a":', index=1, item_type="function_call_arguments"),
        delta("1}", index=1, item_type="function_call_arguments"),
        delta("x", index=2, item_type="custom_tool_call_input"),
        completed(),
    )
    first, second, third = accumulator.response["output"]
    assert [part["text"] for part in first["content"]] == ["hello", "second"]
    assert second["arguments"] == '{"a":1}'
    assert third["input"] == "x"


def test_text_without_an_added_event_is_preserved() -> None:
    accumulator = accumulate(delta("hello", index=3), done(0, message("a")), completed())
    assert accumulator.response["output"][1]["content"][0]["text"] == "hello"
    assert accumulate(delta("hello")).partial is not None


@pytest.mark.parametrize(
    "payload",
    [
        {"type": ["list"]},
        {"type": {"a": 1}},
        added([], message("x")),
        delta(None),
        delta("x", index=None, content=None),
        delta("x", index={}, content=[]),
    ],
    ids=str,
)
def test_values_of_wrong_types_are_tolerated(payload: dict[str, Any]) -> None:
    accumulator = accumulate(CREATED, payload)
    assert accumulator.partial is not None
    accumulator.add(completed())
    assert accumulator.response["status"] == "completed"


@pytest.mark.parametrize("details", ["text", [1], 5])
def test_usage_of_a_wrong_type_is_kept(details: Any) -> None:
    assert accumulate(completed(usage={"input_tokens_details": details})).response["usage"] is not None
    assert accumulate(completed(usage=details)).response["usage"] == details


def test_finished_message_without_text_has_its_deltas() -> None:
    accumulator = accumulate(delta("hel"), delta("lo"), done(0, message("", content=[])), completed())
    assert accumulator.response["output"][0]["content"][0]["text"] == "hello"


def test_whole_text_replaces_its_deltas() -> None:
    whole = {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "hello"}
    accumulator = accumulate(added(0, message("", content=[])), delta("hel"), whole, delta("!"), completed())
    assert accumulator.response["output"][0]["content"][0]["text"] == "hello!"
    assert accumulate(CREATED, {**whole, "text": None}).partial == {**CREATED["response"], "output": []}  # type: ignore[dict-item]


def test_items_of_wrong_types_are_skipped() -> None:
    assert accumulate(completed(output=[None, 5, message("a")])).response["output"] == [message("a")]
    assert accumulate(done(0, message("a")), completed(output="text")).response["output"] == [message("a")]


def frames(*payloads: dict[str, Any]) -> bytes:
    return b"\n\n".join(b"data: " + encode(payload) for payload in payloads)


def text_delta(text: str, *, index: int = 0, part: int = 0) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": index, "content_index": part, "delta": text}


def test_batch_of_deltas_equals_single_deltas() -> None:
    """Deltas of several parts may alternate."""
    deltas = [text_delta("a"), text_delta("b"), text_delta("x", part=1), text_delta("c"), text_delta("z", index=2)]
    batched, single = Accumulator(), accumulate(*deltas)
    assert batched.add_deltas(frames(*deltas)) == 5
    assert batched.partial == single.partial
    assert [part["text"] for part in batched.partial["output"][0]["content"]] == ["abc", "x"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("event_type", "member"),
    [("response.function_call_arguments.delta", "arguments"), ("response.custom_tool_call_input.delta", "input")],
)
def test_batch_of_call_deltas_is_added(event_type: str, member: str) -> None:
    accumulator = Accumulator()
    delta = {"type": event_type, "output_index": 3, "delta": "x", "item_id": "fc_1"}
    assert accumulator.add_deltas(frames(delta, delta)) == 2
    assert accumulator.partial["output"][0][member] == "xx"  # type: ignore[index]


@pytest.mark.parametrize(
    "payload",
    [
        done(0, message("a")),
        {"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "x"},
        {**text_delta("x"), "delta": 5},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "x"},
        {"type": "response.custom_tool_call_input.delta", "output_index": 0, "content_index": 0, "delta": "x"},
    ],
)
def test_other_frames_are_not_a_batch_of_deltas(payload: dict[str, Any]) -> None:
    accumulator = Accumulator()
    assert accumulator.add_deltas(frames(payload)) == 0
    assert accumulator.add_deltas(frames(text_delta("x"), payload)) == 0
    assert accumulator.partial is None


@pytest.mark.parametrize(
    ("content_index", "part"), [("1", 1), (1.0, 1), ("status", 0), (None, 0), ({}, 0), ("9" * 5000, 0)]
)
def test_position_of_a_delta_is_a_number(content_index: Any, part: int) -> None:
    """Text as a position must not become a member of the item; batches and single deltas agree."""
    first = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}
    accumulator = accumulate(first, {**first, "content_index": content_index, "delta": "b"})
    (item,) = (accumulator.partial or {})["output"]
    assert item.keys() == {"type", "role", "content"}
    assert [part["text"] for part in item["content"]] == (["a", "b"] if part else ["ab"])


def item_of(index: int) -> list[dict[str, Any]]:
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {"type": "message", "id": f"m{index}"}},
        {"type": "response.output_text.delta", "output_index": index, "content_index": 0, "delta": "a"},
    ]


def test_many_items_take_linear_time() -> None:
    accumulator = accumulate(*(event for index in range(20_000) for event in item_of(index)))
    started_at = time.process_time()
    partial = accumulator.partial
    assert time.process_time() - started_at < 5  # linear time takes 0.1 s, quadratic time a minute
    assert partial is not None
    assert len(partial["output"]) == 20_000


@pytest.mark.parametrize("name", [["a"], {"a": 1}, 7, 1.5])
def test_id_may_be_any_json(name: Any) -> None:
    accumulator = accumulate(done(0, {"type": "message", "id": name}), done(5, message("a", id=name)), completed())
    assert accumulator.response["output"] == [message("a", id=name)]


@pytest.mark.parametrize("index", [["a"], {"a": 1}, None, "0", 1.5])
def test_index_may_be_any_json(index: Any) -> None:
    accumulator = accumulate(done(0, message("a")), done(index, message("b")), completed())
    assert accumulator.response["output"] == [message("a"), message("b")]
