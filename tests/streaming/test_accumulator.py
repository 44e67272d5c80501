from __future__ import annotations

import time
from typing import Any, get_args

import pytest
from openai.types.responses import ResponseStreamEvent

from codex_backend_sdk._json import encode
from codex_backend_sdk._streaming.accumulator import (
    DELTA_EVENTS,
    TERMINAL_EVENTS,
    WHOLE_EVENTS,
    Accumulator,
    malformed_member,
)

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


# Terminal event, its status, whether it has an error → the type of the event that is delivered, and the status of the
# response; a type of None means a failure, and "!" a contradiction.
ERROR = {"code": "server_error", "message": "Boom."}
ENDINGS: list[tuple[str, Any, Any, str | None, str]] = [
    ("completed", "completed", None, "completed", "completed"),
    ("completed", None, None, "completed", "completed"),
    ("completed", 5, None, "completed", "completed"),
    ("completed", "archived", None, "completed", "archived"),
    ("completed", "completed", {}, "completed", "completed"),
    ("completed", "completed", {"code": None, "message": None}, "completed", "completed"),
    ("completed", "completed", ERROR, None, "failed"),
    ("completed", "completed", "Boom.", None, "failed"),
    ("completed", "failed", None, None, "failed"),
    ("completed", "failed", ERROR, None, "failed"),
    ("completed", "cancelled", None, None, "cancelled"),
    ("completed", "incomplete", None, "incomplete", "incomplete"),
    ("completed", "incomplete", ERROR, None, "failed"),
    ("completed", "in_progress", None, "!", "in_progress"),
    ("completed", "in_progress", ERROR, None, "failed"),
    ("completed", "queued", None, "!", "queued"),
    ("incomplete", "incomplete", None, "incomplete", "incomplete"),
    ("incomplete", "completed", None, "incomplete", "incomplete"),
    ("incomplete", "in_progress", None, "incomplete", "incomplete"),
    ("incomplete", "queued", None, "incomplete", "incomplete"),
    ("incomplete", None, None, "incomplete", "incomplete"),
    ("incomplete", "failed", None, None, "failed"),
    ("incomplete", "cancelled", None, None, "cancelled"),
    ("incomplete", "incomplete", ERROR, None, "failed"),
    ("failed", "completed", None, None, "failed"),
    ("failed", "failed", ERROR, None, "failed"),
    ("cancelled", None, None, None, "cancelled"),
    ("cancelled", "completed", ERROR, None, "cancelled"),
    ("done", "completed", None, "completed", "completed"),
    ("done", None, None, "completed", "completed"),
    ("done", "incomplete", None, "incomplete", "incomplete"),
    ("done", "in_progress", None, "!", "in_progress"),
    ("done", "failed", ERROR, None, "failed"),
    ("done", "cancelled", None, None, "cancelled"),
    ("done", "completed", ERROR, None, "failed"),
]


@pytest.mark.parametrize(("event", "status", "error", "delivered", "final_status"), ENDINGS)
def test_event_status_and_error_decide_the_outcome(
    event: str, status: Any, error: Any, delivered: str | None, final_status: str
) -> None:
    members = {"id": "resp_1", "status": status, "error": error}
    payload = {"type": f"response.{event}", "response": {n: v for n, v in members.items() if v is not None}}
    accumulator = accumulate(CREATED, done(0, message("a")), payload)
    assert (accumulator.failure is not None) == (delivered is None)
    assert accumulator.is_contradictory == (delivered == "!")
    assert accumulator.response["status"] == final_status
    assert accumulator.response["output"] == [message("a")]
    if delivered not in (None, "!"):
        assert payload["type"] == accumulator.terminal_event_type == f"response.{delivered}"
    elif delivered is None:
        assert accumulator.partial is not None
        assert accumulator.partial["status"] == final_status
        expected = {"message": error} if isinstance(error, str) else error
        assert error is None or accumulator.failure == expected


def test_cancelled_response_has_a_message() -> None:
    assert accumulate({"type": "response.cancelled"}).failure == {"message": "The response was cancelled."}


def test_error_of_an_earlier_snapshot_is_a_failure() -> None:
    snapshot = {"type": "response.in_progress", "response": {"id": "resp_1", "error": ERROR}}
    assert accumulate(snapshot, completed()).failure == ERROR


@pytest.mark.parametrize("response", [None, {}, [], "text"])
def test_done_event_without_a_response_ends_nothing(response: Any) -> None:
    accumulator = accumulate(CREATED, {"type": "response.done", "response": response})
    assert accumulator.terminal_event_type is None


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
    assert len(batched.add_deltas(frames(*deltas))) == 5
    assert batched.partial == single.partial
    assert [part["text"] for part in batched.partial["output"][0]["content"]] == ["abc", "x"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("event_type", "member"),
    [("response.function_call_arguments.delta", "arguments"), ("response.custom_tool_call_input.delta", "input")],
)
def test_batch_of_call_deltas_is_added(event_type: str, member: str) -> None:
    accumulator = Accumulator()
    delta = {"type": event_type, "output_index": 3, "delta": "x", "item_id": "fc_1"}
    assert len(accumulator.add_deltas(frames(delta, delta))) == 2
    assert accumulator.partial["output"][0][member] == "xx"  # type: ignore[index]


@pytest.mark.parametrize(
    "payload",
    [
        done(0, message("a")),
        {"type": "response.reasoning_text.delta", "output_index": 0, "delta": "x"},
        {**text_delta("x"), "delta": 5},
        {"type": "response.output_text.delta", "output_index": 0, "delta": "x"},
        {"type": "response.custom_tool_call_input.delta", "delta": "x", "item_id": "ctc_1"},
        {"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": {}},
    ],
)
def test_other_frames_are_not_a_batch_of_deltas(payload: dict[str, Any]) -> None:
    accumulator = Accumulator()
    assert accumulator.add_deltas(frames(payload)) == []
    assert accumulator.add_deltas(frames(text_delta("x"), payload)) == []
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


# --- values --------------------------------------------------------------------------------------------------------

CALL = {"type": "function_call", "id": "x", "call_id": "c", "name": "f"}
MESSAGE = {"type": "message", "id": "x", "role": "assistant"}
REASONING = {"type": "reasoning", "id": "x"}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


# Event without `.delta` or `.done` → the member of its value, the position of the event, an item without the value, the
# part of the item that has the value, and a function that returns the item with a value.
VALUES: dict[str, tuple[str, dict[str, int], dict[str, Any], Any]] = {
    "output_text": (
        "text",
        {"content_index": 0},
        {**MESSAGE, "content": []},
        lambda text: {**MESSAGE, "content": [text_part(text)]},
    ),
    "refusal": (
        "refusal",
        {"content_index": 0},
        {**MESSAGE, "content": []},
        lambda text: {**MESSAGE, "content": [{"type": "refusal", "refusal": text}]},
    ),
    "reasoning_text": (
        "text",
        {"content_index": 0},
        {**REASONING, "summary": [], "content": None},
        lambda text: {**REASONING, "summary": [], "content": [{"type": "reasoning_text", "text": text}]},
    ),
    "reasoning_summary_text": (
        "text",
        {"summary_index": 0},
        {**REASONING, "summary": []},
        lambda text: {**REASONING, "summary": [{"type": "summary_text", "text": text}]},
    ),
    "function_call_arguments": ("arguments", {}, {**CALL, "arguments": ""}, lambda text: {**CALL, "arguments": text}),
    "mcp_call_arguments": (
        "arguments",
        {},
        {**CALL, "type": "mcp_call"},
        lambda text: {**CALL, "type": "mcp_call", "arguments": text},
    ),
    "custom_tool_call_input": (
        "input",
        {},
        {**CALL, "type": "custom_tool_call", "input": None},
        lambda text: {**CALL, "type": "custom_tool_call", "input": text},
    ),
    "code_interpreter_call_code": (
        "code",
        {},
        {"type": "code_interpreter_call", "id": "x", "code": None},
        lambda text: {"type": "code_interpreter_call", "id": "x", "code": text},
    ),
}
# Events with the value, in this order → the value in the response. `+` is a delta; the others have a whole value.
SOURCES = {
    "+a +b": "ab",
    "done:ab": "ab",
    "item:ab": "ab",
    "+a +b item:": "ab",
    "done:ab item:": "ab",
    "+a done:ab item:": "ab",
    "+a done:xy": "xy",
    "+a +b done:": "ab",
    "+a done:xy item:z": "z",
    "item:ab +c": "ab",
    "item:ab done:": "ab",
    "item:ab done:xy": "xy",
    "item: done:ab": "ab",
    "item: +a +b": "ab",
    "done:a +b": "ab",
    "+a item: done:": "a",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("position", "with_added"), [("index", True), ("index", False), ("id", True)])
@pytest.mark.parametrize("event", VALUES)
def test_last_event_with_a_value_wins(event: str, source: str, with_added: bool, position: str) -> None:
    member, part_index, empty_item, item_with = VALUES[event]
    place = {"output_index": 2} if position == "index" else {"item_id": "x"}
    events = [added(2, empty_item)] if with_added else []
    for word in source.split():
        kind, _, value = word.partition(":")
        if kind == "item":
            events.append(done(2, item_with(value) if value else empty_item))
        elif kind == "done":
            events.append({"type": f"response.{event}.done", member: value, **place, **part_index})
        else:
            events.append({"type": f"response.{event}.delta", "delta": kind[1:], **place, **part_index})
    expected = item_with(SOURCES[source])
    if not with_added and "item" not in source:  # no event has the other members of the item
        unknown = {"id": "", "call_id": "", "name": ""}
        expected = {name: value for name, value in expected.items() if name not in unknown}
    assert accumulate(*events, completed()).response["output"] == [expected]
    partial = accumulate(CREATED, *events).partial
    assert partial is not None
    assert partial["output"] == [expected]


def test_unannounced_items_have_required_members() -> None:
    accumulator = accumulate(
        delta("a"),
        {"type": "response.reasoning_summary_text.delta", "output_index": 1, "summary_index": 0, "delta": "b"},
        {"type": "response.content_part.added", "output_index": 2, "content_index": 0, "part": text_part("c")},
    )
    assert (accumulator.partial or {})["output"] == [
        {"type": "message", "role": "assistant", "content": [text_part("a")]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "b"}]},
        {"type": "message", "role": "assistant", "content": [text_part("c")]},
    ]


def part(state: str, value: Any, *, index: int = 0, kind: str = "content") -> dict[str, Any]:
    name, member = (
        ("content_part", "content_index") if kind == "content" else ("reasoning_summary_part", "summary_index")
    )
    return {"type": f"response.{name}.{state}", "output_index": 0, member: index, "part": value}


@pytest.mark.parametrize(
    ("events", "texts"),
    [
        ([part("added", text_part("")), delta("a"), part("done", text_part("ab"))], ["ab"]),
        ([part("added", text_part("")), delta("a"), part("done", text_part(""))], ["a"]),
        ([part("done", text_part("a")), done(0, {**MESSAGE, "content": []})], ["a"]),
        ([part("done", text_part("a")), part("done", text_part("b"), index=3)], ["a", "b"]),
        ([part("added", text_part("a"), index=1), done(0, {**MESSAGE, "content": [text_part("b")]})], ["b", "a"]),
        ([delta("a"), done(0, {**MESSAGE, "content": [text_part("")]})], ["a"]),
        ([delta("a"), done(0, {**MESSAGE, "content": [None, text_part("b")]})], ["a", "b"]),
        ([delta("a"), done(0, {**MESSAGE, "content": ["text"]})], ["text"]),
        ([delta("a"), done(0, {**MESSAGE, "content": "text"})], "text"),
        ([part("done", "text"), delta("a")], ["a"]),
    ],
)
def test_parts_are_completed(events: list[dict[str, Any]], texts: Any) -> None:
    (item,) = accumulate(*events, completed()).response["output"]
    content = item["content"]
    assert texts == (content if isinstance(content, str) else [p if isinstance(p, str) else p["text"] for p in content])


def test_summary_parts_are_completed() -> None:
    summary = {"type": "summary_text", "text": "a"}
    events = part("added", {**summary, "text": ""}, kind="summary"), part("done", summary, kind="summary")
    (item,) = accumulate(*events, done(0, {**REASONING, "summary": []}), completed()).response["output"]
    assert item == {**REASONING, "summary": [summary]}


def test_part_of_another_type_replaces_a_part() -> None:
    refusal = {"type": "refusal", "refusal": "No."}
    (item,) = accumulate(delta("a"), done(0, {**MESSAGE, "content": [refusal]}), completed()).response["output"]
    assert item["content"] == [refusal]


def annotation(value: Any) -> dict[str, Any]:
    position = {"output_index": 0, "content_index": 0, "annotation_index": 0}
    return {"type": "response.output_text.annotation.added", "annotation": value, **position}


def test_annotations_are_kept() -> None:
    one, two = {"type": "file_citation", "file_id": "1"}, {"type": "file_citation", "file_id": "2"}
    events = [delta("a"), annotation(one), annotation("text"), annotation(two)]
    (item,) = accumulate(*events, done(0, {**MESSAGE, "content": [text_part("a")]}), completed()).response["output"]
    assert item["content"][0]["annotations"] == [one, two]
    finished = {**MESSAGE, "content": [{**text_part("a"), "annotations": [two]}]}
    assert accumulate(*events, done(0, finished), completed()).response["output"] == [finished]


def test_members_of_the_added_item_are_kept() -> None:
    item = {**CALL, "arguments": "{}", "status": "in_progress"}
    finished = {"type": "function_call", "id": "x", "name": None, "arguments": "{}"}
    accumulator = accumulate(added(0, item), done(0, finished), completed())
    assert accumulator.response["output"] == [{**CALL, "arguments": "{}"}]  # without the status of an unfinished item


def test_text_without_an_index_is_in_no_other_item() -> None:
    reasoning = {**REASONING, "summary": []}
    accumulator = accumulate(done(0, reasoning), delta("a", index=None), completed())
    assert accumulator.response["output"] == [reasoning]


@pytest.mark.parametrize("item_id", [None, "y", {}])
def test_text_without_a_known_item_is_at_index_0(item_id: Any) -> None:
    unfinished = added(0, {**REASONING, "summary": []})
    no_index = {"type": "response.output_text.delta", "delta": "a", "item_id": item_id}
    assert accumulate(unfinished, no_index, completed()).response["output"] == [{**REASONING, "summary": []}]
    assert accumulate(no_index, completed()).response["output"][0]["content"] == [text_part("a")]


def test_items_of_two_types_are_two_items() -> None:
    accumulator = accumulate(added(0, message("a")), done(0, {**REASONING, "summary": []}), completed())
    assert [item["type"] for item in accumulator.response["output"]] == ["message", "reasoning"]
    no_id = {name: value for name, value in message("a").items() if name != "id"}
    accumulator = accumulate(added(0, no_id), done(0, {**REASONING, "summary": []}), completed())
    assert accumulator.response["output"] == [{**REASONING, "summary": []}]


ENDS = pytest.mark.parametrize("event_type", ["response.failed", "response.completed", "response.incomplete"])


@ENDS
def test_terminal_output_decides_which_items_exist(event_type: str) -> None:
    call, reasoning = {**CALL, "arguments": "{}"}, {**REASONING, "id": "r", "encrypted_content": "blob", "summary": []}
    streamed = [done(0, reasoning), done(1, call), done(2, message("a"))]
    final = [{**CALL, "arguments": ""}, {**message("z"), "content": []}]
    accumulator = accumulate(*streamed, {"type": event_type, "response": {"id": "resp_1", "output": final}})
    expected = [call, {**message("a"), "id": "msg_z"}]
    assert accumulator.response["output"] == expected
    assert (accumulator.partial or {})["output"] == expected


REASONING_TEXT = {"type": "reasoning_text", "text": "t"}
SUMMARY = {"type": "summary_text", "text": "s"}
REFUSAL = {"type": "refusal", "refusal": "No."}
CUSTOM = {**CALL, "type": "custom_tool_call"}
CITED = {**text_part("a"), "annotations": [{"type": "file_citation", "file_id": "1"}]}


# Streamed item, item of the terminal event → item in the response; None if it is that of the terminal event.
@pytest.mark.parametrize(
    ("streamed", "final", "expected"),
    [
        # The item has no member that the terminal event omits …
        ({**CALL, "arguments": "{}"}, {"type": "function_call", "arguments": "[]"}, None),
        ({**CALL, "arguments": "{}", "status": "completed"}, {**CALL, "arguments": "{}"}, None),
        ({**REASONING, "summary": [], "encrypted_content": "blob"}, {**REASONING, "summary": []}, None),
        (
            {**MESSAGE, "phase": "final_answer", "content": [CITED]},
            {**MESSAGE, "content": [text_part("b")]},
            {**MESSAGE, "content": [{**CITED, "text": "b"}]},
        ),
        # … except for a streamed value.
        ({**CALL, "arguments": "{}"}, CALL, {**CALL, "arguments": "{}"}),
        (
            {**CALL, "arguments": "{}"},
            {"type": "function_call", "id": None},
            {"type": "function_call", "id": None, "arguments": "{}"},
        ),
        ({**CUSTOM, "input": "i"}, {**CUSTOM, "input": ""}, {**CUSTOM, "input": "i"}),
        ({**REASONING, "summary": [SUMMARY]}, {**REASONING, "summary": []}, {**REASONING, "summary": [SUMMARY]}),
        ({**REASONING, "content": [REASONING_TEXT]}, REASONING, {**REASONING, "content": [REASONING_TEXT]}),
        ({**MESSAGE, "content": [CITED]}, {**MESSAGE, "content": [text_part("")]}, {**MESSAGE, "content": [CITED]}),
        ({**MESSAGE, "content": [REFUSAL]}, {**MESSAGE, "content": None}, {**MESSAGE, "content": [REFUSAL]}),
        (
            {**MESSAGE, "content": [REFUSAL]},
            {**MESSAGE, "content": [{"type": "refusal"}]},
            {**MESSAGE, "content": [REFUSAL]},
        ),
        # A list of the terminal event decides which parts exist.
        ({**MESSAGE, "content": [CITED, REFUSAL]}, {**MESSAGE, "content": [REFUSAL]}, None),
        ({**MESSAGE, "content": [CITED]}, {**MESSAGE, "content": [CITED, REFUSAL]}, None),
        ({**MESSAGE, "content": [CITED]}, {**MESSAGE, "content": "text"}, None),
        ({**MESSAGE, "content": [CITED]}, {**MESSAGE, "content": ["text"]}, None),
        # Empty values and items of another type change nothing.
        ({**MESSAGE, "content": []}, MESSAGE, None),
        ({**CALL, "arguments": "{}"}, {**MESSAGE, "content": []}, None),
        ({**CALL, "arguments": "{}"}, {"id": "x"}, None),
    ],
)
def test_terminal_item_is_only_filled_with_values(
    streamed: dict[str, Any], final: dict[str, Any], expected: Any
) -> None:
    accumulator = accumulate(done(0, streamed), completed(output=[final]))
    assert accumulator.response["output"] == [final if expected is None else expected]


@pytest.mark.parametrize("final", [{}, {"output": None}, {"output": []}])
def test_output_of_a_snapshot_is_completed(final: dict[str, Any]) -> None:
    snapshot = {"type": "response.in_progress", "response": {"id": "resp_1", "output": [{**CALL, "arguments": ""}]}}
    events = [snapshot, delta("{}", item_type="function_call_arguments"), done(1, message("a"))]
    expected = [{**CALL, "arguments": "{}"}, message("a")]
    assert (accumulate(*events).partial or {})["output"] == expected
    assert accumulate(*events, completed(**final)).response["output"] == expected
    assert accumulate(*events, snapshot, completed(output=[CALL])).response["output"] == expected[:1]


def test_terminal_output_may_have_more_items() -> None:
    accumulator = accumulate(done(0, message("a")), completed(output=[message("a"), message("b"), {"type": 5}]))
    assert accumulator.response["output"] == [message("a"), message("b"), {"type": 5}]


# Events with a value that is not a part of a response, and the reason.
NOT_IN_A_RESPONSE = {
    "response.audio.delta": "the official response has no audio",
    "response.audio.transcript.delta": "the official response has no audio",
    "response.image_generation_call.partial_image": "a preview of the image in the finished item",
    "response.shell_call_command.added": "the backend does not offer the hosted shell",
    "response.shell_call_command.delta": "the backend does not offer the hosted shell",
    "response.shell_call_command.done": "the backend does not offer the hosted shell",
    "response.shell_call_output_content.delta": "the backend does not offer the hosted shell",
    "response.shell_call_output_content.done": "the backend does not offer the hosted shell",
}
POSITIONS = {
    "type", "sequence_number", "item_id", "output_index", "content_index", "summary_index", "annotation_index"
}  # fmt: skip


def test_every_official_event_with_a_value_is_accumulated() -> None:
    events = get_args(get_args(ResponseStreamEvent)[0])
    with_value = {
        get_args(event.model_fields["type"].annotation)[0]
        for event in events
        if event.model_fields.keys() - POSITIONS and "response" not in event.model_fields
    }
    assert with_value - DELTA_EVENTS.keys() - WHOLE_EVENTS == NOT_IN_A_RESPONSE.keys()
    assert "response.completed" in TERMINAL_EVENTS


READABLE_MESSAGE = {
    "type": "message",
    "content": [{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "y"}],
}


@pytest.mark.parametrize(
    ("item", "member"),
    [
        (READABLE_MESSAGE, None),
        ({"type": "message"}, None),
        ({"type": "message", "content": [{"type": "output_text", "text": None}]}, None),
        ({"type": "reasoning", "content": 5}, None),
        ({"type": ["message"], "content": 5}, None),
        (5, None),
        ({"type": "message", "content": None}, None),
        ({"type": "message", "content": "x"}, "output[1].content"),
        ({"type": "message", "content": [None]}, "output[1].content[0]"),
        ({"type": "message", "content": [{"text": {"a": 1}}]}, "output[1].content[0].text"),
        ({"type": "message", "content": [{"refusal": 5}]}, "output[1].content[0].refusal"),
        ({"type": "function_call", "arguments": "{}"}, None),
        ({"type": "function_call", "arguments": {}}, "output[1].arguments"),
        ({"type": "function_call", "arguments": None}, "output[1].arguments"),
        ({"type": "custom_tool_call", "input": 5}, "output[1].input"),
    ],
)
def test_member_of_an_unreadable_type_is_found(item: Any, member: str | None) -> None:
    assert malformed_member({"output": [READABLE_MESSAGE, item]}) == member


@pytest.mark.parametrize("response", [{}, {"output": None}, {"output": "x"}])
def test_response_without_items_is_not_malformed(response: dict[str, Any]) -> None:
    assert malformed_member(response) is None
