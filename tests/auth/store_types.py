"""One factory for each type of store, for tests that every store must pass."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from codex_backend_sdk.auth import FileStore, KeyringStore, MemoryStore
from codex_backend_sdk.auth.stores.auto import AutoStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from codex_backend_sdk.auth import CredentialStore


class CustomStore:
    """A store with the methods of the CredentialStore protocol, and no others."""

    location = "a custom store"

    def __init__(self) -> None:
        self._document: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def load(self) -> dict[str, Any] | None:
        return self._document

    def save(self, document: dict[str, Any]) -> None:
        self._document = document

    def clear(self) -> bool:
        had_document, self._document = self._document is not None, None
        return had_document

    def lock(self) -> AbstractContextManager[object]:
        return self._lock

    def version(self) -> object:
        return id(self._document)


def keyring_in(folder: Path) -> Any:
    from keyrings.alt.file import PlaintextKeyring

    backend = PlaintextKeyring()
    backend.file_path = str(folder / "keyring.cfg")
    return backend


def auto_store(folder: Path) -> AutoStore:
    return AutoStore(KeyringStore(folder, backend=keyring_in(folder)), FileStore(folder / "auth.json"))


STORES: dict[str, Callable[[Path], CredentialStore]] = {
    "file": lambda folder: FileStore(folder / "auth.json"),
    "memory": lambda folder: MemoryStore(),
    "keyring": lambda folder: KeyringStore(folder, backend=keyring_in(folder)),
    "keyring with split entries": lambda folder: KeyringStore(folder, backend=keyring_in(folder), entry_bytes=128),
    "auto": auto_store,
    "custom": lambda folder: CustomStore(),
}
