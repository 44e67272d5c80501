"""The two forms of a response: what is recorded, hidden, and sent at an error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from codex_backend_sdk.server.api_errors import ApiError
from codex_backend_sdk.server.dialects import ChatDialect, ResponsesDialect

ERROR = ApiError(429, "Used up.", type="usage_limit_reached", code="usage_limit_reached", details={"resets_at": 1})


class Recorder:
    def __init__(self) -> None:
        self.usage: list[tuple[int, int, int]] = []
        self.outputs: list[list[Any]] = []
        self.models: list[str] = []

    def record_model(self, name: str) -> None:
        self.models.append(name)

    def record_usage(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> None:
        self.usage.append((input_tokens, cached_tokens, output_tokens))

    def record_output(self, output: list[Any]) -> None:
        self.outputs.append(output)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def responses(recorder: Recorder) -> ResponsesDialect:
    return ResponsesDialect(recorder, new_id=lambda: "resp_new")


CREATED = {"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "status": "in_progress"}}
USAGE = {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 1}


def item(number: int, **members: Any) -> dict[str, Any]:
    return {"id": f"msg_{number}", "type": "message", "status": "in_progress", **members}


def added(number: int) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": number, "item": item(number)}


def done(number: int) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": number, "item": item(number)}


@pytest.mark.parametrize(("sent", "recorded"), [("gpt-5.5", ["gpt-5.5"]), (None, []), ("", []), (7, [])])
def test_model_is_recorded_if_the_response_names_it(
    responses: ResponsesDialect, recorder: Recorder, sent: Any, recorded: list[str]
) -> None:
    responses.visible([{"type": "response.created", "response": {"id": "resp_1", "model": sent}}])
    assert recorder.models == recorded


def test_responses_events_without_a_type_are_left_out(responses: ResponsesDialect) -> None:
    delta = {"type": "response.output_text.delta", "delta": "a"}
    assert responses.visible([CREATED, {}, {"type": 7}, delta]) == [CREATED, delta]
    assert responses.visible([]) == []


@pytest.mark.parametrize(
    ("event_type", "expected"),
    [("response.created", False), ("response.queued", False), ("response.in_progress", False), ("response.x", True)],
)
def test_responses_status_is_decided_by_other_events(
    responses: ResponsesDialect, event_type: str, expected: bool
) -> None:
    assert responses.decides({"type": event_type}) is expected


@pytest.mark.parametrize("event_type", ["response.completed", "response.incomplete"])
def test_responses_end_is_recorded(responses: ResponsesDialect, recorder: Recorder, event_type: str) -> None:
    responses.visible([{"type": event_type, "response": {"usage": USAGE, "output": [item(0)]}}])
    assert recorder.usage == [(3, 2, 1)]
    assert recorder.outputs == [[item(0)]]
    responses.final({"usage": None, "output": None})
    assert recorder.usage == [(3, 2, 1)]
    assert recorder.outputs[1] == []


def test_responses_failure_closes_open_items(responses: ResponsesDialect) -> None:
    responses.visible([CREATED, added(0), done(0), added(1), {**added(2), "sequence_number": 9}])
    partial = {"output": [item(0, status="completed"), item(1, content=["text"]), "no item"]}
    events = responses.failure(ERROR, partial)
    assert [event["sequence_number"] for event in events] == [10, 11, 12]
    assert [event["type"] for event in events[:2]] == ["response.output_item.done"] * 2
    assert events[0]["item"] == item(1, status="incomplete", content=["text"])
    assert events[1]["item"] == item(2, status="incomplete")
    response = events[2]["response"]
    assert (response["id"], response["status"]) == ("resp_1", "failed")
    assert [each.get("status") for each in response["output"]] == ["completed", "incomplete", None]
    assert response["error"] == {"code": "usage_limit_reached", "message": "Used up.", "resets_at": 1}


def test_responses_failure_closes_no_item_whose_text_is_unknown(responses: ResponsesDialect) -> None:
    responses.visible([CREATED, added(0)])
    assert [event["type"] for event in responses.failure(ERROR, None)] == ["response.failed"]


@pytest.mark.parametrize("index", [None, [], {}, "0"])
def test_responses_items_without_an_index_stay_closed(responses: ResponsesDialect, index: Any) -> None:
    item = {"type": "message", "id": "msg_1"}
    events = [
        {"type": f"response.output_item.{name}", "output_index": index, "item": item} for name in ("added", "done")
    ]
    assert responses.visible(events) == events
    types = [event["type"] for event in responses.failure(ApiError(502, "m"), {})]
    assert types == ["response.created", "response.failed"]


def test_responses_failure_without_an_event_begins_a_response(responses: ResponsesDialect) -> None:
    created, failed = responses.failure(ApiError(500, "x"), None)
    assert (created["type"], created["sequence_number"], created["response"]["id"]) == (
        "response.created",
        0,
        "resp_new",
    )
    assert (failed["sequence_number"], failed["response"]["error"]["code"]) == (1, "server_error")


def test_responses_numbers_continue_without_those_of_the_backend(responses: ResponsesDialect) -> None:
    responses.visible([{**CREATED, "sequence_number": None}, {"type": "response.in_progress"}])
    assert [event["sequence_number"] for event in responses.failure(ERROR, None)] == [2]


def test_responses_are_encoded_with_event_lines(responses: ResponsesDialect) -> None:
    data = responses.encode([{"type": "a", "text": "ä\n"}, {"type": "b", "text": "\ud800"}])
    first, second, rest = data.split(b"\n\n")
    assert first == 'event: a\ndata: {"type":"a","text":"ä\\n"}'.encode()
    assert json.loads(second.partition(b"data: ")[2]) == {"type": "b", "text": "\ud800"}
    assert (rest, responses.ending) == (b"", b"")


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


CHAT_USAGE = {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens": 1}


@pytest.mark.parametrize("shows_usage", [False, True])
def test_chat_usage_is_recorded_and_hidden(recorder: Recorder, shows_usage: bool) -> None:
    dialect = ChatDialect(recorder, shows_usage=shows_usage)
    batch = [chunk({}, "stop"), {"choices": [], "usage": CHAT_USAGE}]
    assert dialect.visible(batch) == batch[: 1 + shows_usage]
    assert recorder.usage == [(3, 2, 1)]


def test_chat_calls_and_reasoning_are_recorded(recorder: Recorder) -> None:
    dialect = ChatDialect(recorder, shows_usage=False)
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    custom = {"index": 1, "id": "c2", "type": "custom", "custom": {"name": "g", "input": ""}}
    dialect.visible([chunk({"tool_calls": [call]}), chunk({"tool_calls": [custom]})])
    dialect.visible([chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":'}}]})])
    dialect.visible([chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})])
    dialect.visible([chunk({"tool_calls": [{"index": 1, "custom": {"input": "x"}}]})])
    dialect.visible([chunk({"reasoning_details": [{"data": "d"}]}), chunk({}, "tool_calls")])
    (message,) = recorder.outputs[0]
    assert [each["id"] for each in message["tool_calls"]] == ["c1", "c2"]
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert message["tool_calls"][1]["custom"] == {"name": "g", "input": "x"}
    assert message["reasoning_details"] == [{"data": "d"}]
    assert call["function"] == {"name": "f", "arguments": ""}  # the chunk that is sent is unchanged


def test_chat_completion_is_recorded(recorder: Recorder) -> None:
    ChatDialect(recorder, shows_usage=False).final({"choices": [{"message": {"content": "a"}}]})
    assert (recorder.usage, recorder.outputs) == ([], [[{"content": "a"}]])


def test_chat_status_is_decided_by_the_second_chunk(recorder: Recorder) -> None:
    dialect = ChatDialect(recorder, shows_usage=False)
    assert not dialect.decides(chunk({"role": "assistant", "content": ""}))
    assert dialect.decides(chunk({"content": "a"}))
    assert dialect.decides({"choices": []})


def test_chat_error_is_an_event_before_done(recorder: Recorder) -> None:
    dialect = ChatDialect(recorder, shows_usage=False)
    data = dialect.encode(dialect.failure(ERROR, None)) + dialect.ending
    error, ending, _ = data.split(b"\n\n")
    assert json.loads(error.removeprefix(b"data: "))["error"]["code"] == "usage_limit_reached"
    assert ending == b"data: [DONE]"
