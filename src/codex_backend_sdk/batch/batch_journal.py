"""The journal of a batch: every finished line, so that a later run continues after a crash at any moment.

It is a journal as that of a conversation (`conversation.journal`: one writer, torn tails repaired, damaged lines
skipped), whose records are finished lines: `id` (the `custom_id`), `hash` (of the request), `final` and `line` (the
output line). The last record of an id is the valid one. A line whose failure may be temporary is not final: the next
run sends it again.

Records are written and synced in groups. `add` returns at once, and a thread writes what has accumulated every 50 ms.
A crash loses at most the records of this time: their lines are sent, and paid, again.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._exceptions import JournalError, JournalLockedError
from ..conversation.journal import Journal

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["BatchJournal", "FinishedLine"]

_GROUP_SECONDS: Final = 0.05
_HEADER: Final = {"kind": "batch"}
_HASH: Final = re.compile("[0-9a-f]{1,16}")


class FinishedLine(NamedTuple):
    """What the index needs of a record: where it is, and what it is about."""

    position: int
    custom_id: str
    request_hash: int
    is_final: bool
    is_failure: bool


class BatchJournal:
    """A journal that is open for writing. Methods may be called from several threads."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._is_writing = False
        self._is_closed = False
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> BatchJournal:
        """Open a journal, or create it if it does not exist.

        Raises JournalLockedError if another batch uses it, and JournalError if the file is not the journal of a batch.
        """
        with _locked_by_batch(path):
            journal: Journal | None
            try:
                journal = Journal.open(path)
            except FileNotFoundError:
                journal = Journal.create(path, _HEADER)
            except JournalLockedError:
                raise
            except JournalError:
                try:  # a crash may have interrupted its creation
                    journal = Journal.create(path, _HEADER)
                except FileExistsError:
                    journal = None
                if journal is None:
                    raise
        if journal.header.get("kind") != _HEADER["kind"]:
            journal.close()
            raise JournalError(f"{path} is not the journal of a batch. Choose another file.")
        return cls(journal)

    def finished_lines(self) -> Iterator[FinishedLine]:
        """Iterate over the records. Damaged ones, and those of a newer version, are left out: they are sent again."""
        for position, record in self._journal.positions_and_records():
            custom_id, request_hash, line = record.get("id"), record.get("hash"), record.get("line")
            if not isinstance(custom_id, str) or not isinstance(request_hash, str) or not _HASH.fullmatch(request_hash):
                continue
            if isinstance(line, dict) and _is_result(line):
                is_failure = line.get("error") is not None
                yield FinishedLine(position, custom_id, int(request_hash, 16), record.get("final") is True, is_failure)

    def line_at(self, position: int) -> dict[str, Any]:
        """Return the output line of the record at a position."""
        line: dict[str, Any] = self._journal.record_at(position)["line"]
        return line

    def add(self, custom_id: str, request_hash: int, line: dict[str, Any], *, is_final: bool) -> None:
        """Write a finished line within 50 ms. Raises JournalError if an earlier one could not be written."""
        record = {"id": custom_id, "hash": f"{request_hash:016x}", "final": is_final, "line": line}
        with self._changed:
            self._raise_error()
            if self._is_closed:
                return  # the run was left before this request ended
            self._waiting.append(record)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_groups, name="codex-batch-journal", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self) -> None:
        """Return when all records are on the disk. Raises JournalError if one could not be written."""
        with self._changed:
            while (self._waiting or self._is_writing) and self._error is None:
                self._changed.wait()
            self._raise_error()

    def close(self) -> None:
        """Write what is left, and close the file."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._journal.close()

    def _write_groups(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._is_closed:
                    self._changed.wait()
                if not self._is_closed:
                    self._changed.wait_for(lambda: self._is_closed, timeout=_GROUP_SECONDS)
                group, self._waiting = self._waiting, []
                self._is_writing = True
            error: Exception | None = None
            try:
                self._journal.append_many(group)
            except Exception as failure:  # for the thread of the caller, which must not wait for a dead thread
                error = failure
            with self._changed:
                self._is_writing = False
                self._error = self._error or error
                self._changed.notify_all()
                if error is not None or (self._is_closed and not self._waiting):
                    return

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def _is_result(line: dict[str, Any]) -> bool:
    error, response = line.get("error"), line.get("response")
    return isinstance(error, dict) if error is not None else isinstance(response, dict)


@contextmanager
def _locked_by_batch(path: object) -> Iterator[None]:
    try:
        yield
    except JournalLockedError as error:
        owner = "another process" if error.pid is None else f"process {error.pid}"
        raise JournalLockedError(
            f"A batch in {owner} uses the journal {path}. Wait until it ends, or choose another output.", pid=error.pid
        ) from None
