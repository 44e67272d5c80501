"""Decide where the instructions of a call are sent: as the parameter, or as the first message of the input. Pure.

From GPT-6.2 on the backend is reported to place the parameter `instructions` behind `input`. The instructions of a
conversation then move with every call, and the prompt cache has only the items before them. The Codex CLI sends no
instructions since version 0.169.0 but a developer message at the beginning of `input`, which has the same effect.

The catalog of the backend has no member for this, so the decision is made by the version in the name of the model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._options import InstructionsForm

__all__ = [
    "InstructionsPlacement",
    "as_message",
    "as_parameter",
    "has_leading_message",
    "requires_parameter",
]

_MODEL_VERSION: Final = re.compile(r"gpt-(\d{1,4})(?:\.(\d{1,4}))?(?![\d.])")
# Source: https://github.com/earendil-works/pi/issues/12273, and the requests of Codex CLI 0.169.0 to 0.171.0.
_FIRST_VERSION_WITH_MESSAGE: Final = (6, 2)
# The backend's error until June 2026 for a call without the parameter, {"detail": "Instructions are required"}.
_REQUIRED: Final = re.compile(r"\binstructions are required\b", re.IGNORECASE)


class InstructionsPlacement:
    """The models whose instructions are sent as a message. A client and its copies share one object."""

    def __init__(self) -> None:
        self._requiring_parameter: set[str] = set()

    def uses_message(self, model: Any, form: InstructionsForm) -> bool:
        """Return whether the instructions for this model are sent as a message."""
        if form != "auto":
            return form == "message"
        if not isinstance(model, str) or model in self._requiring_parameter:
            return False
        version = _MODEL_VERSION.match(model)
        return version is not None and (int(version[1]), int(version[2] or 0)) >= _FIRST_VERSION_WITH_MESSAGE

    def is_parameter_required(self, model: Any) -> bool:
        """Return whether the backend rejected a call for this model without the parameter."""
        return model in self._requiring_parameter

    def record_requirement(self, model: Any) -> None:
        """Record that the backend rejected a call for this model without the parameter."""
        self._requiring_parameter.add(str(model))


def as_message(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with its instructions as the first message of its input."""
    rest = {name: value for name, value in body.items() if name != "instructions"}
    content = [{"type": "input_text", "text": body["instructions"]}]
    message = {"type": "message", "role": "developer", "content": content}
    return {**rest, "input": [message, *body["input"]]}


def as_parameter(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body whose first message, as `as_message` adds it, is the parameter instead."""
    message, *items = body["input"]
    return {**body, "instructions": message["content"][0]["text"], "input": items}


def has_leading_message(body: Mapping[str, Any]) -> bool:
    """Return whether the input begins with a developer message of one text, which `as_parameter` can move."""
    item = body["input"][0] if body["input"] else {}
    content = item.get("content")
    is_single = isinstance(content, list) and len(content) == 1 and content[0].get("type") == "input_text"
    return item.get("role") == "developer" and is_single


def requires_parameter(status: int | None, message: str) -> bool:
    """Return whether the backend rejected a call because it has no parameter `instructions`."""
    return status == 400 and _REQUIRED.search(message) is not None
