"""However an answer ends, the caller is told the truth: never `completed` for one that is not."""

from __future__ import annotations

import json
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


def drained(client: Any) -> list[Any]:
    return list(client.responses.create(input="hi", stream=True))


def collected(client: Any) -> Any:
    return client.responses.create(input="hi")


def helped(client: Any) -> Any:
    with client.responses.stream(input="hi") as stream:
        return stream.get_final_response()


def lazily(client: Any) -> Any:
    with client.responses.with_streaming_response.create(input="hi") as response:
        return response.parse()


CALLS = [drained, collected, helped, lazily]


@pytest.mark.parametrize("call", CALLS)
def test_a_cut_stream(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DELTA), then="cut"))
    with pytest.raises(sdk.StreamInterruptedError, match="The response was interrupted") as caught:
        call(client)
    assert isinstance(caught.value, openai.APIConnectionError)
    assert caught.value.partial is not None
    assert caught.value.partial.status == "in_progress"
    assert caught.value.partial.output_text == "hel"
    assert "`partial` of this error" in str(caught.value)


@pytest.mark.parametrize("call", CALLS)
def test_a_stream_that_ends_too_early(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([CREATED, ADDED, DELTA, DONE]))
    with pytest.raises(sdk.StreamInterruptedError, match="after 4 events") as caught:
        call(client)
    assert caught.value.partial.output_text == "hello"


@pytest.mark.parametrize("call", CALLS)
def test_a_stream_that_ends_inside_of_its_last_event(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, DONE, COMPLETED)[:-30]))
    with pytest.raises(sdk.StreamInterruptedError):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_a_whole_answer_without_its_last_blank_line(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DONE, COMPLETED)[:-2]))
    assert_is_hello(call(client))


@pytest.mark.parametrize("call", CALLS)
def test_a_connection_that_breaks_after_the_answer(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED, DONE, COMPLETED), then="cut"))
    assert_is_hello(call(client))


@pytest.mark.parametrize("call", CALLS)
def test_an_empty_stream(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM))
    with pytest.raises(sdk.StreamInterruptedError, match="before any event") as caught:
        call(client)
    assert caught.value.partial is None
    assert "partial" not in str(caught.value)


@pytest.mark.parametrize(
    ("content_type", "body", "says"),
    [
        ("text/html; charset=utf-8", "<!doctype html><title>Sign in to WiFi</title>", "titled “Sign in to WiFi”"),
        ("application/json", '{"detail": "Hello."}', "JSON with the message “Hello.”"),
        ("application/json", '{"id": "resp_1", "status": "completed", "output": []}', "JSON, 53 characters"),
        ("text/plain", "", "an empty body"),
        ("", "data", "untyped data"),
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_something_else_with_status_200(
    sim: Simulator, client: Any, call: Any, content_type: str, body: str, says: str
) -> None:
    sim.script(Turn.raw(200, {"content-type": content_type} if content_type else {}, body.encode()))
    with pytest.raises(sdk.UnexpectedResponseError, match=says) as caught:
        call(client)
    assert isinstance(caught.value, openai.APIResponseValidationError)
    assert caught.value.status_code == 200
    assert caught.value.body == body


@pytest.mark.parametrize(
    "damage", [b'data: {"type":"response.output_text.del\n\n', b"data: \xff\xfe\n\n", b"data: <html>\n\n"]
)
@pytest.mark.parametrize("call", CALLS)
def test_a_damaged_event(sim: Simulator, client: Any, call: Any, damage: bytes) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED) + damage + sse(ADDED, DONE, COMPLETED)))
    with pytest.raises(sdk.UnexpectedResponseError, match="Event 2 of the response is damaged"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_a_damaged_delta_among_others(sim: Simulator, client: Any, call: Any) -> None:
    delta = sse({**DELTA, "logprobs": [], "sequence_number": 1})
    deltas = delta + delta[:-20] + b"\n\n" + delta
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED) + deltas + sse(DONE, COMPLETED)))
    with pytest.raises(sdk.UnexpectedResponseError, match="Event 4 of the response is damaged"):
        call(client)


def test_a_delta_without_its_text_and_place(sim: Simulator, client: Any) -> None:
    sim.script(
        Turn.events([CREATED, ADDED, {"type": DELTA["type"]}, {"type": DELTA["type"], "item_id": "m"}, DONE, COMPLETED])
    )
    events = drained(client)
    assert [event.delta for event in events[2:4]] == [None, None]
    assert_is_hello(events)


def test_the_events_before_a_damaged_one_are_delivered(sim: Simulator, client: Any) -> None:
    sim.script(Turn.raw(200, EVENT_STREAM, sse(CREATED, ADDED) + b"data: {\n\n"))
    stream = iter(client.responses.create(input="hi", stream=True))
    assert [next(stream).type, next(stream).type] == ["response.created", "response.output_item.added"]
    with pytest.raises(sdk.UnexpectedResponseError):
        next(stream)


@pytest.mark.parametrize("call", CALLS)
def test_a_failed_answer(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.failed("server_error", "The model stumbled.", text="half"))
    with pytest.raises(sdk.ResponseFailedError, match=r"The model stumbled\. \(code: server_error\)") as caught:
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
def test_an_error_event(sim: Simulator, client: Any, call: Any, event: dict[str, Any]) -> None:
    sim.script(Turn.events([CREATED, event]))
    with pytest.raises(sdk.ServerOverloadedError, match="Too fast") as caught:
        call(client)
    assert (caught.value.code, caught.value.status_code) == ("slow_down", 503)


@pytest.mark.parametrize("call", CALLS)
def test_an_error_that_is_only_text(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([CREATED, {"type": "error", "error": "boom"}]))
    with pytest.raises(sdk.ResponseFailedError, match="The backend ended the response with an error: boom"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_a_usage_limit_within_the_stream(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.failed("usage_limit_reached", "…", error={"plan_type": "plus", "resets_at": 1795360000}))
    with pytest.raises(sdk.UsageLimitError, match=r"resets at 2026-11-2[23] ") as caught:
        call(client)
    assert caught.value.plan == "plus"


@pytest.mark.parametrize("call", CALLS)
def test_an_end_of_nothing(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.events([{"type": "response.completed"}]))
    with pytest.raises(sdk.UnexpectedResponseError, match="names no response"):
        call(client)


@pytest.mark.parametrize("call", CALLS)
def test_nobody_waits_for_the_end_of_a_stream_whose_answer_is_over(call: Any) -> None:
    """The server keeps the connection open with comments; the read timeout would never end that."""

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


@pytest.mark.parametrize("call", [collected, helped, lazily])
def test_an_incomplete_answer_says_why(sim: Simulator, client: Any, call: Any) -> None:
    sim.script(Turn.incomplete("max_output_tokens", text="half"))
    response = call(client)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.id.startswith("resp_")
    assert response.usage.total_tokens > 0
    assert response.output_text == "half"


def test_who_gets_the_connection_before_the_rest_is_over_has_limits_of_its_own() -> None:
    """The end of the stream sets it free: another thread may send its call there and read at that very moment."""
    limits: list[float | None] = []

    class Connection:
        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            limits.append(timeout)
            return b""

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


def test_events_after_the_end_are_not_delivered(sim: Simulator, client: Any) -> None:
    sim.script(Turn.events([CREATED, ADDED, DONE, COMPLETED, COMPLETED, {"type": "error", "error": {"code": "late"}}]))
    assert [event.type for event in drained(client)][-1] == "response.completed"


@pytest.mark.parametrize("call", [collected])
def test_a_cut_answer_is_asked_for_again(sim: Simulator, new_client: Any, call: Any) -> None:
    sim.script(Turn.text("never seen").cut_after_events(5), Turn.text("whole"))
    assert call(new_client(max_retries=1)).output_text == "whole"


def test_a_stream_is_not_asked_for_again(sim: Simulator, new_client: Any) -> None:
    sim.script(Turn.text("seen").cut_after_events(5), Turn.text("never asked for"))
    with pytest.raises(sdk.StreamInterruptedError):
        drained(new_client(max_retries=5))


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def assert_is_hello(result: Any) -> None:
    response = result[-1].response if isinstance(result, list) else result
    assert response.status == "completed"
    assert response.output_text == "hello"


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "", "status": "in_progress"}
PIECE = {"type": "response.function_call_arguments.delta", "sequence_number": 3, "item_id": "fc_1", "output_index": 0}
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
def test_what_only_deltas_told_is_in_every_answer(sim: Simulator, client: Any, call: Any) -> None:
    """Whether the caller saw the pieces go by or not."""
    announced = {"type": "response.output_item.added", "output_index": 0, "item": CALL}
    nothing = {**PIECE, "output_index": 7}
    sim.script(
        Turn.events([CREATED, announced, {**PIECE, "delta": '{"a"'}, {**PIECE, "delta": ":1}"}, nothing, COMPLETED]),
        Turn.events([CREATED, ADDED, TEXT_DONE, COMPLETED]),
    )
    found = call(client)
    (item,) = (found[-1].response if isinstance(found, list) else found).output
    assert item.arguments == '{"a":1}'
    found = call(client)
    assert (found[-1].response if isinstance(found, list) else found).output_text == "hello"
