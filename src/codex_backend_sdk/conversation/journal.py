r"""Append records to a file of JSON Lines that can be loaded after a crash at any byte.

The journal knows nothing of what its records mean. The first line of the file is its header:

    {"journal": "codex-backend-sdk", "version": "1.0", "id": ..., "header": {the caller's}, "parent": {...}}

Each further line is a record. The invariants:

- A record is written in one call and synced before `append` returns. If that fails, the file is cut back to its length
  before, so a failed `append` leaves no trace.
- A crash can leave a part of the last record, because it is written at the end. `open` completes such a tail if it is
  a whole record that lacks only its newline, and removes it otherwise. `append` had not returned for it.
- Lines are never changed, so members of a newer version are preserved. A newer minor version is read, and written in
  the same form; an unknown major version is refused.
- One object writes: it claims the file when it opens it (`file_claim`). Any number may read, also meanwhile.
- A fork in the same folder refers to its parent: `parent` has the name and the id of the file, and the number of
  records, including those of its own parent, that belong to the fork. The parent may grow. A fork in another folder is
  a copy, so that the forks of a file are all in its folder, where `delete` finds them.
- Images are stored beside the file (`blobs`).
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import stat
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, TypeAlias

from .._exceptions import JournalError
from .._files import (
    create_private_file,
    create_private_folder,
    foreign_owner,
    open_regular_file,
    replace_file,
    sync_folder,
    write_all,
)
from .._json import decode, encode
from .._threads import create_lock
from .blobs import BlobStore, may_have_references
from .file_claim import FileClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader, FileIO

__all__ = ["Journal", "delete", "forks_of"]

log = logging.getLogger("codex_backend_sdk.conversation")

Record = dict[str, Any]
Redact: TypeAlias = "Callable[[Record], Record]"

_FORMAT: Final = "codex-backend-sdk"
_MAJOR, _MINOR = 1, 0
_VERSION: Final = re.compile(r"(\d{1,9})\.(\d{1,9})")
_HEADER_START: Final = b'{"journal":"codex-backend-sdk"'
_MAX_HEADER_BYTES: Final = 16 * 2**20
# A longer line is damaged: no request may have more than 64 MiB.
_MAX_RECORD_BYTES: Final = 256 * 2**20
_TAIL_CHUNK_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Header:
    """The first line of a file, and the number of its bytes."""

    journal_id: str
    version: str
    header: Record
    parent: Record | None
    size: int
    members: Record


class _Line(NamedTuple):
    """A line of a file: its number from 1, and where it begins."""

    path: Path
    number: int
    position: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Segment:
    """The part of a file with the records of a journal. It ends when the journal has `limit` records, if not None."""

    path: Path
    start: int
    end: int
    limit: int | None


class Journal:
    """A file of records. Create one with `Journal.create`, `Journal.open` or `fork`; it is a context manager.

    `path` is the file, links resolved. `header` is the object that `create` was given, and `version` the format version
    of the file. Methods may be called from several threads.
    """

    def __init__(
        self, path: Path, header: _Header, *, file: FileIO | None, claim: FileClaim | None, redact: Redact | None
    ) -> None:
        self.path = path
        self.header = header.header
        self.version = header.version
        self._header = header
        self._file = file
        self._claim = claim
        self._redact = redact
        self._blobs = BlobStore(_blob_folder(path))
        self._lock = create_lock()
        self._process_id = os.getpid()
        self._has_torn_tail = False
        self._reader: BufferedReader | None = None  # for `record_at`

    # --- opening -----------------------------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | os.PathLike[str], header: Record, *, redact: Redact | None = None) -> Self:
        """Create a file with mode 0600, and missing folders with mode 0700. An existing folder is left as it is.

        `redact` is called with the header and with each record before it is written, and returns what to write.
        Raises FileExistsError if the file exists, unless its creation was interrupted, and JournalError if it cannot be
        written.
        """
        return cls._create(Path(path), header, parent=None, redact=redact)

    @classmethod
    def _create(cls, path: Path, header: Record, *, parent: Record | None, redact: Redact | None) -> Self:
        path = Path(os.path.realpath(path.parent)) / path.name
        line = _header_line(redact(deepcopy(header)) if redact else header, parent=parent)
        with ExitStack() as stack, _wrapped_errors(path):
            create_private_folder(path.parent)
            claim = FileClaim(path)
            stack.callback(claim.release)
            file = _create_file(path)
            stack.callback(path.unlink, missing_ok=True)
            stack.callback(file.close)
            write_all(file, line)
            os.fsync(file.fileno())
            sync_folder(path.parent)
            stack.pop_all()
        return cls(path, _parse_header(path, line), file=file, claim=claim, redact=redact)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, read_only: bool = False, redact: Redact | None = None) -> Self:
        """Open a file to append to it, or with `read_only=True` while another process may be writing to it.

        A record at the end that a crash cut off is removed, with a warning. Raises FileNotFoundError,
        JournalLockedError if another process or object has it open for writing, and JournalError if it is not a journal
        or has an unknown version.
        """
        path = Path(os.path.realpath(path))
        with _wrapped_errors(path):
            header = _read_header(path)  # before anything is written: another file must stay as it is
            if read_only:
                return cls(path, header, file=None, claim=None, redact=redact)
            owner = foreign_owner(path)
            if owner is not None:
                raise JournalError(f"Another user (uid {owner}) owns {path}. Copy it with `fork()` to append to it.")
            with ExitStack() as stack:
                claim = FileClaim(path)
                stack.callback(claim.release)
                file: FileIO = os.fdopen(open_regular_file(path, os.O_RDWR | os.O_APPEND), "r+b", buffering=0)
                stack.callback(file.close)
                _repair_tail(file, path)
                _warn_about_mode(file, path)
                stack.pop_all()
        return cls(path, header, file=file, claim=claim, redact=redact)

    @property
    def is_read_only(self) -> bool:
        """True if records cannot be appended."""
        return self._claim is None

    def close(self) -> None:
        """Close the file and release the claim. Closing again does nothing."""
        with self._lock:
            for file in (self._file, self._reader):
                if file is not None:
                    file.close()
            # A forked child has the claim no more, and must leave the lock file to its parent.
            if self._claim is not None:
                self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- reading and writing -----------------------------------------------------------------------------------------

    def records(self, *, with_blobs: bool = True) -> Iterator[Record]:
        """Iterate over the records, first those of the parent; each is read from the file when it is requested.

        Records that are appended after the first one was requested are not included. A damaged line is skipped, with a
        warning that names it. With `with_blobs=False`, references to stored images are returned as they are written.
        """
        for _, record in self._positions_and_records(with_blobs=with_blobs):
            yield record

    def positions_and_records(self) -> Iterator[tuple[int, Record]]:
        """Iterate over the positions and the records of a journal that is no fork, without its stored images."""
        return self._positions_and_records(with_blobs=False)

    def record_at(self, position: int) -> Record:
        """Return the record at a position of this file. Raises JournalError if it is not there any more."""
        with self._lock, _wrapped_errors(self.path):
            if self._reader is None:
                self._reader = os.fdopen(open_regular_file(self.path, os.O_RDONLY), "rb")
            self._reader.seek(position)
            line = self._reader.readline(_MAX_RECORD_BYTES)
        record = _parse(line)
        if record is None:
            raise JournalError(f"{self.path} was changed while it was open: there is no record at byte {position}.")
        return self._blobs.restore(record) if may_have_references(line) else record

    def _positions_and_records(self, *, with_blobs: bool) -> Iterator[tuple[int, Record]]:
        for line in self._lines():
            record = _parse(line.data)
            if record is None:
                log.warning(
                    "Skipped line %d of %s: it is damaged. The other records were read.", line.number, line.path
                )
            elif with_blobs and may_have_references(line.data):
                yield line.position, BlobStore(_blob_folder(line.path)).restore(record)
            else:
                yield line.position, record

    def _lines(self) -> Iterator[_Line]:
        """Yield the lines of all records."""
        count = 0
        for segment in self._segments():
            for line in _read_lines(segment):
                if count == segment.limit:
                    break
                count += 1
                yield line
            if segment.limit is not None and count < segment.limit:
                log.warning("%s has lost %d records that a fork needs.", segment.path, segment.limit - count)

    def append(self, record: Record) -> None:
        """Append a record, and return when it is on the disk. Raises JournalError if it cannot be written.

        Raises TypeError or ValueError for a record that JSON cannot represent.
        """
        self.append_many([record])

    def append_many(self, records: Iterable[Record]) -> None:
        """Append records with one write and one sync. If it fails, none of them is in the file."""
        self._check_is_writable()
        data = b"".join(map(self._encode, records))
        if data:
            with self._lock, _wrapped_errors(self.path):
                self._write(self._check_is_writable(), data)

    def _encode(self, record: Record) -> bytes:
        if self._redact is not None:
            record = self._redact(deepcopy(record))  # the function may change it, and the history must stay
        if not isinstance(record, dict):
            raise TypeError(f"A record must be a dict, not {type(record).__name__}. Check the function `redact`.")
        line = encode(self._blobs.store(record)) + b"\n"
        if len(line) > _MAX_RECORD_BYTES:
            raise ValueError(f"A record has {len(line):,} bytes; {_MAX_RECORD_BYTES:,} are possible.")
        return line

    def _check_is_writable(self) -> FileIO:
        if self._file is None:
            raise JournalError(f"{self.path} is open with `read_only=True`. Open it for writing, or `fork()` it.")
        if self._file.closed:
            raise JournalError(f"{self.path} is closed. Open it again with `load_conversation`.")
        if self._process_id != os.getpid():
            raise JournalError(
                f"{self.path} was opened by process {self._process_id}, of which this one is a fork. Call `fork()` to "
                "get a file of its own."
            )
        return self._file

    def _write(self, file: FileIO, data: bytes) -> None:
        if os.fstat(file.fileno()).st_nlink == 0:
            raise JournalError(f"{self.path} was deleted or replaced while it was open. Save to another file.")
        if self._has_torn_tail:
            _repair_tail(file, self.path)
            self._has_torn_tail = False
        size = file.seek(0, os.SEEK_END)
        try:
            write_all(file, data)
            os.fsync(file.fileno())
        except BaseException:  # also Ctrl-C between a part of the data and the rest
            self._has_torn_tail = True
            file.truncate(size)
            self._has_torn_tail = False
            raise

    # --- forks -------------------------------------------------------------------------------------------------------

    def fork(self, path: str | os.PathLike[str], header: Record) -> Self:
        """Create a file that continues this one, and return it. Either may then be appended to.

        In the same folder, the new file refers to this one, which must stay there; in another folder, it is a copy.
        Works for a read-only journal, and while another process writes to it. Raises as `create` does.
        """
        path = Path(path)
        if Path(os.path.realpath(path.parent)) == self.path.parent:
            count = sum(1 for _ in self._lines())
            parent = {"name": self.path.name, "id": self._header.journal_id, "records": count}
            return self._create(path, header, parent=parent, redact=self._redact)
        journal = self._create(path, header, parent=None, redact=self._redact)
        try:
            with _wrapped_errors(path):
                journal._copy_lines_of(self, journal._check_is_writable())
        except BaseException:
            journal.close()
            delete(path)
            raise
        return journal

    def _copy_lines_of(self, source: Journal, file: FileIO) -> None:
        """Write the records of another journal as they are to a file, and its images to the folder of this one."""
        for line in source._lines():
            if may_have_references(line.data):
                self._blobs.copy_from(BlobStore(_blob_folder(line.path)), line.data)
            write_all(file, line.data)
        os.fsync(file.fileno())

    def _segments(self) -> list[_Segment]:
        with _wrapped_errors(self.path):
            segments = [_Segment(self.path, self._header.size, self.path.stat().st_size, None)]
        header, names = self._header, {self.path.name}
        while header.parent is not None:
            name, count = header.parent.get("name"), header.parent.get("records")
            if not isinstance(name, str) or not isinstance(count, int) or Path(name).name != name or name in names:
                raise JournalError(f"{segments[0].path} has an invalid reference to its parent. Restore a backup.")
            names.add(name)
            path = self.path.with_name(name)
            try:
                with _wrapped_errors(path):
                    parent, size = _read_header(path), path.stat().st_size
            except FileNotFoundError:
                raise JournalError(
                    f"{segments[0].path} continues {path}, which does not exist. Copy that file to the same folder."
                ) from None
            if parent.journal_id != header.parent.get("id"):
                raise JournalError(
                    f"{segments[0].path} continues another conversation than the one that is now in {path}. Restore "
                    "that file from a backup."
                )
            header = parent
            segments.insert(0, _Segment(path, parent.size, size, count))
        return segments


def forks_of(path: str | os.PathLike[str]) -> list[Path]:
    """Return the files that refer to this one as their parent, in the order of their names."""
    path = Path(os.path.realpath(path))
    try:
        journal_id = _read_header(path).journal_id
    except JournalError:  # damaged: forks of it cannot be read either
        return []
    return [child for child, header in _sibling_headers(path) if _is_fork_of(header, path, journal_id)]


def delete(path: str | os.PathLike[str], *, forks: Literal["refuse", "keep"] = "refuse") -> None:
    """Delete a journal, its images and its lock file.

    If forks refer to it, raises JournalError that lists them. With `forks="keep"`, its records are first copied into
    each of them. Raises FileNotFoundError, JournalLockedError if the file or such a fork is open for writing, and
    JournalError if the file is not a journal.
    """
    path = Path(os.path.realpath(path))
    with _wrapped_errors(path):
        _check_is_journal(path)
        claim = FileClaim(path)
        try:
            if forks == "refuse":
                require_no_forks(path)
            for child in forks_of(path):
                _make_independent(child)
            # In this order, because a deletion that is interrupted can then be repeated.
            BlobStore(_blob_folder(path)).delete()
            path.unlink()
            sync_folder(path.parent)
        finally:
            claim.release()


def require_no_forks(path: Path) -> None:
    """Raise JournalError if forks refer to a journal."""
    if children := forks_of(path):
        names = ", ".join(child.name for child in children)
        raise JournalError(
            f"{path} was not deleted, because forks refer to its records: {names}. Delete them first, or pass "
            '`forks="keep"` to `delete()` to copy the records into them.'
        )


def _make_independent(child: Path) -> None:
    """Replace a fork by a file with all its records. Their number stays the same, as the forks of the fork need."""
    temporary = child.with_name(f".{child.name}.{secrets.token_hex(8)}.tmp")
    with Journal.open(child) as journal:
        members = {name: member for name, member in journal._header.members.items() if name != "parent"}
        file: FileIO = os.fdopen(create_private_file(temporary, like=child), "r+b", buffering=0)
        try:
            with file:
                write_all(file, encode(members) + b"\n")
                journal._copy_lines_of(journal, file)
            journal._check_is_writable().close()  # Windows cannot replace an open file
            replace_file(temporary, child)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        sync_folder(child.parent)


def _sibling_headers(path: Path) -> Iterator[tuple[Path, _Header]]:
    for name in sorted(os.listdir(path.parent)):
        sibling = path.with_name(name)
        if name != path.name and not name.startswith("."):
            with suppress(OSError, JournalError):  # another file
                yield sibling, _read_header(sibling)


def _is_fork_of(header: _Header, path: Path, journal_id: str | None) -> bool:
    parent = header.parent or {}
    return parent.get("name") == path.name and parent.get("id") == journal_id


# --- headers ---------------------------------------------------------------------------------------------------------


def _header_line(header: Record, *, parent: Record | None) -> bytes:
    members = {
        "journal": _FORMAT,
        "version": f"{_MAJOR}.{_MINOR}",
        "id": secrets.token_hex(16),
        **({"parent": parent} if parent else {}),
        "header": header,
    }
    return encode(members) + b"\n"


def _read_header(path: Path) -> _Header:
    return _parse_header(path, _read_first_line(path))


def _read_first_line(path: Path) -> bytes:
    with os.fdopen(open_regular_file(path, os.O_RDONLY), "rb") as file:
        start = file.read(len(_HEADER_START))
        # Another file may be large, and have no newline.
        return start + file.readline(_MAX_HEADER_BYTES) if start == _HEADER_START else start


def _parse_header(path: Path, line: bytes) -> _Header:
    members = _parse(line) if line.startswith(_HEADER_START) else None
    if members is None:
        raise _header_error(path, line)
    version = str(members.get("version"))
    match = _VERSION.fullmatch(version)
    if match is None or int(match[1]) != _MAJOR:
        raise JournalError(
            f"{path} has the format version {version[:20]!r}, and this release of codex-backend-sdk reads {_MAJOR}.x. "
            "Upgrade codex-backend-sdk."
        )
    header, parent = members.get("header"), members.get("parent")
    return _Header(
        journal_id=str(members.get("id")),
        version=version,
        header=header if isinstance(header, dict) else {},
        parent=parent if isinstance(parent, dict) else None,
        size=len(line),
        members=members,
    )


def _header_error(path: Path, line: bytes) -> JournalError:
    if _is_interrupted_header(line):
        return JournalError(f"{path} has no records: the program was stopped while it created the file. Delete it.")
    return JournalError(
        f"{path} is not a saved conversation or the journal of a batch, or its first line is damaged. Choose another "
        "file."
    )


def _is_interrupted_header(line: bytes) -> bool:
    return _HEADER_START.startswith(line) or (line.startswith(_HEADER_START) and not line.endswith(b"\n"))


def _check_is_journal(path: Path) -> None:
    line = _read_first_line(path)
    if not (line.startswith(_HEADER_START) or _is_interrupted_header(line)):
        raise _header_error(path, line)


# --- files -----------------------------------------------------------------------------------------------------------


@contextmanager
def _wrapped_errors(path: Path) -> Iterator[None]:
    """Raise JournalError instead of OSError, except that a file is missing or exists."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        remedy = "Free space on its disk." if error.errno in _NO_SPACE else "Check the file, its folder and its disk."
        raise JournalError(f"Cannot use {path}: {error.strerror or error}. {remedy}") from error


_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def _create_file(path: Path) -> FileIO:
    try:
        return os.fdopen(create_private_file(path, like=path), "r+b", buffering=0)
    except FileExistsError:
        descriptor = open_regular_file(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    file: FileIO = os.fdopen(descriptor, "r+b", buffering=0)
    line = file.readline(_MAX_HEADER_BYTES)
    if not _is_interrupted_header(line) or foreign_owner(path) is not None:
        file.close()
        raise FileExistsError(
            errno.EEXIST, "The file exists. Open it with `load_conversation`, or choose another", str(path)
        )
    file.seek(0)
    file.truncate(0)
    return file


def _blob_folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.blobs")


def _warn_about_mode(file: FileIO, path: Path) -> None:
    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("Other users can access %s (mode %04o). Run `chmod 600 %s`.", path, mode, path)


def _parse(line: bytes) -> Record | None:
    """Return the record of a line, or None if the line is damaged."""
    try:
        record = decode(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _read_lines(segment: _Segment) -> Iterator[_Line]:
    """Yield the lines of a segment. A line that is too long is empty; a torn tail is left out."""
    with os.fdopen(open_regular_file(segment.path, os.O_RDONLY), "rb") as file:
        position = file.seek(segment.start)
        number = 1
        while position < segment.end:
            start = position
            line = file.readline(min(_MAX_RECORD_BYTES, segment.end - position))
            position += len(line)
            number += 1
            if not line.endswith(b"\n"):
                if position >= segment.end or not line:
                    if _parse(line) is not None:
                        yield _Line(segment.path, number, start, line + b"\n")
                    return
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MAX_RECORD_BYTES)
                    position += len(line)
                line = b"\n"
            yield _Line(segment.path, number, start, line)


def _repair_tail(file: FileIO, path: Path) -> None:
    """Complete a last line that lacks only its newline, and remove any other part of a record at the end."""
    size = file.seek(0, os.SEEK_END)
    start = _find_last_line(file, size)
    if start == size:
        return
    file.seek(start)
    if size - start <= _MAX_RECORD_BYTES and _parse(file.read(size - start)) is not None:
        write_all(file, b"\n")
    else:
        file.truncate(start)
        log.warning("Removed the last %d bytes of %s: a crash cut this record off.", size - start, path)
    os.fsync(file.fileno())


def _find_last_line(file: FileIO, size: int) -> int:
    """Return where the last line begins, which is at the end of the file if it ends with a newline."""
    end = size
    while end > 0:
        start = max(0, end - _TAIL_CHUNK_BYTES)
        file.seek(start)
        position = file.read(end - start).rfind(b"\n")
        if position >= 0:
            return start + position + 1
        end = start
    return 0
