"""Write auth.json, after proving that it can be written.

A refresh token can be used once. If the tokens that replace it cannot be stored, the login is lost when the program
ends. Therefore `prepare_write()` runs before a refresh. It leaves the old document valid and returns one of two:

- `ReplacingWrite`: a temporary file next to the target, with as many bytes as the document needs. `commit()` renames it
  to the target, so a reader sees the old or the new document, and an interruption leaves one of them.
- `InPlaceWrite`: the open target, where it can be written but not replaced: it is the mount point of a single file, or
  its folder is not writable, or another user owns it. Spaces after the document reserve the room; they are valid JSON.
  `commit()` overwrites the document in one system call, so it cannot run out of room. If the process is killed or the
  machine stops during that call, a part of the document may be missing, and the user must log in again. The Codex CLI
  always writes this way.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..._files import (
    create_private_file,
    describe_file_type,
    is_mount_point,
    open_regular_file,
    read_regular_file,
    replace_file,
    sync_folder,
    write_all,
)

if TYPE_CHECKING:
    from io import FileIO

__all__ = ["InPlaceWrite", "ReplacingWrite", "delete_or_empty", "prepare_write", "remove_stale_files"]

# The folder does not allow a replacement. The file itself may be writable.
_NOT_REPLACEABLE_ERRNOS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV})

_EMPTY: Final = b"{}"
_STALE_AFTER_SECONDS: Final = 60.0


def prepare_write(target: Path, *, size: int) -> ReplacingWrite | InPlaceWrite:
    """Reserve `size` bytes for a new content of `target`. Raises OSError, with `target` unchanged, if that fails."""
    try:
        if is_mount_point(target):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))  # noqa: TRY301  (handled as if the system raised it)
        return ReplacingWrite(target, size=size)
    except OSError as error:
        if error.errno not in _NOT_REPLACEABLE_ERRNOS or not target.exists():
            raise
        return InPlaceWrite(target, size=size)


class ReplacingWrite:
    """A temporary file that replaces the target. `size` is the number of bytes to reserve."""

    def __init__(self, target: Path, *, size: int) -> None:
        self._target = target
        self._path = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
        self._file: FileIO = os.fdopen(create_private_file(self._path, like=target), "r+b", buffering=0)
        try:
            # Random bytes, because a file system with compression would reserve less space for others.
            write_all(self._file, os.urandom(size))
            os.fsync(self._file.fileno())  # a network file system reports a full disk only now
        except BaseException:
            self.discard()
            raise

    def commit(self, data: bytes) -> None:
        """Write the data and replace the target. Raises OSError, with the target unchanged, if that fails."""
        try:
            self._file.seek(0)
            write_all(self._file, data)
            self._file.truncate(len(data))
            os.fsync(self._file.fileno())
            self._file.close()  # Windows cannot rename an open file
            replace_file(self._path, self._target)
        except OSError as error:
            self.discard()
            if error.errno not in _NOT_REPLACEABLE_ERRNOS:
                raise
            InPlaceWrite(self._target, size=len(data)).commit(data)
            return
        except BaseException:
            self.discard()
            raise
        sync_folder(self._target.parent)

    def discard(self) -> None:
        """Delete the temporary file, if it has not replaced the target."""
        self._file.close()
        with suppress(OSError):
            self._path.unlink()


class InPlaceWrite:
    """The open target, to be overwritten. `size` is the number of bytes to reserve, including the old document."""

    def __init__(self, target: Path, *, size: int) -> None:
        self._file: FileIO = os.fdopen(open_regular_file(target, os.O_RDWR), "r+b", buffering=0)
        try:
            if os.fstat(self._file.fileno()).st_nlink == 0:
                raise OSError(  # noqa: TRY301
                    errno.ESTALE, "the file was replaced outside of this container, and its mount shows the old one"
                )
            self._reserve(size)
        except BaseException:
            self.discard()
            raise

    def commit(self, data: bytes) -> None:
        """Overwrite the document. Raises OSError, with the document unchanged, if there is no room."""
        try:
            size = self._reserve(len(data))
            self._file.seek(0)
            write_all(self._file, data.ljust(size))
            os.fsync(self._file.fileno())
            self._file.truncate(len(data))
        finally:
            self.discard()

    def _reserve(self, size: int) -> int:
        """Append spaces until the file has `size` bytes. Return its size, which may be larger."""
        old_size = self._file.seek(0, os.SEEK_END)
        if old_size >= size:
            return old_size
        try:
            write_all(self._file, b" " * (size - old_size))
            os.fsync(self._file.fileno())
        except BaseException:
            with suppress(OSError):
                self._file.truncate(old_size)
            raise
        return size

    def discard(self) -> None:
        """Close the file. Spaces that were reserved stay: another program may have written to the file meanwhile."""
        self._file.close()


def delete_or_empty(target: Path) -> bool:
    """Delete the file, or overwrite it with `{}` if that is all its place allows. Return False if it had no document.

    Raises OSError if neither is possible.
    """
    try:
        target.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in _NOT_REPLACEABLE_ERRNOS:
            raise
        try:
            had_document = read_regular_file(target).strip() not in (b"", _EMPTY)
            InPlaceWrite(target, size=0).commit(_EMPTY)
        except OSError:
            raise error from None
        return had_document
    return True


def remove_stale_files(target: Path, *, is_locked: bool) -> None:
    """Delete temporary files of `target` that killed processes have left. They contain tokens.

    Without the lock of `target`, keep files of the last minute: another process may be writing them.
    """
    pattern = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.tmp")
    newest = float("inf") if is_locked else time.time() - _STALE_AFTER_SECONDS
    with suppress(OSError):  # the folder does not exist, or cannot be listed
        for name in os.listdir(target.parent):
            if pattern.fullmatch(name):
                path = target.parent / name
                with suppress(OSError):
                    status = path.lstat()
                    if describe_file_type(status.st_mode) is None and status.st_mtime < newest:
                        path.unlink()
