"""A validation rule of model requests, and the error responses of rules.

An error body has one of two shapes. The Codex backend itself sends `{"detail": …}` (`detail_error`). The Responses API
behind it sends `{"error": {…}}` (`api_error`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.delivery import SimulatedResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..parsed_request import ParsedRequest

__all__ = ["ValidationRule", "api_error", "detail_error", "quoted_list", "string_too_long_error"]


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """A validation rule. `check` returns the error response to an invalid request, or None if the request is valid."""

    name: str
    check: Callable[[ParsedRequest], SimulatedResponse | None]
    is_enabled_by_default: bool = True


def detail_error(text: str) -> SimulatedResponse:
    """Return 400 with `{"detail": text}`."""
    return SimulatedResponse.json(400, {"detail": text})


def api_error(text: str, *, param: str | None, code: str | None, status: int = 400) -> SimulatedResponse:
    """Return an error in the shape of the Responses API."""
    error = {"message": text, "type": "invalid_request_error", "param": param, "code": code}
    return SimulatedResponse.json(status, {"error": error})


def string_too_long_error(path: str, value: str, max_length: int) -> SimulatedResponse:
    """Return the error for a string with more than `max_length` characters."""
    return api_error(
        f"Invalid '{path}': string too long. Expected a string with maximum length "
        f"{max_length}, but got a string with length {len(value)} instead.",
        param=path,
        code="string_above_max_length",
    )


def quoted_list(values: Sequence[str]) -> str:
    """Return the values as the backend lists them: `'a' and 'b'`, or `'a', 'b', and 'c'`."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
