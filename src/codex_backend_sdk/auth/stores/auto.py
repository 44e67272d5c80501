"""Which store is the default: the one that the Codex CLI is told to use.

Its setting is `cli_auth_credentials_store` in `$CODEX_HOME/config.toml`. Codex CLI: login/src/auth/storage.rs.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .. import _auth_json
from .._failures import store_failed
from .._held import LONG_AGO
from .file import FileStore, MemoryStore, default_home
from .lock_file import reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from .file import CredentialStore
    from .keyring import KeyringStore

__all__ = ["AutoStore", "default_store"]

log = logging.getLogger("codex_backend_sdk.auth")

_SETTING: Final = "cli_auth_credentials_store"


class AutoStore:
    """The keyring, and auth.json where there is no keyring. Of two logins the one that was refreshed last is taken."""

    def __init__(self, keyring: KeyringStore, file: FileStore) -> None:
        self._keyring = keyring
        self._file = file

    @property
    def location(self) -> str:
        """Both places."""
        return f"{self._keyring.location} or {self._file.location}"

    def __repr__(self) -> str:
        return f"AutoStore({self._keyring!r}, {self._file!r})"

    def load(self) -> dict[str, Any] | None:
        """Read both. A keyring that cannot be read just now is left out where the file has a login."""
        try:
            kept = self._keyring.load()
        except RuntimeError as error:
            log.info("The file is used instead of the keyring: %s", error)
            filed = self._file.load()
            if filed is None and self._keyring.exists():  # else a moment's failure would look like a logout
                raise store_failed(
                    f"{str(error).rstrip('.')}; and there is no login in {self._file.location}. Unlock the keyring, or "
                    "sign in anew with client.authenticate(force=True) or `codex-backend login`."
                ) from error
            return filed
        if kept is None:
            return self._file.load()
        # A file beside it is what was saved when the keyring could not be written, or it is of no interest.
        with suppress(RuntimeError):
            filed = self._file.load()
            if filed is not None and _refreshed(filed) > _refreshed(kept):
                return filed
        return kept

    def save(self, document: dict[str, Any]) -> None:
        """Write to the keyring, else to the file."""
        self._save(document, self._file.save)

    def replace(self, document: dict[str, Any]) -> None:
        """Write to the keyring, else to the file, damaged or not."""
        self._save(document, self._file.replace)

    def _save(self, document: dict[str, Any], to_file: Callable[[dict[str, Any]], None]) -> None:
        try:
            self._keyring.save(document)  # which minds no damage
        except RuntimeError as error:
            log.warning("The login is stored in the file, not in the keyring: %s", error)
            to_file(document)

    def clear(self) -> bool:
        """Delete both. CredentialStoreError when what is in the keyring stays."""
        was_filed = self._file.clear()
        try:
            return self._keyring.clear() or was_filed
        except RuntimeError:
            if self._keyring.exists():
                raise
            return was_filed

    def lock(self) -> AbstractContextManager[object]:
        """Hold the lock file, which both share."""
        return self._file.lock()

    def version(self) -> object:
        """Return both versions."""
        version: object = None
        with suppress(RuntimeError):
            version = self._keyring.version()
        return (version, self._file.version())


def _refreshed(document: dict[str, Any]) -> datetime:
    stored = _auth_json.tokens_of(document)
    return (stored and stored.last_refresh) or LONG_AGO


def _keyring(home: Path) -> KeyringStore:
    from .keyring import KeyringStore  # the file is what nearly everybody has

    return KeyringStore(home)


# A login that is kept in memory is the whole process's, as it is with the Codex CLI.
_EPHEMERAL: Final[dict[str, MemoryStore]] = {}

_STORES: Final[dict[str, Callable[[Path], CredentialStore]]] = {
    "file": lambda home: FileStore(home / "auth.json"),
    "keyring": _keyring,
    "auto": lambda home: AutoStore(_keyring(home), FileStore(home / "auth.json")),
    "ephemeral": lambda home: _EPHEMERAL.setdefault(str(home), MemoryStore()),
}


def default_store(home: Path | None = None) -> CredentialStore:
    """Return the store of a CODEX_HOME (default: `$CODEX_HOME`, else `~/.codex`) that its config.toml names.

    CredentialStoreError when that file cannot be read, or names no store that there is.
    """
    home = default_home() if home is None else home
    file = home / "config.toml"
    name = _setting(file)
    if not isinstance(name, str) or name not in _STORES:
        raise store_failed(f"{_SETTING} in {file} must be one of: {', '.join(_STORES)}.")
    return _STORES[name](home)


def _setting(file: Path) -> Any:
    try:  # editors of Windows begin a file with a byte order mark, which TOML does not know
        return _parsed(file.read_text(encoding="utf-8-sig")).get(_SETTING, "file")
    except (FileNotFoundError, NotADirectoryError):
        return "file"
    except OSError as error:
        raise store_failed(f"Cannot read {file}: {reason(error)}.") from error
    except (ValueError, RecursionError):  # neither UTF-8 nor TOML; the cause would show what stands in the file
        raise store_failed(f"{file} is not valid TOML, so the place of the login is not known.") from None


def _parsed(text: str) -> dict[str, Any]:
    import tomllib  # needed by those who have such a file

    return tomllib.loads(text)
