"""Parse server-sent events incrementally, in linear time and bounded memory. Pure.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

`EventDecoder` splits the chunks of a body into frames: lines up to a blank line. `parse_frames` yields their data and
the names in their `event` lines. The fields `id` and `retry` are ignored, because a response cannot be resumed. One
rule differs from the standard, so that no part of a response is lost: `finish()` returns the last frame even if its
blank line is missing.

An unfinished frame is buffered up to a limit. Comments and unknown fields are removed from it every 4 KB, because a
server may send them for as long as a response takes.

`read_batch` reads many frames at once. Most of a long response consists of deltas, and their frames begin with the same
bytes. One `bytes.replace` converts such frames to a JSON array, and one call of a validator reads the array. This takes
half the time of reading the frames one by one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import ValidationError

from .._constants import DEFAULT_MAX_EVENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    # Returns the elements of a JSON array. Raises ValidationError for elements of another type.
    BatchParser = Callable[[bytes], list[Any]]

__all__ = ["EventDecoder", "parse_frames", "read_batch"]

_BOM: Final = b"\xef\xbb\xbf"
_CARRIAGE_RETURN: Final = 0x0D  # `in` finds an integer seven times faster than a bytes object
_LINE_FEED: Final = 0x0A
_FIELDS: Final = (b"data:", b"event:")
# The lines of an unfinished frame that are buffered. The byte order mark precedes the first line of a stream.
_BUFFERED_LINE: Final = re.compile(rb"^(?:\xef\xbb\xbf)?(?:data|event)(?::[^\n]*+)?\n", re.MULTILINE)
# Nearly all frames have this form: an optional event line, and one data line.
_USUAL_FRAME: Final = re.compile(rb"(?:event: ?+([^\n]*+)\n)?data: ?+([^\n]++)")
_FIELD_LINE: Final = re.compile(rb"^(data|event)(?:: ?([^\n]*+))?$", re.MULTILINE)
_FILTER_EVERY_BYTES: Final = 4096
_LONGEST_FIELD: Final = len(_BOM + b"event:")


class EventDecoder:
    """Decoder that splits a stream into frames. A chunk may end anywhere, even within a character or a line ending.

    A frame may have `max_event_bytes` bytes. After a longer one `is_too_large` is True, and all following bytes are
    discarded.
    """

    def __init__(self, *, max_event_bytes: float = DEFAULT_MAX_EVENT_BYTES) -> None:
        self.is_too_large = False
        self._max_event_bytes = max_event_bytes
        self._pending = bytearray()  # an unfinished frame; appending to a bytearray does not copy it
        self._line_start = 0  # in `_pending`: the end of the filtered lines
        self._has_new_line = False
        self._next_filter = self._first_filter = min(_FILTER_EVERY_BYTES, max_event_bytes)
        self._ends_with_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> bytes:
        """Return the frames that this chunk completes, for `parse_frames` or `read_batch`.

        In the result lines end with a line feed and a blank line separates two frames. The result does not end with a
        blank line. It is empty if no frame is complete.
        """
        if self.is_too_large:
            return b""
        if self._ends_with_cr or _CARRIAGE_RETURN in chunk:
            chunk = self._with_line_feeds(chunk)
        pending = self._pending
        if pending:
            # Search only the new bytes: a long frame in many chunks would otherwise take quadratic time.
            if b"\n\n" not in chunk and not (chunk[:1] == b"\n" and pending[-1:] == b"\n"):
                self._buffer(chunk)
                return b""
            pending += chunk
            chunk = bytes(pending)
            pending.clear()
            self._line_start, self._has_new_line, self._next_filter = 0, False, self._first_filter
        complete, blank_line, rest = chunk.rpartition(b"\n\n")
        if rest:
            self._buffer(rest)
        if len(complete) > self._max_event_bytes:
            complete = self._up_to_limit(complete)
        return self._without_bom(complete) if blank_line and self._at_start else complete

    def finish(self) -> bytes:
        """Return the last frame if the stream ended before its blank line, else b""."""
        frame = bytes(self._pending)
        self._pending.clear()
        return self._without_bom(frame) if self._at_start else frame

    def _buffer(self, chunk: bytes) -> None:
        """Append a part of an unfinished frame."""
        pending = self._pending
        pending += chunk
        if not self._has_new_line and _LINE_FEED in chunk:
            self._has_new_line = True
        if len(pending) > self._next_filter:
            self._filter()

    def _filter(self) -> None:
        """Remove comments and unknown fields from the unfinished frame."""
        pending = self._pending
        if self._has_new_line:
            lines, _, unfinished_line = bytes(pending[self._line_start :]).rpartition(b"\n")
            del pending[self._line_start :]
            pending += b"".join(_BUFFERED_LINE.findall(lines + b"\n"))
            self._line_start, self._has_new_line = len(pending), False
            pending += unfinished_line
        if len(pending) - self._line_start > _LONGEST_FIELD:
            field_start = self._line_start + (len(_BOM) if pending.startswith(_BOM, self._line_start) else 0)
            if not pending.startswith(_FIELDS, field_start):
                pending[self._line_start :] = b":"  # the rest of the line continues this comment
        if len(pending) > self._max_event_bytes:
            self._stop()
        self._next_filter = min(len(pending) + _FILTER_EVERY_BYTES, self._max_event_bytes)

    def _up_to_limit(self, frames: bytes) -> bytes:
        """Return the frames before the first one that is too large."""
        start = 0
        while len(frames) - start > self._max_event_bytes:
            end = frames.find(b"\n\n", start)
            if (len(frames) if end < 0 else end) - start > self._max_event_bytes:
                self._stop()
                return frames[: max(start - len(b"\n\n"), 0)]
            start = end + len(b"\n\n")
        return frames

    def _stop(self) -> None:
        self.is_too_large = True
        self._pending.clear()

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        if self._ends_with_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]  # the second half of a CRLF; the first half already counted as a line ending
            self._ends_with_cr = False
        if chunk:
            self._ends_with_cr = chunk[-1:] == b"\r"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_bom(self, frames: bytes) -> bytes:
        self._at_start = False
        return frames.removeprefix(_BOM)


def parse_frames(frames: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name in the event line (empty without one) and the data of each frame that `EventDecoder` returned.

    Multiple data lines are joined with a line feed. Frames without data, such as comments that keep the connection
    open, are skipped.
    """
    if b"data" not in frames:  # megabytes of comments and blank lines are skipped a hundred times faster
        return
    for frame in frames.split(b"\n\n"):
        usual = _USUAL_FRAME.fullmatch(frame)
        if usual is not None:
            yield usual[1] or b"", usual[2]
            continue
        name, data = b"", bytearray()  # a list of lines would take several times the memory of a frame of short lines
        for field, value in map(re.Match.groups, _FIELD_LINE.finditer(frame)):
            if field == b"data":
                data += value or b""
                data += b"\n"
            else:
                name = value or b""
        if len(data) > 1:
            del data[-1]
            yield name, bytes(data)


# The beginning of a frame in a batch: an optional event line, then data with `type` as its first member.
_HEAD: Final = re.compile(rb'((?:event: ?[^\n]*+\n)?data: ?)\{"type": ?"([\w.]++)"')
# The longest prefix to search. Known event types have fewer than 100 characters.
_MAX_HEAD_BYTES: Final = 200
# The end of one object and the beginning of the next in an array of events. JSON strings escape quotation marks, so
# this pattern cannot occur inside a string.
_EVENT_BOUNDARY: Final = re.compile(rb'\}[ \t]*+,[ \t]*+\{[ \t]*+"')


@lru_cache(maxsize=64)  # bounded, because the server determines the types; a response has fewer
def _parse_head(head: bytes) -> tuple[str, bytes] | None:
    """Return the event type in the first bytes of a frame, and the bytes between the data of two such frames."""
    match = _HEAD.fullmatch(head)
    return (match[2].decode(), b"\n\n" + match[1]) if match is not None else None


def read_batch(frames: bytes, get_parsers: Callable[[str], Sequence[BatchParser]]) -> list[Any] | None:
    """Return one event for each frame, or None if the frames must be read one by one.

    All frames must have the type of the first. `get_parsers` returns the parsers for an event type, which are tried
    in order. They must validate the member `type`, because the event lines are not compared.

    A batch is valid if each frame contains exactly one event. Counting is not sufficient: two frames can contain two
    events that are divided at another position. A batch is therefore rejected if a frame contains a possible boundary
    between two events.
    """
    comma = frames.find(b",", 0, _MAX_HEAD_BYTES)
    head = _parse_head(frames[:comma]) if comma > 0 else None
    if head is None:
        return None
    event_type, separator = head
    parsers = get_parsers(event_type)
    if not parsers:
        return None
    joined = frames.replace(separator, b",")
    frame_count = 1 + (len(frames) - len(joined)) // (len(separator) - len(b","))
    array = b"[%b]" % joined[len(separator) - len(b"\n\n") :]  # without the event line and `data: ` of the first frame
    # A remaining line feed means that a frame has another prefix.
    if _LINE_FEED in array or (frame_count > 1 and _EVENT_BOUNDARY.search(frames)):
        return None
    for parse in parsers:
        try:
            events = parse(array)
        except ValidationError:
            continue
        return events if len(events) == frame_count else None
    return None
