"""Test the end of a response: an incomplete or failed response is never reported as completed."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk._streaming.body import discard
from codex_backend_sdk.testing import Simulator, Turn

EVENT_STREAM = {"content-type": "text/event-stream"}
MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}
CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
ADDED = {"type": "response.output_item.added", "output_index": 0, "item": {**MESSAGE, "content": []}}
DELTA = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hel", "item_id": "m"}
DONE = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}


def stream_events(client: Any) -> list[Any]:
    return list(client.responses.create(input="hi", stream=True))


def create_response(client: Any) -> Any:
    return client.responses.create(input="hi")


def use_helper(client: Any) -> Any:
    with client.responses.stream(input="hi") as stream:
        return stream.get_final_response()


def create_lazily(client: Any) -> Any:
    with client.responses.with_streaming_response.create(input="hi") as response:
        return response.parse()


CALLS = [stream_events, create_response, use_helper, create_lazily]


@pytest.mark.parametrize("call", CALLS)
def test_broken_connection_is_an_interruption(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DELTA), then="cut"))
    with pytest.raises(sdk.StreamInterruptedError, match="The response was interrupted") as caught:
        call(client)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.partial is not None
    assert caught.value.partial.status == "in_progress"
    assert caught.value.partial.output_text == "hel"
    assert "`error.partial` has" in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_stream_without_terminal_event_is_interrupted(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([CREATED, ADDED, DELTA, DONE]))
    with pytest.raises(sdk.StreamInterruptedError, match="after 4 events") as caught:
        call(client)
    assert caught.value.partial.output_text == "hello"


@pytest.mark.parametrize("call", CALLS)
def test_stream_that_ends_inside_an_event_is_interrupted(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, DONE, COMPLETED)[:-30]))
    with pytest.raises(sdk.StreamInterruptedError):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_last_blank_line_may_be_missing(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DONE, COMPLETED)[:-2]))
    assert_is_hello(call(client))


@pytest.mark.parametrize("call", CALLS)
def test_connection_may_break_after_the_terminal_event(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DONE, COMPLETED), then="cut"))
    assert_is_hello(call(client))


@pytest.mark.parametrize("call", CALLS)
def test_empty_stream_is_interrupted(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM))
    with pytest.raises(sdk.StreamInterruptedError, match="before any event") as caught:
        call(client)
    assert caught.value.partial is None
    assert "partial" not in str(caught.value)


@pytest.mark.parametrize(
    ("content_type", "body", "description"),
    [
        ("text/html; charset=utf-8", "<!doctype html><title>Log in to WiFi</title>", "titled “Log in to WiFi”"),
        ("application/json", '{"detail": "Hello."}', "JSON with the message “Hello.”"),
        (
            "application/json",
            '{"id": "resp_1", "status": "completed", "output": []}',
            'JSON, 53 characters: “{"id": "resp_1", "status"',
        ),
        ("text/plain", "", "an empty body"),
        ("", "data", "untyped data"),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_other_body_with_status_200_is_unexpected(
    sim: Simulator, client: Any, call: Any, content_type: str, body: str, description: str
) -> None:
    sim.script(Turn.raw(200, {"content-type": content_type} if content_type else {}, body.encode()))
    with pytest.raises(sdk.UnexpectedResponseError, match=description) as caught:
        call(client)
    assert isinstance(caught.value, openai.APIResponseValidationError)
    assert caught.value.status_code == 200
    assert caught.value.body == body


@pytest.mark.parametrize(
    "damage", [b'data: {"type":"response.output_text.del\n\n', b"data: \xff\xfe\n\n", b"data: <html>\n\n"]
)
@pytest.mark.parametrize("call", CALLS)
def test_damaged_event_is_an_error(sim: Simulator, client: Any, call: Any, damage: bytes) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED) + damage + sse(ADDED, DONE, COMPLETED)))
    with pytest.raises(sdk.UnexpectedResponseError, match="Event 2 of the response is damaged"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_damaged_delta_in_a_batch_is_an_error(sim: Simulator, client: Any, call: Any) -> None:
    delta = sse({**DELTA, "logprobs": [], "sequence_number": 1})
    deltas = delta + delta[:-20] + b"\n\n" + delta
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED) + deltas + sse(DONE, COMPLETED)))
    with pytest.raises(sdk.UnexpectedResponseError, match="Event 4 of the response is damaged"):
        call(client)


def test_delta_without_text_and_position_is_delivered(sim: Simulator, client: Any) -> None:
    sim.script(
        Turn.events([CREATED, ADDED, {"type": DELTA["type"]}, {"type": DELTA["type"], "item_id": "m"}, DONE, COMPLETED])
    )
    events = stream_events(client)
    assert [event.delta for event in events[2:4]] == [None, None]
    assert_is_hello(events)


def test_events_before_a_damaged_one_are_delivered(sim: Simulator, client: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED) + b"data: {\n\n"))
    stream = iter(client.responses.create(input="hi", stream=True))
    assert [next(stream).type, next(stream).type] == ["response.created", "response.output_item.added"]
    with pytest.raises(sdk.UnexpectedResponseError):
        next(stream)


@pytest.mark.parametrize("call", CALLS)
def test_failed_response_raises(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.failed("server_error", "Internal error.", text="half"))
    with pytest.raises(sdk.ResponseFailedError, match=r"\(code: server_error\).*Internal error\.") as caught:
        call(client)
    assert isinstance(caught.value, openai.APIError)
    assert caught.value.code == "server_error"
    assert caught.value.partial.status == "failed"
    assert caught.value.partial.output_text == "half"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "error": {"code": "slow_down", "message": "Too fast."}},
        {"type": "error", "code": "slow_down", "message": "Too fast.", "param": None},
        {"type": "error", "response": {}, "error": {"code": "slow_down", "message": "Too fast."}},
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_error_event_raises_the_class_of_its_code(
    sim: Simulator, client: Any, call: Any, event: dict[str, Any]
) -> None:
    sim.script(Turn.events([CREATED, event]))
    with pytest.raises(sdk.ServerOverloadedError, match="Too fast") as caught:
        call(client)
    assert (caught.value.code, caught.value.status_code) == ("slow_down", 503)


@pytest.mark.parametrize("call", CALLS)
def test_error_event_may_be_text(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([CREATED, {"type": "error", "error": "boom"}]))
    with pytest.raises(
        sdk.ResponseFailedError, match=r"The backend ended the response with an error.* Backend message: “boom”"
    ):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_usage_limit_in_the_stream_raises(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.failed("usage_limit_reached", "…", error={"plan_type": "plus", "resets_at": 1795360000}))
    with pytest.raises(sdk.UsageLimitError, match=r"resets at 2026-11-2[23] ") as caught:
        call(client)
    assert caught.value.plan == "plus"


@pytest.mark.parametrize("call", CALLS)
def test_terminal_event_without_a_response_is_unexpected(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([{"type": "response.completed"}]))
    with pytest.raises(sdk.UnexpectedResponseError, match="no response id and no output"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_terminal_event_does_not_wait_for_an_open_stream(call: Any) -> None:
    """The server keeps the connection open with comments, so the read timeout never ends it."""

    def body() -> Iterator[bytes]:
        yield sse(CREATED, ADDED, DONE, COMPLETED)
        while True:
            time.sleep(0.1)
            yield b": ping\n\n"

    class Endless(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return body()

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers=EVENT_STREAM, stream=Endless()))
    with Simulator() as sim, sim.client(http_client=httpx2.Client(transport=transport)) as client:
        started = time.monotonic()
        assert_is_hello(call(client))
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("call", [create_response, use_helper, create_lazily])
def test_incomplete_response_has_its_reason(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text="half"))
    response = call(client)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.id.startswith("resp_")
    assert response.usage.total_tokens > 0
    assert response.output_text == "half"


def test_deadline_applies_to_one_thread_only() -> None:
    """At the end of a body its connection is free: another thread may read from it at that moment."""
    limits: list[float | None] = []

    class Connection:
        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            limits.append(timeout)
            return b""

        def get_extra_info(self, name: str) -> None:
            return None

        def close(self) -> None:
            pass

    def rest() -> Iterator[bytes]:
        connection.read(1, timeout=60)
        yield b""
        other = threading.Thread(target=lambda: connection.read(1, timeout=60))
        other.start()
        other.join()

    class Rest(httpx2.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return rest()

    connection = Connection()
    discard(httpx2.Response(200, stream=Rest(), extensions={"network_stream": connection, "http_version": b"HTTP/1.1"}))
    connection.read(1, timeout=60)
    assert limits[0] is not None
    assert limits[0] < 1
    assert limits[1:] == [60, 60]


def test_events_after_the_terminal_event_are_ignored(sim: Simulator, client: Any) -> None:
    sim.script(Turn.events([CREATED, ADDED, DONE, COMPLETED, COMPLETED, {"type": "error", "error": {"code": "late"}}]))
    assert [event.type for event in stream_events(client)][-1] == "response.completed"


def test_interrupted_response_is_retried(sim: Simulator, new_client: Any) -> None:
    sim.script(Turn.text("not delivered").cut_after_events(5), Turn.text("complete"))
    assert create_response(new_client(max_retries=1)).output_text == "complete"


def test_stream_with_delivered_events_is_not_retried(sim: Simulator, new_client: Any) -> None:
    sim.script(Turn.text("delivered").cut_after_events(5), Turn.text("never requested"))
    with pytest.raises(sdk.StreamInterruptedError):
        stream_events(new_client(max_retries=5))


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def assert_is_hello(result: Any) -> None:
    response = result[-1].response if isinstance(result, list) else result
    assert response.status == "completed"
    assert response.output_text == "hello"


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "", "status": "in_progress"}
ARGUMENTS_DELTA = {
    "type": "response.function_call_arguments.delta",
    "sequence_number": 3,
    "item_id": "fc_1",
    "output_index": 0,
}
TEXT_DONE = {
    "type": "response.output_text.done",
    "sequence_number": 3,
    "item_id": "msg_1",
    "output_index": 0,
    "content_index": 0,
    "text": "hello",
    "logprobs": [],
}


@pytest.mark.parametrize("call", CALLS)
def test_text_of_deltas_alone_is_returned(sim: Simulator, client: Any, call: Any) -> None:
    """With a stream and without."""
    added = {"type": "response.output_item.added", "output_index": 0, "item": CALL}
    empty_delta = {**ARGUMENTS_DELTA, "output_index": 7}
    sim.script(
        Turn.events(
            [
                CREATED,
                added,
                {**ARGUMENTS_DELTA, "delta": '{"a"'},
                {**ARGUMENTS_DELTA, "delta": ":1}"},
                empty_delta,
                COMPLETED,
            ]
        ),
        Turn.events([CREATED, ADDED, TEXT_DONE, COMPLETED]),
    )
    result = call(client)
    (item,) = (result[-1].response if isinstance(result, list) else result).output
    assert item.arguments == '{"a":1}'
    result = call(client)
    assert (result[-1].response if isinstance(result, list) else result).output_text == "hello"


# Terminal event, its status and error → the error that is raised, or the status of the response.
CONTRADICTIONS = [
    ("completed", "failed", {"code": "server_is_overloaded", "message": "Busy."}, sdk.ServerOverloadedError),
    ("completed", "failed", None, sdk.ResponseFailedError),
    ("completed", "cancelled", None, sdk.ResponseFailedError),
    ("completed", "completed", {"code": "server_error", "message": "Boom."}, sdk.ResponseFailedError),
    ("completed", "in_progress", None, sdk.UnexpectedResponseError),
    ("done", "queued", None, sdk.UnexpectedResponseError),
    ("incomplete", "failed", None, sdk.ResponseFailedError),
    ("cancelled", "cancelled", None, sdk.ResponseFailedError),
    ("completed", "incomplete", None, "incomplete"),
    ("done", "incomplete", None, "incomplete"),
    ("incomplete", "completed", None, "incomplete"),
    ("done", "completed", None, "completed"),
    ("done", None, None, "completed"),
]


@pytest.mark.parametrize(("event", "status", "error", "outcome"), CONTRADICTIONS)
@pytest.mark.parametrize("call", CALLS)
def test_contradictory_end_is_not_a_success(
    sim: Simulator, client: Any, call: Any, event: str, status: str | None, error: Any, outcome: Any
) -> None:
    response = {"id": "resp_1", "status": status, "error": error, "output": []}
    sim.script(Turn.events([CREATED, DONE, {"type": f"response.{event}", "response": response}]))
    if isinstance(outcome, str):
        result = call(client)
        if isinstance(result, list):
            assert result[-1].type == f"response.{outcome}"
            result = result[-1].response
        assert (result.status, result.output_text) == (outcome, "hello")
    else:
        with pytest.raises(outcome) as caught:
            call(client)
        assert caught.value.partial.output_text == "hello"
        assert caught.value.partial.status == ("in_progress" if outcome is sdk.UnexpectedResponseError else status) or (
            caught.value.partial.status == "failed"
        )


def named(*events: dict[str, Any]) -> bytes:
    """Return events with their type in the event line only."""
    return b"".join(
        b"event: %b\ndata: %b\n\n"
        % (event["type"].encode(), json.dumps({n: v for n, v in event.items() if n != "type"}).encode())
        for event in events
    )


@pytest.mark.parametrize("call", CALLS)
def test_type_may_be_in_the_event_line(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, named(CREATED, ADDED, {**DELTA, "delta": "hello"}, COMPLETED)))
    result = call(client)
    assert_is_hello(result)
    if isinstance(result, list):
        assert [event.type for event in result] == [event["type"] for event in (CREATED, ADDED, DELTA, COMPLETED)]


@pytest.mark.parametrize("call", CALLS)
def test_error_may_be_in_the_event_line(sim: Simulator, client: Any, call: Any) -> None:
    error = {"type": "error", "code": "slow_down", "message": "Too fast."}
    sim.script(Turn.raw(200, EVENT_STREAM, named(CREATED, error)))
    with pytest.raises(sdk.ServerOverloadedError):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_type_in_the_json_takes_precedence(sim: Simulator, client: Any, call: Any) -> None:
    stream = sse(CREATED, DONE, COMPLETED).replace(b"data: ", b"event: error\ndata: ")
    sim.script(Turn.raw(200, EVENT_STREAM, stream))
    assert_is_hello(call(client))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("before", [sse(CREATED, DONE), sse(CREATED, DONE) + b": keepalive\n" * 1000])
def test_event_beyond_the_limit_is_an_error(sim: Simulator, new_client: Any, call: Any, before: bytes) -> None:
    client = new_client(max_event_bytes=2000, max_retries=2)
    large = sse({"type": "response.new", "data": "x" * 2000})
    sim.script(Turn.raw(200, EVENT_STREAM, before + large + sse(COMPLETED)))
    with pytest.raises(
        sdk.UnexpectedResponseError, match=r"Event 3 .* 2,000 bytes, the limit of `max_event_bytes`"
    ) as c:
        call(client)
    assert c.value.partial.output_text == "hello"
    assert len(sim.requests) == 1
    sim.script(Turn.raw(200, EVENT_STREAM, before + large + sse(COMPLETED)))
    assert_is_hello(call(client.with_options(max_event_bytes=math.inf)))


def test_events_before_a_too_large_one_are_delivered(sim: Simulator, new_client: Any) -> None:
    large = b"data: " + b"x" * 2000
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED) + large))
    stream = iter(new_client(max_event_bytes=1000).responses.create(input="hi", stream=True))
    assert [next(stream).type, next(stream).type] == ["response.created", "response.output_item.added"]
    with pytest.raises(sdk.UnexpectedResponseError):
        next(stream)


@pytest.mark.parametrize("call", CALLS)
def test_value_of_a_done_event_is_returned(sim: Simulator, client: Any, call: Any) -> None:
    """Also between deltas of another item, which a stream reads in batches."""
    added = {"type": "response.output_item.added", "output_index": 0, "item": CALL}
    done = {**ARGUMENTS_DELTA, "type": "response.function_call_arguments.done", "arguments": '{"a":1}', "name": "f"}
    empty = {"type": "response.output_item.done", "output_index": 0, "item": {**CALL, "status": "completed"}}
    refusal = {"type": "response.refusal.delta", "output_index": 1, "content_index": 0, "item_id": "m", "delta": "No"}
    refusals = [{**refusal, "sequence_number": number} for number in range(3)]
    sim.script(Turn.events([CREATED, added, *refusals, done, *refusals, empty, COMPLETED]))
    result = call(client)
    response = result[-1].response if isinstance(result, list) else result
    assert response.output[0].arguments == '{"a":1}'
    assert response.output[1].content[0].refusal == "No" * 6


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("item", [{"type": "message", "content": "x"}, {"type": "function_call", "arguments": None}])
def test_output_of_an_unreadable_type_is_damaged(sim: Simulator, client: Any, call: Any, item: dict[str, Any]) -> None:
    sim.script(Turn.events([{"type": "response.completed", "response": {"id": "r", "output": [item]}}]))
    with pytest.raises(sdk.UnexpectedResponseError, match=r"damaged: `output\[0\]\.\w+` has an invalid type") as caught:
        call(client)
    assert caught.value.partial is not None
