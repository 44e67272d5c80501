"""Transform the body of a response. Each function returns a transform that takes and returns an iterator of chunks.

Initially, a chunk is one event of a stream or another complete body. Transforms that count or change bytes encode the
chunks with the wire first; a chunk is then the encoding of one event. Pauses and empty chunks (which only send the
headers) pass unchanged and are not counted as events.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .delivery import EncodedBytes, Pause, encode_chunks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from .delivery import Chunk, ChunkTransform, Wire

__all__ = [
    "compress",
    "end_after_events",
    "first_bytes",
    "first_events",
    "fragment",
    "insert_after_events",
    "insert_binary_message",
    "on_socket",
    "replace_last",
    "split",
    "update_responses",
]


def first_bytes(count: int) -> ChunkTransform:
    """End the body after `count` bytes."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        remaining = count
        async for chunk in encode_chunks(chunks, wire):
            if not isinstance(chunk, EncodedBytes):
                yield chunk
            elif remaining > 0:
                yield EncodedBytes(chunk.data[:remaining])
                remaining -= len(chunk.data)
            if remaining <= 0:
                return

    return transform


def first_events(count: int) -> ChunkTransform:
    """End the body after `count` events."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        remaining = count
        async for chunk in chunks:
            if _is_event(chunk):
                if remaining == 0:
                    return
                remaining -= 1
            yield chunk

    return transform


def insert_after_events(count: int, *inserted: Chunk) -> ChunkTransform:
    """Insert chunks after `count` events, or at the end if the body has fewer events."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        remaining, is_inserted = count, False
        async for chunk in chunks:
            if remaining == 0 and not is_inserted:
                is_inserted = True
                for new_chunk in inserted:
                    yield new_chunk
            if _is_event(chunk):
                remaining -= 1
            yield chunk
        if not is_inserted:
            for new_chunk in inserted:
                yield new_chunk

    return transform


def split(size: int, delay_seconds: float) -> ChunkTransform:
    """Split the body into chunks of `size` bytes, with a pause before each chunk."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        async for chunk in encode_chunks(chunks, wire):
            if not isinstance(chunk, EncodedBytes):
                yield chunk
                continue
            for start in range(0, len(chunk.data), size):
                # Even a pause of zero seconds is required. Without it, the server combines the chunks in one write.
                yield Pause(delay_seconds)
                yield EncodedBytes(chunk.data[start : start + size])

    return transform


def paced(tokens_per_second: float) -> ChunkTransform:
    """Send the deltas of text at this pace. A delta has at least one token, and one for four characters."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        due = time.monotonic()
        async for chunk in chunks:
            delta = chunk.get("delta") if isinstance(chunk, dict) else None
            if isinstance(delta, str):
                due += max(1, len(delta) / 4) / tokens_per_second
                # The pauses depend on the time that has passed, so that their inaccuracy does not accumulate.
                delay_seconds = due - time.monotonic()
                if delay_seconds > 0:
                    yield Pause(delay_seconds)
            yield chunk

    return transform


def compress(encoding: str) -> ChunkTransform:
    """Compress the body and flush after each chunk, so that a client can decode each event on arrival."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        encoder = wire.body_encoder(encoding)
        async for chunk in encode_chunks(chunks, wire):
            yield EncodedBytes(encoder.encode(chunk.data)) if isinstance(chunk, EncodedBytes) and chunk.data else chunk
        yield EncodedBytes(encoder.finish())

    return transform


def replace_last(replacement: Callable[[Chunk], list[Chunk]]) -> ChunkTransform:
    """Replace the last chunk. In a stream, this is the terminal event."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        last: Chunk | None = None
        async for chunk in chunks:
            if last is not None:
                yield last
            last = chunk
        if last is not None:
            for new_chunk in replacement(last):
                yield new_chunk

    return transform


def update_responses(members: Mapping[str, Any]) -> ChunkTransform:
    """Add members to the response object of each event that has one."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            if isinstance(chunk, dict) and isinstance(chunk.get("response"), dict):
                yield {**chunk, "response": {**chunk["response"], **members}}
            else:
                yield chunk

    return transform


# Transforms for WebSockets only. A response over HTTP passes unchanged.


def on_socket(transform: ChunkTransform) -> ChunkTransform:
    """Return a transform that applies on a WebSocket only."""

    def transform_on_socket(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        return transform(chunks, wire) if wire.is_socket else chunks

    return transform_on_socket


def end_after_events(count: int, *last: Chunk) -> ChunkTransform:
    """End the response after `count` events with these chunks."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        async for chunk in first_events(count)(chunks, wire):
            yield chunk
        for chunk in last:
            yield chunk

    return transform


def insert_binary_message(count: int, data: bytes) -> ChunkTransform:
    """Insert a binary message after `count` events."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        remaining = count
        async for chunk in chunks:
            if remaining == 0:
                yield EncodedBytes(wire.encode_binary(data))
                remaining = -1
            remaining -= _is_event(chunk)
            yield chunk

    return transform


def fragment(size: int) -> ChunkTransform:
    """Divide each message into frames of at most `size` bytes."""

    async def transform(chunks: AsyncIterator[Chunk], wire: Wire) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            if isinstance(chunk, (dict, bytes)):
                yield EncodedBytes(wire.encode(chunk, fragment_bytes=size))
            else:
                yield chunk

    return transform


def _is_event(chunk: Chunk) -> bool:
    data = chunk.data if isinstance(chunk, EncodedBytes) else chunk
    return isinstance(data, (dict, bytes)) and data != b""
