"""Error answers → what went wrong, in one place for every status and body."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UsageLimit", "describe", "explain_failure", "summarize", "usage_limit"]

_LONGEST_EXCERPT: Final = 300


class UsageLimit(NamedTuple):
    """A used-up plan: its name and when it is filled up again, as far as the backend told."""

    plan: str | None
    resets_at: datetime | None
    message: str


def usage_limit(status: int, body: Any) -> UsageLimit | None:
    """Return the usage limit that an answer tells of, or None. Codex CLI: codex-api/src/api_bridge.rs."""
    error = _error(body)
    if status != 429 or error.get("type") != "usage_limit_reached":
        return None
    plan = error.get("plan_type")
    resets_at = _time(error.get("resets_at"))
    when = f" It resets at {resets_at:%Y-%m-%d %H:%M} UTC." if resets_at else ""
    of_plan = f" of the {plan} plan" if isinstance(plan, str) else ""
    message = f"The usage limit{of_plan} is reached.{when} https://chatgpt.com/settings/usage shows and extends it."
    return UsageLimit(plan if isinstance(plan, str) else None, resets_at, message)


def _time(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):  # not a number, or not a time that can be
        return None


def describe(status: int, body: Any, headers: Mapping[str, str]) -> str:
    """Say in one line what an error answer holds: the backend's own words, or what kind of page it is."""
    said = _words(body)
    ray = headers.get("cf-ray")
    if said is None and ray is not None:
        said = f"an HTML page of Cloudflare (cf-ray {ray}), not an answer of the backend"
    return f"Error code: {status}" + (f" - {said}" if said else "")


def explain_failure(failure: dict[str, Any]) -> str:
    """Say in one line why the backend gave an answer up."""
    code, message = failure.get("code"), failure.get("message")
    reason = message if isinstance(message, str) and message else "no reason given"
    return f"The backend ended the answer: {reason}" + (f" (code: {code})" if code else "")


def summarize(content_type: str, text: str) -> str:
    """Say in a few words what a body is that should have been something else; nothing of a request is echoed."""
    if not text.strip():
        return "an empty body"
    if _is_html(text):
        title = _title(text)
        return f"an HTML page titled “{title}”" if title else "an HTML page"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return f"{content_type or 'untyped data'}, {len(text)} characters"
    said = _words(body) if isinstance(body, dict) else None
    return f"JSON that says “{said}”" if said else f"JSON, {len(text)} characters"


def _is_html(text: str) -> bool:
    return re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE) is not None


def _title(html: str) -> str | None:
    found = re.search(r"<title[^>]*>(.*?)</title>", html, re.IGNORECASE | re.DOTALL)
    return _excerpt(found[1]) if found else None


def _error(body: Any) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _words(body: Any) -> str | None:
    """The backend says it as `error.message`, as `detail` (text, or a list as web frameworks make it), or as text."""
    if isinstance(body, dict):
        said = _error(body).get("message") or body.get("detail") or body.get("message")
        return None if said is None else _excerpt(said if isinstance(said, str) else repr(said))
    if not isinstance(body, str) or not body.strip():
        return None
    if _is_html(body):
        title = _title(body)
        return f"an HTML page titled “{title}”, not an answer of the backend" if title else None
    return _excerpt(body)


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_EXCERPT else line[:_LONGEST_EXCERPT] + "…"
