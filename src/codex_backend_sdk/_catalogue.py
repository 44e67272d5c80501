"""The backend's model catalogue → the official list of models.

Codex CLI: codex-api/src/endpoint/models.rs, protocol/src/openai_models.rs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .types import Login

__all__ = ["CatalogueCache", "as_official_list", "find_model"]


def as_official_list(catalogue: Any) -> dict[str, Any]:
    """Return `{"object": "list", "data": […]}` in catalogue order; ValueError when it is no catalogue."""
    entries = catalogue.get("models") if isinstance(catalogue, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the answer is not a model catalogue")  # noqa: TRY004 - the data is wrong, not a type in the code
    models = [
        _as_official_model(entry) for entry in entries if isinstance(entry, dict) and isinstance(entry.get("slug"), str)
    ]
    return {"object": "list", "data": sorted(models, key=_priority)}


def find_model(catalogue: Any, wanted: str) -> dict[str, Any] | None:
    """Return the official model of that id, or None when the catalogue does not have it."""
    return next((model for model in as_official_list(catalogue)["data"] if model["id"] == wanted), None)


def _as_official_model(entry: dict[str, Any]) -> dict[str, Any]:
    # The catalogue tells neither owner nor date; the official class demands both.
    return {"id": entry["slug"], "object": "model", "created": 0, "owned_by": "openai", **entry}


def _priority(model: dict[str, Any]) -> float:
    priority = model.get("priority")
    return priority if isinstance(priority, (int, float)) else float("inf")


# How long it stands for what the backend would answer. Codex CLI: models-manager/src/manager.rs.
_FRESH_SECONDS: Final = 300.0


class CatalogueCache:
    """What one client and its copies have seen: the official models in their order, and of which account they are."""

    def __init__(self) -> None:
        self._models: Sequence[Mapping[str, Any]] | None = None
        self._account_id: str | None = None
        self._kept_at = 0.0

    def keep(self, models: Sequence[Mapping[str, Any]], *, login: Login | None, at: float) -> None:
        """Remember a catalogue that came at this monotonic time, in the place of the one before."""
        self._models, self._account_id, self._kept_at = models, _account_id(login), at

    def of(self, login: Login | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the catalogue of an account, None when it is not known. Of an account that is not known: the last."""
        return self._models if _account_id(login) in (None, self._account_id) else None

    def fresh(self, login: Login | None, *, now: float) -> Sequence[Mapping[str, Any]] | None:
        """Return the catalogue of this very account, None when it is not known or more than minutes old."""
        is_fresh = _account_id(login) == self._account_id and now - self._kept_at < _FRESH_SECONDS
        return self._models if is_fresh else None


def _account_id(login: Login | None) -> str | None:
    return None if login is None else login.account_id
