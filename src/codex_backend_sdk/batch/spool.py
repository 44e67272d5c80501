"""Keep values on the disk instead of in memory, in a temporary file that has no name.

A batch spools its requests, because all of them are checked before the first one is sent, and results that must wait
for those of earlier lines.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

from .._json import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Spool"]


class Spool:
    """A sequence of JSON values on the disk. It is deleted when it is closed, or when the process ends.

    `folder` is where it is stored, because the system's folder for temporary files may be in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  (`close` closes it)
        self._size = 0

    def append(self, value: Any) -> int:
        """Store a value and return its position."""
        position = self._size
        self._file.seek(position)
        self._size += self._file.write(encode(value) + b"\n")
        return position

    def read(self, position: int) -> Any:
        """Return the value at a position."""
        self._file.seek(position)
        return decode(self._file.readline())

    def __iter__(self) -> Iterator[Any]:
        """Iterate over all values. `append` and `read` may be called meanwhile."""
        position = 0
        while position < self._size:
            self._file.seek(position)
            line = self._file.readline()
            position += len(line)
            yield decode(line)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
