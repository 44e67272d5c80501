"""Send a response to the client, whole or broken in a chosen way.

A route returns a `SimulatedResponse`, an ASGI application. Its body is an async iterator of chunks: bytes, and pauses
between them. Faults are functions from one such iterator to another (`stream_transforms`), so they compose. Only
this module writes to the connection, and only it ends a connection early.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

import anyio
import zstandard

from .asgi_server import CONNECTION_EXTENSION, wait_for_disconnect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from starlette.types import Receive, Scope, Send

    from .asgi_server import ControlledConnection

__all__ = [
    "BODY_ENCODERS",
    "BodyEncoder",
    "Chunk",
    "Ending",
    "Headers",
    "Pause",
    "SimulatedResponse",
    "as_chunks",
    "body_encoder",
]

Headers = tuple[tuple[str, str], ...]

# close: the response is complete. cut: the connection closes without the final chunk of the body.
# reset: the connection is reset there, and the client may lose bytes that it has not read yet.
Ending = Literal["close", "cut", "reset"]

# How often to check whether the write buffer is empty, before a reset.
_FLUSH_POLL_SECONDS = 0.005
# Responses of these statuses have no body (RFC 9110, 15.3.5 and 15.4.5); the server refuses to send one.
_STATUSES_WITHOUT_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True)
class Pause:
    """A chunk that sends nothing for `seconds`; None lasts until the client disconnects."""

    seconds: float | None


Chunk = bytes | Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedResponse:
    """One HTTP response, as an ASGI application.

    The head goes out with the first bytes chunk, which may be empty. `before` and `after` are raw bytes of the
    connection, sent before the head and after the end of the response. With `is_bare` only the chunks are sent: no
    head and no framing.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[Chunk]
    ending: Ending = "close"
    before: bytes = b""
    after: bytes = b""
    is_bare: bool = False

    @classmethod
    def json(cls, status: int, body: object, headers: Headers = ()) -> SimulatedResponse:
        """Return a JSON response with a `content-length`."""
        data = json.dumps(body, ensure_ascii=False).encode()
        entity = (("content-type", "application/json"), ("content-length", str(len(data))))
        return cls(status=status, headers=(*entity, *headers), chunks=as_chunks([data]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; stop early if the client disconnects."""
        connection: ControlledConnection = scope["extensions"][CONNECTION_EXTENSION]
        if await self._send_chunks(connection, receive, send):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            connection.write(self.after)
            return
        connection.end(reset=self.ending == "reset")
        await wait_for_disconnect(receive)

    async def _send_chunks(self, connection: ControlledConnection, receive: Receive, send: Send) -> bool:
        """Send head and chunks; return whether the response can be completed (else the connection has to end)."""
        connection.write(self.before)
        head_is_pending = not self.is_bare
        async for chunk in self.chunks:
            if head_is_pending and isinstance(chunk, bytes):
                await self._send_head(send)
                head_is_pending = False
            if isinstance(chunk, Pause):
                if await connection.pause(chunk.seconds, receive):
                    return False
            elif self.is_bare:
                connection.write(chunk)
            elif chunk and self.status not in _STATUSES_WITHOUT_BODY:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            # asyncio does not raise for a write to a closed connection: it logs a warning for each one.
            if connection.is_closing():
                return False
        if head_is_pending:
            await self._send_head(send)
        if self.ending == "reset":
            await _wait_until_flushed(connection)
        return self.ending == "close" and not self.is_bare

    async def _send_head(self, send: Send) -> None:
        head = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": head})


async def as_chunks(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    """Return the chunks as an async iterator."""
    for chunk in chunks:
        yield chunk


async def _wait_until_flushed(connection: ControlledConnection) -> None:
    # A reset discards bytes that are still in asyncio's buffer, and the test expects the client to be sent them.
    while not connection.is_flushed():  # noqa: ASYNC110 -- a transport has no event for an empty buffer
        await anyio.sleep(_FLUSH_POLL_SECONDS)


# Content encodings. Each encoder flushes after every chunk, so that the client can decode an event when it arrives.


class BodyEncoder(Protocol):
    """Encode a body chunk by chunk."""

    def encode(self, data: bytes) -> bytes:
        """Return encoded bytes from which all of `data` can be decoded at once."""
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
    """Valid Brotli without compression: uncompressed meta-blocks (RFC 7932, 9.2), which need no extra package."""

    _LARGEST_BLOCK = 1 << 16

    def __init__(self) -> None:
        # The stream begins with one bit, 0, for a window of 16 bits; it shares the first byte of the first block.
        self._pending_bits = 1

    def encode(self, data: bytes) -> bytes:
        starts = range(0, len(data), self._LARGEST_BLOCK)
        return b"".join(self._block(data[start : start + self._LARGEST_BLOCK]) for start in starts)

    def finish(self) -> bytes:
        return bytes((0b11 << self._pending_bits,))  # ISLAST and ISLASTEMPTY

    def _block(self, data: bytes) -> bytes:
        # ISLAST 0, MNIBBLES 00 (four nibbles), MLEN - 1, ISUNCOMPRESSED 1, then zeros up to a byte boundary.
        bits = ((len(data) - 1) << 3 | 1 << 19) << self._pending_bits
        self._pending_bits = 0
        return bits.to_bytes(3, "little") + data


BODY_ENCODERS: dict[str, Callable[[], BodyEncoder]] = {
    "gzip": _GzipEncoder,
    "zstd": _ZstdEncoder,
    "br": _StoredBrotliEncoder,
}


def body_encoder(encoding: str) -> BodyEncoder:
    """Return an encoder for this content encoding; raise `ValueError` for an unknown one."""
    if encoding not in BODY_ENCODERS:
        raise ValueError(f"Unknown content encoding: {encoding}. Supported: {', '.join(BODY_ENCODERS)}")
    return BODY_ENCODERS[encoding]()
