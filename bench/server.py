"""The server of a benchmark run: it responds to every POST with a recorded stream. `python -m bench.server` prints its URL.

The path selects the response, so that a client only needs another base URL:

    /b/KIND/DELTAS/CHUNK/DELAY_MS/backend-api/codex/responses

CHUNK is the size of the HTTP chunks in bytes; with 0 each event is a chunk. DELAY_MS is the time before the response
begins.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from functools import cache
from typing import NamedTuple

from bench.workloads import stream

__all__ = ["Answer", "base_path", "serve"]

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BASE = "/backend-api/codex"


class Answer(NamedTuple):
    """The response to send. The fields have the order of the path."""

    kind: str = "text"
    deltas: int = 20
    chunk: int = 4096
    delay_ms: int = 0


def base_path(answer: Answer) -> str:
    """Return the path of the base URL that selects this response."""
    return "/b/" + "/".join(map(str, answer)) + _BASE


@cache
def writes(kind: str, deltas: int, size: int) -> list[bytes]:
    """Return the body as HTTP chunks of this size in bytes; with 0 each event is a chunk."""
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
            await (_make_ready if head.startswith(b"GET") else _answer)(_wanted(head), writer)
    except (
        asyncio.IncompleteReadError,
        asyncio.CancelledError,
        ConnectionError,
    ):  # the client is gone, or the run is over
        pass
    finally:
        writer.close()


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    left = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            left = int(value)
    while left:
        data = await reader.read(min(left, 1 << 20))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)


def _wanted(head: bytes) -> Answer:
    parts = head.split(b" ", 2)[1].decode().split("/")
    return Answer(parts[2], *map(int, parts[3:6]))


async def _make_ready(answer: Answer, writer: asyncio.StreamWriter) -> None:
    """Generate a response in advance, so that its first request does not pay for that."""
    writes(answer.kind, answer.deltas, answer.chunk)
    writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def _answer(answer: Answer, writer: asyncio.StreamWriter) -> None:
    chunks = writes(answer.kind, answer.deltas, answer.chunk)
    if answer.delay_ms:
        await asyncio.sleep(answer.delay_ms / 1000)
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
