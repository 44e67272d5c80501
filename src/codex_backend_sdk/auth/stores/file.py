"""Store a login in an auth.json file, by default the one that the Codex CLI uses.

Writes are atomic: a temporary file, readable by its owner only, replaces the old file. Reads tolerate the Codex CLI,
which rewrites the file in place. A lock file next to it serializes the processes that use this package. The operating
system releases the lock when its holder exits or is killed.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..._constants import CODEX_HOME_ENV
from ..._threads import create_lock
from .. import _auth_errors, _auth_json
from .base import LOCK_TIMEOUT_SECONDS, absolute_path, codex_home_path, os_error_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import filelock

    from ..._exceptions import CredentialStoreError

__all__ = ["FileStore", "hold_lock_file"]

log = logging.getLogger("codex_backend_sdk.auth")

# The Codex CLI may have written only a part of the file. `load()` retries before it reports the file as damaged.
_READ_ATTEMPTS: Final = 10
_READ_PAUSE_SECONDS: Final = 0.03
# Windows cannot replace an open file. Readers keep the file open only briefly, so the replacement is retried.
_REPLACE_ATTEMPTS: Final = 20 if os.name == "nt" else 1

_NOT_WRITABLE_ERRNOS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_MAKE_WRITABLE: Final = f"Make its folder writable, or set {CODEX_HOME_ENV} to another folder."
_CHECK_FILE: Final = f"Check its permissions and its disk, or set {CODEX_HOME_ENV} to another folder."

_LOCK_POLL_SECONDS: Final = 0.02
# A lock file cannot be created: the folder is read-only or full, or its file system has no locks. A single process can
# still use the login.
_LOCK_NOT_SUPPORTED_ERRNOS: Final = frozenset(
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


class FileStore:
    """A store in an auth.json file, by default the one in the Codex CLI's folder (`$CODEX_HOME`, else `~/.codex`).

    Writes are atomic, and only the owner can read the file. A symlink is followed and kept. `lock_timeout` is in
    seconds.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, lock_timeout: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self.path = codex_home_path() / "auth.json" if path is None else absolute_path(path)
        self._lock_timeout = lock_timeout
        self._thread_lock = create_lock()

    @property
    def location(self) -> str:
        """The path, as error messages show it."""
        return str(self.path)

    def __repr__(self) -> str:
        return f"FileStore({self.location!r})"

    def load(self) -> dict[str, Any] | None:
        """Return the document, None if there is no file. Raises CredentialStoreError if it is damaged or unreadable."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return _auth_json.parse(self.path.read_bytes())
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._os_error("read", error, remedy=_CHECK_FILE) from error
            except ValueError as error:
                if attempt == _READ_ATTEMPTS:
                    raise _auth_errors.CredentialStoreError(
                        f"{self.path} is not a valid auth.json: {error}. It was not changed. Repair it, move it, or "
                        "replace it with client.authenticate(force=True) or `codex-backend login`."
                    ) from None
            time.sleep(_READ_PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    def save(self, document: dict[str, Any]) -> None:
        """Write the document to the file. Raises CredentialStoreError if the current file is not a valid auth.json."""
        self.load()
        self.replace(document)

    def replace(self, document: dict[str, Any]) -> None:
        """Write the document to the file, even if the current file is damaged. It is kept if the write fails."""
        data = _auth_json.serialize(document)
        target = self._target()
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_atomically(target, data)
        except OSError as error:
            remedy = _MAKE_WRITABLE if error.errno in _NOT_WRITABLE_ERRNOS else _CHECK_FILE
            raise self._os_error("write", error, remedy=remedy) from error

    def clear(self) -> bool:
        """Delete the file, or the file that the symlink points to. Return False if there was none."""
        try:
            self._target().unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._os_error("delete", error, remedy=_MAKE_WRITABLE) from error
        return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock file while the block runs. Raises CredentialStoreError after `lock_timeout` seconds."""
        # The lock file is next to the symlink's target, so that two links to one auth.json share the lock.
        target = self._target()
        path = target.with_name(target.name + ".lock")
        with self._thread_lock, hold_lock_file(path, location=self.location, timeout=self._lock_timeout):
            yield

    def version(self) -> object:
        """Return the file's modification time, size and inode; None if there is no file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _os_error(self, operation: str, error: OSError, *, remedy: str) -> CredentialStoreError:
        return _auth_errors.CredentialStoreError(f"Cannot {operation} {self.path}: {os_error_text(error)}. {remedy}")


def _write_atomically(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # The mode is set when the file is created, so another user can never read it.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace_file(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    # The new name is durable only if the folder is synced too. Windows cannot open a folder.
    with suppress(OSError):
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _replace_file(source: Path, target: Path) -> None:
    for _ in range(_REPLACE_ATTEMPTS - 1):  # pragma: no cover  (Windows only)
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(_READ_PAUSE_SECONDS)
        else:
            return
    os.replace(source, target)


# --- the lock file -----------------------------------------------------------------------------------------------


@contextmanager
def hold_lock_file(path: Path, *, location: str, timeout: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold a lock file while the block runs. It is created if needed. `location` describes the store in messages.

    Raises CredentialStoreError after `timeout` seconds, or if the lock file cannot be created. If the file system does
    not support locks, log a warning and continue without a lock.
    """
    lock = _acquire(path, location=location, timeout=timeout)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, *, location: str, timeout: float) -> filelock.BaseFileLock | None:
    import filelock  # imported here because a program that only reads the login does not need it

    lock = filelock.FileLock(path, timeout=timeout, mode=0o600)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(poll_interval=_LOCK_POLL_SECONDS)
    except filelock.Timeout:
        raise _auth_errors.CredentialStoreError(
            f"Timed out after {timeout:g} seconds waiting for the lock {path}. "
            "Stop the process that holds it, and retry."
        ) from None
    except (OSError, NotImplementedError) as error:  # NotImplementedError: old versions of filelock
        if isinstance(error, OSError) and error.errno not in _LOCK_NOT_SUPPORTED_ERRNOS:
            raise _auth_errors.CredentialStoreError(
                f"Cannot lock {location}: {os_error_text(error)}. {_CHECK_FILE}"
            ) from error
        log.warning(
            "Cannot lock %s (%s). Other processes may refresh the same login at the same time. Set %s to a folder that "
            "supports file locks.",
            location,
            os_error_text(error),
            CODEX_HOME_ENV,
        )
        return None
    return lock
