"""The login in the operating system's keyring, where the Codex CLI keeps it when it is told to.

The package `keyring` (extra `keyring`) speaks to the keyring. Three of its habits are corrected here: on Linux it
would add a second item beside the Codex CLI's, which the Codex CLI then refuses as ambiguous; on Windows it names
entries in another way; and it may replace an entry by deleting it first, so readers are kept away meanwhile.
"""

from __future__ import annotations

import logging
import os
from contextlib import closing, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

from .. import _auth_json
from .._failures import is_store_failure, store_failed
from . import keyring_format
from .file import FileStore, absolute, default_home
from .lock_file import LOCK_SECONDS, locked, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["KeyringStore"]

log = logging.getLogger("codex_backend_sdk.auth")

_MISSING: Final = (
    "The login is kept in the operating system's keyring, and the package that reads it is not installed: "
    "pip install 'codex-backend-sdk[keyring]'"
)

# The packages whose messages say something to people, and no secret.
_TELLING: Final = frozenset({"keyring", "secretstorage", "jeepney"})


class KeyringStore:
    """The entry that the Codex CLI makes with `cli_auth_credentials_store = "keyring"`; needs the extra `keyring`.

    `home` is the CODEX_HOME whose login it is. `backend` is a `keyring.backend.KeyringBackend` (default: the one that
    the package `keyring` chooses). A value longer than `entry_bytes` in UTF-16 is split over several entries (default:
    2,560 on Windows, else never); the Codex CLI cannot read those. `lock_timeout` is in seconds.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        backend: Any = None,
        entry_bytes: int | None = keyring_format.WINDOWS_BYTES if os.name == "nt" else None,
        lock_timeout: float = LOCK_SECONDS,
    ) -> None:
        self.home = default_home() if home is None else absolute(home)
        self._file = FileStore(self.home / "auth.json", lock_timeout=lock_timeout)
        self._backend = backend
        self._entry_bytes = entry_bytes

    @property
    def location(self) -> str:
        """The keyring, and the names of the entry in it."""
        return f"the keyring ({keyring_format.SERVICE}, {self._account})"

    def __repr__(self) -> str:
        return f"KeyringStore({str(self.home)!r})"

    def load(self) -> dict[str, Any] | None:
        """Read the entry; None when there is none, CredentialStoreError when the keyring or the entry is unusable."""
        with self._access("read"):
            value = self._value()
        if value is None:
            return None
        try:
            return _auth_json.parse(value.encode())
        except ValueError as error:
            raise store_failed(f"{self.location} holds no usable login: {error}. It was left as it is.") from None

    def save(self, document: dict[str, Any]) -> None:
        """Replace the entry, and remove auth.json as the Codex CLI does: one login, in one place."""
        value = keyring_format.compact(document)
        with suppress(OSError):
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._access("write"):
            before = keyring_format.contents(self._get(self._account))
            self._put(value)
            kept = keyring_format.split(value, entry_bytes=self._entry_bytes)
            if before is not None and (kept is None or kept[0] != before):
                self._remove(before.names(self._account))
        try:
            self._file.clear()
        except RuntimeError as error:
            log.warning("The login is in the keyring now, but the old file is still there: %s", error)

    def clear(self) -> bool:
        """Delete the entry, and auth.json with it."""
        with self._access("delete"):
            table = keyring_format.contents(self._get(self._account))
            names = [self._account, *(table.names(self._account) if table else ())]
            was_there = self._remove(names)
        return self._file.clear() or was_there

    def lock(self) -> AbstractContextManager[object]:
        """Hold the lock file in CODEX_HOME, the same as for auth.json."""
        return self._file.lock()

    def version(self) -> object:
        """Return a digest of the entry: no keyring tells less at less cost."""
        with self._access("read"):
            return keyring_format.digest(self._get(self._account))

    def exists(self) -> bool:
        """Tell whether there is a keyring here at all, be it locked or out of reach just now; a container has none."""
        try:
            return type(self._keyring()).__module__ != "keyring.backends.fail"
        except RuntimeError:  # the package is not installed, or told to use none
            return False

    # --- the entries -----------------------------------------------------------------------------------------

    @property
    def _account(self) -> str:
        home = os.path.realpath(self.home)
        return keyring_format.account(keyring_format.verbatim(home) if os.name == "nt" else home)

    @contextmanager
    def _access(self, doing: str) -> Iterator[None]:
        """Keep our readers and writers apart for the moment of one access, and tell all failures in one way."""
        is_here = self.home.is_dir()  # else there is nobody to keep apart, and reading makes no folder
        path = self.home / "auth.keyring.lock"
        with locked(path, location=self.location) if is_here else nullcontext():
            try:
                yield
            except Exception as error:  # each keyring has exceptions of its own
                if is_store_failure(error):
                    raise
                # Whatever else is in an error of a keyring unknown to us: it may be the value.
                raise self._failed(doing, error) from (error if _is_telling(error) else None)

    def _failed(self, doing: str, error: Exception) -> Exception:
        said = (_is_telling(error) and str(error)) or reason(error)
        return store_failed(f"Cannot {doing} {self.location}: {said}")

    def _value(self) -> str | None:
        entry = self._get(self._account)
        table = keyring_format.contents(entry)
        if table is None:
            return entry
        value = "".join(self._get(name) or "" for name in table.names(self._account))
        if keyring_format.digest(value) != table.digest:
            raise store_failed(f"{self.location} holds no usable login: a part of it is missing or damaged.")
        return value

    def _put(self, value: str) -> None:
        cut = keyring_format.split(value, entry_bytes=self._entry_bytes)
        if cut is None:
            self._set(self._account, value)
            return
        table, parts = cut
        for name, part in zip(table.names(self._account), parts, strict=True):
            self._set(name, part)
        self._set(self._account, table.entry())  # last: from here on the new value is the stored one

    def _remove(self, names: list[str]) -> bool:
        found = [name for name in names if self._get(name) is not None]
        for name in found:
            _delete(self._keyring(), self._service, name)
        return bool(found)

    def _get(self, name: str) -> str | None:
        return _read(self._keyring(), self._service, name) or None

    def _set(self, name: str, value: str) -> None:
        keyring = self._keyring()
        if not _overwritten(keyring, self._service, name, value):
            keyring.set_password(self._service, name, value)

    @property
    def _service(self) -> str:
        # Windows has one name for an entry, which both packages make up; this is the Codex CLI's (keyring-rs).
        return f"{self._account}.{keyring_format.SERVICE}" if os.name == "nt" else keyring_format.SERVICE

    def _keyring(self) -> Any:
        if self._backend is None:
            self._backend = _chosen()
        return self._backend


def _chosen() -> Any:
    """Return the backend that the user or the package has chosen; of several the one that the Codex CLI uses."""
    try:
        import keyring
    except ModuleNotFoundError as error:
        if error.name != "keyring":
            raise
        raise store_failed(_MISSING) from None
    backend = keyring.get_keyring()
    if type(backend).__module__ == "keyring.backends.null":  # it takes everything, and keeps nothing
        raise store_failed("The package `keyring` is told to use no keyring.")
    chained = list(getattr(backend, "backends", None) or [backend])
    return next(filter(_is_secret_service, chained), chained[0])


def _is_telling(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in _TELLING


def _is_secret_service(keyring: Any) -> bool:
    return hasattr(keyring, "get_preferred_collection")


@contextmanager
def _items(keyring: Any, service: str, name: str) -> Iterator[list[Any]]:
    """Find the items of a Secret Service, whoever made them."""
    collection = keyring.get_preferred_collection()
    with closing(collection.connection):
        found = collection.search_items({"service": service, "username": name})
        # keyring-rs: one that names another target is another entry
        yield [item for item in found if item.get_attributes().get("target", "default") == "default"]


def _read(keyring: Any, service: str, name: str) -> str | None:
    if not _is_secret_service(keyring):
        value: str | None = keyring.get_password(service, name)
        return value
    with _items(keyring, service, name) as items:
        return items[0].get_secret().decode() if items else None


def _overwritten(keyring: Any, service: str, name: str, value: str) -> bool:
    """Give the items of a Secret Service that are there a new value; False when there is none, or no such service."""
    if not _is_secret_service(keyring):
        return False
    with _items(keyring, service, name) as items:
        for item in items:
            item.set_secret(value.encode(), "text/plain")
        return bool(items)


def _delete(keyring: Any, service: str, name: str) -> None:
    if not _is_secret_service(keyring):
        keyring.delete_password(service, name)
        return
    with _items(keyring, service, name) as items:
        for item in items:
            item.delete()
