"""Test the messages of a client on a WebSocket, their state and their errors, with `websockets` as the client."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from codex_backend_sdk.testing import Turn

INTERRUPT = {"type": "response.interrupt", "mode": "discard_partial_items"}


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def response_id(events: list[dict[str, Any]]) -> str:
    found: str = events[-1]["response"]["id"]
    return found


def test_events_are_those_of_http(raw_client: Any, socket_client: Any) -> None:
    over_http = raw_client.events("one two")
    over_socket = socket_client.create("one two")
    assert types(over_socket)[:3] == ["codex.rate_limits", "codex.response.metadata", "response.metadata"]
    assert types(over_socket)[3:] == types(over_http)[2:]
    assert over_socket[1]["headers"]["openai-model"] == "gpt-6.1-sol"


def test_prewarm_has_no_output_and_uses_no_turn(socket_client: Any) -> None:
    socket_client.raw_client.sim.script("scripted")
    prewarm = socket_client.create(generate=False)
    assert types(prewarm)[-3:] == ["response.created", "response.in_progress", "response.completed"]
    assert "response.metadata" not in types(prewarm)
    assert socket_client.text("hi", previous_response_id=response_id(prewarm)) == "scripted"


def test_continuation_has_the_stored_input_and_output(socket_client: Any) -> None:
    socket_client.raw_client.sim.script(Turn.call("f", {}, call_id="call_1"))
    first = socket_client.create("Say hello", tools=[{"type": "function", "name": "f", "parameters": {}}])
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    second = socket_client.create(output, previous_response_id=response_id(first))
    assert event_text(second) == "f returned: 42"
    assert second[-1]["response"]["previous_response_id"] == response_id(first)
    third = socket_client.text("And now?", previous_response_id=response_id(second))
    assert third.endswith('Before that, you wrote: "Say hello"')
    assert [len(frame.json()["input"]) for frame in socket_client.raw_client.sim.websocket_frames] == [1, 1, 1]


def test_model_requests_have_the_complete_input(raw_client: Any, open_socket: Any) -> None:
    raw_client.create("over HTTP", temperature=1)
    socket = open_socket(raw_client, headers={"session-id": "s1"})
    first = socket.create("one")
    metadata = {"ws_request_header_x_test": "1"}
    socket.create("two", previous_response_id=response_id(first), client_metadata=metadata)
    over_http, _, last = raw_client.sim.model_requests
    assert (over_http.transport, over_http.body["temperature"]) == ("http", 1)
    assert over_http.plain_bytes == len(raw_client.sim.requests[0].body)
    assert last.transport == "websocket"
    assert [item["role"] for item in last.body["input"]] == ["user", "assistant", "user"]
    assert {"type", "previous_response_id"} & last.body.keys() == set()
    assert (last.headers["session-id"], last.headers["x-test"]) == ("s1", "1")
    assert last.plain_bytes == len(raw_client.sim.websocket_frames[-1].data)
    raw_client.sim.clear()
    assert raw_client.sim.model_requests == []


def event_text(events: list[dict[str, Any]]) -> str:
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")


@pytest.mark.parametrize("case", ["unknown", "other socket", "not the last", "failed", "null output"])
def test_only_the_last_response_can_be_continued(raw_client: Any, open_socket: Any, case: str) -> None:
    socket = open_socket(raw_client)
    first = response_id(socket.create("one"))
    expected = first
    if case == "unknown":
        expected = "resp_unknown"
    elif case == "other socket":
        socket = open_socket(raw_client)
    elif case == "not the last":
        socket.create("two", previous_response_id=first)
    elif case == "failed":
        assert socket.error("two", previous_response_id=first, temperature=1)["status"] == 400
    else:
        raw_client.sim.script(Turn.failed("server_error"))
        socket.create("two", previous_response_id=first)
    error = socket.error("three", previous_response_id=expected)
    assert (error["status"], error["error"]["code"]) == (400, "previous_response_not_found")
    assert error["error"]["message"] == f"Previous response with id '{expected}' not found."
    assert socket.text("Say again") == "again", "the connection stays usable"


def test_prewarm_can_be_continued_later(socket_client: Any) -> None:
    prewarm = response_id(socket_client.create(generate=False))
    socket_client.create("one", previous_response_id=prewarm)
    assert socket_client.text("Say two", previous_response_id=prewarm) == "two"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"temperature": 1}, "Unsupported parameter: temperature"),
        ({"store": True}, "Store must be set to false"),
        ({"model": "gpt-x"}, "The 'gpt-x' model is not supported when using Codex with a ChatGPT account."),
        ({"input": "hi"}, "Input must be a list"),
    ],
)
def test_invalid_request_is_an_error_event(socket_client: Any, members: dict[str, Any], message: str) -> None:
    socket_client.raw_client.sim.script("unused")
    error = socket_client.error("hi", **members)
    assert (error["status"], error["error"]["message"]) == (400, message)
    assert error["headers"]["x-request-id"].startswith("req_")
    assert socket_client.text("hi") == "unused", "a rejected request uses up no turn"


def test_stream_member_is_implicit(socket_client: Any) -> None:
    socket_client.connection.send(
        json.dumps({"type": "response.create", "model": "gpt-6.1-sol", "store": False, "input": []})
    )
    assert types(socket_client.events())[-1] == "response.completed"


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', '{"type": "response.append"}', "{}", "[" * 100_000])
def test_invalid_message_is_an_error_event(socket_client: Any, text: str) -> None:
    socket_client.connection.send(text)
    assert socket_client.receive()["status"] == 400
    assert socket_client.text("Say hello") == "hello"


def test_binary_message_closes_the_connection(socket_client: Any) -> None:
    socket_client.connection.send(b"{}")
    with pytest.raises(ConnectionClosed) as caught:
        socket_client.receive()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1003


def test_second_request_in_flight_is_rejected(socket_client: Any) -> None:
    socket_client.raw_client.sim.script(Turn.text("first").stalled(6))
    socket_client.send("one")
    started = [socket_client.receive() for _ in range(6)]
    assert types(started)[-1] == "response.output_item.added"
    assert socket_client.error("two")["error"]["code"] == "response_already_in_flight"
    socket_client.connection.send(json.dumps({**INTERRUPT, "response_id": started[3]["response"]["id"]}))
    assert types(socket_client.events())[-1] == "response.incomplete"


def test_interrupt_discards_partial_items(socket_client: Any) -> None:
    items = [{"type": "reasoning", "id": "rs_1", "summary": []}, message_item("msg_1", "one two three")]
    socket_client.raw_client.sim.script(Turn.items(*items).stalled(10))
    socket_client.send("hi")
    started = [socket_client.receive() for _ in range(10)]
    assert types(started)[-2:] == ["response.content_part.added", "response.output_text.delta"]
    interrupted_id = started[3]["response"]["id"]
    socket_client.connection.send(json.dumps({**INTERRUPT, "response_id": interrupted_id}))
    accepted, item, end = socket_client.events()
    assert (accepted["type"], accepted["response_id"]) == ("response.interrupt.accepted", interrupted_id)
    assert (item["type"], item["item_id"], item["output_index"]) == ("response.output_item.interrupted", "msg_1", 1)
    assert end["response"]["incomplete_details"] == {"reason": "interrupted"}
    numbers = [event["sequence_number"] for event in (*started[3:], accepted, item, end)]
    assert numbers == list(range(len(numbers)))
    # Only the complete reasoning item is part of the continuation: its encrypted content is missing, which is an error.
    error = socket_client.error("again", previous_response_id=interrupted_id)
    assert "rs_1" in error["error"]["message"]


def message_item(item_id: str, text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


def test_interrupt_of_an_unknown_response_fails(socket_client: Any) -> None:
    ended = response_id(socket_client.create("hi"))
    socket_client.connection.send(json.dumps({**INTERRUPT, "response_id": ended}))  # it may arrive too late
    socket_client.connection.send(json.dumps({**INTERRUPT, "response_id": "resp_x"}))
    assert socket_client.receive() == {"type": "response.interrupt.failed", "response_id": "resp_x"}
    assert socket_client.text("Say hello") == "hello"


def test_turn_state_is_sent_once_per_turn(socket_client: Any) -> None:
    first = socket_client.create("hi")
    state = next(event for event in first if event["type"] == "response.metadata")["headers"]["x-codex-turn-state"]
    metadata = {"x-codex-turn-state": state}
    second = socket_client.create("x", previous_response_id=response_id(first), client_metadata=metadata)
    assert "response.metadata" not in types(second)
    assert "response.metadata" in types(socket_client.create("next turn"))


def test_request_headers_are_members_of_client_metadata(socket_client: Any) -> None:
    metadata = {"ws_request_header_x_openai_internal_codex_responses_lite": "true"}
    error = socket_client.error("hi", parallel_tool_calls=True, client_metadata=metadata)
    assert "requires parallel_tool_calls to be false" in error["error"]["message"]
    assert socket_client.text("Say hello", parallel_tool_calls=False, client_metadata=metadata) == "hello"


def test_compaction_has_exactly_one_item(socket_client: Any) -> None:
    first = response_id(socket_client.create("Say hello"))
    events = socket_client.create({"type": "compaction_trigger"}, previous_response_id=first)
    (item,) = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert item["type"] == "compaction"
    assert 'Before that, you wrote: "Say hello"' in socket_client.text(item, "Bye")


def test_old_connection_reaches_its_limit(start_raw_client: Any, open_socket: Any, clock: Any) -> None:
    raw_client = start_raw_client(clock=clock)
    socket = open_socket(raw_client)
    clock.now += timedelta(minutes=59, seconds=59)
    assert socket.text("Say hello") == "hello"
    clock.now += timedelta(seconds=1)
    error = socket.error("hi")
    assert (error["status"], error["error"]["code"]) == (400, "websocket_connection_limit_reached")
    with pytest.raises(ConnectionClosed):
        socket.receive()
    assert open_socket(raw_client).text("Say hello") == "hello"


def test_limit_strikes_in_mid_response(start_raw_client: Any, open_socket: Any, clock: Any) -> None:
    raw_client = start_raw_client(clock=clock)
    socket = open_socket(raw_client)
    raw_client.sim.script(Turn.text("one two three").throttled(100, 0.01))
    socket.send("hi")
    while socket.receive()["type"] != "response.created":
        pass
    clock.now += timedelta(hours=1)
    events = socket.events()
    assert events[-1]["error"]["code"] == "websocket_connection_limit_reached"
    with pytest.raises(ConnectionClosed):
        socket.receive()
