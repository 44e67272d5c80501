"""Fuzz target for server-sent events: the data of a stream does not depend on its division into chunks."""

from __future__ import annotations

import re

from codex_backend_sdk._streaming.sse import EventDecoder, frame_data

from .choices import Choices

# An input is the stream itself, in which each of these bytes is replaced by a token of the format.
_TOKENS = dict(
    enumerate(
        (b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b"\xef\xbb\xbf")
    )
)  # fmt: skip


def decode_whole(stream: bytes) -> list[bytes]:
    """Decode a whole stream as the standard describes it, and the last event even without its blank line."""
    events, lines = [], []
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":
                lines.append(value[1:] if value[:1] == b" " else value)
            continue
        if data := b"\n".join(lines):
            events.append(data)
        lines = []
    return events


def _decode(chunks: list[bytes]) -> list[bytes]:
    decoder = EventDecoder()
    batches = [*map(decoder.feed, chunks), decoder.finish()]
    return [data for frames in batches for data in frame_data(frames)]


def check_decoder(data: bytes) -> None:
    choices = Choices(data)
    chunk_choices = Choices(choices.take(8))
    stream = b"".join(_TOKENS.get(byte, bytes((byte,))) for byte in choices.rest())
    expected = decode_whole(stream)
    assert _decode([stream]) == expected, "the data differs from that of the reference decoder"
    assert _decode(chunk_choices.chunks(stream)) == expected, "the data depends on the chunks"
