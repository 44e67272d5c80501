"""Convert the backend's model catalog to the official list of models, and cache it.

The backend describes a model by its `slug` and some forty members of its own (context window, reasoning levels, …);
the official `Model` needs `id`, `object`, `created` and `owned_by`. Each official model keeps the backend's members
beside these four. Wire source: Codex CLI, codex-api/src/endpoint/models.rs and protocol/src/openai_models.rs.

A catalog belongs to an account, because the plan decides which models it lists. The cache holds the last one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .types import Login

__all__ = ["CatalogCache", "find_model", "to_official_list"]

# The Codex CLI reloads its catalog after the same time (models-manager/src/manager.rs).
_FRESH_SECONDS: Final = 300.0


def to_official_list(catalog: Any) -> dict[str, Any]:
    """Return `{"object": "list", "data": […]}` for a catalog, sorted by priority.

    Entries without a `slug` are left out. Raises ValueError when the value is not a catalog.
    """
    entries = catalog.get("models") if isinstance(catalog, dict) else None
    if not isinstance(entries, list):
        raise ValueError("the response is not a model catalog")  # noqa: TRY004 - bad data, not a wrong type in the code
    models = [
        # The catalog has neither an owner nor a date, but the official class requires both.
        {"id": entry["slug"], "object": "model", "created": 0, "owned_by": "openai", **entry}
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("slug"), str)
    ]
    return {"object": "list", "data": sorted(models, key=_priority)}


def find_model(catalog: Any, model_id: str) -> dict[str, Any] | None:
    """Return the official model with this id, or None. Raises ValueError when the value is not a catalog."""
    return next((model for model in to_official_list(catalog)["data"] if model["id"] == model_id), None)


def _priority(model: dict[str, Any]) -> float:
    # Lower comes first, as in the CLI's model picker; models without a priority come last.
    priority = model.get("priority")
    return priority if isinstance(priority, (int, float)) else float("inf")


class CatalogCache:
    """The official models that a client or one of its copies received last, and the account they belong to."""

    def __init__(self) -> None:
        self._models: Sequence[Mapping[str, Any]] | None = None
        self._account_id: str | None = None
        self._received_at = 0.0

    def put(self, models: Sequence[Mapping[str, Any]], *, login: Login | None, at: float) -> None:
        """Replace the cached catalog by one that was received at this monotonic time."""
        self._models, self._account_id, self._received_at = models, _account_id(login), at

    def get(self, login: Login | None) -> Sequence[Mapping[str, Any]] | None:
        """Return the cached catalog of this account, however old, or None.

        Without a login or an account id, return whatever catalog is cached.
        """
        return self._models if _account_id(login) in (None, self._account_id) else None

    def get_fresh(self, login: Login | None, *, now: float) -> Sequence[Mapping[str, Any]] | None:
        """Return the cached catalog if it is of exactly this account and less than five minutes old, else None."""
        is_fresh = _account_id(login) == self._account_id and now - self._received_at < _FRESH_SECONDS
        return self._models if is_fresh else None


def _account_id(login: Login | None) -> str | None:
    return None if login is None else login.account_id
