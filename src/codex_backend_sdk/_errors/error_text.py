"""Extract the readable part of an error body, for exception messages.

Error bodies come from the backend, from Cloudflare, from proxies and from captive portals. Three rules keep messages
short and safe. An excerpt has at most 300 characters and no tokens (`_redaction`). HTML is reduced to its title. A body
of unknown shape may repeat the prompt, so its excerpt omits all texts of the request. A body can be large, so
everything but JSON is searched in its first kilobytes only. This module has no I/O, clock or randomness.
"""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any, Final

from .._redaction import REDACTED, excerpt, redact_data

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["describe_body", "error_message", "error_object", "is_html", "quote_backend"]

_MAX_INSPECTED_LENGTH: Final = 16_384  # Cloudflare's pages have their title in the first kilobyte
_MAX_BEGINNING_LENGTH: Final = 200
_HTML_PAGE: Final = "an HTML page titled"
_MAX_ERRORS: Final = 10  # an excerpt has no room for more
_LOWER_CASE: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # keeps the length, unlike `lower`


def describe_body(content_type: str, text: str, *, sent: Collection[str] = ()) -> str:
    """Describe an unexpected body: `an HTML page titled “Sign in”`, `text/plain, 13 characters: “Try it again.”`.

    `sent` are the texts of the request, which the description must not contain.
    """
    if not text.strip():
        return "an empty body"
    if is_html(text):
        title = _html_title(text)
        return f"{_HTML_PAGE} “{title}”" if title else "an HTML page"
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return f"{content_type or 'untyped data'}, {len(text)} characters: “{_beginning(text, sent)}”"
    message = error_message(body) if isinstance(body, dict) else None
    if message:
        return f"JSON with the message “{message}”"
    if len(text) > _MAX_INSPECTED_LENGTH:
        return f"JSON, {len(text)} characters"
    try:  # secrets and control characters are found in the decoded texts only
        decoded = json.dumps(redact_data(body, sent), ensure_ascii=False)
    except RecursionError:  # nested more deeply than the caller's stack allows
        return f"JSON, {len(text)} characters"
    return f"JSON, {len(text)} characters: “{_beginning(decoded, sent)}”"


def _beginning(text: str, sent: Collection[str]) -> str:
    text = text[:_MAX_INSPECTED_LENGTH]
    for value in sent:
        if len(value) > _MAX_BEGINNING_LENGTH and (start := text.find(value[:_MAX_BEGINNING_LENGTH])) >= 0:
            text = text[:start] + REDACTED  # the text may end within the prompt
    beginning = excerpt(text, sent)
    return beginning if len(beginning) <= _MAX_BEGINNING_LENGTH else f"{beginning[:_MAX_BEGINNING_LENGTH]}…"


def is_html(text: str) -> bool:
    """Return whether the text is an HTML page."""
    return text[:_MAX_INSPECTED_LENGTH].lstrip().lower().startswith(("<!doctype", "<html"))


def error_object(body: Any) -> dict[str, Any]:
    """Return the error object of a decoded body, or an empty dict.

    The OpenAI API sends it as `error`, and the web framework of the backend as `detail`.
    """
    if not isinstance(body, dict):
        return {}
    return next((error for error in (body.get("error"), body.get("detail")) if isinstance(error, dict)), {})


def error_message(body: Any) -> str | None:
    """Return the message in a decoded body, or None.

    The message is `error.message`, `detail` (a string or a list of errors), or the body itself if it is text.
    """
    if isinstance(body, dict):
        message = error_object(body).get("message") or body.get("detail") or body.get("message")
        return None if message is None else excerpt(message if isinstance(message, str) else _errors(message)) or None
    if not isinstance(body, str) or not body.strip():
        return None
    if is_html(body):
        title = _html_title(body)
        return f"{_HTML_PAGE} “{title}” instead of a response from the backend" if title else None
    return excerpt(body)


def quote_backend(message: str | None) -> str:
    """Return a sentence that quotes the backend, to follow another one: ` Backend message: “Not today.”`, or ``.

    The quotation marks show where the words of the backend end.
    """
    if not message:
        return ""
    if message.startswith(_HTML_PAGE):
        return f" The reply was {message}."
    return f" Backend message: “{message}”" + ("" if message.endswith((".", "!", "?")) else ".")


def _errors(detail: Any) -> str:
    """Format the errors of the backend's web framework, without the `input` that they repeat."""
    if isinstance(detail, list):
        detail = [_without_input(error) for error in detail[:_MAX_ERRORS]]
    return repr(detail)


def _without_input(error: Any) -> Any:
    return {name: value for name, value in error.items() if name != "input"} if isinstance(error, dict) else error


def _html_title(html: str) -> str | None:
    html = html[:_MAX_INSPECTED_LENGTH]
    tags = html.translate(_LOWER_CASE)
    start = tags.find("<title")
    content_start = tags.find(">", start) + 1
    end = tags.find("</title>", content_start)
    return None if start < 0 or not content_start or end < 0 else excerpt(html[content_start:end])
