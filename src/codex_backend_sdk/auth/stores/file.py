"""Where a login is kept: the protocol, auth.json, and memory. Each other place has a module of its own."""

from __future__ import annotations

import copy
import errno
import os
import secrets
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from ..._constants import CODEX_HOME_ENV
from ..._threads import new_lock
from .. import _auth_json
from .._failures import store_failed
from .lock_file import LOCK_SECONDS, locked, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["CredentialStore", "FileStore", "MemoryStore", "Replacing", "absolute", "default_home"]

# The Codex CLI rewrites auth.json in place, so a reader can meet it half written: look again before judging.
_READ_ATTEMPTS: Final = 10
_READ_PAUSE_SECONDS: Final = 0.03
# Windows refuses to replace a file that somebody has open for the blink of a read.
_REPLACE_ATTEMPTS: Final = 20 if os.name == "nt" else 1

_NOT_WRITABLE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_REMEDY: Final = f" Its folder has to be writable; {CODEX_HOME_ENV} names another."


@runtime_checkable
class CredentialStore(Protocol):
    """A place for one auth.json document. Supply your own to keep the login elsewhere."""

    @property
    def location(self) -> str:
        """Name the place for people: a path, "memory"."""
        ...

    def load(self) -> dict[str, Any] | None:
        """Return the document with all its members, None when there is none.

        CredentialStoreError when what is stored is no such document, or cannot be read.
        """
        ...

    def save(self, document: dict[str, Any]) -> None:
        """Replace the document as a whole. CredentialStoreError when it cannot be written.

        It may refuse to replace what is damaged; then have `replace()`, too, for `authenticate(force=True)`.
        """
        ...

    def clear(self) -> bool:
        """Delete the document, damaged or not; True if there was something."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Exclude every other thread and process that uses this store. Not reentrant."""
        ...

    def version(self) -> object:
        """Return a value that changes when the document does, as cheaply as the place allows.

        It is compared before a refresh, never for each request.
        """
        ...


@runtime_checkable
class Replacing(Protocol):
    """A store whose `save()` refuses to replace what is damaged, and that has a way to do so."""

    def replace(self, document: dict[str, Any]) -> None:
        """Put the document in the place of whatever is there, in one step. CredentialStoreError as of `save()`."""
        ...


def default_home() -> Path:
    """Return the folder of the Codex CLI: `$CODEX_HOME`, else `~/.codex`; absolute, so that it outlives a chdir.

    CredentialStoreError when there is no such home folder.
    """
    return absolute(os.environ.get(CODEX_HOME_ENV) or "~/.codex", or_else=f"Set {CODEX_HOME_ENV} to an absolute path.")


def absolute(path: str | os.PathLike[str], *, or_else: str = "Give an absolute path.") -> Path:
    """Resolve `~` and the current folder, which may be another one when the path is used."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:  # "~somebody" of an unknown user, or a user without a home
        pass
    raise store_failed(f"There is no home folder for {os.fspath(path)}. {or_else}")


class FileStore:
    """An auth.json file, by default the one that the Codex CLI uses.

    Written atomically and readable by its owner only. A symlink is followed and kept. `lock_timeout` is in seconds.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, lock_timeout: float = LOCK_SECONDS) -> None:
        self.path = default_home() / "auth.json" if path is None else absolute(path)
        self._lock_timeout = lock_timeout
        self._threads = new_lock()

    @property
    def location(self) -> str:
        """The path."""
        return str(self.path)

    def __repr__(self) -> str:
        return f"FileStore({self.location!r})"

    def load(self) -> dict[str, Any] | None:
        """Read the file; None when there is none, CredentialStoreError when it is damaged or cannot be read."""
        for attempt in range(1, _READ_ATTEMPTS + 1):
            try:
                return _auth_json.parse(self.path.read_bytes())
            except FileNotFoundError:
                return None
            except OSError as error:
                raise store_failed(f"Cannot read {self.path}: {reason(error)}.") from error
            except ValueError as error:
                if attempt == _READ_ATTEMPTS:
                    raise store_failed(_damaged(self.path, error)) from None
            time.sleep(_READ_PAUSE_SECONDS)
        raise AssertionError  # pragma: no cover  (the last attempt returns or raises)

    def save(self, document: dict[str, Any]) -> None:
        """Replace the file. A file that is not an auth.json is an error and stays as it is: see `replace()`."""
        self.load()
        self.replace(document)

    def replace(self, document: dict[str, Any]) -> None:
        """Put the document in the place of whatever is there, damaged or not; that stays when writing fails."""
        data = _auth_json.render(document)
        target = self._target()
        try:
            self._make_folder(target)
            _write_atomically(target, data)
        except OSError as error:
            remedy = _REMEDY if error.errno in _NOT_WRITABLE else ""
            raise store_failed(f"Cannot write {self.path}: {reason(error)}.{remedy}") from error

    def clear(self) -> bool:
        """Delete the file, or the file that the symlink points to."""
        try:
            self._target().unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise store_failed(f"Cannot delete {self.path}: {reason(error)}.") from error
        return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock file beside the document; a lock whose owner was killed is free at once."""
        # Beside the target: two folders that link to one auth.json have to share the lock, too.
        target = self._target()
        path = target.with_name(target.name + ".lock")
        with self._threads, locked(path, location=self.location, timeout=self._lock_timeout):
            yield

    def version(self) -> object:
        """Return the file's times, size and number, None when there is no file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _make_folder(self, target: Path) -> None:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)


class MemoryStore:
    """A login that lives as long as this object; for tests, and for applications that keep it elsewhere."""

    location = "memory"

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self._document = copy.deepcopy(document)
        self._version = 0
        self._lock = new_lock()

    def __repr__(self) -> str:
        return "MemoryStore()"

    def load(self) -> dict[str, Any] | None:
        """Return a copy of the document."""
        return copy.deepcopy(self._document)

    def save(self, document: dict[str, Any]) -> None:
        """Keep a copy of the document."""
        self._document = copy.deepcopy(document)
        self._version += 1

    def clear(self) -> bool:
        """Forget the document."""
        was_there = self._document is not None
        self._document = None
        self._version += 1
        return was_there

    def lock(self) -> AbstractContextManager[object]:
        """Exclude the other threads."""
        return self._lock

    def version(self) -> object:
        """Return a count of the changes."""
        return self._version


def _write_atomically(target: Path, data: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    # O_EXCL and the mode in the same call: at no moment can anybody else read the file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _replace(source: Path, target: Path) -> None:
    for _ in range(_REPLACE_ATTEMPTS - 1):  # pragma: no cover  (Windows only)
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(_READ_PAUSE_SECONDS)
        else:
            return
    os.replace(source, target)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where a folder can be opened at all (not on Windows)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _damaged(path: Path, error: ValueError) -> str:
    return (
        f"{path} is not a usable auth.json: {error}. It was left as it is. "
        "Mend it or move it away, or replace it with client.authenticate(force=True) or `codex-backend login`."
    )
