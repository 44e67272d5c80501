"""Test the upgrade to a WebSocket: its authentication, its faults and its settings."""

from __future__ import annotations

import contextlib
import time
from socket import SHUT_RDWR
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from codex_backend_sdk.testing import Turn, WebSocketSettings

MIB = 2**20


def rejection(open_socket: Any, raw_client: Any, **options: Any) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as caught:
        open_socket(raw_client, **options)
    return caught.value.response.status_code, bytes(caught.value.response.body or b"")


def test_upgrade_is_recorded_and_has_headers(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client, headers={"session-id": "s1"})
    response = socket.connection.response
    assert response.status_code == 101
    assert response.headers["x-request-id"].startswith("req_")
    assert response.headers["x-models-etag"].startswith('W/"')
    assert {"date", "sec-websocket-accept"} <= {name.lower() for name in response.headers}
    assert "x-codex-turn-state" not in response.headers
    assert raw_client.sim.requests[-1].headers["session-id"] == "s1"
    assert raw_client.sim.websockets[0].request is raw_client.sim.requests[-1]


def test_upgrade_is_authenticated(raw_client: Any, open_socket: Any) -> None:
    status, body = rejection(open_socket, raw_client, headers={"authorization": "Bearer none"})
    assert (status, body) == (401, b'{"detail": "Unauthorized"}')
    assert rejection(open_socket, raw_client, headers={"chatgpt-account-id": "acc-other"})[0] == 403


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("upgrade_required", 426),
        ("unauthorized@websocket", 401),
        ("cloudflare@websocket", 403),
        ("usage_limit@websocket", 429),
        ("status:500@websocket", 500),
        ("redirect@websocket", 307),
    ],
)
def test_fault_rejects_the_upgrade(raw_client: Any, open_socket: Any, fault: str, status: int) -> None:
    raw_client.sim.fail(fault)
    assert raw_client.text("Say hello") == "hello", "a model request over HTTP uses up no fault of an upgrade"
    if status == 307:  # the client follows it to another host
        with pytest.raises((InvalidStatus, OSError, ValueError)):
            open_socket(raw_client, open_timeout=5, headers={"authorization": "Bearer none"})
        return
    assert rejection(open_socket, raw_client)[0] == status
    raw_client.sim.clear()  # a usage limit lasts
    assert open_socket(raw_client).text("Say hello") == "hello"


def test_fault_in_the_header_rejects_the_upgrade(raw_client: Any, open_socket: Any) -> None:
    assert rejection(open_socket, raw_client, headers={"x-simulator-fault": "overloaded*1"})[0] == 503
    socket = open_socket(raw_client, headers={"x-simulator-fault": "overloaded@responses"})
    assert socket.text("Say hello") == "hello", "the header of the upgrade is not one of the messages"


def test_model_faults_do_not_reject_the_upgrade(raw_client: Any, open_socket: Any) -> None:
    raw_client.sim.fail("overloaded")
    assert open_socket(raw_client).error("hi")["status"] == 503


@pytest.mark.parametrize("fault", ["reset", "not_http", "cut_after_bytes:0"])
def test_fault_ends_the_connection_instead(raw_client: Any, open_socket: Any, fault: str) -> None:
    raw_client.sim.fail(f"{fault}@websocket")
    with pytest.raises((InvalidHandshake, OSError, EOFError)):
        open_socket(raw_client, open_timeout=5)
    assert raw_client.sim.websockets == []


def test_delayed_upgrade_is_accepted(raw_client: Any, open_socket: Any) -> None:
    raw_client.sim.fail("delayed:0.2+header:x-test,1@websocket")
    started = time.monotonic()
    socket = open_socket(raw_client)
    assert time.monotonic() - started >= 0.2
    assert socket.connection.response.headers["x-test"] == "1"
    assert socket.text("Say hello") == "hello"


def test_client_may_leave_before_the_upgrade(raw_client: Any, open_socket: Any) -> None:
    raw_client.sim.fail("stalled@websocket")
    with pytest.raises(TimeoutError):
        open_socket(raw_client, open_timeout=0.2)
    assert open_socket(raw_client).text("Say hello") == "hello"


def test_get_without_upgrade_is_rejected(raw_client: Any) -> None:
    assert raw_client.get("/codex/responses").status_code == 426
    headers = {**raw_client.headers, "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    response = raw_client.http.get(f"{raw_client.sim.base_url}/responses", headers=headers)
    assert (response.status_code, response.json()) == (400, {"detail": "Invalid WebSocket upgrade"})


def test_disabled_websockets_are_rejected(raw_client: Any, open_socket: Any) -> None:
    raw_client.sim.websocket = WebSocketSettings(is_enabled=False)
    assert rejection(open_socket, raw_client) == (426, b'{"detail": "Upgrade Required"}')


@pytest.mark.parametrize("accepts_deflate", [True, False])
def test_compression_reduces_the_bytes_on_the_wire(raw_client: Any, open_socket: Any, accepts_deflate: bool) -> None:
    raw_client.sim.websocket = WebSocketSettings(accepts_deflate=accepts_deflate)
    socket = open_socket(raw_client)
    assert socket.text("Say " + "x" * 5000)
    (record,), (frame,) = raw_client.sim.websockets, raw_client.sim.websocket_frames
    assert record.uses_deflate is accepts_deflate
    assert len(frame.data) > 5000
    assert (frame.wire_bytes < 500) is accepts_deflate
    if not accepts_deflate:
        assert frame.wire_bytes == len(frame.data) + 8  # 2 bytes, 2 of the length and 4 of the mask
    assert record.received_bytes == frame.wire_bytes
    assert frame.connection == record.number == 1


@pytest.mark.parametrize("size", [None, 1000])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_message_over_the_limit_closes_the_connection(
    raw_client: Any, open_socket: Any, size: int | None, compression: Any
) -> None:
    raw_client.sim.websocket = WebSocketSettings(max_message_bytes=size)
    socket = open_socket(raw_client, compression=compression)
    header = "x-codex-websocket-max-message-bytes"
    assert socket.connection.response.headers.get(header) == (None if size is None else "1000")
    limit = size or 16 * MIB
    socket.connection.send("x" * limit)
    assert socket.receive()["error"]["code"] == "invalid_json", "a message of the limit arrives"
    with contextlib.suppress(ConnectionClosed):  # the simulator does not read the whole message
        socket.connection.send("x" * (limit + (1 if compression is None else 1000)))
    with pytest.raises(ConnectionClosed) as caught:
        socket.receive()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009
    assert raw_client.sim.websockets[0].close_code == 1009


def test_fragments_of_a_message_are_joined(raw_client: Any, open_socket: Any) -> None:
    socket = open_socket(raw_client, compression=None)
    text = '{"type": "response.create", "model": "gpt-6.1-sol", "store": false, "input": []}'
    socket.connection.send([text[:10], text[10:20], text[20:]])
    assert socket.events()[-1]["type"] == "response.completed"
    (frame,) = raw_client.sim.websocket_frames
    assert (frame.data, frame.wire_bytes) == (text.encode(), len(text) + 4 * 6)  # `websockets` adds an empty fragment


def test_closed_sockets_are_recorded(raw_client: Any, open_socket: Any) -> None:
    first, second = open_socket(raw_client), open_socket(raw_client)
    first.connection.close(1001)
    second.connection.socket.shutdown(SHUT_RDWR)
    deadline = time.monotonic() + 10
    while any(record.is_open for record in raw_client.sim.websockets) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [record.close_code for record in raw_client.sim.websockets] == [1001, 1006]
    raw_client.sim.clear()
    assert (raw_client.sim.websockets, raw_client.sim.websocket_frames) == ([], [])


def test_pipelined_messages_are_processed_in_order(socket_client: Any) -> None:
    for number in ("one", "two"):
        socket_client.raw_client.sim.script(Turn.text(number))
    assert [socket_client.text("hi"), socket_client.text("hi")] == ["one", "two"]
