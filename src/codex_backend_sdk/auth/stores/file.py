"""A login in an auth.json file, by default the one that the Codex CLI uses.

Writes are atomic: a temporary file, readable by its owner only, takes the place of the old one. Reads tolerate the
Codex CLI, which rewrites the file in place. A lock file next to it keeps the processes that use this package apart; the
operating system releases it when its holder ends, however that happens.
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

__all__ = ["FileStore", "hold_lock_file"]

log = logging.getLogger("codex_backend_sdk.auth")

# A reader can see a file that the Codex CLI has half written. It reads again before it calls the file damaged.
_READ_ATTEMPTS: Final = 10
_READ_PAUSE_SECONDS: Final = 0.03
# Windows refuses to replace a file while another process has it open, which a reader has for a moment.
_REPLACE_ATTEMPTS: Final = 20 if os.name == "nt" else 1

_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_MAKE_WRITABLE: Final = f" Make its folder writable, or set {CODEX_HOME_ENV} to another one."

_LOCK_POLL_SECONDS: Final = 0.02
# No lock file is possible: the place is read-only, full, or on a file system without locks. A login that only one
# process uses works there nevertheless.
_UNLOCKABLE: Final = frozenset(
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
    """An auth.json file, by default the one in the Codex CLI's folder (`$CODEX_HOME`, else `~/.codex`).

    It is written atomically and readable by its owner only. A symlink is followed and kept. `lock_timeout` is in
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
        """The path."""
        return str(self.path)

    def __repr__(self) -> str:
        return f"FileStore({self.location!r})"

    def load(self) -> dict[str, Any] | None:
        """Read the file; None if there is none. Raises CredentialStoreError if it is damaged or cannot be read."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return _auth_json.parse(self.path.read_bytes())
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _auth_errors.CredentialStoreError(f"Cannot read {self.path}: {os_error_text(error)}.") from error
            except ValueError as error:
                if attempt == _READ_ATTEMPTS:
                    raise _auth_errors.CredentialStoreError(
                        f"{self.path} is not a usable auth.json: {error}. It was not changed. Repair it, move it away, "
                        "or replace it with client.authenticate(force=True) or `codex-backend login`."
                    ) from None
            time.sleep(_READ_PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    def save(self, document: dict[str, Any]) -> None:
        """Replace the file. A file that is not an auth.json raises CredentialStoreError and stays: see `replace()`."""
        self.load()
        self.replace(document)

    def replace(self, document: dict[str, Any]) -> None:
        """Replace the file, damaged or not. The old file stays if the new one cannot be written."""
        data = _auth_json.render(document)
        target = self._target()
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_atomically(target, data)
        except OSError as error:
            remedy = _MAKE_WRITABLE if error.errno in _NOT_WRITABLE else ""
            raise _auth_errors.CredentialStoreError(
                f"Cannot write {self.path}: {os_error_text(error)}.{remedy}"
            ) from error

    def clear(self) -> bool:
        """Delete the file, or the file that the symlink points to. Return False if there was none."""
        try:
            self._target().unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _auth_errors.CredentialStoreError(f"Cannot delete {self.path}: {os_error_text(error)}.") from error
        return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock file next to the document."""
        # Next to the symlink's target: two folders that link to one auth.json share the lock as well.
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


def _write_atomically(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # The mode is set when the file is created, so at no moment can another user read it.
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
    # The new name survives a power cut only if the folder is synced too. Windows cannot open a folder.
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
    """Hold a lock file, which is created with its folder. `location` names in messages what it protects.

    Raises CredentialStoreError after `timeout` seconds, or if the path cannot be a file. Where locks are impossible
    altogether, logs a warning and goes on without.
    """
    lock = _acquire(path, location=location, timeout=timeout)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, *, location: str, timeout: float) -> filelock.BaseFileLock | None:
    import filelock  # a program that only reads a valid login does without

    lock = filelock.FileLock(path, timeout=timeout, mode=0o600)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(poll_interval=_LOCK_POLL_SECONDS)
    except filelock.Timeout:
        raise _auth_errors.CredentialStoreError(
            f"Another process has held the lock {path} for {timeout:g} seconds. End that process if it hangs, and try "
            "again."
        ) from None
    except (OSError, NotImplementedError) as error:  # NotImplementedError: old versions of filelock
        if isinstance(error, OSError) and error.errno not in _UNLOCKABLE:
            raise _auth_errors.CredentialStoreError(f"Cannot lock {location}: {os_error_text(error)}.") from error
        log.warning(
            "Cannot lock %s (%s). Other processes may refresh the same login at the same time.",
            location,
            os_error_text(error),
        )
        return None
    return lock
