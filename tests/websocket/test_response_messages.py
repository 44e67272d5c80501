"""Test the conversion of messages to the head and the event stream of an HTTP response."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from codex_backend_sdk._streaming.sse import EventDecoder, parse_frames
from codex_backend_sdk._websocket.response_messages import ResponseHead, ResponseMessages

RATE_LIMITS = {"type": "codex.rate_limits", "rate_limits": {"primary": {"used_percent": 1}}}
METADATA = {"type": "codex.response.metadata", "headers": {"OpenAI-Model": "gpt-5.5", "x-request-id": "req_1"}}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "delta": "hello"}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
USAGE_LIMIT = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_at": 1795330854}


def item_done(index: Any, item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def failure(status: Any, **members: Any) -> dict[str, Any]:
    return {"type": "error", "status": status, **members}


def feed(messages: ResponseMessages, *events: Any) -> bytes:
    """Feed events, as JSON objects or as bytes, at once."""
    return messages.feed([event if isinstance(event, bytes) else to_json(event) for event in events])


def read_data(stream: bytes) -> list[bytes]:
    """Return the data of the events of a stream."""
    decoder = EventDecoder()
    return [data for frames in (decoder.feed(stream), decoder.finish()) for _, data in parse_frames(frames)]


def read_events(stream: bytes) -> list[Any]:
    return [from_json(data) for data in read_data(stream)]


@pytest.mark.parametrize("is_fed_at_once", [True, False])
def test_messages_become_an_event_stream(is_fed_at_once: bool) -> None:
    events = [RATE_LIMITS, METADATA, CREATED, DELTA, DELTA, item_done(0, {"type": "message"}), DELTA, COMPLETED]
    messages = ResponseMessages()
    batches = [events] if is_fed_at_once else [[event] for event in events]
    stream = b"".join(feed(messages, *batch) for batch in batches)
    assert read_events(stream) == events
    assert messages.is_finished
    assert messages.is_completed
    assert messages.response_id == "resp_1"
    assert messages.lost_because is None


def test_nothing_received_is_no_data() -> None:
    messages = ResponseMessages()
    assert feed(messages) == b""
    assert messages.head is None


# --- the head ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        RATE_LIMITS,
        METADATA,
        {"type": "response.metadata", "headers": {"x-codex-turn-state": "state"}},
        {"type": "responsesapi.websocket_timing", "timing": {}},
        {"type": "keepalive"},
        {"type": "response.heartbeat"},
        {"type": "codex.invented"},
    ],
    ids=lambda event: event["type"],
)
def test_preliminary_message_does_not_begin_the_response(event: dict[str, Any]) -> None:
    messages = ResponseMessages()
    assert read_events(feed(messages, event)) == [event]
    assert messages.head is None
    feed(messages, CREATED)
    assert messages.head is not None
    assert messages.head.status == 200


@pytest.mark.parametrize(
    "event",
    [
        CREATED,
        DELTA,
        COMPLETED,
        {"type": "response.invented"},
        {"type": "invented"},
        {"no": "type"},
        {"type": None},
        {"type": ["error"]},
        ["not an object"],
        b"{damaged",
        b"\xff\xfe",
        b"[" * 500,
    ],
    ids=str,
)
def test_any_other_message_begins_the_response(event: Any) -> None:
    messages = ResponseMessages()
    assert read_data(feed(messages, event)) == [event if isinstance(event, bytes) else to_json(event)]
    assert messages.head == ResponseHead(200, {"content-type": "text/event-stream"})


def test_head_has_the_headers_of_the_metadata() -> None:
    messages = ResponseMessages()
    feed(messages, METADATA, {"type": "codex.response.metadata", "headers": {"x-request-id": "req_2"}}, CREATED)
    assert messages.head == ResponseHead(
        200, {"content-type": "text/event-stream", "openai-model": "gpt-5.5", "x-request-id": "req_2"}
    )


@pytest.mark.parametrize("headers", [None, "x", [], 7])
def test_metadata_without_headers_is_ignored(headers: Any) -> None:
    messages = ResponseMessages()
    feed(messages, {"type": "codex.response.metadata", "headers": headers}, CREATED)
    assert messages.head == ResponseHead(200, {"content-type": "text/event-stream"})


HEADER_VALUES: dict[str, tuple[Any, dict[str, str]]] = {
    "text": ("a b", {"x-a": "a b"}),
    "number": (300, {"x-a": "300"}),
    "fraction": (12.5, {"x-a": "12.5"}),
    "true": (True, {"x-a": "true"}),
    "false": (False, {"x-a": "false"}),
    "null": (None, {}),
    "list": (["a"], {}),
    "object": ({}, {}),
    "line break": ("a\r\nset-cookie: b", {}),
    "not ASCII": ("\u00e4", {}),
}


@pytest.mark.parametrize("case", HEADER_VALUES)
def test_header_value_of_any_type_is_converted(case: str) -> None:
    value, expected = HEADER_VALUES[case]
    for event, head_headers in ((METADATA, {}), (failure(503), {"content-type": "application/json"})):
        messages = ResponseMessages()
        feed(messages, {**event, "headers": {"X-A": value}}, failure(503))
        assert messages.head is not None
        assert messages.head.headers == {"content-type": "application/json", **head_headers, **expected}


@pytest.mark.parametrize(
    "name", ["Content-Type", "content-encoding", "content-length", "Transfer-Encoding", "\u00e4", "a\nb"]
)
def test_header_of_another_body_is_dropped(name: str) -> None:
    messages = ResponseMessages()
    feed(messages, {"type": "codex.response.metadata", "headers": {name: "gzip"}}, CREATED)
    assert messages.head == ResponseHead(200, {"content-type": "text/event-stream"})


# --- errors ------------------------------------------------------------------------------------------------------

FAILURES: dict[str, tuple[dict[str, Any], int, Any]] = {
    "usage limit": (failure(429, error=USAGE_LIMIT), 429, {"status": 429, "error": USAGE_LIMIT}),
    "status_code": ({"type": "error", "status_code": 503}, 503, {"status_code": 503}),
    "without details": (failure(400), 400, {"status": 400}),
    "unknown code": (failure(400, error={"code": "other"}), 400, {"status": 400, "error": {"code": "other"}}),
    "text": (failure(500, error="busy"), 500, {"status": 500, "error": "busy"}),
    "code of another type": (failure(500, error={"code": []}), 500, {"status": 500, "error": {"code": []}}),
    "with headers": (failure(500, headers={}), 500, {"status": 500}),
    "headers of another type": (failure(500, headers=[1]), 500, {"status": 500}),
}


@pytest.mark.parametrize("case", FAILURES)
def test_error_before_the_response_is_its_head(case: str) -> None:
    event, status, body = FAILURES[case]
    messages = ResponseMessages()
    feed(messages, RATE_LIMITS, METADATA, event)
    head = messages.head
    assert head is not None
    assert head.status == status
    assert head.headers == {
        "content-type": "application/json",
        "openai-model": "gpt-5.5",
        "x-request-id": "req_1",
    }
    assert head.error_body is not None
    assert json.loads(head.error_body) == body
    assert messages.is_finished
    assert not messages.is_completed


def test_headers_of_the_error_take_precedence() -> None:
    messages = ResponseMessages()
    feed(messages, METADATA, failure(429, headers={"x-request-id": "req_2", "x-codex-active-limit": "codex"}))
    assert messages.head is not None
    assert messages.head.headers == {
        "content-type": "application/json",
        "openai-model": "gpt-5.5",
        "x-request-id": "req_2",
        "x-codex-active-limit": "codex",
    }


def test_error_in_the_response_is_its_last_event() -> None:
    messages = ResponseMessages()
    event = failure(500, error={"message": "broken"})
    assert read_events(feed(messages, CREATED, DELTA, event, DELTA)) == [CREATED, DELTA, event]
    assert messages.is_finished
    assert not messages.is_completed
    assert messages.head == ResponseHead(200, {"content-type": "text/event-stream"})


IGNORED_ERRORS = {
    "no status": {"type": "error", "error": {"message": "?"}},
    "success": failure(200),
    "redirect": failure(302),
    "text": failure("500"),
    "boolean": failure(True),
    "null": failure(None),
    "connection code without status": {"type": "error", "error": {"code": "previous_response_not_found"}},
}


@pytest.mark.parametrize("case", IGNORED_ERRORS)
def test_error_without_a_status_is_ignored(case: str) -> None:
    messages = ResponseMessages()
    assert feed(messages, IGNORED_ERRORS[case]) == b""
    assert messages.head is None
    assert not messages.is_finished
    stream = feed(messages, CREATED, IGNORED_ERRORS[case], COMPLETED)
    assert read_events(stream) == [CREATED, COMPLETED]


CONNECTION_CODES = ("websocket_connection_limit_reached", "previous_response_not_found")


@pytest.mark.parametrize("code", CONNECTION_CODES)
@pytest.mark.parametrize("before", [[], [RATE_LIMITS], [CREATED, DELTA]], ids=["first", "preliminary", "in response"])
def test_error_of_the_connection_is_reported(code: str, before: list[Any]) -> None:
    messages = ResponseMessages()
    assert read_events(feed(messages, *before)) == before
    assert feed(messages, failure(400, error={"code": code}), CREATED) == b""
    assert messages.lost_because == code
    assert not messages.is_finished
    assert feed(messages, COMPLETED) == b""
    assert (messages.head is None) == (CREATED not in before)


def test_messages_before_an_error_of_the_connection_are_returned() -> None:
    messages = ResponseMessages()
    stream = feed(messages, CREATED, DELTA, failure(400, error={"code": CONNECTION_CODES[0]}), DELTA)
    assert read_events(stream) == [CREATED, DELTA]
    assert messages.lost_because == CONNECTION_CODES[0]


# --- the end and the output --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "is_completed"),
    [
        ("response.completed", True),
        ("response.incomplete", False),
        ("response.failed", False),
        ("response.cancelled", False),
        ("response.done", False),
    ],
)
def test_terminal_event_is_the_last_one(event_type: str, is_completed: bool) -> None:
    messages = ResponseMessages()
    terminal = {**COMPLETED, "type": event_type}
    assert read_events(feed(messages, CREATED, terminal, DELTA)) == [CREATED, terminal]
    assert feed(messages, DELTA, CREATED) == b""
    assert messages.is_finished
    assert messages.is_completed is is_completed


def test_output_is_ordered_by_index() -> None:
    messages = ResponseMessages()
    feed(messages, CREATED, item_done(2, {"n": 2}), item_done(0, {"n": 0}), item_done(1, {"n": 1}))
    assert messages.output == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_output_without_an_index_keeps_its_order() -> None:
    messages = ResponseMessages()
    feed(messages, CREATED, item_done(None, {"n": 0}), item_done("1", {"n": 1}), item_done(0, {"n": 2}))
    assert messages.output == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize("response", [None, [], {}, {"id": 7}, "resp_2"])
def test_event_without_an_id_keeps_the_response_id(response: Any) -> None:
    messages = ResponseMessages()
    feed(messages, CREATED, {"type": "response.in_progress", "response": response})
    assert messages.response_id == "resp_1"


# --- the bytes of a message --------------------------------------------------------------------------------------

DELTA_LIKE = [
    b'{"type":"response.completed","note":"x.delta","response":{"id":"resp_1"}}',
    b'{"type":"response.completed","response":{"id":"a.delta"}}',
    b'{"type":"response.completed",".delta":1}',
    b'{"type":"response.completed.delta.x","x":1}',
]


@pytest.mark.parametrize("message", DELTA_LIKE)
def test_text_like_the_type_of_a_delta_is_none(message: bytes) -> None:
    messages = ResponseMessages()
    feed(messages, CREATED)
    assert read_data(feed(messages, message)) == [message]
    assert messages.is_finished == (b'"response.completed"' in message)


@pytest.mark.parametrize("message", [b'{"type":"response.output_text.delta', b'{"type":"response.'])
def test_cut_message_is_passed_on(message: bytes) -> None:
    messages = ResponseMessages()
    feed(messages, CREATED)
    assert read_data(feed(messages, message)) == [message]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("event", [CREATED, DELTA, COMPLETED, failure(500)], ids=lambda event: event["type"])
def test_formatted_json_is_one_event(event: dict[str, Any], line_break: str) -> None:
    formatted = json.dumps(event, indent=2).replace("\n", line_break).encode()
    messages = ResponseMessages()
    assert read_events(feed(messages, CREATED, formatted)) == [CREATED, event]
    assert messages.is_finished == (event in (COMPLETED, failure(500)))


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_delta_with_a_line_break_is_one_event(line_break: str) -> None:
    message = to_json(DELTA).replace(b',"output_index"', b"," + line_break.encode() + b'"output_index"')
    messages = ResponseMessages()
    assert read_events(feed(messages, CREATED, message, message)) == [CREATED, DELTA, DELTA]


@pytest.mark.parametrize("message", [b"{damaged", b'{"type":"response.output_text.delta","delta":"', b"\xff", b"null"])
def test_damaged_message_does_not_end_the_response(message: bytes) -> None:
    messages = ResponseMessages()
    assert read_data(feed(messages, CREATED, message, COMPLETED)) == [to_json(CREATED), message, to_json(COMPLETED)]
    assert messages.is_completed


PREVIOUS = {"id": "resp_0", "status": "completed"}


@pytest.mark.parametrize(
    "stale",
    [
        {"type": "response.completed", "response": PREVIOUS},
        {"type": "response.failed", "response": PREVIOUS},
        {"type": "response.output_text.delta", "delta": "late"},
        {"type": "response.output_item.done", "output_index": 0, "item": {"type": "message"}},
        {"type": "response.interrupt.failed", "response_id": "resp_0"},
    ],
    ids=lambda event: event["type"],
)
def test_message_of_the_previous_response_is_ignored(stale: dict[str, Any]) -> None:
    messages = ResponseMessages(previous_id="resp_0")
    assert read_data(feed(messages, stale, METADATA, stale, CREATED)) == [to_json(METADATA), to_json(CREATED)]
    assert messages.response_id == CREATED["response"]["id"]
    assert messages.output == []
    assert not messages.is_finished


@pytest.mark.parametrize(
    "first",
    [CREATED, failure(503), {"type": "response.failed", "response": {"id": "resp_1"}}, {"type": "other"}, {"type": 7}],
    ids=lambda event: str(event["type"]),
)
def test_other_response_begins_after_a_previous_one(first: dict[str, Any]) -> None:
    messages = ResponseMessages(previous_id="resp_0")
    feed(messages, first)
    assert messages.head is not None


# --- late messages of the previous response ------------------------------------------------------------------------

OTHER = {"id": "resp_2", "status": "in_progress"}
OTHER_EVENTS = [
    {"type": "response.created", "response": OTHER},
    DELTA,
    item_done(0, {"type": "message"}),
    {"type": "response.completed", "response": {**OTHER, "status": "completed"}},
]


@pytest.mark.parametrize(
    "late",
    [
        [COMPLETED],
        [DELTA],
        [item_done(0, {"type": "message", "id": "late"})],
        [DELTA, item_done(0, {"type": "message", "id": "late"}), COMPLETED],
        [{"type": "response.incomplete", "response": {"id": "resp_1", "status": "incomplete"}}],
    ],
    ids=["its end again", "delta", "item", "several", "another end"],
)
@pytest.mark.parametrize("position", [0, 1], ids=["before", "after the first event"])
def test_late_end_of_the_previous_response_is_ignored(late: list[Any], position: int) -> None:
    if position:  # an event without a response belongs to the response that began
        late = [event for event in late if "response" in event]
    messages = ResponseMessages(previous_id="resp_1")
    stream = feed(messages, *OTHER_EVENTS[:position], *late, *OTHER_EVENTS[position:])
    assert read_events(stream) == OTHER_EVENTS
    assert (messages.response_id, messages.output, messages.is_completed) == ("resp_2", [{"type": "message"}], True)


def test_response_may_fail_at_once_or_have_the_same_id() -> None:
    """A server for tests may give all responses the same id."""
    for events in ([{**OTHER_EVENTS[-1], "type": "response.failed"}], [CREATED, DELTA, COMPLETED]):
        messages = ResponseMessages(previous_id="resp_1")
        assert read_events(feed(messages, RATE_LIMITS, *events)) == [RATE_LIMITS, *events]
        assert messages.is_finished


@pytest.mark.parametrize("event", [failure(500, error={"code": "x"}), b"damaged"])
def test_error_after_another_response_begins_the_next_one(event: Any) -> None:
    messages = ResponseMessages(previous_id="resp_1")
    feed(messages, event)
    assert messages.head is not None
