"""Store a login in memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..._threads import create_lock
from ...types import Secret
from .base import NotCopyable, serialize_document

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["MemoryStore"]


class MemoryStore(NotCopyable):
    """A store in memory, for tests and for applications that save the login themselves.

    Raises CredentialStoreError if the document cannot be written as JSON.
    """

    location = "memory"

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self._lock = create_lock()
        self._version = 0
        self._value = None if document is None else self._serialize(document)

    def __repr__(self) -> str:
        return "MemoryStore()"

    def load(self) -> dict[str, Any] | None:
        """Return a copy of the document, None if there is none."""
        if self._value is None:
            return None
        document: dict[str, Any] = json.loads(self._value.reveal())
        return document

    def save(self, document: dict[str, Any]) -> None:
        """Store a copy of the document. Raises CredentialStoreError if it cannot be written as JSON."""
        self._value = self._serialize(document)
        self._version += 1

    def clear(self) -> bool:
        """Delete the document. Return False if there was none."""
        had_document = self._value is not None
        self._value = None
        self._version += 1
        return had_document

    def lock(self) -> AbstractContextManager[object]:
        """Exclude the other threads. Not reentrant."""
        return self._lock

    def version(self) -> object:
        """Return the number of changes."""
        return self._version

    def _serialize(self, document: dict[str, Any]) -> Secret:
        # As text, because `vars()` and crash reports would show the tokens in a dict.
        return Secret(serialize_document(document, location=self.location).decode())
