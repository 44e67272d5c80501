"""Parse and update the auth.json document, which this package shares with the Codex CLI.

Invariant: an update keeps the top-level members that this package does not know. This module has no I/O.
Wire source (members and modes): Codex CLI, login/src/auth/storage.rs.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..types import Secret

__all__ = [
    "PERSONAL_ACCESS_TOKEN_MODE",
    "StoredTokens",
    "TokenResponse",
    "describe_other_credentials",
    "format_timestamp",
    "is_header_safe",
    "is_personal_access_token",
    "merge_login",
    "merge_refreshed_tokens",
    "parse",
    "parse_mode",
    "parse_personal_access_token",
    "parse_tokens",
    "replace_login",
    "serialize",
    "serialize_compact",
]

_CHATGPT_MODE: Final = "chatgpt"
PERSONAL_ACCESS_TOKEN_MODE: Final = "personalAccessToken"
# `chatgpt` and `chatgptAuthTokens` have ChatGPT tokens in `tokens`. An application supplies those of the latter.
_USABLE_MODES: Final = frozenset({_CHATGPT_MODE, "chatgptAuthTokens", PERSONAL_ACCESS_TOKEN_MODE})

# `auth_mode` → the description of other credentials in messages.
_OTHER_MODES: Final = {
    "apikey": "an OpenAI API key",
    "agentIdentity": "an agent identity",
    "headers": "request headers",
    "bedrockApiKey": "an Amazon Bedrock key",
}

# Without `auth_mode`, the first of these members that is present determines the mode; otherwise it is chatgpt.
_MODE_BY_MEMBER: Final = (
    ("personal_access_token", PERSONAL_ACCESS_TOKEN_MODE),
    ("bedrock_api_key", "bedrockApiKey"),
    ("OPENAI_API_KEY", "apikey"),
)

_KNOWN_MEMBERS: Final = frozenset(
    {"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", "agent_identity"}
    | {member for member, _ in _MODE_BY_MEMBER}
)
_MAX_DEPTH: Final = 127  # the limit of serde_json, with which the Codex CLI reads the file
_PERSONAL_ACCESS_TOKEN_PREFIX: Final = "at-"  # Codex CLI: login/src/auth/access_token.rs


class StoredTokens(NamedTuple):
    """The tokens of a document. A missing, null or empty member is None."""

    access_token: Secret
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    account_id: str | None = None
    last_refresh: datetime | None = None

    def has_same_tokens(self, other: StoredTokens) -> bool:
        """Return whether the access token and the refresh token are the same as those of `other`."""
        return (self.access_token, self.refresh_token) == (other.access_token, other.refresh_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The tokens in a response of the issuer. If a refresh omits a token, the stored one stays valid."""

    id_token: Secret | None = None
    access_token: Secret | None = None
    refresh_token: Secret | None = None


def is_header_safe(value: str) -> bool:
    """Return whether a string can be sent in an HTTP header.

    The HTTP client raises an error that contains an invalid header value, which would expose a token.
    """
    return bool(value) and value.isascii() and value.isprintable() and " " not in value


def is_personal_access_token(token: Secret) -> bool:
    """Return whether a token is a personal access token, which has no claims and no refresh token."""
    return token.reveal().startswith(_PERSONAL_ACCESS_TOKEN_PREFIX)


def parse(data: bytes) -> dict[str, Any]:
    """Parse an auth.json. Raises ValueError, without any part of `data` in its message, if `data` is invalid."""
    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=_reject_constant, parse_float=_parse_float)
    except UnicodeDecodeError:
        # `from None`, here and below: the original exceptions contain the whole text, tokens included.
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  (invalid data, not a wrong argument)
    _check_depth(document)
    if document and not _KNOWN_MEMBERS & document.keys():
        raise ValueError("it has none of the members of a Codex auth.json")
    parse_tokens(document)
    parse_personal_access_token(document)
    return document


def _reject_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity, which Python reads and writes, are not JSON


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):  # such as 1e999, which Python would write as Infinity
        raise ValueError
    return value


def _check_depth(document: dict[str, Any]) -> None:
    depth = 0
    level: list[Any] = [document]
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested more than {_MAX_DEPTH} levels deep")
        level = [
            member
            for value in level
            for member in (value.values() if isinstance(value, dict) else value)
            if isinstance(member, (dict, list))
        ]


def serialize(document: dict[str, Any]) -> bytes:
    """Return the document as indented JSON, as the Codex CLI writes its file. Raises ValueError if it is not JSON."""
    return (_to_json(document, indent=2) + "\n").encode()


def serialize_compact(document: dict[str, Any]) -> str:
    """Return the document as ASCII JSON without whitespace. Raises ValueError if it is not JSON."""
    return _to_json(document, separators=(",", ":"))


def _to_json(document: dict[str, Any], **options: Any) -> str:
    _check_depth(document)
    try:
        return json.dumps(document, allow_nan=False, **options)
    except (TypeError, ValueError):  # the text may contain a part of the document
        raise ValueError("it has a value that JSON does not have") from None


def parse_mode(document: dict[str, Any]) -> str:
    """Return the `auth_mode` of a document, or derive it from the other members if it is missing."""
    mode = document.get("auth_mode")
    if mode is not None:
        return str(mode)
    return next((mode for member, mode in _MODE_BY_MEMBER if document.get(member) is not None), _CHATGPT_MODE)


def describe_other_credentials(document: dict[str, Any]) -> str | None:
    """Describe credentials other than a ChatGPT login. Return None for an empty document or one with a login."""
    mode = parse_mode(document)
    if mode in _USABLE_MODES:
        return None
    return _OTHER_MODES.get(mode, f"credentials of the unknown type {mode[:40]!r}")


def parse_personal_access_token(document: dict[str, Any]) -> Secret | None:
    """Return the personal access token of a document, or None if the document has another mode.

    Raises ValueError if the member is not a token.
    """
    return (
        _secret_member(document, "personal_access_token")
        if parse_mode(document) == PERSONAL_ACCESS_TOKEN_MODE
        else None
    )


def parse_tokens(document: dict[str, Any]) -> StoredTokens | None:
    """Return the ChatGPT tokens of a document, or None if it has none.

    Raises ValueError if a member has the wrong type or invalid characters. `last_refresh` may be missing, because the
    expiry of the access token is sufficient.
    """
    tokens = document.get("tokens")
    if tokens is None or parse_mode(document) == PERSONAL_ACCESS_TOKEN_MODE:
        return None
    if not isinstance(tokens, dict):
        raise ValueError("its member `tokens` is not an object")  # noqa: TRY004  (invalid data, not a wrong argument)
    access_token = _secret_member(tokens, "access_token")
    if access_token is None:
        return None
    return StoredTokens(
        access_token=access_token,
        refresh_token=_secret_member(tokens, "refresh_token"),
        id_token=_secret_member(tokens, "id_token"),
        account_id=_header_member(tokens, "account_id"),
        last_refresh=_datetime_member(document, "last_refresh"),
    )


def merge_refreshed_tokens(document: dict[str, Any], response: TokenResponse, *, now: datetime) -> dict[str, Any]:
    """Return the document with the tokens of a refresh response. All other members, and `account_id`, are unchanged.

    Wire source: Codex CLI, login/src/auth/manager.rs.
    """
    return {
        **document,
        "tokens": {**(document.get("tokens") or {}), **_revealed_tokens(response)},
        "last_refresh": format_timestamp(now),
    }


def merge_login(document: dict[str, Any], refreshed: dict[str, Any]) -> dict[str, Any]:
    """Return the document with the tokens and the refresh time of the document `refreshed`."""
    return {
        **document,
        "tokens": {**(document.get("tokens") or {}), **refreshed["tokens"]},
        "last_refresh": refreshed["last_refresh"],
    }


def replace_login(
    document: dict[str, Any] | None, response: TokenResponse, *, account_id: str | None, now: datetime
) -> dict[str, Any]:
    """Return the document with the tokens of a new login. All other top-level members are unchanged.

    `tokens` is replaced completely, because its unknown members describe the previous login.
    """
    return {
        "OPENAI_API_KEY": None,  # the Codex CLI always writes this member, as null if there is no key
        **(document or {}),
        "auth_mode": _CHATGPT_MODE,
        "tokens": {**_revealed_tokens(response), "account_id": account_id},
        "last_refresh": format_timestamp(now),
    }


def format_timestamp(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC, ending in `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _revealed_tokens(response: TokenResponse) -> dict[str, str]:
    members = {
        "id_token": response.id_token,
        "access_token": response.access_token,
        "refresh_token": response.refresh_token,
    }
    return {name: secret.reveal() for name, secret in members.items() if secret is not None}


# --- members: None if absent, ValueError if invalid --------------------------------------------------------------


def _string_member(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its member `{name}` is not a string")
    return value or None


def _header_member(members: dict[str, Any], name: str) -> str | None:
    value = _string_member(members, name)
    if value is not None and not is_header_safe(value):
        raise ValueError(f"its member `{name}` has a space, a line break or another character not allowed in a header")
    return value


def _secret_member(members: dict[str, Any], name: str) -> Secret | None:
    value = _header_member(members, name)
    return None if value is None else Secret(value)


def _datetime_member(members: dict[str, Any], name: str) -> datetime | None:
    value = _string_member(members, name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"its member `{name}` is not an RFC 3339 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
