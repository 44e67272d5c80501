"""The records of a conversation: applied to its state and, if it has a file, first written to it.

A record is written before it is applied, so the state never contains what the file lacks. All methods block.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Literal, Self

from .._exceptions import ConversationError
from . import journal
from .export import to_json, to_markdown
from .journal import Journal
from .state import ConversationState, find_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .state import Record

    Redact = Callable[[Record], Record]

__all__ = ["ConversationFile"]

log = logging.getLogger("codex_backend_sdk.conversation")


class ConversationFile:
    """The state of a conversation, and its journal or, without a file, the list of its records."""

    def __init__(self, opened: Journal | None = None, *, redact: Redact | None = None) -> None:
        self.state = ConversationState()
        self._journal = opened
        self._redact = redact
        self._records: list[Record] = []
        if opened is not None:
            for record in opened.records():
                if (problem := find_problem(record)) is not None:
                    log.warning("Skipped a record of %s of the type %r: %s.", opened.path, record["type"], problem)
                self.state.apply(record)
            self._close_response(opened)

    def _close_response(self, opened: Journal) -> None:
        """End a response during which the process was killed. A file that is read only stays as it is."""
        records = self.state.open_response_records()
        if not opened.is_read_only:
            self.commit(records)
        else:
            for record in records:
                self.state.apply(record)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        create: bool = False,
        read_only: bool = False,
        redact: Redact | None = None,
    ) -> Self:
        """Load a file, or with `create=True` create it if it does not exist. Raises as `Journal.open` does."""
        if create and not read_only and _is_missing_or_empty(path):
            opened = Journal.create(path, {}, redact=redact)
        else:
            opened = Journal.open(path, read_only=read_only, redact=redact)
        try:
            return cls(opened, redact=redact)
        except BaseException:
            opened.close()
            raise

    @property
    def path(self) -> Path | None:
        """The file, or None."""
        return None if self._journal is None else self._journal.path

    @property
    def is_writable(self) -> bool:
        """Whether there is a file to which records can be appended."""
        return self._journal is not None and not self._journal.is_read_only

    def commit(self, records: Sequence[Record]) -> None:
        """Write the records, then apply them. Raises JournalError if they cannot be written, and applies none then."""
        records = self.state.with_positions(records)
        if self._journal is None:
            self._records += records
        else:
            self._journal.append_many(records)
        for record in records:
            self.state.apply(record)

    def save(self, path: str | os.PathLike[str], more: Sequence[Record]) -> None:
        """Write all records, and `more`, to a new file, and append to it from now on."""
        if self._journal is not None:
            raise ConversationError(
                f"The conversation is saved in {self._journal.path}. `fork(path)` continues it in another file."
            )
        created = _create(path, [*self._records, *more], redact=self._redact)
        self._journal, self._records = created, []
        for record in more:
            self.state.apply(record)

    def fork(self, path: str | os.PathLike[str] | None) -> ConversationFile:
        """Return the same history in a new file, or in memory."""
        if path is None:
            forked = ConversationFile(redact=self._redact)
            forked.state = self.state.copy()
            forked._records = list(self._records if self._journal is None else self._journal.records())
            return forked
        if self._journal is None:
            return ConversationFile(_create(path, self._records, redact=self._redact), redact=self._redact)
        return ConversationFile(self._journal.fork(path, {}), redact=self._redact)

    def export(self, form: Literal["markdown", "json"], *, redact: bool) -> str:
        """Return all records as text. Raises ValueError for another form."""
        if form not in ("markdown", "json"):
            raise ValueError(f"The form of an export is 'markdown' or 'json', not {form!r}.")
        records = self._records if self._journal is None else self._journal.records()
        if form == "json":
            return to_json(records, redact=redact)
        return to_markdown(records, redact=redact)

    def close(self) -> None:
        """Close the file."""
        if self._journal is not None:
            self._journal.close()

    def require_deletable(self, *, forks: Literal["refuse", "keep"]) -> None:
        """Raise JournalError if forks refer to the file and `forks` is `refuse`."""
        if self._journal is not None and forks == "refuse":
            journal.require_no_forks(self._journal.path)

    def delete(self, *, forks: Literal["refuse", "keep"] = "refuse") -> None:
        """Delete the file, which must be closed. Raises as `journal.delete` does."""
        if self._journal is not None:
            journal.delete(self._journal.path, forks=forks)


def _is_missing_or_empty(path: str | os.PathLike[str]) -> bool:
    try:
        return os.stat(path).st_size == 0
    except FileNotFoundError:
        return True


def _create(path: str | os.PathLike[str], records: Sequence[dict[str, Any]], *, redact: Redact | None) -> Journal:
    """Create a file with these records. After a failure there is none."""
    created = Journal.create(path, {}, redact=redact)
    try:
        created.append_many(records)
    except BaseException:
        created.close()
        journal.delete(path)
        raise
    return created
