"""A lock file: one holder at a time, over threads and processes. It dies with its holder, however that ends."""

from __future__ import annotations

import errno
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .._failures import store_failed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import filelock

__all__ = ["LOCK_SECONDS", "locked", "reason"]

log = logging.getLogger("codex_backend_sdk.auth")

# A holder needs at most one refresh request; after this time it hangs, and waiting longer would hang us too.
LOCK_SECONDS: Final = 90.0
_POLL_SECONDS: Final = 0.02
# A place where no lock can be had: read-only, full, or on a file system without locks. One login for one process
# is still of use there.
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


@contextmanager
def locked(path: Path, *, location: str, timeout: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock file, which is made with its folder. `location` names for people what it protects.

    CredentialStoreError after `timeout` seconds, or where the place is no place for a file.
    """
    lock = _acquire(path, location=location, timeout=timeout)
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def _acquire(path: Path, *, location: str, timeout: float) -> filelock.BaseFileLock | None:
    import filelock  # not for those who only read

    lock = filelock.FileLock(path, timeout=timeout, mode=0o600)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(poll_interval=_POLL_SECONDS)
    except filelock.Timeout:
        raise store_failed(
            f"Another process has held {path} for {timeout:g} seconds; end it if it hangs, and try again."
        ) from None
    except (OSError, NotImplementedError) as error:  # the second: older filelock, on a file system without locks
        if isinstance(error, OSError) and error.errno not in _UNLOCKABLE:
            raise store_failed(f"Cannot lock {location}: {reason(error)}.") from error
        log.warning("Cannot lock %s (%s): other processes are not kept apart.", location, reason(error))
        return None
    return lock


def reason(error: Exception) -> str:
    """Say in words what the system said, without the paths and values that `str` may add."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
