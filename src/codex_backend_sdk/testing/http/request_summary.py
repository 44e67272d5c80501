"""Summarize each request and its response, for the request log of `codex-backend simulate`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from .delivery import SimulatedResponse

__all__ = ["RequestSummary", "ResponseSummary", "summarize_response"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSummary:
    """What a model response contains.

    `items` are the types of its output items. The tokens are those of its usage, or None. `problem` is the code of its
    error, the status of a response that is not completed, or how the connection ends early (`cut`, `reset`).
    """

    items: tuple[str, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSummary:
    """A request to the simulator and its response.

    - `time`: when the request arrived, on the simulator's clock.
    - `method`: the HTTP method, or `WS` for a message on a WebSocket.
    - `status`: the HTTP status, or None if no complete status line was sent.
    - `model`, `response`: the model of a model request, and its response.
    - `seconds`: how long the exchange took, up to the last byte.

    The texts are those of the client. They may contain control characters.
    """

    time: datetime
    method: str
    path: str
    status: int | None
    seconds: float
    model: str | None = None
    response: ResponseSummary = field(default_factory=ResponseSummary)


def summarize_response(response: SimulatedResponse) -> ResponseSummary:
    """Return the summary of a model response before its delivery."""
    events = [chunk for chunk in response.chunks if isinstance(chunk, dict)]
    items = [event["item"] for event in events if event.get("type") == "response.output_item.done"]
    final_response = (events[-1].get("response") or {}) if events else {}
    usage = final_response.get("usage") or {}
    return ResponseSummary(
        items=tuple(str(item.get("type")) for item in items),
        input_tokens=usage.get("input_tokens"),
        output_tokens=usage.get("output_tokens"),
        problem=_problem(response, events),
    )


def _problem(response: SimulatedResponse, events: list[dict[str, Any]]) -> str | None:
    if response.ending != "close":
        return response.ending
    if response.is_raw:
        return "not HTTP"
    if response.status >= 300:
        body = b"".join(chunk for chunk in response.chunks if isinstance(chunk, bytes))
        return _error_code(body)
    final_type = str(events[-1].get("type")) if events else ""
    if final_type == "error":
        return _code_of(events[-1].get("error")) or "error"
    if final_type == "response.failed":
        return _code_of((events[-1].get("response") or {}).get("error")) or "failed"
    return "incomplete" if final_type == "response.incomplete" else None


def _error_code(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    return _code_of(document.get("error")) or (str(document["detail"]) if "detail" in document else None)


def _code_of(error: object) -> str | None:
    code = (error.get("code") or error.get("type")) if isinstance(error, dict) else error
    return None if code is None else str(code)
