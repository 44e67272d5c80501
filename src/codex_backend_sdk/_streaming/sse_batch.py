"""Server-sent events that are all alike, read at once.

Nearly all of an answer is runs of deltas whose frames begin with the same bytes. One replacement makes a JSON array of
such frames, and one call of a validator reads it: half the time of finding and reading each event by itself.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Reader = Callable[[bytes], list[Any]]  # JSON in; ValidationError when it cannot be read like this

__all__ = ["halves", "read_run"]

_HEAD: Final = re.compile(rb'((?:event: ?[^\n]*\n)?data: ?)\{"type": ?"([\w.]+)"')
_BETWEEN_EVENTS: Final = re.compile(rb'\}[ \t]*,[ \t]*\{[ \t]*"')  # in text, a quotation mark is not that near
_LINE_FEED: Final = 0x0A
_LONGEST_HEAD: Final = 200  # bytes; no known type is half as long


@lru_cache(maxsize=64)  # more than an answer has types; a bound, because a server may make them up
def _head(start: bytes) -> tuple[str, bytes] | None:
    """Return the type that a frame's first bytes name, and what stands between the data of two such frames."""
    match = _HEAD.fullmatch(start)
    return (match[2].decode(), b"\n\n" + match[1]) if match is not None else None


def read_run(frames: bytes, readers_of: Callable[[str], Sequence[Reader]]) -> list[Any] | None:
    """Return what is read from frames that are all of one type, or None if they need a closer look.

    `readers_of` gives the ways to read a list of events of that type, which are tried in turn. They have to demand the
    type, because what the event line says is not looked at.
    """
    comma = frames.find(b",", 0, _LONGEST_HEAD)
    head = _head(frames[:comma]) if comma > 0 else None
    if head is None:
        return None
    kind, separator = head
    readers = readers_of(kind)
    if not readers:
        return None
    joined = frames.replace(separator, b",")
    events = joined[len(separator) - len(b"\n\n") :]
    joints = (len(frames) - len(joined)) // (len(separator) - len(b","))
    # What was one frame has to be one event: two halves must not be read as a whole. As many events as frames do not
    # say that, when one frame has an event and a half: what parts two events may stand between frames only.
    if _LINE_FEED in events or (joints and _BETWEEN_EVENTS.search(frames)):
        return None
    for read in readers:
        try:
            found = read(b"[%b]" % events)
        except ValidationError:
            continue
        return found if len(found) == joints + 1 else None
    return None


def halves(frames: bytes) -> tuple[bytes, bytes] | None:
    """Cut frames near the middle of their bytes; None when there is only one."""
    half = len(frames) // 2
    middle = frames.find(b"\n\n", half)
    if middle < 0:
        middle = frames.rfind(b"\n\n", 0, half + 1)
    return (frames[:middle], frames[middle + 2 :]) if middle >= 0 else None
