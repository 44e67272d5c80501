"""Read the requests of a batch from files: JSON Lines, CSV, Parquet and plain text, one at a time."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from .._constants import INSTALL_EXTRA
from .._exceptions import BatchInputError
from .._json import decode
from .lines import fill_template

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["read_requests"]

_PARQUET_BATCH_ROWS: Final = 1000
_MAX_CELL_CHARACTERS: Final = 64 * 2**20  # the most that a request may have


def read_requests(path: str | os.PathLike[str], template: str | None = None) -> Iterator[str | dict[str, Any]]:
    """Iterate over the requests in a file, for `client.codex.batch`.

    `path` ends with `.jsonl` (or anything else: JSON Lines), `.csv`, `.tsv`, `.parquet` or `.txt`, and with `.gz` if it
    is compressed; `-` is standard input, as JSON Lines. Parquet needs the extra `parquet`. A line of JSON Lines is a
    JSON string, an object with `input` and other parameters of `responses.create()`, or a line of the official Batch
    API. A line of a `.txt` file is a prompt, which a template calls `{input}`.

    `template` is a prompt with names of columns, or of members of an object, in braces: `"Translate: {text}"`. A column
    `custom_id` or `id` identifies the row. Without a template, a row needs a column `input`.

    Raises FileNotFoundError, and BatchInputError, which names the line, while it is read.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz")
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if str(path) != "-" and not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Check the path of the input.")
    rows = _READERS.get(suffix, _json_lines)(path)
    if template is None and suffix not in _READERS:
        return (value for _, value in rows)
    return (_row_request(row, template, number) for number, row in rows)


def _row_request(row: object, template: str | None, number: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise BatchInputError(
            f"Line {number} of the batch is not an object, so the template cannot use its members by name. Remove "
            "the template. No request was sent."
        )
    if template is None:
        columns = {column: value for column, value in row.items() if value not in (None, "")}
    else:
        columns = {"input": fill_template(template, row, number=number)}
    columns.pop("id", None)
    ids = (row.get(name) for name in ("custom_id", "id"))
    custom_id = next((value for value in ids if value not in (None, "")), None)
    return columns if custom_id is None else {**columns, "custom_id": str(custom_id)}


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            text = line.removeprefix(b"\xef\xbb\xbf").strip()
            if not text:
                continue
            try:
                yield number, decode(text)
            except ValueError as error:
                raise BatchInputError(
                    f"Line {number} of {path} is not JSON ({error}): {text[:60]!r}. Correct it; a file "
                    "with a prompt in each line must have the ending .txt. No request was sent."
                ) from None


def _csv(path: Path, *, delimiter: str = ",") -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(path) as file:
        # Strict: a quote that is not closed would make the rest of the file one cell.
        rows = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), delimiter=delimiter, strict=True)
        # The limit belongs to the whole process. By default, a cell of 131,072 characters is an error.
        csv.field_size_limit(max(_MAX_CELL_CHARACTERS, csv.field_size_limit()))
        try:
            for row in rows:
                row.pop(cast("str", None), None)  # cells without a heading
                yield rows.line_num, row
        except (UnicodeDecodeError, csv.Error) as error:
            raise BatchInputError(
                f"Line {rows.line_num + 1} of {path} cannot be read ({error}). Save the file as CSV in UTF-8. No "
                "request was sent."
            ) from None


def _tsv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    return _csv(path, delimiter="\t")


def _text_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.removeprefix(b"\xef\xbb\xbf").decode().strip()
            except UnicodeDecodeError as error:
                raise BatchInputError(
                    f"Line {number} of {path} cannot be read ({error}). Save the file in UTF-8. No request was sent."
                ) from None
            if text:
                yield number, {"input": text}


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        from pyarrow import parquet  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise BatchInputError(
            "Parquet files need the package pyarrow, which is not installed. " + INSTALL_EXTRA.format("parquet")
        ) from None
    number = 0
    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_PARQUET_BATCH_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield number, row


_READERS: Final[dict[str, Callable[[Path], Iterator[tuple[int, Any]]]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".parquet": _parquet,
    ".txt": _text_lines,
}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if str(path) == "-":
        if sys.stdin is None:
            raise BatchInputError("The standard input is closed. Pipe a file into the command, or name one.")
        yield sys.stdin.buffer
        return
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise BatchInputError(
            f"{path} cannot be read ({error}). Check that it is a complete file, and that you may read it. No request "
            "was sent."
        ) from error
