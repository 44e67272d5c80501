"""Server-sent events: bytes in, frames out, incrementally and linear in the input.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
A frame is everything up to a blank line. Two deviations, both so that no answer is lost: a frame without
data is reported, and `finish()` gives the last frame even if its blank line is missing.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EventDecoder", "Frame"]

_BOM = b"\xef\xbb\xbf"
_MOST_DIGITS = 18  # of milliseconds; Python raises for a number of thousands of digits
_CARRIAGE_RETURN = 0x0D  # a number is found seven times faster than bytes


class Frame(NamedTuple):
    """One server-sent event; `data` is its undecoded bytes, several data lines joined by a newline.

    `id` is the last one seen on the stream, `retry` (milliseconds) only that of this frame.
    """

    data: bytes
    event: bytes | None = None
    id: bytes | None = None
    retry: int | None = None


class EventDecoder:
    """Turn chunks of bytes into frames; a chunk may end anywhere, even inside of a character or a line ending."""

    def __init__(self) -> None:
        self._pending = bytearray()  # an unfinished frame; a bytearray, so that appending costs no copy of it
        self._ends_with_cr = False
        self._at_start = True
        self._last_id: bytes | None = None

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that this chunk completes."""
        found = [self.frame(block) for block in self.complete(chunk).split(b"\n\n")]
        return [frame for frame in found if frame is not None]

    def complete(self, chunk: bytes) -> bytes:
        """Return the text of the frames that this chunk completes: lines end with a line feed, frames with two.

        The last two are left off. Empty when there is no such frame.
        """
        if self._ends_with_cr or _CARRIAGE_RETURN in chunk:
            chunk = self._with_line_feeds(chunk)
        pending = self._pending
        if pending:
            # Look only at what is new: a long frame in many chunks must not be searched again and again.
            if b"\n\n" not in chunk and not (chunk[:1] == b"\n" and pending[-1:] == b"\n"):
                pending += chunk
                return b""
            pending += chunk
            chunk = bytes(pending)
            pending.clear()
        complete, blank_line, rest = chunk.rpartition(b"\n\n")
        pending += rest
        return self._without_mark(complete) if blank_line and self._at_start else complete

    def finish(self) -> Frame | None:
        """Return the frame that the end of the stream left without its blank line, if there is one."""
        rest = bytes(self._pending)
        self._pending.clear()
        return self.frame(self._without_mark(rest) if self._at_start else rest)

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        if self._ends_with_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]  # the second half of a CRLF whose first half was taken as a line ending
            self._ends_with_cr = False
        if chunk:
            self._ends_with_cr = chunk[-1:] == b"\r"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _without_mark(self, text: bytes) -> bytes:
        self._at_start = False
        return text.removeprefix(_BOM)

    def frame(self, block: bytes) -> Frame | None:
        """Return the frame that these lines are, or None if they say nothing."""
        data: list[bytes] = []
        event: bytes | None = None
        retry: int | None = None
        has_id = False
        for line in block.split(b"\n"):
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                data.append(value)
            elif name == b"event":
                event = value or None
            elif name == b"id" and b"\0" not in value:
                self._last_id, has_id = value, True
            elif name == b"retry" and value.isdigit() and len(value) <= _MOST_DIGITS:
                retry = int(value)
        if not (data or event or has_id or retry is not None):
            return None
        return Frame(b"\n".join(data), event, self._last_id, retry)
