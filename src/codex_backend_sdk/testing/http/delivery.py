"""Deliver responses to the client: complete, or interrupted, delayed or compressed as a fault requires.

A route returns a `SimulatedResponse`, which is an ASGI application. Its body is a sequence of chunks: events, bytes and
pauses. Events stay data until the response is sent: a `Wire` encodes them for one kind of connection. A fault adds a
transform of the chunks (`stream_transforms`), so faults can be combined. Only this module and `websocket` write to a
connection or end it early.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import anyio
import zstandard

from .asgi_server import CONNECTION_EXTENSION, wait_for_disconnect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive, Scope, Send

    from .asgi_server import ControlledConnection

__all__ = [
    "BodyEncoder",
    "Chunk",
    "ChunkTransform",
    "CloseSocket",
    "EncodedBytes",
    "Ending",
    "Event",
    "Headers",
    "HttpWire",
    "Pause",
    "Ping",
    "SimulatedResponse",
    "Wire",
    "WireChunk",
    "body_encoder",
    "encode_chunks",
    "encode_sse",
]

Headers = tuple[tuple[str, str], ...]

# The state of the connection after the last chunk. close: the response is complete. cut: the connection is closed
# without the final chunk of the body. reset: the connection is reset, and the client may lose bytes that it has not
# read.
Ending = Literal["close", "cut", "reset"]

# The interval of the checks whether the write buffer is empty, before a reset.
_FLUSH_POLL_SECONDS = 0.005
# Responses with these statuses have no body (RFC 9110, 15.3.5 and 15.4.5), and uvicorn raises an error for one.
_STATUSES_WITHOUT_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause between two chunks of a body. If `seconds` is None, it lasts until the client disconnects.

    If `is_deaf` is true, a WebSocket ignores everything that the client sends from now on.
    """

    seconds: float | None
    is_deaf: bool = False


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping on a WebSocket."""


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """A close frame on a WebSocket. Code 1006 stands for a closed connection without a close frame."""

    code: int


@dataclass(frozen=True, slots=True)
class EncodedBytes:
    """Bytes for the connection that a wire has encoded already. A transform of bytes yields them."""

    data: bytes


Event = dict[str, Any]
WireChunk = EncodedBytes | Pause | Ping | CloseSocket
# Bytes are text of a body or of an event stream, such as a malformed event.
Chunk = Event | bytes | WireChunk


class Wire(Protocol):
    """The encoding of chunks on one kind of connection. `is_socket` is true for a WebSocket."""

    is_socket: bool

    def encode(self, chunk: Event | bytes, *, fragment_bytes: int | None = None) -> bytes:
        """Return the bytes for the connection. Chunks are encoded in the order in which they are sent.

        On a WebSocket, `fragment_bytes` divides a message into frames with at most this many bytes.
        """
        ...

    def encode_binary(self, data: bytes) -> bytes:
        """Return the bytes of a binary message. Only a WebSocket has messages."""
        ...

    def body_encoder(self, encoding: str) -> BodyEncoder:
        """Return an encoder for a content encoding of the body."""
        ...


ChunkTransform = Callable[[AsyncIterator[Chunk], Wire], AsyncIterator[Chunk]]


async def encode_chunks(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[WireChunk]:
    """Encode the events and the bytes that are not encoded yet."""
    async for chunk in chunks:
        yield EncodedBytes(wire.encode(chunk)) if isinstance(chunk, (dict, bytes)) else chunk


def encode_sse(event: Event) -> bytes:
    """Encode an event as the backend does: the type, the data, and a blank line."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.get('type', 'message')}\ndata: {data}\n\n".encode()


class HttpWire:
    """The wire of an HTTP response: events are server-sent events, and bytes are sent as is."""

    is_socket = False

    def encode(self, chunk: Event | bytes, *, fragment_bytes: int | None = None) -> bytes:
        """Return the bytes of the body."""
        return chunk if isinstance(chunk, bytes) else encode_sse(chunk)

    def encode_binary(self, data: bytes) -> bytes:
        """Return the data."""
        return data

    def body_encoder(self, encoding: str) -> BodyEncoder:
        """Return an encoder for this content encoding. Raises `ValueError` if the encoding is unknown."""
        return body_encoder(encoding)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedResponse:
    """An HTTP response. It is an ASGI application.

    `transforms` change the chunks when the response is sent, in this order. The status and the headers are sent with
    the first chunk that is not a pause, which may be empty. `before` and `after` are raw
    bytes that are sent before the status line and after the end of the response. If `is_raw` is true, only the chunks
    are sent, without a status line, headers and framing.
    """

    status: int
    headers: Headers
    chunks: Sequence[Event | bytes] = ()
    transforms: tuple[ChunkTransform, ...] = ()
    ending: Ending = "close"
    before: bytes = b""
    after: bytes = b""
    is_raw: bool = False

    @classmethod
    def json(cls, status: int, body: object, headers: Headers = ()) -> SimulatedResponse:
        """Return a JSON response with a `content-length`."""
        data = json.dumps(body, ensure_ascii=False).encode()
        content_headers = (("content-type", "application/json"), ("content-length", str(len(data))))
        return cls(status=status, headers=(*content_headers, *headers), chunks=[data])

    def encoded_chunks(self, wire: Wire) -> AsyncIterator[WireChunk]:
        """Return the chunks for this wire, after all transforms."""
        chunks = _iterate(self.chunks)
        for transform in self.transforms:
            chunks = transform(chunks, wire)
        return encode_chunks(chunks, wire)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response. Stop early if the client disconnects."""
        connection: ControlledConnection = scope["extensions"][CONNECTION_EXTENSION]
        if await self._send_chunks(connection, receive, send):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            connection.write(self.after)
            return
        connection.end(reset=self.ending == "reset")
        await wait_for_disconnect(receive)

    async def _send_chunks(self, connection: ControlledConnection, receive: Receive, send: Send) -> bool:
        """Send the headers and the chunks. Return whether the response can be completed on this connection."""
        connection.write(self.before)
        needs_headers = not self.is_raw
        async for chunk in self.encoded_chunks(HttpWire()):
            if isinstance(chunk, Pause) and await connection.pause(chunk.seconds, receive):
                return False
            if not isinstance(chunk, EncodedBytes):
                continue
            if needs_headers:
                await self._send_headers(send)
                needs_headers = False
            if self.is_raw:
                connection.write(chunk.data)
            elif chunk.data and self.status not in _STATUSES_WITHOUT_BODY:
                await send({"type": "http.response.body", "body": chunk.data, "more_body": True})
            # asyncio does not raise an error for a write to a closed connection, but logs a warning for each write.
            if connection.is_closing():
                return False
        if needs_headers:
            await self._send_headers(send)
        if self.ending == "reset":
            # A reset discards the bytes in asyncio's write buffer, which the client must receive.
            while not connection.is_flushed():  # noqa: ASYNC110 -- a transport has no event for an empty buffer
                await anyio.sleep(_FLUSH_POLL_SECONDS)
        return self.ending == "close" and not self.is_raw

    async def _send_headers(self, send: Send) -> None:
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})


async def _iterate(chunks: Sequence[Event | bytes]) -> AsyncIterator[Chunk]:
    for chunk in chunks:
        yield chunk


# Content encodings. Each encoder flushes after every chunk, so that the client can decode each event on arrival.


class BodyEncoder(Protocol):
    """An incremental encoder of a body."""

    def encode(self, data: bytes) -> bytes:
        """Return encoded bytes from which all of `data` can be decoded immediately."""
        ...

    def finish(self) -> bytes:
        """Return the last bytes of the encoded body."""
        ...


_GZIP_WINDOW_BITS = 31  # the largest window (15), plus 16 for the gzip header and trailer


class _GzipEncoder:
    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=_GZIP_WINDOW_BITS)

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._compressor.flush()


class _ZstdEncoder:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor().compressobj()

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data) + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._compressor.flush()


class _StoredBrotliEncoder:
    """An encoder of valid Brotli without compression: uncompressed meta-blocks (RFC 7932, 9.2). It needs no package."""

    _MAX_BLOCK_BYTES = 1 << 16

    def __init__(self) -> None:
        # The stream begins with one bit, 0, for a window of 16 bits. The first block begins in the same byte.
        self._pending_bits = 1

    def encode(self, data: bytes) -> bytes:
        starts = range(0, len(data), self._MAX_BLOCK_BYTES)
        return b"".join(self._block(data[start : start + self._MAX_BLOCK_BYTES]) for start in starts)

    def finish(self) -> bytes:
        return bytes((0b11 << self._pending_bits,))  # ISLAST and ISLASTEMPTY

    def _block(self, data: bytes) -> bytes:
        # The header is ISLAST 0, MNIBBLES 00 (four nibbles), MLEN - 1, ISUNCOMPRESSED 1 and zeros up to a byte
        # boundary.
        bits = ((len(data) - 1) << 3 | 1 << 19) << self._pending_bits
        self._pending_bits = 0
        return bits.to_bytes(3, "little") + data


_BODY_ENCODERS: dict[str, Callable[[], BodyEncoder]] = {
    "gzip": _GzipEncoder,
    "zstd": _ZstdEncoder,
    "br": _StoredBrotliEncoder,
}


def body_encoder(encoding: str) -> BodyEncoder:
    """Return an encoder for this content encoding. Raises `ValueError` if the encoding is unknown."""
    if encoding not in _BODY_ENCODERS:
        raise ValueError(f"Unknown content encoding: {encoding!r}. Use one of: {', '.join(_BODY_ENCODERS)}.")
    return _BODY_ENCODERS[encoding]()
