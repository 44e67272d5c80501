"""Test the parser of server-sent events.

The standard: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from codex_backend_sdk._streaming.sse import EventDecoder, parse_frames, read_batch


def decode(*chunks: bytes) -> list[bytes]:
    decoder = EventDecoder()
    batches = [*map(decoder.feed, chunks), decoder.finish()]
    return [data for frames in batches for _, data in parse_frames(frames)]


CASES = {
    "one event": (b"event: a\ndata: {}\n\n", [b"{}"]),
    "no event line": (b"data: {}\n\n", [b"{}"]),
    "no space after the colon": (b"event:a\ndata:{}\n\n", [b"{}"]),
    "only one space is removed": (b"data:  x\n\n", [b" x"]),
    "two events": (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
    "data lines are joined": (b"data: 1\ndata: 2\ndata\n\n", [b"1\n2\n"]),
    "data before the event line": (b"data: 1\nevent: a\n\n", [b"1"]),
    "comments": (b": keepalive\n\n:\ndata: 1\n\n", [b"1"]),
    "other fields": (b"colour: red\nid: 7\nretry: 30\ndata: 1\n\n", [b"1"]),
    "carriage returns": (b"event: a\rdata: 1\r\rdata: 2\r\r", [b"1", b"2"]),
    "mixed line endings": (b"event: a\r\ndata: 1\r\n\r\ndata: 2\n\n", [b"1", b"2"]),
    "byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
    "byte order mark only at the start": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [b"1"]),
    "event without data": (b"event: a\n\ndata:\n\n", []),
    "event line and empty data": (b"event: a\ndata: \n\n", []),
    "data of one space": (b"data:  \n\n", [b" "]),
    "empty event line": (b"event:\ndata:1\n\n", [b"1"]),
    "blank lines between events": (b"\n\n\ndata: 1\n\n\n\ndata: 2\n\n", [b"1", b"2"]),
    "a colon in the data": (b'data: {"a": 1}\n\n', [b'{"a": 1}']),
    "no blank line at the end": (b"event: a\ndata: 1", [b"1"]),
    "empty stream": (b"", []),
    "only a comment": (b": hello\n\n", []),
}


@pytest.mark.parametrize("case", CASES)
def test_decoder_returns_the_data(case: str) -> None:
    stream, expected = CASES[case]
    assert decode(stream) == expected


@pytest.mark.parametrize("case", CASES)
def test_chunk_may_end_anywhere(case: str) -> None:
    stream, expected = CASES[case]
    for cut in range(len(stream)):
        assert decode(stream[:cut], stream[cut:]) == expected
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == expected


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: ", b"event: a", b"x", b": ", b"id: 1"]), max_size=12))
def test_chunks_do_not_change_the_data(chunks: list[bytes]) -> None:
    stream = b"".join(chunks)
    whole = decode(stream)
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    assert decode(*chunks) == whole


LINES = st.sampled_from([b"event: a", b"event:", b"event", b"data: 1", b"data:  ", b"data: ", b"data", b"dat", b":c"])


@given(st.lists(LINES, min_size=1, max_size=4))
def test_frame_with_a_comment_has_the_same_fields(lines: list[bytes]) -> None:
    """A frame of the usual form is read in another way than one with a comment."""
    frame = b"\n".join(lines)
    assert list(parse_frames(frame)) == list(parse_frames(frame + b"\n:"))


def test_utf8_character_may_be_split() -> None:
    text = "data: известни\u2028\n\n".encode()
    for cut in range(len(text)):
        assert decode(text[:cut], text[cut:]) == ["известни\u2028".encode()]


def test_long_event_takes_linear_time() -> None:
    """Quadratic work on 8 MB in 1 KB chunks would exceed the time limit of a test."""
    decoder = EventDecoder()
    assert decoder.feed(b"data: ") == b""
    chunk = b"x" * 1024
    for _ in range(8 * 1024):
        assert decoder.feed(chunk) == b""
    ((_, data),) = parse_frames(decoder.feed(b"\n\n"))
    assert len(data) == 8 * 1024 * 1024


def names(*chunks: bytes) -> list[bytes]:
    decoder = EventDecoder()
    return [name for frames in [*map(decoder.feed, chunks), decoder.finish()] for name, _ in parse_frames(frames)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"event: a\ndata: 1\n\n", [b"a"]),
        (b"data: 1\nevent:a\n\n", [b"a"]),
        (b"event: a\nevent: b\ndata: 1\n\n", [b"b"]),
        (b"event\ndata: 1\n\ndata: 2\n\n", [b"", b""]),
        (b"events: a\ndata: 1\n\n", [b""]),
        (b"\xef\xbb\xbfevent: a\ndata: 1\n\n", [b"a"]),
    ],
)
def test_event_line_has_the_name(stream: bytes, expected: list[bytes]) -> None:
    assert names(stream) == expected
    for cut in range(len(stream)):
        assert names(stream[:cut], stream[cut:]) == expected


# --- limits ----------------------------------------------------------------------------------------------------------

UNNEEDED = {
    "comments": [b": keepalive\n"] * 2000,
    "comments with carriage returns": [b": keepalive\r\n"] * 2000,
    "one endless comment": [b": keepalive", *[b"x" * 100] * 2000],
    "unknown fields": [b"colour: red\nid: 7\nretry: 9\n"] * 2000,
    "an endless unknown field": [b"database", *[b"x" * 100] * 2000],
    "comments after data": [b"data: 1\n", *[b": keepalive\n"] * 2000],
    "comments in chunks of bytes": [b":", b" ", b"a", b"\n"] * 2000,
}


@pytest.mark.parametrize("chunks", UNNEEDED.values(), ids=UNNEEDED)
def test_unneeded_lines_are_not_buffered(chunks: list[bytes]) -> None:
    decoder = EventDecoder(max_event_bytes=150)
    assert b"".join(map(decoder.feed, chunks)) == b""
    assert not decoder.is_too_large
    assert list(parse_frames(decoder.feed(b"\ndata: 2\n\n")))[-1][1].endswith(b"2")


TOO_LARGE = {
    "one line": [b"data: ", *[b"x" * 10] * 20],
    "one chunk": [b"data: " + b"x" * 150 + b"\n\n"],
    "the last frame of a chunk": [b"data: 1\n\ndata: " + b"x" * 150],
    "between two frames": [b"data: 1\n\ndata: " + b"x" * 150 + b"\n\ndata: 2\n\n"],
    "an event line": [b"event: ", *[b"x" * 10] * 20],
    "many lines": [b"data: x\n"] * 40,
    "empty lines": [b"data:\n"] * 40,
    "carriage returns": [b"data: x\r"] * 40,
    "after a byte order mark": [b"\xef\xbb\xbfdata: ", b"x" * 150],
}


@pytest.mark.parametrize("chunks", TOO_LARGE.values(), ids=TOO_LARGE)
def test_too_large_event_ends_the_stream(chunks: list[bytes]) -> None:
    decoder = EventDecoder(max_event_bytes=100)
    frames = b"".join(map(decoder.feed, chunks))
    assert frames == (b"data: 1" if b"data: 1\n\n" in b"".join(chunks) else b"")
    assert decoder.is_too_large
    assert decoder.feed(b"data: 2\n\n") == b""
    assert decoder.finish() == b""


def test_limit_applies_to_each_event() -> None:
    decoder = EventDecoder(max_event_bytes=100)
    frames = b"\n\n".join([b"data: " + b"x" * 94] * 9)
    assert decoder.feed(frames + b"\n\n") == frames
    assert not decoder.is_too_large


def test_comments_take_linear_time() -> None:
    """Quadratic work on 5 MB of data and as many comments would exceed the time limit of a test."""
    decoder = EventDecoder()
    decoder.feed(b"data: " + b"x" * 5_000_000 + b"\n")
    for _ in range(200_000):
        decoder.feed(b": keepalive\n")
    ((_, data),) = parse_frames(decoder.feed(b"\n"))
    assert len(data) == 5_000_000


# --- batches ---------------------------------------------------------------------------------------------------------


class Delta(TypedDict):
    type: Literal["delta"]
    text: str


PARSERS = [TypeAdapter(list[Delta]).validator.validate_json]
FRAME = b'event: delta\ndata: {"type":"delta","text":"a"}'
DATA = FRAME[19:]
DELTA = {"type": "delta", "text": "a"}


def read(*frames: bytes) -> list[Any] | None:
    return read_batch(b"\n\n".join(frames), lambda event_type: PARSERS if event_type == "delta" else [])


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.replace(b": ", b":"),
        b'data: {"type": "delta", "text": "a"}',
        b'event: other\ndata: {"type":"delta","text":"a"}',
    ],
)
def test_frames_with_the_same_head_are_a_batch(frame: bytes, count: int) -> None:
    assert read(*[frame] * count) == [DELTA] * count


OTHERS = {
    "nothing": b"",
    "a comment": b": comment",
    "an id": b"id: 7\n" + FRAME,
    "an id at the end": FRAME + b"\nid: 7",
    "two data lines": FRAME + b"\ndata: ",
    "another blank line": b"\n" + FRAME,
    "no data": b"event: delta",
    "empty data": b"event: delta\ndata: ",
    "not JSON": b"event: delta\ndata: [DONE]",
    "half an event": FRAME.replace(b"}", b""),
    "two events in one frame": FRAME + b"," + DATA,
    "not UTF-8": FRAME.replace(b'"a"', b'"\xff"'),
    "another type than in the event line": FRAME.replace(b'"delta"', b'"other"'),
    "another type": FRAME.replace(b"delta", b"other"),
    "an incomplete event": b'event: delta\ndata: {"type":"delta"}',
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_frame_of_another_form_is_no_batch(other: bytes) -> None:
    assert read(other) is None
    assert read(FRAME, other) is None
    assert read(other, FRAME) is None
    assert read(FRAME, other, FRAME) is None


@pytest.mark.parametrize("data", [b'{"text":"a","type":"delta"}', b" " * 200 + DATA])
def test_only_the_first_frame_must_begin_with_its_type(data: bytes) -> None:
    other = b"event: delta\ndata: " + data
    assert read(other) is None
    assert read(FRAME, other) == [DELTA, DELTA]


def test_two_halves_are_not_one_event() -> None:
    start, end = b'event: delta\ndata: {"type":"delta","text":"a', b'event: delta\ndata: b"}'
    assert read(start, end) is None
    assert read(start + b'"', b'event: delta\ndata: "text":"b"}') is None


@pytest.mark.parametrize("comma", [b",", b" ,\t"])
def test_event_in_two_frames_is_not_a_batch(comma: bytes) -> None:
    """The second frame contains the rest of an event, so the number of events is correct."""
    start, end = FRAME[: FRAME.index(b'a"}')], b'event: delta\ndata: b"}'
    assert read(FRAME + comma + start[19:], end) is None
    nested = b'event: delta\ndata: {"type":"delta","text":"a","more":[{}'
    assert read(nested, b"event: delta\ndata: {}]}", FRAME + comma + DATA) is None


TEXTS = {
    "escaped": rb"\"},{\"",
    "at the end of a text": b"},{",
    "with spaces": b"} , {",
    "an empty object": b"},{}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_may_look_like_an_event_boundary(text: bytes) -> None:
    frame = FRAME.replace(b'"a"', b'"%b"' % text)
    event = {"type": "delta", "text": text.decode().replace("\\", "")}
    assert read(frame) == [event]
    # Frames with a text that ends like a boundary are read one by one, which is rare.
    assert read(frame, FRAME) == (None if text.endswith(b"{") else [event, DELTA])
