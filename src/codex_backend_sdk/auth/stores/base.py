"""What every store of a login has in common: the protocol, the default folder, and the words of its errors."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from ..._constants import CODEX_HOME_ENV
from .. import _auth_errors, _auth_json

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = [
    "LOCK_TIMEOUT_SECONDS",
    "CredentialStore",
    "SupportsReplace",
    "absolute_path",
    "codex_home_path",
    "compute_digest",
    "os_error_text",
    "parse_document",
]

# A holder needs the lock for one refresh request at most. After this time it hangs, and waiting on would not help.
LOCK_TIMEOUT_SECONDS: Final = 90.0


@runtime_checkable
class CredentialStore(Protocol):
    """A place for one auth.json document. Implement it to keep the login elsewhere."""

    @property
    def location(self) -> str:
        """The place as messages name it: a path, "memory"."""
        ...

    def load(self) -> dict[str, Any] | None:
        """Return the document with all its members, None if there is none.

        Raise CredentialStoreError if the document is damaged or cannot be read.
        """
        ...

    def save(self, document: dict[str, Any]) -> None:
        """Replace the document as a whole. Raise CredentialStoreError if it cannot be written.

        A store that refuses to replace a damaged document should have a method `replace()` with the same argument,
        which `authenticate(force=True)` calls then.
        """
        ...

    def clear(self) -> bool:
        """Delete the document, damaged or not. Return False if there was none."""
        ...

    def lock(self) -> AbstractContextManager[object]:
        """Exclude all other threads and processes that use this store. Not reentrant."""
        ...

    def version(self) -> object:
        """Return a value that changes with the document, as cheaply as possible.

        It is compared during a refresh, not for each request.
        """
        ...


@runtime_checkable
class SupportsReplace(Protocol):
    """A store whose `save()` refuses to replace a damaged document, and that has a method to do it."""

    def replace(self, document: dict[str, Any]) -> None:
        """Replace the document, damaged or not, in one step. Raise CredentialStoreError as `save()` does."""
        ...


def codex_home_path() -> Path:
    """Return the Codex CLI's folder: `$CODEX_HOME`, else `~/.codex`. Absolute, so it does not change with a chdir.

    Raises CredentialStoreError if there is no home folder.
    """
    return absolute_path(
        os.environ.get(CODEX_HOME_ENV) or "~/.codex", remedy=f"Set {CODEX_HOME_ENV} to an absolute path."
    )


def absolute_path(path: str | os.PathLike[str], *, remedy: str = "Pass an absolute path.") -> Path:
    """Resolve `~` and the current folder. Raises CredentialStoreError with `remedy` if there is no home folder."""
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # pathlib's for `~name` of an unknown user, or a user without a home
        raise _auth_errors.CredentialStoreError(f"There is no home folder for {os.fspath(path)}. {remedy}") from error


def parse_document(data: bytes, *, location: str) -> dict[str, Any]:
    """Parse a stored document. Raises CredentialStoreError if it is damaged."""
    try:
        return _auth_json.parse(data)
    except ValueError as error:
        raise _auth_errors.CredentialStoreError(
            f"{location} holds no usable login: {error}. It was not changed. "
            "Replace it with client.authenticate(force=True) or `codex-backend login`."
        ) from None


def compute_digest(value: str | bytes | None) -> str | None:
    """Return a digest of a stored value, for a version; None for None."""
    data = value.encode() if isinstance(value, str) else value
    return None if data is None else hashlib.sha256(data).hexdigest()


def os_error_text(error: Exception) -> str:
    """Return the system's text of an error, without the paths and values that `str(error)` may add."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
