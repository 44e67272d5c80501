from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from codex_backend_sdk._streaming.sse import read_batch


class Delta(TypedDict):
    type: Literal["delta"]
    text: str


READERS = [TypeAdapter(list[Delta]).validator.validate_json]
FRAME = b'event: delta\ndata: {"type":"delta","text":"a"}'
DELTA = {"type": "delta", "text": "a"}


def read(*frames: bytes) -> list[Any] | None:
    return read_batch(b"\n\n".join(frames), lambda kind: READERS if kind == "delta" else [])


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
def test_frames_that_begin_alike(frame: bytes, count: int) -> None:
    assert read(*[frame] * count) == [DELTA] * count


OTHERS = {
    "nothing": b"",
    "a comment": b": comment",
    "an id": b"id: 7\n" + FRAME,
    "an id behind": FRAME + b"\nid: 7",
    "two lines of data": FRAME + b"\ndata: ",
    "a blank line more": b"\n" + FRAME,
    "no data": b"event: delta",
    "empty data": b"event: delta\ndata: ",
    "no JSON": b"event: delta\ndata: [DONE]",
    "half an event": FRAME.replace(b"}", b""),
    "two events in one frame": FRAME + b"," + FRAME[19:],
    "no UTF-8": FRAME.replace(b'"a"', b'"\xff"'),
    "another type than its event line says": FRAME.replace(b'"delta"', b'"other"'),
    "another type": FRAME.replace(b"delta", b"other"),
    "an incomplete event": b'event: delta\ndata: {"type":"delta"}',
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_needs_a_closer_look(other: bytes) -> None:
    assert read(other) is None
    assert read(FRAME, other) is None
    assert read(other, FRAME) is None
    assert read(FRAME, other, FRAME) is None


@pytest.mark.parametrize("data", [b'{"text":"a","type":"delta"}', b" " * 200 + FRAME[19:]])
def test_only_the_first_frame_has_to_say_its_type_at_once(data: bytes) -> None:
    other = b"event: delta\ndata: " + data
    assert read(other) is None
    assert read(FRAME, other) == [DELTA, DELTA]


def test_halves_of_an_event_are_not_joined() -> None:
    start, end = b'event: delta\ndata: {"type":"delta","text":"a', b'event: delta\ndata: b"}'
    assert read(start, end) is None
    assert read(start + b'"', b'event: delta\ndata: "text":"b"}') is None


@pytest.mark.parametrize("comma", [b",", b" ,\t"])
def test_an_event_and_a_half_in_one_frame_do_not_make_up_for_the_other_half(comma: bytes) -> None:
    start, end = FRAME[: FRAME.index(b'a"}')], b'event: delta\ndata: b"}'
    assert read(FRAME + comma + start[19:], end) is None
    nested = b'event: delta\ndata: {"type":"delta","text":"a","more":[{}'
    assert read(nested, b"event: delta\ndata: {}]}", FRAME + comma + FRAME[19:]) is None


TEXTS = {
    "as it is told": rb"\"},{\"",
    "at the end of a text": b"},{",
    "with space": b"} , {",
    "an empty object": b"},{}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_with_what_parts_events(text: bytes) -> None:
    frame = FRAME.replace(b'"a"', b'"%b"' % text)
    told = [{"type": "delta", "text": text.decode().replace("\\", "")}]
    assert read(frame) == told
    # Read one by one where it could be the seam: rare, and not wrong.
    assert read(frame, FRAME) == (None if text.endswith(b"{") else [*told, DELTA])
