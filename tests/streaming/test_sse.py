"""Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_backend_sdk._streaming.sse import EventDecoder, Frame


def frames(*chunks: bytes) -> list[Frame]:
    decoder = EventDecoder()
    texts = [decoder.feed(chunk) for chunk in chunks]
    return [frame for text in [*texts, decoder.finish()] for frame in decoder.frames(text)]


CASES = {
    "one event": (b"event: a\ndata: {}\n\n", [Frame(b"{}", b"a")]),
    "no event line": (b"data: {}\n\n", [Frame(b"{}")]),
    "no space after the colon": (b"event:a\ndata:{}\n\n", [Frame(b"{}", b"a")]),
    "only one space is removed": (b"data:  x\n\n", [Frame(b" x")]),
    "two events": (b"data: 1\n\ndata: 2\n\n", [Frame(b"1"), Frame(b"2")]),
    "lines of data are joined": (b"data: 1\ndata: 2\ndata\n\n", [Frame(b"1\n2\n")]),
    "data before the event line": (b"data: 1\nevent: a\n\n", [Frame(b"1", b"a")]),
    "comments": (b": keepalive\n\n:\ndata: 1\n\n", [Frame(b"1")]),
    "unknown fields": (b"colour: red\ndata: 1\n\n", [Frame(b"1")]),
    "carriage returns": (b"event: a\rdata: 1\r\rdata: 2\r\r", [Frame(b"1", b"a"), Frame(b"2")]),
    "both": (b"event: a\r\ndata: 1\r\n\r\ndata: 2\n\n", [Frame(b"1", b"a"), Frame(b"2")]),
    "byte order mark": (b"\xef\xbb\xbfdata: 1\n\n", [Frame(b"1")]),
    "the mark only at the start": (b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n", [Frame(b"1")]),
    "an id stays": (b"id: 7\ndata: 1\n\ndata: 2\n\n", [Frame(b"1", None, b"7"), Frame(b"2", None, b"7")]),
    "an id with a null is none": (b"id: a\0b\ndata: 1\n\n", [Frame(b"1")]),
    "retry": (b"retry: 30\ndata: 1\n\nretry: soon\ndata: 2\n\n", [Frame(b"1", None, None, 30), Frame(b"2")]),
    "a name without data": (b"event: a\n\n", [Frame(b"", b"a")]),
    "an empty name is none": (b"event:\ndata: 1\n\n", [Frame(b"1")]),
    "blank lines between": (b"\n\n\ndata: 1\n\n\n\ndata: 2\n\n", [Frame(b"1"), Frame(b"2")]),
    "a colon in the data": (b'data: {"a": 1}\n\n', [Frame(b'{"a": 1}')]),
    "no blank line at the end": (b"event: a\ndata: 1", [Frame(b"1", b"a")]),
    "nothing": (b"", []),
    "only a comment": (b": hello\n\n", []),
}


@pytest.mark.parametrize("case", CASES)
def test_rules(case: str) -> None:
    stream, expected = CASES[case]
    assert frames(stream) == expected


@pytest.mark.parametrize("case", CASES)
def test_a_chunk_may_end_anywhere(case: str) -> None:
    stream, expected = CASES[case]
    for cut in range(len(stream)):
        assert frames(stream[:cut], stream[cut:]) == expected
    assert frames(*(stream[i : i + 1] for i in range(len(stream)))) == expected


@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: ", b"event: a", b"x", b": ", b"id: 1"]), max_size=12))
def test_chunks_never_matter(pieces: list[bytes]) -> None:
    """Cut between any two bytes, the same stream gives the same frames."""
    stream = b"".join(pieces)
    whole = frames(stream)
    assert frames(*(stream[i : i + 1] for i in range(len(stream)))) == whole
    assert frames(*pieces) == whole


def test_utf8_may_be_split() -> None:
    text = "data: известни\u2028\n\n".encode()
    for cut in range(len(text)):
        assert frames(text[:cut], text[cut:]) == [Frame("известни\u2028".encode())]


def test_a_long_event_in_many_chunks_is_not_searched_again_and_again() -> None:
    """Quadratic work on 8 MB in 1 KB chunks would run into the time limit of the suite."""
    decoder = EventDecoder()
    assert decoder.feed(b"data: ") == b""
    chunk = b"x" * 1024
    for _ in range(8 * 1024):
        assert decoder.feed(chunk) == b""
    (frame,) = decoder.frames(decoder.feed(b"\n\n"))
    assert len(frame.data) == 8 * 1024 * 1024


def test_a_retry_that_no_machine_could_wait_for_says_nothing() -> None:
    assert frames(b"retry: " + b"9" * 5000 + b"\ndata: x\n\n") == [Frame(b"x")]
