"""`python -m bench.server`: the server of a benchmark run. It prints its URL.

Every POST gets a recorded stream as its response. The path selects it, so that a client only needs another base URL:

    /b/KIND/DELTAS/CHUNK/DELAY_MS/SESSION/backend-api/codex/responses

CHUNK is the size of the HTTP chunks in bytes; with 0, each event is one chunk. DELAY_MS is the time before the response
begins. The server counts the requests and the received bytes of a SESSION; with a session other than 0, the ids in its
responses are different. `GET .../received` returns these counts. Any other GET prepares the response of the path, so
that generating it is not part of the measurement.

With the kind `stamped`, DELAY_MS is the time before each event, and each delta is the time at which it is sent.

A local server in front of this one has one base URL. Its kind is `selected`: the response is the one for whose path the
last `GET .../select` with the same SESSION was.

The same path is a WebSocket: each message is a request, and its response are the same events. The server compresses
nothing, and checks that a message continues the response that the connection sent last.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import socket
import sys
import time
from collections import defaultdict
from functools import cache
from typing import Any, NamedTuple

from bench.workloads import CIPHER_MARK, ID_MARK, MODEL, STAMP_MARK, cipher, stream

__all__ = ["ResponseSpec", "base_path", "serve"]

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BASE = "/backend-api/codex"
# What a client needs to know of the model to decide that the history of no row must be compacted.
_MODEL = {
    "slug": MODEL,
    "display_name": MODEL,
    "visibility": "list",
    "context_window": 1_000_000,
    "max_context_window": 1_000_000,
}
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class ResponseSpec(NamedTuple):
    """The response to send. The fields are in the order of the path."""

    kind: str = "text"
    deltas: int = 20
    chunk: int = 4096
    delay_ms: int = 0
    session: int = 0


class Received:
    """What the server received for one path: the bytes after each request, and the items known after the last one."""

    def __init__(self) -> None:
        self.bytes = 0
        self.bytes_by_request: list[int] = []
        self.known_items = 0
        self.replays = 0

    def count_request(self) -> int:
        """Record that a request was received. Return its number, from 1."""
        self.bytes_by_request.append(self.bytes)
        return len(self.bytes_by_request)


_received: defaultdict[ResponseSpec, Received] = defaultdict(Received)
_selected: dict[int, ResponseSpec] = {}


def base_path(spec: ResponseSpec) -> str:
    """Return the path of the base URL that selects this response."""
    return "/b/" + "/".join(map(str, spec)) + _BASE


@cache
def http_chunks(kind: str, deltas: int, size: int) -> list[bytes]:
    """Return the body as encoded HTTP chunks of `size` bytes; with 0, each event is one chunk."""
    frames = stream(kind, deltas).frames
    if not size:
        return [_chunk(frame) for frame in frames]
    body = b"".join(frames)
    return [_chunk(body[start : start + size]) for start in range(0, len(body), size)]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@cache
def websocket_writes(kind: str, deltas: int, size: int) -> list[bytes]:
    """Return the events as WebSocket frames, cut into writes of `size` bytes; with 0, each event is one write."""
    frames = [_frame(_TEXT, frame.partition(b"\ndata: ")[2].strip()) for frame in stream(kind, deltas).frames]
    if not size:
        return frames
    body = b"".join(frames)
    return [body[start : start + size] for start in range(0, len(body), size)]


def _frame(opcode: int, payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        size = bytes((length,))
    else:
        size = b"\x7e" + length.to_bytes(2) if length < 1 << 16 else b"\x7f" + length.to_bytes(8)
    return bytes((0x80 | opcode,)) + size + payload


def _numbered(data: bytes, number: int) -> bytes:
    """Return data of a response with the ids and the encrypted reasoning of the response with this number."""
    data = data.replace(ID_MARK, b"_%03x" % number)
    return data.replace(CIPHER_MARK, b"gAAAA" + cipher(number).encode()) if CIPHER_MARK in data else data


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve the requests of one connection."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path, spec, headers = _parse(head)
            size = int(headers.get(b"content-length", 0))
            await _skip(reader, size)
            if b"sec-websocket-key" in headers:
                _received[spec].bytes += len(head)
                await _serve_websocket(spec, headers[b"sec-websocket-key"], reader, writer)
                return
            if head.startswith(b"POST"):
                _received[spec].bytes += len(head) + size
                await _respond(_selected[spec.session] if spec.kind == "selected" else spec, writer)
            elif path.endswith("/select"):
                _selected[spec.session] = spec._replace(session=0)
                _prepare(spec, writer)
            elif path.endswith("/received"):
                _send_json(vars(_received[spec]), writer)
            elif path.endswith("/models"):
                _send_json({"models": [_MODEL]}, writer)
            else:
                _prepare(spec, writer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass  # the client has disconnected, or the run has ended
    finally:
        writer.close()


async def _skip(reader: asyncio.StreamReader, remaining: int) -> None:
    while remaining:
        data = await reader.read(min(remaining, 1 << 20))
        if not data:
            raise asyncio.IncompleteReadError(b"", remaining)
        remaining -= len(data)


def _parse(head: bytes) -> tuple[str, ResponseSpec, dict[bytes, bytes]]:
    """Return the path of a request, the spec in it, and the headers by lower-case name."""
    request, *lines = head.split(b"\r\n")
    path = request.split(b" ", 2)[1].decode().partition("?")[0]
    parts = path.split("/")
    fields = (line.partition(b":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in fields}
    return path, ResponseSpec(parts[2], *map(int, parts[3 : 2 + len(ResponseSpec._fields)])), headers


def _prepare(spec: ResponseSpec, writer: asyncio.StreamWriter) -> None:
    # Both are cached.
    http_chunks(spec.kind, spec.deltas, spec.chunk)
    websocket_writes(spec.kind, spec.deltas, spec.chunk)
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def _send_json(value: Any, writer: asyncio.StreamWriter) -> None:
    body = json.dumps(value).encode()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def _respond(spec: ResponseSpec, writer: asyncio.StreamWriter) -> None:
    chunks = http_chunks(spec.kind, spec.deltas, spec.chunk)
    number = _received[spec].count_request()
    if spec.delay_ms:
        await asyncio.sleep(spec.delay_ms / 1000)
    writer.write(_HEAD)
    for chunk in chunks:
        if spec.kind == "stamped":
            await asyncio.sleep(spec.delay_ms / 1000)
            writer.write(chunk.replace(STAMP_MARK, b"%020d" % time.monotonic_ns()))
        else:
            writer.write(_numbered(chunk, number) if spec.session else chunk)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


# --- WebSocket -------------------------------------------------------------------------------------------------------


async def _serve_websocket(
    spec: ResponseSpec, key: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_SUFFIX).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-accept: %b\r\n\r\n" % accept
    )
    received = _received[spec]
    connection_items, last_response = 0, None
    while True:
        opcode, payload, size = await _read_frame(reader)
        received.bytes += size
        if opcode == _PING:
            writer.write(_frame(_PONG, payload))
        elif opcode == _CLOSE:
            writer.write(_frame(_CLOSE, payload))
            return
        elif opcode == _TEXT:
            message = json.loads(payload)
            previous = message.get("previous_response_id")
            if previous not in (None, last_response):
                raise ConnectionError(f"The client continues {previous}, but the last response was {last_response}.")
            if previous is None:
                received.replays += connection_items > 0
                connection_items = 0
            number = received.count_request()
            connection_items += len(message["input"])
            received.known_items = connection_items
            last_response = f"resp_{number:03x}" if spec.session else "resp_0a1"
            await _send_events(spec, number, writer)
            connection_items += stream(spec.kind, spec.deltas).items


async def _send_events(spec: ResponseSpec, number: int, writer: asyncio.StreamWriter) -> None:
    if spec.delay_ms:
        await asyncio.sleep(spec.delay_ms / 1000)
    for data in websocket_writes(spec.kind, spec.deltas, spec.chunk):
        writer.write(_numbered(data, number) if spec.session else data)
        await writer.drain()


async def _read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes, int]:
    """Return the opcode, the payload and the size of a frame. Clients send masked frames without fragments."""
    head = await reader.readexactly(2)
    length, size_bytes = head[1] & 0x7F, 0
    if length > 125:
        size_bytes = 2 if length == 126 else 8
        length = int.from_bytes(await reader.readexactly(size_bytes))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(length)
    key = (mask * (length // 4 + 1))[:length]
    unmasked = (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)
    return head[0] & 0x0F, unmasked, 6 + size_bytes + length


async def serve() -> None:
    """Serve on a free loopback port until standard input is closed."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
