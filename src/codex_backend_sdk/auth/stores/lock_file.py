"""Exclude other processes with a lock file, and with a lock on the locked document itself.

The lock file next to a document is found by every process that sees the folder. Two containers that mount only the file
have two folders, and so two lock files; they share the lock on the document (`flock`). The operating system releases
both when their holder exits or is killed.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ..._constants import CODEX_HOME_ENV
from ..._files import create_private_file, create_private_folder, describe_file_type, open_regular_file, restore_owner
from .. import _auth_errors
from .base import LOCK_TIMEOUT_SECONDS, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import filelock

    from ..._exceptions import CredentialStoreError

__all__ = ["hold_lock_file"]

log = logging.getLogger("codex_backend_sdk.auth")

_CHECK_FOLDER: Final = f"Check the permissions of its folder and its disk, or set {CODEX_HOME_ENV} to another folder."
_POLL_SECONDS: Final = 0.02
# A lock file cannot be created: the folder is read-only or full, or its file system has no locks. A single process can
# still use the login.
_NOT_SUPPORTED_ERRNOS: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.ENOLCK,
        errno.ENOSYS,
        errno.EOPNOTSUPP,
    }
)


@contextmanager
def hold_lock_file(
    path: Path, *, location: str, document: Path | None = None, timeout: float = LOCK_TIMEOUT_SECONDS
) -> Iterator[bool]:
    """Hold a lock file while the block runs, and a lock on `document` if it exists.

    The lock file is created if needed. `location` describes the store in messages. Raises CredentialStoreError after
    `timeout` seconds, or if the path of the lock file is not a regular file. If neither can be locked, log a warning
    and continue without a lock. Yield whether a lock is held.
    """
    deadline = time.monotonic() + timeout
    lock, problem = None, ""
    try:
        lock = _acquire_lock_file(path, location=location, like=document or path, timeout=timeout)
    except _LockTimeoutError:
        raise _timeout_error(path, timeout) from None
    except (OSError, NotImplementedError) as error:  # NotImplementedError: the system has no file locks
        if isinstance(error, OSError) and error.errno not in _NOT_SUPPORTED_ERRNOS:
            raise _auth_errors.CredentialStoreError(
                f"Cannot lock {location}: {os_error_text(error)}. {_CHECK_FOLDER}"
            ) from error
        problem = os_error_text(error)
    try:
        try:
            descriptor = None if document is None else _lock_document(document, deadline=deadline)
        except _LockTimeoutError:
            raise _timeout_error(document, timeout) from None
        if lock is None and descriptor is None:
            log.warning(
                "Cannot lock %s (%s). Other processes may refresh the same login at the same time. Set %s to a folder "
                "that supports file locks.",
                location,
                problem,
                CODEX_HOME_ENV,
            )
        try:
            yield lock is not None or descriptor is not None
        finally:
            if descriptor is not None:
                _unlock_document(descriptor)
    finally:
        if lock is not None:
            lock.release()


class _LockTimeoutError(Exception):
    """Another process held the lock until the timeout."""


def _timeout_error(path: Path | None, timeout: float) -> CredentialStoreError:
    return _auth_errors.CredentialStoreError(
        f"Timed out after {timeout:g} seconds waiting for the lock {path}. Stop the process that holds it, and retry."
    )


def _acquire_lock_file(path: Path, *, location: str, like: Path, timeout: float) -> filelock.BaseFileLock:
    import filelock  # imported here because a program that only reads the login does not need it

    create_private_folder(path.parent)
    try:
        # Created here and not by filelock, with the owner and the mode of the document, so that all who can use the
        # document can lock it.
        descriptor = create_private_file(path, like=like, must_keep_owner=False)
        mode = os.fstat(descriptor).st_mode
        os.close(descriptor)
    except FileExistsError:
        mode = path.lstat().st_mode
        file_type = describe_file_type(mode)
        if file_type is not None:  # filelock would open it, and old versions would empty what a link points to
            raise _auth_errors.CredentialStoreError(
                f"Cannot lock {location}: {path} is {file_type}, not a regular file. Delete it."
            ) from None
        with suppress(OSError):
            restore_owner(path, like=like)
    # Old versions of filelock set the mode of an existing file, too.
    lock = filelock.FileLock(path, timeout=timeout, mode=stat.S_IMODE(mode))
    try:
        lock.acquire(poll_interval=_POLL_SECONDS)
    except filelock.Timeout:
        raise _LockTimeoutError from None
    return lock


def _lock_document(path: Path, *, deadline: float) -> int | None:
    """Lock an existing file and return its descriptor. Return None if there is no file, or it cannot be locked."""
    try:
        import fcntl  # not on Windows, where a lock would block readers
    except ImportError:
        return None
    while True:
        try:
            descriptor = _open_for_lock(path)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Otherwise another process has replaced the file since it was opened.
            is_locked = os.path.samestat(os.fstat(descriptor), path.stat())
        except BlockingIOError:
            is_locked = False
        except OSError:  # the file system has no locks
            os.close(descriptor)
            return None
        if is_locked:
            return descriptor
        os.close(descriptor)
        if time.monotonic() >= deadline:
            raise _LockTimeoutError
        time.sleep(_POLL_SECONDS)


def _open_for_lock(path: Path) -> int:
    try:
        return open_regular_file(path, os.O_RDWR)  # network file systems lock a file only if it is open for writing
    except OSError:
        return open_regular_file(path, os.O_RDONLY)


def _unlock_document(descriptor: int) -> None:
    import fcntl

    # Explicitly, because a child that was forked meanwhile still has the descriptor open.
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
