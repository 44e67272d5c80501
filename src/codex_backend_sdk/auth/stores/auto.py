"""Select the store that the Codex CLI is configured for, which is the default store.

The setting is `cli_auth_credentials_store` in `$CODEX_HOME/config.toml`. Wire source: Codex CLI,
login/src/auth/storage.rs.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from ..._files import read_regular_file
from .. import _auth_errors, _auth_json
from .base import NotCopyable, codex_home_path, os_error_text
from .file import FileStore
from .memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .base import CredentialStore
    from .keyring import KeyringStore

__all__ = ["AutoStore", "default_store"]

log = logging.getLogger("codex_backend_sdk.auth")

_SETTING: Final = "cli_auth_credentials_store"


class AutoStore(NotCopyable):
    """A store in the keyring, or in auth.json if there is no keyring. If both have a login, the newer one is used."""

    def __init__(self, keyring: KeyringStore, file: FileStore) -> None:
        self._keyring = keyring
        self._file = file

    @property
    def location(self) -> str:
        """The locations of both stores."""
        return f"{self._keyring.location} or {self._file.location}"

    def __repr__(self) -> str:
        return f"AutoStore({self._keyring!r}, {self._file!r})"

    def load(self) -> dict[str, Any] | None:
        """Return the document that was refreshed last. If the keyring cannot be read, return that of the file."""
        try:
            in_keyring = self._keyring.load()
        except _auth_errors.CredentialStoreError as error:
            log.info("The login is read from the file, because the keyring cannot be read. %s", error)
            in_file = self._file.load()
            # A locked keyring must not be mistaken for a logout.
            if in_file is None and self._keyring.exists():
                raise _auth_errors.CredentialStoreError(
                    f"{str(error).rstrip('.')}. There is no login in {self._file.location} either. "
                    f"{_auth_errors.LOG_IN_AGAIN_REMEDY}"
                ) from error
            return in_file
        if in_keyring is None:
            return self._file.load()
        # If both exist, either the file was saved when the keyring could not be written, or it is outdated.
        try:
            in_file = self._file.load()
        except _auth_errors.CredentialStoreError:
            return in_keyring
        return in_file if in_file is not None and _is_newer(in_file, in_keyring) else in_keyring

    def save(self, document: dict[str, Any]) -> None:
        """Save the document in the keyring, or in the file if the keyring cannot be written."""
        self._save(document, self._file.save)

    def replace(self, document: dict[str, Any]) -> None:
        """Save the document as `save()` does, even if the previous one is damaged."""
        self._save(document, self._file.replace)

    def _save(self, document: dict[str, Any], save_to_file: Callable[[dict[str, Any]], None]) -> None:
        try:
            self._keyring.save(document)  # also replaces a damaged entry
        except _auth_errors.CredentialStoreError as error:
            log.warning("The login is stored in the file, because the keyring cannot be written. %s", error)
            save_to_file(document)

    @contextmanager
    def prepare_save(self) -> Iterator[None]:
        """Reserve room in the file if this system has no keyring. Raises CredentialStoreError as FileStore does."""
        with nullcontext() if self._keyring.exists() else self._file.prepare_save():
            yield

    def clear(self) -> bool:
        """Delete the login from both stores. Raises CredentialStoreError if the keyring keeps its entry."""
        had_file = self._file.clear()
        try:
            return self._keyring.clear() or had_file
        except _auth_errors.CredentialStoreError:
            if self._keyring.exists():
                raise
            return had_file

    def lock(self) -> AbstractContextManager[object]:
        """Hold the lock file, which both stores share."""
        return self._file.lock()

    def version(self) -> object:
        """Return the versions of both stores."""
        try:
            keyring_version = self._keyring.version()
        except _auth_errors.CredentialStoreError:
            keyring_version = None
        return (keyring_version, self._file.version())


def _is_newer(document: dict[str, Any], other: dict[str, Any]) -> bool:
    tokens, other_tokens = _auth_json.parse_tokens(document), _auth_json.parse_tokens(other)
    if tokens is None or tokens.last_refresh is None:
        return False
    return other_tokens is None or other_tokens.last_refresh is None or tokens.last_refresh > other_tokens.last_refresh


def _keyring_store(home: Path) -> KeyringStore:
    from .keyring import KeyringStore  # imported here because most users store the login in a file

    return KeyringStore(home)


# Keyed by CODEX_HOME: as in the Codex CLI, all clients of a process share a login in memory.
_ephemeral_stores: Final[dict[str, MemoryStore]] = {}

_STORES: Final[dict[str, Callable[[Path], CredentialStore]]] = {
    "file": lambda home: FileStore(home / "auth.json"),
    "keyring": _keyring_store,
    "auto": lambda home: AutoStore(_keyring_store(home), FileStore(home / "auth.json")),
    "ephemeral": lambda home: _ephemeral_stores.setdefault(str(home), MemoryStore()),
}


def default_store(home: Path | None = None) -> CredentialStore:
    """Return the store that is set in `config.toml` in `home` (default: `$CODEX_HOME`, else `~/.codex`).

    Raises CredentialStoreError if that file cannot be read or its setting is invalid.
    """
    home = codex_home_path() if home is None else home
    path = home / "config.toml"
    name = _read_setting(path)
    if not isinstance(name, str) or name not in _STORES:
        raise _auth_errors.CredentialStoreError(
            f"`{_SETTING}` in {path} is invalid. Set it to one of: {', '.join(_STORES)}."
        )
    return _STORES[name](home)


def _read_setting(path: Path) -> Any:
    try:
        # Editors on Windows write a byte order mark, which TOML forbids.
        text = read_regular_file(path).decode("utf-8-sig")
        import tomllib  # imported here because most users have no config.toml

        return tomllib.loads(text).get(_SETTING, "file")
    except (FileNotFoundError, NotADirectoryError):
        return "file"
    except OSError as error:
        raise _auth_errors.CredentialStoreError(
            f"Cannot read {path}: {os_error_text(error)}. Check its permissions."
        ) from error
    except (ValueError, RecursionError):  # not UTF-8 or not TOML; the original error would show the file's content
        raise _auth_errors.CredentialStoreError(
            f"{path} is not valid TOML, so the store of the login is unknown. Correct the file."
        ) from None
