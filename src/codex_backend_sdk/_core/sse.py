"""Server-sent events: bytes in, frames out, incrementally and linear in the input.

The format: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
A frame is everything up to a blank line. Two deviations, both so that no answer is lost: a frame without
data is reported, and `finish()` gives the last frame even if its blank line is missing.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EventDecoder", "Frame"]

_BOM = b"\xef\xbb\xbf"
_new = tuple.__new__  # half the time of calling the class


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
        if self._ends_with_cr or b"\r" in chunk:
            chunk = self._with_line_feeds(chunk)
        pending = self._pending
        if pending:
            # Look only at what is new: a long frame in many chunks must not be searched again and again.
            if b"\n\n" not in chunk and not (chunk[:1] == b"\n" and pending[-1:] == b"\n"):
                pending += chunk
                return []
            pending += chunk
            chunk = bytes(pending)
            pending.clear()
        complete, blank_line, rest = chunk.rpartition(b"\n\n")
        pending += rest
        if not blank_line:
            return []
        return self._frames(complete)

    def finish(self) -> Frame | None:
        """Return the frame that the end of the stream left without its blank line, if there is one."""
        rest = bytes(self._pending)
        self._pending.clear()
        frames = self._frames(rest) if rest else []
        return frames[0] if frames else None

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        if self._ends_with_cr and chunk[:1] == b"\n":
            chunk = chunk[1:]  # the second half of a CRLF whose first half was taken as a line ending
            self._ends_with_cr = False
        if chunk:
            self._ends_with_cr = chunk[-1:] == b"\r"
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _frames(self, complete: bytes) -> list[Frame]:
        if self._at_start:
            complete = complete.removeprefix(_BOM)
            self._at_start = False
        frames = []
        for block in complete.split(b"\n\n"):
            # The form that nearly every frame has: an event line, then one data line.
            end = block.find(b"\n")
            if (
                block.startswith(b"event: ")
                and block.startswith(b"data: ", end + 1)
                and block.find(b"\n", end + 7) == -1
                and end != -1
            ):
                frames.append(_new(Frame, (block[end + 7 :], block[7:end], self._last_id, None)))
            elif (frame := self._frame(block)) is not None:
                frames.append(frame)
        return frames

    def _frame(self, block: bytes) -> Frame | None:
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
            elif name == b"retry" and value.isdigit():
                retry = int(value)
        if not (data or event or has_id or retry is not None):
            return None
        return Frame(b"\n".join(data), event, self._last_id, retry)
