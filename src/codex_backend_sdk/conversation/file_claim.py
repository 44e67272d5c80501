"""Claim a file for one writer, with a lock on the file `NAME.lock` next to it.

The operating system releases the lock when the process ends, also if it is killed. The lock file has the process id of
the writer, for the message to others; the writer deletes it. A process that waited for it meanwhile would lock a file
that has no path any more, so a lock counts only if its file is still the one at the path. The file itself is not
locked: on Windows, that would exclude readers.

A child that is forked inherits the descriptor, and with it the lock. It closes the descriptor, which leaves the lock
to the parent.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .._exceptions import JournalError, JournalLockedError
from .._files import create_private_file, open_regular_file
from .._threads import reset_in_child

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FileClaim"]

log = logging.getLogger("codex_backend_sdk.conversation")

_NOFOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
# Windows locks a range of bytes for readers, too. This one is behind the process id.
_LOCKED_BYTE: Final = 1 << 30
_MAX_PID_LENGTH: Final = 20


class FileClaim:
    """The right of this process to write to a file. Raises JournalLockedError if another process or object has it."""

    def __init__(self, file: Path) -> None:
        self._path = file.with_name(f"{file.name}.lock")
        self._descriptor: int | None = None
        while self._descriptor is None:
            self._descriptor = self._try_to_claim(file)
        with suppress(OSError):  # the disk is full: the message to others lacks the process id
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, b"%d\n" % os.getpid())
        reset_in_child(self, FileClaim._close)

    def _try_to_claim(self, file: Path) -> int | None:
        try:
            descriptor = self._open(file)
        except OSError as error:
            raise JournalError(
                f"Cannot lock {file}: {self._path}: {error.strerror or error}. Check the permissions of the folder, or "
                "delete the lock file if it is not a regular file."
            ) from error
        try:
            _lock(descriptor)
            if _is_at(descriptor, self._path):
                return descriptor
        except (BlockingIOError, PermissionError):
            pid = _read_pid(descriptor)
            os.close(descriptor)
            raise _locked_error(file, pid) from None
        except OSError as error:
            if error.errno in _NO_LOCKS:
                log.warning(
                    "Cannot lock %s: its file system has no locks. Let only one process write to it at a time.", file
                )
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)  # its file was deleted while this process opened it
        return None

    def _open(self, file: Path) -> int:
        with suppress(FileExistsError):
            return create_private_file(self._path, like=file, must_keep_owner=False)
        try:
            return open_regular_file(self._path, os.O_RDWR | _NOFOLLOW)
        except FileNotFoundError:  # deleted meanwhile
            return create_private_file(self._path, like=file, must_keep_owner=False)

    def release(self) -> None:
        """Release the claim and delete the lock file. Do nothing if it is released."""
        if self._descriptor is None:
            return
        if os.name != "nt" and _is_at(self._descriptor, self._path):
            with suppress(OSError):
                self._path.unlink()
        self._close()
        if os.name == "nt":  # it cannot delete an open file; if another process has opened it, it stays
            with suppress(OSError):
                self._path.unlink()

    def __del__(self) -> None:
        # The program did not close the journal: otherwise, the file would stay locked until the process ends.
        if getattr(self, "_descriptor", None) is not None:
            self.release()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Lock an open file. Raises BlockingIOError or PermissionError if another descriptor has locked it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _read_pid(descriptor: int) -> int | None:
    with suppress(OSError, ValueError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        return int(os.read(descriptor, _MAX_PID_LENGTH))
    return None


def _locked_error(file: Path, pid: int | None) -> JournalLockedError:
    owner = "this process" if pid == os.getpid() else "another process" if pid is None else f"process {pid}"
    return JournalLockedError(
        f"{file} is open for writing in {owner}. Close it there, or continue it in another file: "
        "`load_conversation(path, read_only=True).fork(new_path)`.",
        pid=pid,
    )
