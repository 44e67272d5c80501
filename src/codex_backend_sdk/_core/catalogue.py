"""The backend's model catalogue → the official list of models.

Codex CLI: codex-api/src/endpoint/models.rs, protocol/src/openai_models.rs.
"""

from __future__ import annotations

from typing import Any

__all__ = ["as_official_list", "find_model"]


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
