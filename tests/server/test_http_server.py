"""The connections of the server: incomplete heads, invalid handshakes, and the stop of the server."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.scripted_backend import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from codex_backend_sdk.testing import Turn

from .conftest import KEY
from .gated_backend import GatedBackend
from .model_calls import RESPONSES, ROUTES, Route, open_connections

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

both_routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
both_modes = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])

HANDSHAKE = (
    f"GET /v1/responses HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: upgrade\r\n"
    "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def connect(server: Any, sent: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(sent.encode())
    return client


def read_to_end(client: socket.socket) -> bytes:
    with client:
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize(
    "header",
    ["content-length: 0", "content-length: 2\r\n\r\nhi", "transfer-encoding: chunked", f"cookie: {'a' * 20_000}"],
    ids=["empty", "body", "chunked", "long"],
)
def test_invalid_handshake_gets_a_400(server: Any, header: str) -> None:
    received = read_to_end(connect(server, f"{HANDSHAKE}{header}\r\n\r\n"))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"without a body" in received
    assert server._server.server_state.connections == set()
    assert server.get("/models").status_code == 200


def test_valid_handshake_is_accepted(server: Any) -> None:
    with connect(server, f"{HANDSHAKE}\r\n") as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("sent", ["", "G", "GET /health HTTP/1.1\r\n", "GET /health HTTP/1.1\r\nhost: localhost\r\n"])
def test_head_that_does_not_end_closes_the_connection(serve: Any, sent: str) -> None:
    server = serve(receive_seconds=1)
    assert read_to_end(connect(server, sent)) == b""
    assert server.get("/models").status_code == 200


def test_second_head_of_a_connection_has_the_same_limit(serve: Any) -> None:
    server = serve(receive_seconds=1)
    request = "HEAD /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    client = connect(server, request)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    client.sendall(request[:10].encode())
    assert read_to_end(client) == b""


def test_head_limit_ends_no_response_and_no_idle_connection(serve: Any) -> None:
    server = serve(receive_seconds=2)
    request = "HEAD /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with connect(server, request) as client, connect(server, f"{HANDSHAKE}\r\n") as web_socket:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert web_socket.recv(65536).startswith(b"HTTP/1.1 101 ")
        assert read_to_end(connect(server, "")) == b""  # it began later, and its time limit has passed
        client.sendall(request.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        web_socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            web_socket.recv(65536)


# The stop of the server


def stop(server: Any) -> None:
    """Begin to stop a server, as a signal does."""
    server._server.should_exit = True


def post(server: Any, route: Route, **members: Any) -> socket.socket:
    body = json.dumps(route.body(**members))
    head = f"POST /v1{route.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
    return connect(server, f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}")


def open_websocket(server: Any) -> Any:
    url = server.root.replace("http", "ws", 1) + "/v1/responses"
    return connect_websocket(url, additional_headers={"Authorization": f"Bearer {KEY}"}, proxy=None, open_timeout=30)


def messages_of(websocket: Any) -> tuple[list[Any], int]:
    """Return the messages up to the end of the connection, and its close code."""
    messages = []

    def receive_all() -> None:
        while True:
            messages.append(json.loads(websocket.recv(timeout=30)))

    with pytest.raises(ConnectionClosed) as closed:
        receive_all()
    assert closed.value.rcvd is not None
    return messages, closed.value.rcvd.code


CREATE = json.dumps({"type": "response.create", "model": "gpt-5.5", "input": "hi"})
STALLED = Turn.text("one two three").stalled(8, 60)


@both_routes
def test_stop_ends_a_stream_with_an_error(serve: Any, sim: Simulator, route: Route) -> None:
    server = serve(grace_seconds=0.1)
    sim.script(STALLED)
    with post(server, route, stream=True) as client:
        head = client.recv(65536)
        stop(server)
        text = (head + read_to_end(client)).decode()
    assert text.startswith("HTTP/1.1 200 ")
    data = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    if route is RESPONSES:
        assert [event["sequence_number"] for event in data] == list(range(len(data)))
        assert (data[-1]["type"], data[-1]["response"]["error"]["code"]) == ("response.failed", "local_shutting_down")
        assert data[-2]["type"] == "response.output_text.delta"
    else:
        assert data[-1]["error"]["code"] == "local_shutting_down"
        assert "data: [DONE]" in text
    server._thread.join(30)
    assert open_connections(server.client) == 0
    assert server.lines[0].endswith("local_shutting_down")
    assert server.tracebacks == []


@both_routes
@both_modes
def test_stop_before_the_first_event_is_a_503(serve: Any, sim: Simulator, route: Route, stream: bool) -> None:
    server = serve(grace_seconds=0.1, commit_seconds=30)
    sim.script(Turn.text("Hello").delayed(60))
    client = post(server, route, stream=stream)
    wait_until(lambda: len(sim.model_requests) == 1)
    stop(server)
    assert_refused(read_to_end(client))


def assert_refused(response: bytes) -> None:
    head, _, content = response.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 5" in head.lower()
    assert json.loads(content)["error"]["code"] == "local_shutting_down"


@both_routes
@both_modes
def test_stop_refuses_waiting_requests_and_lets_others_end(
    serve: Any, sim: Simulator, route: Route, stream: bool
) -> None:
    with GatedBackend() as backend:
        client = sim.async_client(unsupported="drop", max_retries=0, base_url=backend.base_url)
        server = serve(client=client, grace_seconds=60, concurrency=2, commit_seconds=30)
        with open_websocket(server) as websocket, open_websocket(server) as waiting_websocket:
            running = post(server, route, stream=stream)
            websocket.send(CREATE)
            wait_until(lambda: backend.arrived == 2)
            waiting = post(server, route, stream=stream)
            waiting_websocket.send(CREATE)
            wait_until(lambda: server.app.state.slots.waiting == 2)
            stop(server)
            assert_refused(read_to_end(waiting))  # although the grace period is long
            (error,), code = messages_of(waiting_websocket)
            assert (error["type"], error["status"], code) == ("error", 503, 1012)
            assert error["error"]["code"] == "local_shutting_down"
            backend.open_gate()
            assert backend.text in read_to_end(running).decode() or stream
            messages, code = messages_of(websocket)
            assert (messages[-1]["type"], code) == ("response.completed", 1012)
        server._thread.join(30)
        assert not server._thread.is_alive()
        assert (backend.arrived, backend.broken) == (2, 0)


def test_stop_ends_the_responses_of_websockets(serve: Any, sim: Simulator) -> None:
    server = serve(grace_seconds=0.1)
    sim.script(STALLED)
    with open_websocket(server) as websocket, open_websocket(server) as idle:
        websocket.send(CREATE)
        first = json.loads(websocket.recv(timeout=30))
        stop(server)
        messages, code = messages_of(websocket)
        assert messages_of(idle) == ([], 1012)
    assert code == 1012
    assert [event["sequence_number"] for event in (first, *messages)] == list(range(len(messages) + 1))
    assert messages[-1]["type"] == "response.failed"
    assert messages[-1]["response"]["error"]["code"] == "local_shutting_down"
    server._thread.join(30)
    assert open_connections(server.client) == 0
    assert server.tracebacks == []


def test_stop_does_not_wait_for_a_client_that_does_not_read(serve: Any, sim: Simulator) -> None:
    with GatedBackend(events=1000, size=32_000) as backend:
        backend.open_gate()
        client = sim.async_client(unsupported="drop", max_retries=0, base_url=backend.base_url)
        server = serve(client=client, grace_seconds=0.1)
        slow = post(server, RESPONSES, stream=True)
        wait_until(lambda: backend.arrived == 1)
        stop(server)
        server._thread.join(30)
        assert not server._thread.is_alive()
        with contextlib.suppress(ConnectionResetError):
            read_to_end(slow)  # its connection was closed
        wait_until(lambda: backend.running == 0)
