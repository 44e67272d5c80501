"""The auth.json document, which this package shares with the Codex CLI: reading it, and what may change in it.

Invariant: members that this package does not know stay as they are.
Wire source (members and modes): Codex CLI, login/src/auth/storage.rs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ..types import Secret

__all__ = [
    "PERSONAL_MODE",
    "StoredTokens",
    "TokenResponse",
    "describe_other_credentials",
    "format_timestamp",
    "is_personal_token",
    "is_token",
    "merge_refreshed_tokens",
    "parse",
    "parse_mode",
    "parse_personal_token",
    "parse_tokens",
    "render",
    "replace_login",
]

_CHATGPT_MODE: Final = "chatgpt"
PERSONAL_MODE: Final = "personalAccessToken"
# The first two have ChatGPT tokens under `tokens`; in the second an application supplies them.
_USABLE_MODES: Final = frozenset({_CHATGPT_MODE, "chatgptAuthTokens", PERSONAL_MODE})

# The other kinds of credentials in a document, by `auth_mode`, as a message names them.
_OTHER_MODES: Final = {
    "apikey": "an OpenAI API key",
    "agentIdentity": "an agent identity",
    "headers": "request headers",
    "bedrockApiKey": "an Amazon Bedrock key",
}

# Without `auth_mode` the first of these members that is set decides; without any of them the mode is chatgpt.
_MODE_BY_MEMBER: Final = (
    ("personal_access_token", PERSONAL_MODE),
    ("bedrock_api_key", "bedrockApiKey"),
    ("OPENAI_API_KEY", "apikey"),
)

_KNOWN_MEMBERS: Final = frozenset(
    {"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", "agent_identity"}
    | {member for member, _ in _MODE_BY_MEMBER}
)
_PERSONAL_PREFIX: Final = "at-"  # Codex CLI: login/src/auth/access_token.rs


class StoredTokens(NamedTuple):
    """The ChatGPT tokens of a document. A member that is missing, null or empty is None."""

    access_token: Secret
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    account_id: str | None = None
    last_refresh: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """The tokens in a response of the issuer. A refresh may leave any of them out; the stored one stays valid then."""

    id_token: Secret | None = None
    access_token: Secret | None = None
    refresh_token: Secret | None = None


def is_token(text: str) -> bool:
    """Return whether a text can be a token: the HTTP client would show any other in its error about the header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_personal_token(token: Secret) -> bool:
    """Return whether a token is a personal access token, which has no claims and no refresh token."""
    return token.reveal().startswith(_PERSONAL_PREFIX)


def parse(data: bytes) -> dict[str, Any]:
    """Parse the bytes of an auth.json; ValueError if they are none. The error's text holds none of them."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        # `from None`, here and below: the original exceptions hold the whole text, tokens included.
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  (the file's mistake, not the caller's)
    if document and not _KNOWN_MEMBERS & document.keys():
        raise ValueError("it has none of the members of a Codex auth.json")
    parse_tokens(document)
    parse_personal_token(document)
    return document


def render(document: dict[str, Any]) -> bytes:
    """Return the document as the Codex CLI writes it: pretty-printed JSON."""
    return (json.dumps(document, indent=2) + "\n").encode()


def parse_mode(document: dict[str, Any]) -> str:
    """Return the kind of credentials in a document. `auth_mode` decides where it is present."""
    mode = document.get("auth_mode")
    if mode is not None:
        return str(mode)
    return next((mode for member, mode in _MODE_BY_MEMBER if document.get(member) is not None), _CHATGPT_MODE)


def describe_other_credentials(document: dict[str, Any]) -> str | None:
    """Name what a document holds instead of a ChatGPT login; None if it holds a login, or nothing."""
    mode = parse_mode(document)
    if mode in _USABLE_MODES:
        return None
    return _OTHER_MODES.get(mode, f"credentials of the unknown kind {mode[:40]!r}")


def parse_personal_token(document: dict[str, Any]) -> Secret | None:
    """Return the personal access token of a document of that mode, else None.

    Raises ValueError if the member is not a token.
    """
    return _secret(document, "personal_access_token") if parse_mode(document) == PERSONAL_MODE else None


def parse_tokens(document: dict[str, Any]) -> StoredTokens | None:
    """Return the ChatGPT tokens of a document, None if it has none.

    Raises ValueError if a member has the wrong type, or a token has characters that no token has. `last_refresh` may
    be missing: the expiry of the access token is enough.
    """
    tokens = document.get("tokens")
    if tokens is None or parse_mode(document) == PERSONAL_MODE:
        return None
    if not isinstance(tokens, dict):
        raise ValueError("its member `tokens` is not an object")  # noqa: TRY004  (see `parse`)
    access_token = _secret(tokens, "access_token")
    if access_token is None:
        return None
    return StoredTokens(
        access_token=access_token,
        refresh_token=_secret(tokens, "refresh_token"),
        id_token=_secret(tokens, "id_token"),
        account_id=_header_text(tokens, "account_id"),
        last_refresh=_moment(document, "last_refresh"),
    )


def merge_refreshed_tokens(document: dict[str, Any], response: TokenResponse, *, now: datetime) -> dict[str, Any]:
    """Return the document after a refresh: the tokens of the response replace theirs, everything else stays.

    `account_id` does not change. Codex CLI: login/src/auth/manager.rs.
    """
    return {
        **document,
        "tokens": {**(document.get("tokens") or {}), **_plain_tokens(response)},
        "last_refresh": format_timestamp(now),
    }


def replace_login(
    document: dict[str, Any] | None, response: TokenResponse, *, account_id: str | None, now: datetime
) -> dict[str, Any]:
    """Return the document after a new login.

    `tokens` is replaced as a whole: its unknown members describe the previous login.
    """
    return {
        "OPENAI_API_KEY": None,  # the Codex CLI always writes it, as null if there is no key
        **(document or {}),
        "auth_mode": _CHATGPT_MODE,
        "tokens": {**_plain_tokens(response), "account_id": account_id},
        "last_refresh": format_timestamp(now),
    }


def format_timestamp(moment: datetime) -> str:
    """Format an aware datetime as RFC 3339 in UTC, ending in `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _plain_tokens(response: TokenResponse) -> dict[str, str]:
    members = {
        "id_token": response.id_token,
        "access_token": response.access_token,
        "refresh_token": response.refresh_token,
    }
    return {name: secret.reveal() for name, secret in members.items() if secret is not None}


# --- members of a document: None if absent, ValueError if wrong --------------------------------------------------


def _string(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its member `{name}` is not text")
    return value or None


def _header_text(members: dict[str, Any], name: str) -> str | None:
    text = _string(members, name)
    if text is not None and not is_token(text):
        raise ValueError(f"its member `{name}` has a space, a line break or another character not allowed in a header")
    return text


def _secret(members: dict[str, Any], name: str) -> Secret | None:
    text = _header_text(members, name)
    return None if text is None else Secret(text)


def _moment(members: dict[str, Any], name: str) -> datetime | None:
    text = _string(members, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"its member `{name}` is not a time in RFC 3339") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
