"""Write the results of a batch to two files: complete responses, and failures.

The journal is the durable state, and the files are its projection: each run writes them again from the journal, so that
a line is in them exactly once, also after a crash at any moment. What earlier runs finished is first written beside the
old file, which it then replaces.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from .._exceptions import BatchStoppedError
from .._files import create_private_folder, replace_file
from .results import to_json_line

if TYPE_CHECKING:
    from .results import BatchResult

__all__ = ["OutputFiles", "default_errors_path"]


def default_errors_path(output: Path) -> Path:
    """Return the path of the failures for an output file: `out.errors.jsonl` for `out.jsonl`."""
    return output.with_name(f"{output.stem}.errors{output.suffix or '.jsonl'}")


class OutputFiles:
    """The files of a run. Use it as a context manager."""

    def __init__(self, output: str | os.PathLike[str], errors: str | os.PathLike[str] | None = None) -> None:
        output = Path(output)
        self._success = _OutputFile(output)
        self._failures = _OutputFile(default_errors_path(output) if errors is None else Path(errors))

    def write(self, result: BatchResult[Any]) -> None:
        """Append a result to the file it belongs to."""
        if not result.is_from_journal:
            self._success.publish()
            self._failures.publish()
        (self._success if result.error is None else self._failures).write(to_json_line(result.to_line()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_class: type[BaseException] | None, *_: object) -> None:
        # An error before the first request, such as an invalid line, leaves the files of an earlier run.
        if error_class is None or issubclass(error_class, BatchStoppedError):
            self._success.publish()
            self._failures.publish()
        self._success.close()
        self._failures.close(keep_empty=False)


class _OutputFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: IO[str] | None = None
        self._is_published = False
        self._has_lines = False

    def write(self, line: str) -> None:
        if self._file is None:
            create_private_folder(self._path.absolute().parent)
            self._file = self._temporary.open("w", encoding="utf-8", newline="\n")
        self._file.write(line + "\n")
        self._has_lines = True
        if self._is_published:
            self._file.flush()  # for readers, and for a crash of this process

    def publish(self) -> None:
        """Replace the file of an earlier run, now that the results of that run are written."""
        if self._is_published:
            return
        self._is_published = True
        if self._file is None:
            create_private_folder(self._path.absolute().parent)
            self._temporary.open("w").close()
        else:
            self._file.close()  # Windows cannot rename an open file
        replace_file(self._temporary, self._path)
        self._file = self._path.open("a", encoding="utf-8", newline="\n")

    def close(self, *, keep_empty: bool = True) -> None:
        """Make the file durable. One that was not published is deleted."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        if not self._is_published:
            self._temporary.unlink(missing_ok=True)
        elif not self._has_lines and not keep_empty:
            self._path.unlink()
