"""Store a login in the operating system's keyring, in the entry that the Codex CLI uses.

Wire source (names and value of the entry): Codex CLI, login/src/auth/storage.rs, and the crate keyring-rs. The package
`keyring` (extra `keyring`) accesses the keyring. This module works around three behaviors of that package:

- On Linux it would add a second item, and the Codex CLI rejects two items as ambiguous. This module overwrites the
  existing items through the package's Secret Service connection.
- On Windows it names entries differently. This module passes a service name that results in the Codex CLI's name.
- It may replace an entry by deleting it first. A lock file blocks readers of this package during the write.

The Codex CLI writes one entry of any length, but Windows rejects values of more than 2,560 bytes. A longer value is
split over further entries, and the entry contains an index, which the Codex CLI reads as "not logged in". The names of
the further entries depend on the value, so that writing the index replaces the old value in one step.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..._constants import INSTALL_EXTRA
from ..._files import create_private_folder
from .. import _auth_errors, _auth_json
from .base import (
    LOCK_TIMEOUT_SECONDS,
    NotCopyable,
    absolute_path,
    codex_home_path,
    compute_digest,
    os_error_text,
    parse_document,
    serialize_document,
)
from .file import FileStore
from .lock_file import hold_lock_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["EntryIndex", "KeyringStore", "entry_name", "parse_index", "split_value", "windows_path"]

log = logging.getLogger("codex_backend_sdk.auth")

_SERVICE: Final = "Codex Auth"
_WINDOWS_ENTRY_BYTES: Final = 2560  # CRED_MAX_CREDENTIAL_BLOB_SIZE of wincred.h
_BYTES_PER_CHARACTER: Final = 2  # UTF-16; the value is ASCII
_INDEX_MEMBER: Final = "codex_backend_sdk_parts"

_NOT_INSTALLED: Final = (
    "The login is stored in the operating system's keyring, but the package `keyring` is not installed. "
    + INSTALL_EXTRA.format("keyring")
)

# The packages whose error messages are useful and contain no secret.
_PACKAGES_WITH_SAFE_ERRORS: Final = frozenset({"keyring", "secretstorage", "jeepney"})


class KeyringStore(NotCopyable):
    """A store in the system's keyring, in the entry that the Codex CLI uses. Requires the extra `keyring`.

    The Codex CLI uses it with `cli_auth_credentials_store = "keyring"`. `home` is the CODEX_HOME of the login.
    `backend` is a `keyring.backend.KeyringBackend` (default: the one that the package `keyring` selects). A value
    longer than `entry_bytes` in UTF-16 is split over several entries (default: 2,560 on Windows, else never); the Codex
    CLI cannot read split values. `lock_timeout` is in seconds.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        backend: Any = None,
        entry_bytes: int | None = _WINDOWS_ENTRY_BYTES if os.name == "nt" else None,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        self.home = codex_home_path() if home is None else absolute_path(home)
        self._file = FileStore(self.home / "auth.json", lock_timeout=lock_timeout)
        self._cached_backend = backend
        self._entry_bytes = entry_bytes

    @property
    def location(self) -> str:
        """The keyring entry as error messages show it: its service and name."""
        return f"the keyring ({_SERVICE}, {self._entry})"

    def __repr__(self) -> str:
        return f"KeyringStore({str(self.home)!r})"

    def load(self) -> dict[str, Any] | None:
        """Return the document, None if there is none. Raises CredentialStoreError if it is damaged or unreadable."""
        with self._access("read"):
            value = self._read_value()
        return None if value is None else parse_document(value.encode(), location=self.location)

    def save(self, document: dict[str, Any]) -> None:
        """Store the document in the entry, and delete auth.json as the Codex CLI does, so that there is one login."""
        value = serialize_document(document, location=self.location, is_compact=True).decode()
        with suppress(OSError):
            create_private_folder(self.home)
        with self._access("write"):
            old_index = parse_index(self._get(self._entry))
            new_index = self._write_value(value)
            if old_index is not None and old_index != new_index:
                self._delete(old_index.entry_names(self._entry))
        try:
            self._file.clear()
        except _auth_errors.CredentialStoreError as error:
            log.warning("The login was stored in the keyring, but the old file was not deleted. Delete it. %s", error)

    def clear(self) -> bool:
        """Delete the entry and auth.json. Return False if neither existed."""
        with self._access("delete"):
            index = parse_index(self._get(self._entry))
            had_entry = self._delete([self._entry, *(index.entry_names(self._entry) if index else ())])
        return self._file.clear() or had_entry

    def lock(self) -> AbstractContextManager[object]:
        """Hold the lock file of auth.json in CODEX_HOME."""
        return self._file.lock()

    def version(self) -> object:
        """Return a digest of the entry. Keyrings offer no cheaper way to detect a change."""
        with self._access("read"):
            return compute_digest(self._get(self._entry))

    def exists(self) -> bool:
        """Return whether this system has a keyring, even if it is locked. Containers usually have none."""
        try:
            return type(self._backend()).__module__ != "keyring.backends.fail"
        except _auth_errors.CredentialStoreError:  # the package is not installed, or configured to use none
            return False

    # --- the entries -------------------------------------------------------------------------------------------------

    @property
    def _entry(self) -> str:
        home = os.path.realpath(self.home)
        return entry_name(windows_path(home) if os.name == "nt" else home)

    @property
    def _service(self) -> str:
        # On Windows keyring-rs joins entry and service to one target name. The package `keyring` uses the service as
        # the target name, so this is the joined name.
        return f"{self._entry}.{_SERVICE}" if os.name == "nt" else _SERVICE

    @contextmanager
    def _access(self, operation: str) -> Iterator[None]:
        """Hold the lock file during one access to the keyring, and convert errors to CredentialStoreError."""
        # If CODEX_HOME does not exist, no other process uses it, and a read must not create it.
        has_home = self.home.is_dir()
        path = self.home / "auth.keyring.lock"
        with hold_lock_file(path, location=self.location) if has_home else nullcontext():
            try:
                yield
            except _auth_errors.CredentialStoreError:
                raise
            except Exception as error:  # only keyring calls run in the block, and each keyring has its own exceptions
                is_safe = type(error).__module__.partition(".")[0] in _PACKAGES_WITH_SAFE_ERRORS
                reason = ((is_safe and str(error)) or os_error_text(error)).rstrip(".!")
                # The message of another package's error may contain the value, so neither it nor the cause is shown.
                raise _auth_errors.CredentialStoreError(
                    f"Cannot {operation} {self.location}: {reason}. Unlock the keyring, or store the login in a file."
                ) from (error if is_safe else None)

    def _read_value(self) -> str | None:
        entry = self._get(self._entry)
        index = parse_index(entry)
        if index is None:
            return entry
        value = "".join(self._get(name) or "" for name in index.entry_names(self._entry))
        if compute_digest(value) != index.value_digest:
            raise _auth_errors.CredentialStoreError(
                f"The login in {self.location} is damaged: a part of it is missing or changed. "
                f"{_auth_errors.LOG_IN_AGAIN_REMEDY}"
            )
        return value

    def _write_value(self, value: str) -> EntryIndex | None:
        """Write the value. Return its index if it is split, else None."""
        split = split_value(value, entry_bytes=self._entry_bytes)
        if split is None:
            self._set(self._entry, value)
            return None
        index, parts = split
        for name, part in zip(index.entry_names(self._entry), parts, strict=True):
            self._set(name, part)
        self._set(self._entry, index.to_json())  # last, because this write replaces the old value
        return index

    def _delete(self, names: list[str]) -> bool:
        """Delete the entries. Return False if none existed."""
        existing = [name for name in names if self._get(name) is not None]
        backend = self._backend()
        for name in existing:
            if not _is_secret_service(backend):
                backend.delete_password(self._service, name)
                continue
            with _secret_service_items(backend, self._service, name) as items:
                for item in items:
                    item.delete()
        return bool(existing)

    def _get(self, name: str) -> str | None:
        backend = self._backend()
        if not _is_secret_service(backend):
            return backend.get_password(self._service, name) or None
        with _secret_service_items(backend, self._service, name) as items:
            return (items[0].get_secret().decode() or None) if items else None

    def _set(self, name: str, value: str) -> None:
        backend = self._backend()
        if _is_secret_service(backend):
            with _secret_service_items(backend, self._service, name) as items:
                for item in items:
                    item.set_secret(value.encode(), "text/plain")
                if items:
                    return
        backend.set_password(self._service, name, value)

    def _backend(self) -> Any:
        if self._cached_backend is None:
            self._cached_backend = _choose_backend()
        return self._cached_backend


# --- the package `keyring` ---------------------------------------------------------------------------------------


def _choose_backend() -> Any:
    """Return the backend that the package `keyring` or its configuration selects.

    For a chain of backends, return the Secret Service, which the Codex CLI uses, or else the first backend.
    """
    try:
        import keyring
    except ModuleNotFoundError as error:
        if error.name != "keyring":
            raise
        raise _auth_errors.CredentialStoreError(_NOT_INSTALLED) from None
    backend = keyring.get_keyring()
    if type(backend).__module__ == "keyring.backends.null":  # this backend stores nothing
        raise _auth_errors.CredentialStoreError(
            "The package `keyring` is configured to use no keyring. Run `keyring --list-backends` and select a "
            "backend, or use FileStore."
        )
    chained = list(getattr(backend, "backends", None) or [backend])
    return next(filter(_is_secret_service, chained), chained[0])


def _is_secret_service(backend: Any) -> bool:
    return hasattr(backend, "get_preferred_collection")


@contextmanager
def _secret_service_items(backend: Any, service: str, name: str) -> Iterator[list[Any]]:
    """Yield the items of an entry in a Secret Service, created by any program."""
    collection = backend.get_preferred_collection()
    with closing(collection.connection):
        items = collection.search_items({"service": service, "username": name})
        # in keyring-rs, an item with another target is another entry
        yield [item for item in items if item.get_attributes().get("target", "default") == "default"]


# --- names and values, without I/O -------------------------------------------------------------------------------


def entry_name(home: str) -> str:
    """Return the name of the entry for a CODEX_HOME, as in the Codex CLI. `home` is absolute and has no symlinks."""
    return f"cli|{hashlib.sha256(home.encode()).hexdigest()[:16]}"


def windows_path(path: str) -> str:
    r"""Return an absolute Windows path with the prefix `\\?\`, as Rust's `canonicalize` does."""
    if path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC\\{path[2:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


@dataclass(frozen=True, slots=True)
class EntryIndex:
    """The index of a split value: the number of entries, and the digest of the value, which is part of their names."""

    entry_count: int
    value_digest: str

    def entry_names(self, entry: str) -> list[str]:
        """Return the names of the entries that contain the value, in order."""
        return [f"{entry}|{self.value_digest[:16]}|{number}" for number in range(self.entry_count)]

    def to_json(self) -> str:
        """Return the JSON that is stored in the Codex CLI's entry instead of the value."""
        return _auth_json.serialize_compact({_INDEX_MEMBER: self.entry_count, "sha256": self.value_digest})


def split_value(value: str, *, entry_bytes: int | None) -> tuple[EntryIndex, list[str]] | None:
    """Split a value that is too long for one entry. Return None if it fits, or if `entry_bytes` is None."""
    if entry_bytes is None or len(value) * _BYTES_PER_CHARACTER <= entry_bytes:
        return None
    size = entry_bytes // _BYTES_PER_CHARACTER
    parts = [value[start : start + size] for start in range(0, len(value), size)]
    return EntryIndex(len(parts), compute_digest(value) or ""), parts


def parse_index(entry: str | None) -> EntryIndex | None:
    """Parse an index. Return None if the entry contains the value itself."""
    if entry is None or _INDEX_MEMBER not in entry:
        return None
    try:
        members = json.loads(entry)
        return EntryIndex(int(members[_INDEX_MEMBER]), str(members["sha256"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
