"""A client for measuring local servers. It reads bytes from sockets, so that it costs little beside the server.

The responses are parsed after the measurement, to check that nothing is missing.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from typing import Any, NamedTuple

from bench.workloads import DELTA_TYPES, MODEL, short_input

__all__ = ["KEY", "ROUTES", "Reading", "characters_of", "get_status", "read_streams", "stamps_of"]

KEY = "sk-8b0f4c1e6a2d4d0f9c37e5a1b2c3d4e5"  # of the servers of a run; litellm rejects a weak one
_TIMEOUT_SECONDS = 120.0
_READ_BYTES = 1 << 18
_END = b"\r\n0\r\n\r\n"
_STAMP = re.compile(rb'"(?:delta|content)": ?" (\d{20})"')
# The path and the body of each kind of request.
ROUTES: dict[str, tuple[str, dict[str, Any]]] = {
    "responses": ("/v1/responses", {"model": MODEL, "instructions": "Be brief.", "input": short_input()}),
    "chat": ("/v1/chat/completions", {"model": MODEL, "messages": short_input()}),
}


class Reading(NamedTuple):
    """What was read from a socket, and when, in nanoseconds."""

    at_ns: int
    data: bytes


def _request(method: str, port: int, path: str, body: bytes = b"") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        f"host: 127.0.0.1:{port}",
        f"authorization: Bearer {KEY}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def get_status(port: int, path: str) -> int | None:
    """Return the status of a GET request, or None if the server does not respond."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS) as connection:
            connection.sendall(_request("GET", port, path))
            head = connection.recv(_READ_BYTES)
    except ConnectionError:
        return None
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.1 ") else None


def read_streams(port: int, route: str, *, count: int = 1, base: str = "") -> list[list[Reading]]:
    """Send streamed requests at once, and return all that was read of each response.

    `base` replaces `/v1` in the path. Raises TimeoutError if nothing arrives for a long time.
    """
    path, body = ROUTES[route]
    path = base + path.removeprefix("/v1") if base else path
    request = _request("POST", port, path, json.dumps({**body, "stream": True}).encode())
    readings: list[list[Reading]] = [[] for _ in range(count)]
    with selectors.DefaultSelector() as selector:
        for each in readings:
            connection = socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, each)
        while selector.get_map():
            ready = selector.select(_TIMEOUT_SECONDS)
            if not ready:
                raise TimeoutError(f"The local server sent nothing for {_TIMEOUT_SECONDS:.0f} seconds.")
            for key, _ in ready:
                data = key.fileobj.recv(_READ_BYTES)  # type: ignore[union-attr]
                if data:
                    key.data.append(Reading(time.monotonic_ns(), data))
                if not data or b"".join(part for _, part in key.data[-2:]).endswith(_END):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
    return readings


def stamps_of(readings: list[Reading]) -> list[tuple[int, int]]:
    """Return for each delta of a `stamped` response when it was sent and when it was read, in nanoseconds."""
    stamps, kept = [], b""
    for at_ns, data in readings:
        window = kept + data
        end = 0
        for match in _STAMP.finditer(window):
            stamps.append((int(match[1]), at_ns))
            end = match.end()
        kept = window[max(end, len(window) - 100) :]
    return stamps


def characters_of(readings: list[Reading]) -> int:
    """Return the number of characters in the deltas of a response. Raises ValueError for another status than 200."""
    head, _, body = b"".join(reading.data for reading in readings).partition(b"\r\n\r\n")
    if b" 200 " not in head[:20]:
        raise ValueError(f"The local server responded: {(head + body)[:1000].decode(errors='replace')}")
    if b"transfer-encoding: chunked" in head.lower():
        body = _without_chunks(body)
    return sum(
        _characters(json.loads(line.removeprefix(b"data:")))
        for line in body.splitlines()
        if line.startswith(b"data:") and line.removeprefix(b"data:").strip() != b"[DONE]"
    )


def _without_chunks(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        parts.append(body[:length])
        body = body[length + 2 :]
    return b"".join(parts)


def _characters(event: dict[str, Any]) -> int:
    if event.get("type") in DELTA_TYPES:
        return len(event["delta"])
    return sum(len(choice["delta"].get("content") or "") for choice in event.get("choices", ()))
