"""What a body says, in a line for people: nothing of a request is echoed, and no page of HTML is shown as it is."""

from __future__ import annotations

import json
import re
from typing import Any, Final

__all__ = ["error_of", "is_html", "summarize", "words_of"]

_LONGEST_EXCERPT: Final = 300


def summarize(content_type: str, text: str) -> str:
    """Say in a few words what a body is that should have been something else; nothing of a request is echoed."""
    if not text.strip():
        return "an empty body"
    if is_html(text):
        title = _title(text)
        return f"an HTML page titled “{title}”" if title else "an HTML page"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return f"{content_type or 'untyped data'}, {len(text)} characters"
    said = words_of(body) if isinstance(body, dict) else None
    return f"JSON that says “{said}”" if said else f"JSON, {len(text)} characters"


def is_html(text: str) -> bool:
    """Whether a text is a page for a browser."""
    return re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE) is not None


def _title(html: str) -> str | None:
    found = re.search(r"<title[^>]*>(.*?)</title>", html, re.IGNORECASE | re.DOTALL)
    return _excerpt(found[1]) if found else None


def error_of(body: Any) -> dict[str, Any]:
    """Return the error object of an answer, `error` or (as web frameworks make it) `detail`; empty if it has none."""
    if not isinstance(body, dict):
        return {}
    return next((error for error in (body.get("error"), body.get("detail")) if isinstance(error, dict)), {})


def words_of(body: Any) -> str | None:
    """Return the backend's own words: `error.message`, `detail` (a text, or a list of faults), or a plain text."""
    if isinstance(body, dict):
        said = error_of(body).get("message") or body.get("detail") or body.get("message")
        return None if said is None else _excerpt(said if isinstance(said, str) else repr(said)) or None
    if not isinstance(body, str) or not body.strip():
        return None
    if is_html(body):
        title = _title(body)
        return f"an HTML page titled “{title}”, not an answer of the backend" if title else None
    return _excerpt(body)


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_EXCERPT else line[:_LONGEST_EXCERPT] + "…"
