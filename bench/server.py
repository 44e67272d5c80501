"""`python -m bench.server`: the server of a benchmark run. It prints its URL.

Every POST gets a recorded stream as its response. The path selects it, so that a client only needs another base URL:

    /b/KIND/DELTAS/CHUNK/DELAY_MS/backend-api/codex/responses

CHUNK is the size of the HTTP chunks in bytes; with 0, each event is one chunk. DELAY_MS is the time before the response
begins. A GET prepares the response of the path, so that generating it is not part of the measurement.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import cache
from typing import NamedTuple

from bench.workloads import stream

__all__ = ["ResponseSpec", "base_path", "serve"]

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BASE = "/backend-api/codex"


class ResponseSpec(NamedTuple):
    """The response to send. The fields are in the order of the path."""

    kind: str = "text"
    deltas: int = 20
    chunk: int = 4096
    delay_ms: int = 0


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


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve the requests of one connection."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await _skip_body(reader, head)
            await (_prepare if head.startswith(b"GET") else _respond)(_spec_of(head), writer)
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        pass  # the client has disconnected, or the run has ended
    finally:
        writer.close()


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    remaining = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            remaining = int(value)
    while remaining:
        data = await reader.read(min(remaining, 1 << 20))
        if not data:
            raise asyncio.IncompleteReadError(b"", remaining)
        remaining -= len(data)


def _spec_of(head: bytes) -> ResponseSpec:
    parts = head.split(b" ", 2)[1].decode().split("/")
    return ResponseSpec(parts[2], *map(int, parts[3:6]))


async def _prepare(spec: ResponseSpec, writer: asyncio.StreamWriter) -> None:
    http_chunks(spec.kind, spec.deltas, spec.chunk)  # it is cached
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def _respond(spec: ResponseSpec, writer: asyncio.StreamWriter) -> None:
    chunks = http_chunks(spec.kind, spec.deltas, spec.chunk)
    if spec.delay_ms:
        await asyncio.sleep(spec.delay_ms / 1000)
    writer.write(_HEAD)
    for chunk in chunks:
        writer.write(chunk)
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def serve() -> None:
    """Serve on a free loopback port until standard input is closed."""
    server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=1 << 20, backlog=512)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
