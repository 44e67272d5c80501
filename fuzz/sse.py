"""Fuzz targets for server-sent events.

The data of a stream does not depend on its division into chunks, and a stream of any length uses little memory.
"""

from __future__ import annotations

import re
import tracemalloc

from codex_backend_sdk._streaming.sse import EventDecoder, parse_frames

from .choices import Choices

# An input is the stream itself, in which each of these bytes is replaced by a token of the format.
_TOKENS = dict(
    enumerate(
        (b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b"\xef\xbb\xbf")
    )
)  # fmt: skip


# An unfinished event of `_MAX_EVENT_BYTES`, the last chunk, and the objects around them.
_MAX_EVENT_BYTES = 300
_MAX_MEMORY_BYTES = 8_000


def decode_whole(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Decode a whole stream as the standard describes it, and the last event even without its blank line.

    Return the name in the event line and the data of each event.
    """
    events, lines, event_name = [], [], b""
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line:
            name, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if name == b"data":
                lines.append(value)
            elif name == b"event":
                event_name = value
            continue
        if data := b"\n".join(lines):
            events.append((event_name, data))
        lines, event_name = [], b""
    return events


def _decode(chunks: list[bytes]) -> list[tuple[bytes, bytes]]:
    decoder = EventDecoder()
    batches = [*map(decoder.feed, chunks), decoder.finish()]
    return [event for frames in batches for event in parse_frames(frames)]


def _stream(choices: Choices) -> bytes:
    return b"".join(_TOKENS.get(byte, bytes((byte,))) for byte in choices.rest())


def check_decoder(data: bytes) -> None:
    choices = Choices(data)
    chunk_choices = Choices(choices.take(8))
    stream = _stream(choices)
    expected = decode_whole(stream)
    assert _decode([stream]) == expected, "the data differs from that of the reference decoder"
    assert _decode(chunk_choices.chunks(stream)) == expected, "the data depends on the chunks"


def check_memory(data: bytes) -> None:
    """Repeat each chunk many times, and check the memory that remains in use after each."""
    choices = Choices(data)
    chunk_choices = Choices(choices.take(8))
    chunks = chunk_choices.chunks(_stream(choices)[:500])
    decoder = EventDecoder(max_event_bytes=_MAX_EVENT_BYTES)
    tracemalloc.start()
    try:
        for chunk in chunks:
            for _ in range(40):
                decoder.feed(chunk)
            used_bytes, _ = tracemalloc.get_traced_memory()
            assert used_bytes < _MAX_MEMORY_BYTES, f"{used_bytes} bytes are in use"
    finally:
        tracemalloc.stop()
    assert len(decoder.finish()) <= _MAX_EVENT_BYTES
