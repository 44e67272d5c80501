"""Server-sent events: however the bytes are cut, the frames are those of a decoder that knows the whole stream."""

from __future__ import annotations

import re

from codex_backend_sdk._streaming.sse import EventDecoder, Frame

from .choices import Choices

# An input is a stream as it is, but for these bytes, each of which is worth a word.
_WORDS = dict(
    enumerate(
        (b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b"event: ", b"id: ", b"retry: ", b"\xef\xbb\xbf")
    )
) | {0x0E: b"retry: " + b"9" * 4400}  # fmt: skip


def whole(stream: bytes) -> list[Frame]:
    """Decode a whole stream, straight from the standard, with this package's two deviations."""
    frames: list[Frame] = []
    last_id, fields = None, []
    for line in [*re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf")), b""]:
        if line:
            name, _, value = line.partition(b":")
            fields.append((name, value[1:] if value[:1] == b" " else value))
            continue
        data = [value for name, value in fields if name == b"data"]
        names = [value for name, value in fields if name == b"event"]
        ids = [value for name, value in fields if name == b"id" and b"\0" not in value]
        retries = [value for name, value in fields if name == b"retry" and re.fullmatch(rb"[0-9]{1,18}", value)]
        last_id, fields = ids[-1] if ids else last_id, []
        event = (names[-1] or None) if names else None
        if data or event or ids or retries:
            frames.append(Frame(b"\n".join(data), event, last_id, int(retries[-1]) if retries else None))
    return frames


def fed(pieces: list[bytes]) -> list[Frame]:
    decoder = EventDecoder()
    texts = [decoder.feed(piece) for piece in pieces]
    return [frame for text in [*texts, decoder.finish()] for frame in decoder.frames(text)]


def frames_of_any_stream(data: bytes) -> None:
    choices = Choices(data)
    cut = choices.take(8)
    stream = b"".join(_WORDS.get(byte, bytes((byte,))) for byte in choices.rest())
    expected = whole(stream)
    assert fed([stream]) == expected, "a decoder that knows the whole stream finds other frames"
    assert fed(Choices(cut).pieces(stream)) == expected, "the frames depend on how the stream is cut"
