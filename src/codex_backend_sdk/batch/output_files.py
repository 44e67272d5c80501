"""Write the results of a batch to two files: complete responses, and failures.

The ending of a name selects the format: `.csv` and `.tsv` are tables of the ids and texts, all others are JSON Lines.

The journal is the durable state, and the files are its projection: each run writes them again from the journal, so that
a line is in them exactly once, also after a crash at any moment. What earlier runs finished is first written beside the
old file, which it then replaces. Both temporary files are created at the start, so that a folder that is not writable
is found before the first request.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from .._exceptions import BatchStoppedError
from .._files import create_private_folder, describe_file_type, replace_file
from .results import to_json_line

if TYPE_CHECKING:
    from io import BufferedWriter

    from .results import BatchResult

__all__ = ["OutputFiles", "default_errors_path", "has_format"]

_DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
_COLUMNS: Final = ("custom_id", "output_text", "error")


def default_errors_path(output: Path) -> Path:
    """Return the path of the failures for an output file: `out.errors.jsonl` for `out.jsonl`."""
    return output.with_name(f"{output.stem}.errors{output.suffix or '.jsonl'}")


def has_format(path: Path) -> bool:
    """Return whether the ending of the name says how the results are written."""
    return path.suffix.lower() in ("", ".jsonl", ".ndjson", *_DELIMITERS)


class OutputFiles:
    """The files of a run. Use it as a context manager.

    Raises ValueError for paths that are not the names of two regular files, or of the `journal`, and OSError if they
    cannot be written.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        errors: str | os.PathLike[str] | None = None,
        *,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        output = Path(output)
        failures = default_errors_path(output) if errors is None else Path(errors)
        used = {} if journal is None else {Path(journal).resolve(): "the journal"}
        for path, role in ((output, "the results"), (failures, "the failures")):
            _check_target(path)
            target = path.resolve()
            if target in used:
                raise ValueError(f"{path} is the file of {used[target]}, and of {role}. Choose different files.")
            used[target] = role
        self._success = _OutputFile(output)
        self._failures = _OutputFile(failures)

    def write(self, result: BatchResult[Any]) -> None:
        """Append a result to the file it belongs to."""
        if not result.is_from_journal:
            self._success.publish()
            self._failures.publish()
        (self._success if result.error is None else self._failures).write(result)

    def __enter__(self) -> Self:
        self._success.open()
        try:
            self._failures.open()
        except BaseException:
            self._success.close()
            raise
        return self

    def __exit__(self, error_class: type[BaseException] | None, *_: object) -> None:
        # An error before the first request, such as an invalid line, leaves the files of an earlier run.
        try:
            if error_class is None or issubclass(error_class, BatchStoppedError):
                self._success.publish()
                self._failures.publish()
        finally:
            try:
                self._success.close()
            finally:
                self._failures.close(keep_empty=False)


def _check_target(path: Path) -> None:
    """Raise ValueError for a path that must not be replaced by a file, such as /dev/stdout."""
    if path.suffix == ".gz":
        raise ValueError(f"{path} ends with .gz, and the results are not compressed. Choose another name.")
    with suppress(FileNotFoundError, NotADirectoryError):
        file_type = describe_file_type(path.stat().st_mode)
        if file_type is not None:
            raise ValueError(f"{path} is {file_type}, and the results need a regular file. Choose another output.")


class _OutputFile:
    def __init__(self, path: Path) -> None:
        self._path = path.resolve()  # a link stays
        self._temporary = self._path.with_name(f".{self._path.name}.tmp")
        self._file: BufferedWriter | None = None
        self._delimiter = _DELIMITERS.get(path.suffix.lower())
        self._is_published = False
        self._has_lines = False

    def open(self) -> None:
        create_private_folder(self._path.parent)
        self._temporary.unlink(missing_ok=True)  # of a run that was killed
        self._file = self._temporary.open("xb")
        with suppress(FileNotFoundError):
            shutil.copymode(self._path, self._temporary)
        if self._delimiter is not None:
            self._file.write(_table_row(_COLUMNS, self._delimiter))

    def write(self, result: BatchResult[Any]) -> None:
        assert self._file is not None
        if self._delimiter is None:
            self._file.write(to_json_line(result.to_line()))
        else:
            error = "" if result.error is None else result.error.message or result.error.code
            self._file.write(_table_row((result.custom_id, result.output_text, error), self._delimiter))
        self._has_lines = True
        if self._is_published:
            self._file.flush()  # for readers, and for a crash of this process

    def publish(self) -> None:
        """Replace the file of an earlier run, now that the results of that run are written."""
        if self._is_published:
            return
        assert self._file is not None
        self._file.close()  # Windows cannot rename an open file
        replace_file(self._temporary, self._path)
        self._is_published = True
        self._file = self._path.open("ab")

    def close(self, *, keep_empty: bool = True) -> None:
        """Make the file durable. One that was not published is deleted."""
        try:
            if self._file is not None and not self._file.closed:
                with self._file:
                    self._file.flush()
                    os.fsync(self._file.fileno())
        finally:
            if not self._is_published:
                self._temporary.unlink(missing_ok=True)
            elif not self._has_lines and not keep_empty:
                self._path.unlink(missing_ok=True)


def _table_row(cells: tuple[str, ...], delimiter: str) -> bytes:
    row = io.StringIO()
    csv.writer(row, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return row.getvalue().encode("utf-8", "replace")  # JSON can have half of a character, and UTF-8 cannot
