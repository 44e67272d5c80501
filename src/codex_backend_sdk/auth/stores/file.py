"""Store a login in an auth.json file, by default the one that the Codex CLI uses.

Writes are atomic where the folder allows it (`file_writer`). Reads tolerate the Codex CLI, which rewrites the file in
place. A lock file next to it, and a lock on the file, serialize the processes that use this package (`lock_file`).
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..._constants import CODEX_HOME_ENV
from ..._files import MAX_BYTES, create_private_folder, foreign_owner, read_regular_file
from ..._threads import create_lock
from .. import _auth_errors, _auth_json
from .base import LOCK_TIMEOUT_SECONDS, NotCopyable, absolute_path, codex_home_path, os_error_text, serialize_document
from .file_writer import delete_or_empty, prepare_write, remove_stale_files
from .lock_file import hold_lock_file
from .permissions import warn_about_access

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..._exceptions import CredentialStoreError
    from .file_writer import InPlaceWrite, ReplacingWrite

__all__ = ["FileStore"]

# The Codex CLI may have written only a part of the file. `load()` retries before it reports the file as damaged.
_READ_ATTEMPTS: Final = 10
_READ_PAUSE_SECONDS: Final = 0.03
# How much longer the next document may be.
_GROWTH_BYTES: Final = 16 * 1024

_SET_HOME: Final = f"or set {CODEX_HOME_ENV} to another folder."
_CHECK_FILE: Final = f"Check its permissions and its disk, {_SET_HOME}"
_MAKE_WRITABLE: Final = f"Make its folder writable, {_SET_HOME}"
_REMEDIES: Final = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _MAKE_WRITABLE),
    errno.EINVAL: f"Move it, {_SET_HOME}",
    errno.ESTALE: "Mount the folder instead of the file.",
}


class FileStore(NotCopyable):
    """A store in an auth.json file, by default the one in the Codex CLI's folder (`$CODEX_HOME`, else `~/.codex`).

    The file is replaced as a whole. Where it cannot be replaced, as a single file mounted into a container, it is
    written in place. Other users cannot read a new file; the owner, the group and a mode without access for all users
    are kept. A symlink is followed and kept. `lock_timeout` is in seconds.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, lock_timeout: float = LOCK_TIMEOUT_SECONDS
    ) -> None:
        self.path = codex_home_path() / "auth.json" if path is None else absolute_path(path)
        self._lock_timeout = lock_timeout
        self._thread_lock = create_lock()
        self._is_locked = False
        self._prepared_write: ReplacingWrite | InPlaceWrite | None = None

    @property
    def location(self) -> str:
        """The path, as error messages show it."""
        return str(self.path)

    def __repr__(self) -> str:
        return f"FileStore({self.location!r})"

    def load(self) -> dict[str, Any] | None:
        """Return the document, None if there is none. Raises CredentialStoreError if it is damaged or unreadable."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                document = _auth_json.parse(read_regular_file(self.path))
            except FileNotFoundError:
                return None
            except OSError as error:
                raise self._os_error("read", error) from error
            except ValueError as error:
                if attempt == _READ_ATTEMPTS:
                    raise _auth_errors.CredentialStoreError(
                        f"{self.path} is not a valid auth.json: {error}. It was not changed. Repair it, move it, or "
                        "replace it with client.authenticate(force=True) or `codex-backend login`."
                    ) from None
            else:
                warn_about_access(self.path)
                return document or None
            time.sleep(_READ_PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    def save(self, document: dict[str, Any]) -> None:
        """Write the document to the file. Raises CredentialStoreError if the current file is not a valid auth.json."""
        self.load()
        self.replace(document)

    def replace(self, document: dict[str, Any]) -> None:
        """Write the document to the file, even if the current file is damaged. It is kept if the write fails."""
        data = serialize_document(document, location=self.location)
        if len(data) > MAX_BYTES:
            raise _auth_errors.CredentialStoreError(
                f"Cannot write {self.path}: the login has more than {MAX_BYTES:,} bytes. Log in again."
            )
        prepared, self._prepared_write = self._prepared_write, None
        try:
            if prepared is None:
                self._require_own_file()
                prepared = self._prepare_write(size=0)
            prepared.commit(data)
        except OSError as error:
            raise self._os_error("write", error) from error
        remove_stale_files(self._target(), is_locked=self._is_locked)
        warn_about_access(self.path)

    @contextmanager
    def prepare_save(self) -> Iterator[None]:
        """Reserve room for a document, which `save()` uses within the block. Call this under the lock.

        Raises CredentialStoreError if the file can be neither replaced nor written. The stored document stays valid.
        """
        try:
            prepared = self._prepared_write = self._prepare_write(size=self._document_size() + _GROWTH_BYTES)
        except OSError as error:
            raise self._os_error("write", error) from error
        try:
            yield
        finally:
            if self._prepared_write is not None:
                self._prepared_write = None
                prepared.discard()

    def clear(self) -> bool:
        """Delete the file, or the file that the symlink points to. Return False if there was none.

        A file that can be written and not deleted, as one that is mounted into a container, becomes `{}`.
        """
        target = self._target()
        remove_stale_files(target, is_locked=self._is_locked)
        try:
            return delete_or_empty(target)
        except OSError as error:
            raise self._os_error("delete", error) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock file while the block runs. Raises CredentialStoreError after `lock_timeout` seconds."""
        # The lock file is next to the symlink's target, so that two links to one auth.json share the lock.
        target = self._target()
        path = target.with_name(target.name + ".lock")
        with (
            self._thread_lock,
            hold_lock_file(path, location=self.location, document=target, timeout=self._lock_timeout) as is_locked,
        ):
            self._is_locked = is_locked
            try:
                yield
            finally:
                self._is_locked = False

    def version(self) -> object:
        """Return the file's modification time, size and inode; None if there is no file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _document_size(self) -> int:
        try:
            return len(read_regular_file(self.path).rstrip())  # without reserved room
        except FileNotFoundError:
            return 0

    def _require_own_file(self) -> None:
        """Raise CredentialStoreError if another user could read a new login.

        A refresh may write to such a file: its owner could read the login that is replaced.
        """
        owner = foreign_owner(self._target())
        if owner is not None:
            raise _auth_errors.CredentialStoreError(
                f"{self.path} belongs to another user (uid {owner}), who could read a login in it. It was not changed. "
                f"Delete it, log in as that user, or set {CODEX_HOME_ENV} to a folder of your own."
            )

    def _prepare_write(self, *, size: int) -> ReplacingWrite | InPlaceWrite:
        target = self._target()
        create_private_folder(target.parent)
        return prepare_write(target, size=size)

    def _os_error(self, operation: str, error: OSError) -> CredentialStoreError:
        remedy = _REMEDIES.get(error.errno or 0, _CHECK_FILE)
        return _auth_errors.CredentialStoreError(f"Cannot {operation} {self.path}: {os_error_text(error)}. {remedy}")
