"""What the answer about the accounts can say wrong. Codex CLI: app-server, workspace_routing.rs, names the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .changed import changed

if TYPE_CHECKING:
    from ..turns import Turn

__all__ = ["as_map", "at_origin", "missing", "twice", "with_override"]


def as_map() -> Turn:
    """Answer in the other form."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        entries = {entry["id"]: {"account": {**entry, "account_id": entry["id"]}} for entry in answer["accounts"]}
        return {**answer, "accounts": entries}

    return changed(change)


def missing() -> Turn:
    """Leave the account out."""
    return changed(lambda answer: {**answer, "accounts": [], "account_ordering": []})


def twice() -> Turn:
    """Contradict oneself."""
    return changed(
        lambda answer: {**answer, "accounts": answer["accounts"] + _each(answer, account_routing_override="us_cr")}
    )


def at_origin(url: str = "") -> Turn:
    """Name this origin, of whatever form; none when it is empty."""
    return changed(lambda answer: {**answer, "accounts": _each(answer, workspace_backend_origin=url or None)})


def with_override(word: str = "moon") -> Turn:
    """Name this override."""
    return changed(lambda answer: {**answer, "accounts": _each(answer, account_routing_override=word)})


def _each(answer: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    return [{**entry, **members} for entry in answer["accounts"]]
