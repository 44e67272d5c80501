"""The model catalogue that the backend gave last, for what wants to know it without asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["KnownCatalogue"]


class KnownCatalogue:
    """What one client and its copies have seen: the official models in their order, and of which account they are."""

    def __init__(self) -> None:
        self._models: Sequence[Mapping[str, Any]] | None = None
        self._account_id: str | None = None

    def keep(self, models: Sequence[Mapping[str, Any]], *, account_id: str | None) -> None:
        """Remember a catalogue, in the place of the one before."""
        self._models, self._account_id = models, account_id

    def of(self, account_id: str | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the catalogue of an account, None when it is not known. Of an account that is not known: the last."""
        return self._models if account_id in (None, self._account_id) else None
