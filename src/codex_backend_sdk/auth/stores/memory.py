"""Store a login in memory."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from ..._threads import create_lock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["MemoryStore"]


class MemoryStore:
    """A store in memory, for tests and for applications that save the login themselves."""

    location = "memory"

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        self._document = copy.deepcopy(document)
        self._version = 0
        self._lock = create_lock()

    def __repr__(self) -> str:
        return "MemoryStore()"

    def load(self) -> dict[str, Any] | None:
        """Return a copy of the document, None if there is none."""
        return copy.deepcopy(self._document)

    def save(self, document: dict[str, Any]) -> None:
        """Store a copy of the document."""
        self._document = copy.deepcopy(document)
        self._version += 1

    def clear(self) -> bool:
        """Delete the document. Return False if there was none."""
        had_document = self._document is not None
        self._document = None
        self._version += 1
        return had_document

    def lock(self) -> AbstractContextManager[object]:
        """Exclude the other threads. Not reentrant."""
        return self._lock

    def version(self) -> object:
        """Return the number of changes."""
        return self._version
