"""Server-sent events: however a stream is cut, its data is that of a decoder which sees the whole stream."""

from __future__ import annotations

import re

from codex_backend_sdk._streaming.sse import EventDecoder, frame_data

from .choices import Choices

# An input is the stream itself, except for these bytes, each of which stands for a word of the format.
_WORDS = dict(
    enumerate(
        (b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b"\xef\xbb\xbf")
    )
)  # fmt: skip


def decode_whole(stream: bytes) -> list[bytes]:
    """Decode a whole stream, straight from the standard; a last event without its blank line counts."""
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


def _decode(pieces: list[bytes]) -> list[bytes]:
    decoder = EventDecoder()
    texts = [decoder.feed(piece) for piece in pieces]
    return [data for text in [*texts, decoder.finish()] for data in frame_data(text)]


def check_decoder(data: bytes) -> None:
    choices = Choices(data)
    cut = choices.take(8)
    stream = b"".join(_WORDS.get(byte, bytes((byte,))) for byte in choices.rest())
    expected = decode_whole(stream)
    assert _decode([stream]) == expected, "the decoder returns other data than one that sees the whole stream"
    assert _decode(Choices(cut).pieces(stream)) == expected, "the data depends on how the stream is cut"
