"""The two shapes in which the backend refuses a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Refusal", "detail", "invalid"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status and the JSON body that goes with it."""

    status: int
    body: dict[str, Any]


def detail(text: str, *, status: int = 400) -> Refusal:
    """Return `{"detail": …}`, the shape of the Codex backend itself."""
    return Refusal(status, {"detail": text})


def invalid(text: str, *, param: str | None, code: str | None, status: int = 400) -> Refusal:
    """Return `{"error": {…}}`, the shape of the Responses API behind it."""
    error = {"message": text, "type": "invalid_request_error", "param": param, "code": code}
    return Refusal(status, {"error": error})
