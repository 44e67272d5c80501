"""Define the CredentialStore protocol, and the path and parsing helpers that the stores share."""

from __future__ import annotations

import hashlib
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, SupportsIndex, runtime_checkable

from ..._constants import CODEX_HOME_ENV
from .. import _auth_errors, _auth_json

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "LOCK_TIMEOUT_SECONDS",
    "CredentialStore",
    "NotCopyable",
    "SupportsPrepareSave",
    "SupportsReplace",
    "absolute_path",
    "clear_traceback_locals",
    "codex_home_path",
    "compute_digest",
    "os_error_text",
    "parse_document",
    "serialize_document",
]

# A process holds the lock for one refresh request at most. If it holds the lock for longer, it hangs.
LOCK_TIMEOUT_SECONDS: Final = 90.0


@runtime_checkable
class CredentialStore(Protocol):
    """Protocol of a store for one auth.json document. Implement it to store the login in another place.

    A store may have two more methods. `replace(document)` stores a document even if the previous one is damaged; see
    `save()`. `prepare_save()` returns a context manager that a refresh enters, under the lock, before it uses up the
    refresh token, and in which it calls `save()`. It raises CredentialStoreError if `save()` could not store a document
    now, for example because the disk is full. The login then stays as it is.
    """

    @property
    def location(self) -> str:
        """A description of the store for messages, such as a path or "memory"."""
        ...

    def load(self) -> dict[str, Any] | None:
        """Return the document with all its members, None if there is none.

        Raises CredentialStoreError if the document is damaged or cannot be read.
        """
        ...

    def save(self, document: dict[str, Any]) -> None:
        """Store the document, replacing the previous one. Raises CredentialStoreError if it cannot be written.

        If `save()` refuses to replace a damaged document, the store should also have `replace(document)`.
        """
        ...

    def clear(self) -> bool:
        """Delete the document, even if it is damaged. Return False if there was none."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Exclude all other threads and processes that use this store. Not reentrant."""
        ...

    def version(self) -> object:
        """Return a value that changes with the document. A refresh compares it; other calls do not read it."""
        ...


@runtime_checkable
class SupportsReplace(Protocol):
    """Protocol of a store whose `save()` does not replace a damaged document. `authenticate(force=True)` uses it."""

    def replace(self, document: dict[str, Any]) -> None:
        """Store the document, even if the previous one is damaged. Raises CredentialStoreError as `save()` does."""
        ...


@runtime_checkable
class SupportsPrepareSave(Protocol):
    """Protocol of a store that checks before a refresh whether it can save a document."""

    def prepare_save(self) -> AbstractContextManager[object]:
        """Make sure that `save()` within the block can store a document. Raises CredentialStoreError if it cannot."""
        ...


class NotCopyable:
    """Base class of objects that cannot be copied or pickled: they hold a lock, and a login that must stay secret."""

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        name = type(self).__name__
        raise TypeError(
            f"A {name} cannot be copied or pickled, because it holds a lock and a login. "
            f"Create a new {name} in the other process."
        )


def codex_home_path() -> Path:
    """Return the absolute path of the Codex CLI's folder: `$CODEX_HOME`, else `~/.codex`.

    Raises CredentialStoreError if the user has no home directory.
    """
    return absolute_path(
        os.environ.get(CODEX_HOME_ENV) or "~/.codex", remedy=f"Set {CODEX_HOME_ENV} to an absolute path."
    )


def absolute_path(path: str | os.PathLike[str], *, remedy: str = "Pass an absolute path.") -> Path:
    """Return the absolute path. Raises CredentialStoreError with `remedy` if `~` cannot be expanded."""
    try:
        return Path(path).expanduser().absolute()
    except (
        RuntimeError
    ) as error:  # raised by pathlib for an unknown user in `~name`, or a user without a home directory
        raise _auth_errors.CredentialStoreError(
            f"Cannot expand `~` in {os.fspath(path)}: the user has no home directory. {remedy}"
        ) from error


def parse_document(data: bytes, *, location: str) -> dict[str, Any]:
    """Parse a stored document. Raises CredentialStoreError if it is damaged."""
    try:
        return _auth_json.parse(data)
    except ValueError as error:
        raise _auth_errors.CredentialStoreError(
            f"The login in {location} is damaged: {error}. {_auth_errors.LOG_IN_AGAIN_REMEDY}"
        ) from None


def serialize_document(document: dict[str, Any], *, location: str, is_compact: bool = False) -> bytes:
    """Return the document as JSON. Raises CredentialStoreError if it cannot be written as JSON."""
    try:
        return _auth_json.serialize_compact(document).encode() if is_compact else _auth_json.serialize(document)
    except ValueError as error:
        raise _auth_errors.CredentialStoreError(
            f"Cannot write {location}: the login is not a valid document: {error}. Save an object of JSON values."
        ) from None


def compute_digest(value: str | bytes | None) -> str | None:
    """Return the SHA-256 hex digest of a stored value, for `version()`. Return None if `value` is None."""
    data = value.encode() if isinstance(value, str) else value
    return None if data is None else hashlib.sha256(data).hexdigest()


def os_error_text(error: Exception) -> str:
    """Return `strerror` of an OSError, else the class name. `str(error)` may contain paths and secrets."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def clear_traceback_locals(error: BaseException, *, handled_before: BaseException | None = None) -> None:
    """Clear the local variables in the tracebacks of an exception and of its causes, except in running functions.

    `handled_before` is an exception that was being handled when the error was raised. It is left unchanged.
    """
    current: BaseException | None = error
    visited = {id(handled_before)}
    while current is not None and id(current) not in visited:  # an exception may be its own cause
        visited.add(id(current))
        traceback.clear_frames(current.__traceback__)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
