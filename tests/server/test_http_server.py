"""The connections of the server: heads that do not end, handshakes that are not valid, and the end of the server."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from .conftest import KEY

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
    server = serve(receive_seconds=0.2)
    assert read_to_end(connect(server, sent)) == b""
    assert server.get("/models").status_code == 200


def test_second_head_of_a_connection_has_the_same_limit(serve: Any) -> None:
    server = serve(receive_seconds=0.5)
    request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    client = connect(server, request)
    assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    client.sendall(request[:10].encode())
    assert read_to_end(client) == b""


def test_head_limit_does_not_end_a_response_or_an_idle_connection(serve: Any) -> None:
    server = serve(receive_seconds=0.2)
    request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    with connect(server, request) as client, connect(server, f"{HANDSHAKE}\r\n") as web_socket:
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert web_socket.recv(65536).startswith(b"HTTP/1.1 101 ")
        assert read_to_end(connect(server, "")) == b""  # it began later, and its time is over
        client.sendall(request.encode())
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        web_socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            web_socket.recv(65536)
