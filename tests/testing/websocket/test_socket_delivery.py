"""Test the delivery of turns and faults on a WebSocket, with `websockets` as the client."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from codex_backend_sdk.testing import Turn

TEXT = Turn.text("one two three four five six")


def received(socket: Any) -> tuple[list[Any], Any]:
    """Receive messages up to the end of the connection. Return them and the code of the server's close frame."""
    messages: list[Any] = []
    while True:
        try:
            messages.append(socket.connection.recv(timeout=10))
        except ConnectionClosed as error:
            return messages, None if error.rcvd is None else error.rcvd.code


def run(socket: Any, turn: Turn | str) -> None:
    if isinstance(turn, str):
        socket.raw_client.sim.fail(turn)
    else:
        socket.raw_client.sim.script(turn)
    socket.send("hi")


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("usage_limit:plus,60", 429, None),
        ("rate_limited:7", 429, "rate_limit_exceeded"),
        ("overloaded", 503, "server_is_overloaded"),
        ("context_length_exceeded", 400, "context_length_exceeded"),
        ("unauthorized:token_expired", 401, "token_expired"),
        ("bad_request:No", 400, None),
        ("status:502", 502, None),
        ("cloudflare", 403, None),
        ("previous_response_not_found", 400, "previous_response_not_found"),
    ],
)
def test_http_error_is_an_error_event(socket_client: Any, fault: str, status: int, code: str | None) -> None:
    run(socket_client, fault)
    error = socket_client.receive()
    assert (error["type"], error["status"], error["error"].get("code")) == ("error", status, code)
    assert error["error"]["message"]
    socket_client.raw_client.sim.clear()  # a usage limit lasts
    assert socket_client.text("Say hello") == "hello", "the connection stays usable"


def test_error_event_has_the_headers(socket_client: Any) -> None:
    run(socket_client, "usage_limit:plus,60")
    error = socket_client.receive()
    assert error["error"]["type"] == "usage_limit_reached"
    assert error["headers"]["x-codex-active-limit"] == "codex"
    assert "content-length" not in error["headers"]
    run(socket_client, "rate_limited:7")
    assert socket_client.receive()["headers"]["retry-after"] == "7"


@pytest.mark.parametrize("fault", ["failed:server_error,Text", "incomplete:content_filter,Text"])
def test_terminal_events_keep_the_connection(socket_client: Any, fault: str) -> None:
    run(socket_client, fault)
    assert socket_client.events()[-1]["type"] == f"response.{fault.partition(':')[0]}"
    assert socket_client.text("Say hello") == "hello"


@pytest.mark.parametrize(
    ("turn", "messages", "code"),
    [
        (TEXT.cut_after_events(4), 4, None),
        (TEXT.cut_after_events(0), 0, None),
        (TEXT.cut_after_bytes(0), 0, None),
        (TEXT.clean_end_after_events(4), 4, 1000),
        (TEXT.reset(), 0, None),
        (TEXT.close_after_events(1011, 5), 5, 1011),
        (TEXT.close_after_events(1006, 5), 5, None),
        (TEXT.close_after_events(1013), 0, 1013),
        (Turn.raw(200), 0, 1000),
        (Turn.raw(200, {"content-type": "text/html"}, b"<html>"), 0, 1000),
        (Turn.error_event("server_error", text="one"), 12, 1000),
    ],
)
def test_connection_ends_as_the_turn_requires(socket_client: Any, turn: Turn, messages: int, code: int | None) -> None:
    run(socket_client, turn)
    texts, close_code = received(socket_client)
    assert (len(texts), close_code) == (messages, code)
    assert [json.loads(text)["type"] for text in texts][:3] == ["codex.rate_limits", "codex.response.metadata",
                                                               "response.metadata"][:messages]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "messages", "code"), [("close", 0, 1000), ("close:1001,2", 2, 1001), ("close:1009", 0, 1009)]
)
def test_close_fault_sends_its_code(socket_client: Any, fault: str, messages: int, code: int) -> None:
    run(socket_client, fault)
    events, closed_with = received(socket_client)
    assert (len(events), closed_with) == (messages, code)


def test_cut_may_fall_within_a_frame(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client)
    run(socket, TEXT.cut_after_bytes(700))
    received(socket)
    (record,) = raw_client.sim.websockets
    assert record.sent_bytes == 700
    assert record.close_code == 1006


def test_reset_follows_the_given_bytes(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client)
    run(socket, TEXT.reset(700))
    _, code = received(socket)
    assert (code, raw_client.sim.websockets[0].sent_bytes) == (None, 700)


@pytest.mark.parametrize("turn", [TEXT.byte_by_byte(), TEXT.throttled(100, 0.001), TEXT.fragmented(7)])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_divided_frames_are_whole_messages(raw_client: Any, open_socket: Any, turn: Turn, compression: Any) -> None:
    socket = open_socket(raw_client, compression=compression)
    raw_client.sim.script(turn)
    assert socket.text("hi") == "one two three four five six"
    assert raw_client.sim.websockets[0].uses_deflate is (compression is not None)


def test_pong_never_falls_within_a_frame(socket_client: Any) -> None:
    run(socket_client, TEXT.throttled(10, 0.001))
    pongs = []
    for _ in range(20):
        pongs.append(socket_client.connection.ping())
        time.sleep(0.002)
    assert socket_client.events()[-1]["type"] == "response.completed"
    assert all(pong.wait(10) for pong in pongs)


def test_stalled_response_continues(socket_client: Any) -> None:
    started = time.monotonic()
    run(socket_client, TEXT.stalled(4, 0.2))
    assert socket_client.events()[-1]["type"] == "response.completed"
    assert time.monotonic() - started >= 0.2


def test_stalled_response_answers_pings(socket_client: Any) -> None:
    run(socket_client, TEXT.stalled(4))
    assert [socket_client.receive()["type"] for _ in range(4)][-1] == "response.created"
    assert socket_client.connection.ping().wait(10)
    with pytest.raises(TimeoutError):
        socket_client.connection.recv(timeout=0.1)


def test_silent_peer_answers_nothing(raw_client: Any, open_socket: Any) -> None:
    socket_client = open_socket(raw_client, close_timeout=0.1)
    run(socket_client, TEXT.silent(4))
    assert [socket_client.receive()["type"] for _ in range(4)][-1] == "response.created"
    assert not socket_client.connection.ping().wait(0.2)
    with pytest.raises(TimeoutError):
        socket_client.connection.recv(timeout=0.1)


@pytest.mark.parametrize("fault", ["silent", "stalled:3", "delayed:60"])
def test_paused_response_does_not_delay_stop(raw_client: Any, open_socket: Any, fault: str) -> None:
    socket = open_socket(raw_client)
    run(socket, fault)
    while not raw_client.sim.websocket_frames:
        time.sleep(0.005)
    started = time.monotonic()
    raw_client.sim.stop()
    assert time.monotonic() - started < 5
    assert received(socket)[1] == 1001


def test_inserted_events_are_messages(socket_client: Any) -> None:
    run(socket_client, TEXT.keepalives(0.1, 0.05).huge_event(200_000))
    events = socket_client.events()
    assert [event["type"] for event in events].count("keepalive") == 2
    assert len(next(event for event in events if event["type"] == "simulator.padding")["padding"]) == 200_000
    run(socket_client, TEXT.repeated_last_event(2).data_after_end())
    assert socket_client.events()[-1]["type"] == "response.completed"
    assert socket_client.receive()["type"] == "response.completed"
    assert socket_client.receive()["delta"] == "Too late."


def test_garbage_is_invalid_json(socket_client: Any) -> None:
    run(socket_client, TEXT.garbage(2))
    messages = [socket_client.connection.recv(timeout=10) for _ in range(4)]
    assert messages[2:] == ['{"type":"response.output_te', "42"]
    assert socket_client.events()[-1]["type"] == "response.completed"


def test_bytes_of_an_event_stream_become_messages(socket_client: Any) -> None:
    events = [b": comment\n\n", b'event: a\ndata: {"type":"a"}\n', b'\ndata:{"type":"response.completed"}\n\n']
    run(socket_client, Turn.events(events))
    assert [event["type"] for event in socket_client.events()] == ["a", "response.completed"]


def test_socket_faults_are_sent(socket_client: Any) -> None:
    run(socket_client, TEXT.binary_message(2))
    assert [type(socket_client.connection.recv(timeout=10)) for _ in range(4)] == [str, str, bytes, str]
    assert socket_client.events()[-1]["type"] == "response.completed"
    run(socket_client, TEXT.error_without_status(2))
    assert [socket_client.receive() for _ in range(3)][-1].keys() == {"type", "error"}
    assert socket_client.events()[-1]["type"] == "response.completed"


def test_ping_flood_is_answered(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client, compression=None)
    run(socket, TEXT.pings(500))
    assert socket.events()[-1]["type"] == "response.completed"
    assert socket.text("Say hello") == "hello"
    pong_bytes = 2 + 4 + 3
    assert raw_client.sim.websockets[0].received_bytes >= 500 * pong_bytes


@pytest.mark.parametrize("events", [0, 6])
def test_connection_limit_ends_the_connection(socket_client: Any, events: int) -> None:
    run(socket_client, f"connection_limit:{events}")
    texts, code = received(socket_client)
    assert (len(texts), code) == (events + 1, 1000)
    assert json.loads(texts[-1])["error"]["code"] == "websocket_connection_limit_reached"


@pytest.mark.parametrize("fault", ["close", "connection_limit", "silent", "fragmented", "pings", "binary_message"])
def test_socket_faults_do_not_change_http(raw_client: Any, fault: str) -> None:
    raw_client.sim.fail(fault)
    assert raw_client.text("Say hello") == "hello"


def test_raw_bytes_are_no_frame(socket_client: Any) -> None:
    run(socket_client, "not_http")
    with pytest.raises(ConnectionClosed):
        socket_client.receive()


def test_turn_that_raises_is_an_error_event(socket_client: Any) -> None:
    run(socket_client, Turn(lambda context: 1 / 0))  # type: ignore[arg-type, return-value]
    assert socket_client.receive()["status"] == 500
