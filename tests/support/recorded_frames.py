"""Compare messages on a WebSocket by their shape: members, their order, types and the chain of responses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_backend_sdk.testing import RecordedFrame

__all__ = ["RECORDINGS", "clean_frames"]

RECORDINGS = Path(__file__).parent.parent / "recordings"
# Members with a value of a small set. Other texts are prompts, identifiers or paths.
_KEPT_MEMBERS = (
    "type",
    "role",
    "model",
    "tool_choice",
    "effort",
    "context",
    "verbosity",
    "phase",
    "status",
    "execution",
)


def clean_frames(frames: Iterable[RecordedFrame]) -> list[dict[str, Any]]:
    """Return the messages without prompts and identifiers. A chain of responses is numbered on each connection."""
    numbers: dict[str, str] = {}
    cleaned: list[dict[str, Any]] = []
    for frame in frames:
        message = frame.json()
        if response_id := message.get("previous_response_id"):
            numbers.setdefault(response_id, f"response {len(numbers) + 1}")
            message["previous_response_id"] = numbers[response_id]
        cleaned.append({"connection": frame.connection, "message": _clean(message)})
    return cleaned


def _clean(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        if name in ("parameters", "format"):
            return {}
        # The CLI writes the members of `client_metadata` in random order.
        names = sorted(value) if name == "client_metadata" else value
        return {key: _clean(value[key], key) for key in names}
    if isinstance(value, list):
        elements = [_clean(element, name) for element in value]
        return _unique(elements) if name in ("tools", "content") else elements
    is_kept = name in (*_KEPT_MEMBERS, "previous_response_id", "include")
    return value if not isinstance(value, str) or is_kept else "…"


def _unique(elements: list[Any]) -> list[Any]:
    """Return each shape once: the number of tools and of texts depends on the machine."""
    texts = dict.fromkeys(json.dumps(element, sort_keys=False) for element in elements)
    return [json.loads(text) for text in texts]
