"""Remove tokens and control characters from text that comes from other programs.

Text of the backend, of the issuer or of a proxy may repeat the request that caused it, including the access token, and
may contain escape sequences that control a terminal. Each such text passes through this module before it becomes part
of an error message, a log record or the output of a command:

- `redact` removes control characters, the secrets that the request contained, and everything that has the form of a
  token. `excerpt` does the same for the first characters of a text of any length, in one line.
- `redact_url` removes the credentials, the query and the fragment of a URL.
- `remove_control_characters` alone is for the text of a model, which may well be about tokens.

The time is proportional to the length of the text: quantifiers are possessive (`*+`, `++`), so no expression
backtracks. This module has no I/O, clock or randomness.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

__all__ = [
    "CONTROL_CHARACTERS",
    "REDACTED",
    "excerpt",
    "redact",
    "redact_data",
    "redact_url",
    "remove_control_characters",
    "sent_secrets",
]

REDACTED: Final = "[REDACTED]"

_MAX_EXCERPT_LENGTH: Final = 300
_MAX_INSPECTED_LENGTH: Final = 4096
_ELLIPSIS: Final = "…"

# C0 without newline and tab, DEL, C1, and the invisible characters that reorder text or split words: U+061C, U+200B,
# U+200E/F, U+2028-202E, U+2060-206F, U+FEFF and tags. Joiners (U+200C/D) stay, because some scripts and emoji need
# them. Lone surrogates are included, because they cannot be printed.
CONTROL_CHARACTERS: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\U000e0000-\U000e007f"
)
# ECMA-48: a control sequence (CSI), a control string (OSC, DCS, SOS, PM, APC) with its terminator, another escape
# sequence, or a single character. Without its terminator, only the introducer of a control string is removed.
_CONTROLS: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])(?:[^\x00-\x1f\x7f-\x9f]*+(?:\x07|\x1b\\|\x9c))?"
    r"|\x1b[ -/]*+[0-~]?"
    f"|[{CONTROL_CHARACTERS}]"
)

# The shapes of tokens: JWTs (also encrypted ones), refresh tokens, personal access tokens, authorization codes, API
# keys and session keys. Except for JWTs, a token has a digit, unlike `at-least-once-delivery`.
_TOKENS: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:eyJ[A-Za-z0-9_.\-]{8,}+|(?:rt[_.\-]|at-|ac_|sk-|sess-)[A-Za-z0-9_.\-]{12,}+)"
)
_CREDENTIALS: Final = re.compile(
    r"\b(bearer|basic)((?:[\s:=\"'\[(]|%20|\+){1,4}+)([A-Za-z0-9._~+/\-]{8,}+=*+)", re.IGNORECASE
)
# A part of a secret, for example of a token that the server shortened or changed to upper case.
_MIN_PART_LENGTH: Final = 16
_MAX_TOKEN_LENGTH: Final = 16_384
_WORDS: Final = re.compile(rf"[A-Za-z0-9._~\-]{{{_MIN_PART_LENGTH},}}+")
_MIN_SECRET_LENGTH: Final = 8
_CERTAINLY_CREDENTIALS_LENGTH: Final = 20  # no English word is as long

_URL_DELIMITERS: Final = re.compile(r"[/?#\\]")

# Headers whose values are not secret, and occur in messages.
_PUBLIC_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "openai-beta",
        "originator",
        "transfer-encoding",
        "user-agent",
        "x-codex-beta-features",
    }
)


def remove_control_characters(text: str) -> str:
    """Remove escape sequences, control characters except newline and tab, and characters that reorder text."""
    return _CONTROLS.sub("", text)


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """Replace `secrets`, their parts, and everything in the form of a token; remove control characters."""
    text = remove_control_characters(text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, REDACTED)
        if "%" in text:  # only then can the text contain a quoted form that differs from the secret
            text = text.replace(quote(secret, safe=""), REDACTED)
    text = _CREDENTIALS.sub(_redact_credentials, text)
    text = _TOKENS.sub(_redact_token, text)
    if secrets and _WORDS.search(text):  # few texts have a word that is long enough
        parts = frozenset().union(*map(_parts, secrets))
        text = _WORDS.sub(lambda word: word[0] if parts.isdisjoint(_parts(word[0])) else REDACTED, text)
    return text


def _parts(text: str) -> frozenset[str]:
    """Return all parts of `_MIN_PART_LENGTH` characters, in lower case. Of a very long text, none: it is no token."""
    if len(text) > _MAX_TOKEN_LENGTH:
        return frozenset()
    text = text.lower()
    return frozenset(text[start : start + _MIN_PART_LENGTH] for start in range(len(text) - _MIN_PART_LENGTH + 1))


def _redact_credentials(match: re.Match[str]) -> str:
    scheme, separator, value = match.groups()
    is_word = value.isalpha() and len(value) < _CERTAINLY_CREDENTIALS_LENGTH  # “Bearer authentication”
    return match[0] if is_word else f"{scheme}{separator}{REDACTED}"


def _redact_token(match: re.Match[str]) -> str:
    token = match[0].rstrip(".")  # the end of a sentence
    is_token = token.startswith("eyJ") or any(map(str.isdigit, token))
    return REDACTED + match[0][len(token) :] if is_token else match[0]


def excerpt(text: str, secrets: Collection[str] = ()) -> str:
    """Return the beginning of a text as one redacted line of at most 301 characters."""
    line = " ".join(redact(text[:_MAX_INSPECTED_LENGTH], secrets).split())
    return line if len(line) <= _MAX_EXCERPT_LENGTH else line[:_MAX_EXCERPT_LENGTH] + _ELLIPSIS


def redact_data(value: Any, secrets: Collection[str] = ()) -> Any:
    """Redact the strings in JSON data and in dataclasses. Return other values unchanged."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact_data(name, secrets): redact_data(member, secrets) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([redact_data(member, secrets) for member in value])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **redact_data(members, secrets))
    return value


def sent_secrets(headers: Iterable[tuple[str, str]], values: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what a request contained that its response may repeat but no message may show.

    These are the values of all headers that are not known to be public, because a caller may send the key of a gateway,
    and `values` of the body. Those of less than 8 characters are omitted: ordinary words would be replaced.
    """
    return tuple(value for value in (*_secret_values(headers), *values) if len(value) >= _MIN_SECRET_LENGTH)


def _secret_values(headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        name = name.lower()
        if name in _PUBLIC_HEADERS or name.startswith("x-stainless-"):
            continue
        yield value.strip()
        if name in ("authorization", "proxy-authorization"):
            yield value.strip().partition(" ")[2].strip()
        elif name == "cookie":
            yield from (cookie.partition("=")[2].strip() for cookie in value.split(";"))


def redact_url(url: str) -> str:
    """Return a URL without its user name, password, query and fragment, for messages.

    Programs disagree about where the host of an invalid URL begins, for example after a password with a slash. If an
    `@` could be the end of such a password, only the scheme is shown.
    """
    url = remove_control_characters(url)
    scheme, separator, rest = url.partition("//")
    if not separator:
        scheme, rest = "", url
    address = _URL_DELIMITERS.split(rest, maxsplit=1)[0]
    if "@" in unquote(rest[len(address) :]) or "@" in unquote(address).partition("@")[2] or "%40" in address:
        return f"{scheme}{separator}{_ELLIPSIS}"
    if "@" in address:
        rest = f"{_ELLIPSIS}@{rest.partition('@')[2]}"
    address, has_query, _ = rest.partition("?")
    address, has_fragment, _ = address.partition("#")
    return redact(f"{scheme}{separator}{address}") + (f"?{_ELLIPSIS}" if has_query or has_fragment else "")
