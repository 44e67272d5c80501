"""HTTP/1.1 chunks that arrived together, written as one.

A server that sends each event in a chunk of its own makes the HTTP client parse, count and hand on each of them: three
times what reading the events costs. What is written anew has the same body, and nothing is held back.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ChunkJoiner"]

# RFC 9112, 6 and 7.1. What is written in another way than nearly all servers do is passed on as it is.
_STATUS: Final = b"HTTP/1.1 200 "
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_LONGEST_SIZE: Final = 10
_CHUNK_END: Final = b"\r\n"
# Of a joined chunk. The events of a longer one leave the processor's cache before they are read: a fifth more time.
_MOST_BYTES: Final = 16 << 10


class ChunkJoiner:
    """Join the chunks of what is read from one connection; `begin` says that the head of an answer comes next."""

    def __init__(self) -> None:
        self._awaits_head = False
        self._ahead: int | None = None  # bytes until the next chunk begins; None: whatever comes is passed on
        self._begun = b""  # the part of the next chunk's size that was passed on already

    def begin(self) -> None:
        """Expect the head of an answer."""
        self._awaits_head = True

    def join(self, data: bytes) -> bytes:
        """Return the same body in fewer chunks. Nothing becomes of nothing only."""
        if self._awaits_head:
            self._read_head(data)
        elif self._begun:
            self._read_begun(data)
        if self._ahead is None or self._begun:
            return data
        start = self._ahead
        if start > len(data):
            self._ahead = start - len(data)
            return data
        return self._joined(data, start)

    def _read_head(self, data: bytes) -> None:
        self._awaits_head = False
        self._begun = b""
        end = _HEAD_END.search(data) if data.startswith(_STATUS) else None
        self._ahead = end.end() if end is not None and _CHUNKED.search(data, 0, end.end()) else None

    def _read_begun(self, data: bytes) -> None:
        text = self._begun + data
        size = _SIZE.match(text)
        if size is not None:
            length = int(size[1], 16)
            self._ahead = size.end() - len(self._begun) + length + len(_CHUNK_END) if length else None
            self._begun = b""
        else:
            self._await_size(text)

    def _await_size(self, text: bytes) -> None:
        """Expect the rest of a chunk's size, or nothing more of use when this cannot be the beginning of one."""
        self._ahead, self._begun = (0, text) if len(text) < _LONGEST_SIZE else (None, b"")

    def _joined(self, data: bytes, start: int) -> bytes:
        parts = []
        position = start
        while (size := _SIZE.match(data, position)) is not None:
            begin = size.end()
            end = begin + int(size[1], 16)
            if end == begin or data[end : end + 2] != _CHUNK_END:
                missing = end + len(_CHUNK_END) - len(data)
                self._ahead = missing if end > begin and missing > 0 else None
                break
            parts.append(data[begin:end])
            position = end + 2
        else:
            self._await_size(data[position:])
        if len(parts) < 2:
            return data
        return b"".join((data[:start], *_chunks(parts), data[position:]))


def _chunks(parts: list[bytes]) -> Iterator[bytes]:
    together: list[bytes] = []
    length = 0
    for part in parts:
        if together and length + len(part) > _MOST_BYTES:
            yield _chunk(together, length)
            together, length = [], 0
        together.append(part)
        length += len(part)
    yield _chunk(together, length)


def _chunk(parts: list[bytes], length: int) -> bytes:
    return b"%x\r\n%b\r\n" % (length, b"".join(parts))
