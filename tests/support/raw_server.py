"""A server on 127.0.0.1 whose replies are raw bytes, for responses that no HTTP library would send."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["event_stream", "http_reply", "raw_server"]


def http_reply(
    body: bytes = b"", *, status: str = "200 OK", content_type: str = "application/json", **headers: str
) -> bytes:
    """Return a complete reply. Underscores in the names of `headers` become hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def event_stream(*events: dict[str, Any]) -> bytes:
    """Return a complete reply with these events."""
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return http_reply(body, content_type="text/event-stream")


@contextmanager
def raw_server(reply: Callable[[str, bytes], bytes]) -> Iterator[str]:
    """Serve the bytes that `reply` returns for the head and the body of a request. Yield the origin."""

    def serve(connection: socket.socket) -> None:
        with connection:
            head, body = _read_request(connection)
            if head:
                connection.sendall(reply(head, body))

    def accept() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            connection.settimeout(20)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _read_request(connection: socket.socket) -> tuple[str, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        received = connection.recv(65536)
        if not received:
            return "", b""
        data += received
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = next((int(line[15:]) for line in text.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return text, body
