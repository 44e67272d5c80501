"""auth.json: the text, the document in it, and what may change in a document that is shared with the Codex CLI.

The rule of this file: whatever we do not know stays as it was.
Shape and modes: Codex CLI login/src/auth/storage.rs.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..types import Secret

if TYPE_CHECKING:
    from ._oauth import TokenAnswer

__all__ = [
    "PERSONAL_MODE",
    "StoredTokens",
    "is_token",
    "mode_of",
    "parse",
    "personal_token",
    "render",
    "renewed",
    "signed_in",
    "timestamp",
    "tokens_of",
    "unusable",
]

CHATGPT_MODE: Final = "chatgpt"
PERSONAL_MODE: Final = "personalAccessToken"
# The first two keep ChatGPT tokens under `tokens`; in the second an application supplies them from outside.
USABLE_MODES: Final = frozenset({CHATGPT_MODE, "chatgptAuthTokens", PERSONAL_MODE})

# What else may be stored, and how a person would call it. Key: auth_mode.
OTHER_MODES: Final = {
    "apikey": "an OpenAI API key",
    "agentIdentity": "an agent identity",
    "headers": "request headers",
    "bedrockApiKey": "an Amazon Bedrock key",
}

# Without `auth_mode` the first of these members that is set decides, else the mode is chatgpt.
MODE_BY_MEMBER: Final = (
    ("personal_access_token", PERSONAL_MODE),
    ("bedrock_api_key", "bedrockApiKey"),
    ("OPENAI_API_KEY", "apikey"),
)

KNOWN_MEMBERS: Final = frozenset(
    {"auth_mode", "OPENAI_API_KEY", "tokens", "last_refresh", "agent_identity"}
    | {member for member, _ in MODE_BY_MEMBER}
)


class StoredTokens(NamedTuple):
    """The ChatGPT tokens of a document; a member that is missing, null or empty is None."""

    access_token: Secret
    refresh_token: Secret | None = None
    id_token: Secret | None = None
    account_id: str | None = None
    last_refresh: datetime | None = None


def is_token(text: str) -> bool:
    """Tell whether a text can be a token; one that cannot would be shown by the error of the header it does not fit."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def parse(data: bytes) -> dict[str, Any]:
    """Read the bytes of an auth.json; ValueError when they are not one. The error's text holds none of them."""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        # `from None`: the original exceptions carry the whole text, and with it the tokens.
        raise ValueError("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  (the file's fault, not the caller's)
    if document and not KNOWN_MEMBERS & document.keys():
        raise ValueError("it has none of the members of a Codex auth.json")
    tokens_of(document)
    personal_token(document)
    return document


def render(document: dict[str, Any]) -> bytes:
    """Write a document the way the Codex CLI does: pretty-printed JSON."""
    return (json.dumps(document, indent=2) + "\n").encode()


def mode_of(document: dict[str, Any]) -> str:
    """Name the kind of login that a document holds; `auth_mode` decides where it is present."""
    mode = document.get("auth_mode")
    if mode is not None:
        return str(mode)
    return next((mode for member, mode in MODE_BY_MEMBER if document.get(member) is not None), CHATGPT_MODE)


def unusable(document: dict[str, Any]) -> str | None:
    """Say what a document holds instead of a ChatGPT login; None when it holds one or nothing at all."""
    mode = mode_of(document)
    if mode in USABLE_MODES:
        return None
    return OTHER_MODES.get(mode, f"a login of the kind {mode[:40]!r}, which this version does not know")


def personal_token(document: dict[str, Any]) -> Secret | None:
    """Return the personal access token of a document whose kind of login that is, else None.

    ValueError when it is not text, or no token.
    """
    return _secret(document, "personal_access_token") if mode_of(document) == PERSONAL_MODE else None


def tokens_of(document: dict[str, Any]) -> StoredTokens | None:
    """Return the ChatGPT tokens of a document, None when it has none.

    ValueError when a member that must be text is something else, or a token has characters that no token has. A
    document without `last_refresh` is taken: the expiry of the access token says all that is needed.
    """
    tokens = document.get("tokens")
    if tokens is None or mode_of(document) == PERSONAL_MODE:
        return None
    if not isinstance(tokens, dict):
        raise ValueError("its member `tokens` is not an object")  # noqa: TRY004
    access_token = _secret(tokens, "access_token")
    if access_token is None:
        return None
    return StoredTokens(
        access_token=access_token,
        refresh_token=_secret(tokens, "refresh_token"),
        id_token=_secret(tokens, "id_token"),
        account_id=_fitting(tokens, "account_id"),
        last_refresh=_moment(document, "last_refresh"),
    )


def renewed(document: dict[str, Any], answer: TokenAnswer, *, now: datetime) -> dict[str, Any]:
    """Return the document after a refresh: tokens that came replace theirs, all else stays.

    `account_id` is not changed. Codex CLI: login/src/auth/manager.rs.
    """
    return {
        **document,
        "tokens": {**(document.get("tokens") or {}), **_revealed(answer)},
        "last_refresh": timestamp(now),
    }


def signed_in(
    document: dict[str, Any] | None, answer: TokenAnswer, *, account_id: str | None, now: datetime
) -> dict[str, Any]:
    """Return the document after a new login.

    `tokens` is replaced as a whole, since its unknown members describe the login before this one.
    """
    return {
        "OPENAI_API_KEY": None,  # always written, null when absent
        **(document or {}),
        "auth_mode": CHATGPT_MODE,
        "tokens": {**_revealed(answer), "account_id": account_id},
        "last_refresh": timestamp(now),
    }


def timestamp(moment: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC, ending in `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _revealed(answer: TokenAnswer) -> dict[str, str]:
    members = {
        "id_token": answer.id_token,
        "access_token": answer.access_token,
        "refresh_token": answer.refresh_token,
    }
    return {name: secret.reveal() for name, secret in members.items() if secret is not None}


def _text(members: dict[str, Any], name: str) -> str | None:
    value = members.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"its member `{name}` is not text")
    return value or None


def _secret(members: dict[str, Any], name: str) -> Secret | None:
    text = _fitting(members, name)
    return None if text is None else Secret(text)


def _fitting(members: dict[str, Any], name: str) -> str | None:
    text = _text(members, name)
    if text is not None and not is_token(text):
        raise ValueError(f"its member `{name}` has a space, a line break or another character that no header takes")
    return text


def _moment(members: dict[str, Any], name: str) -> datetime | None:
    text = _text(members, name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"its member `{name}` is not a time in RFC 3339") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
