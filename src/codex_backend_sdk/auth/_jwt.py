"""Parse the claims of tokens and compute when a refresh is due. This module has no I/O, clock or randomness.

Signatures are not verified: the claims are used for display and timing only, and the backend validates the token.
Wire source: Codex CLI, login/src/token_data.rs.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .._coerce import as_mapping, as_text
from .._constants import REFRESH_BEFORE_EXPIRY, REFRESH_IN_LAST_FRACTION, REFRESH_OPAQUE_AFTER
from ..types import Login
from ._auth_json import is_header_safe, parse_tokens

if TYPE_CHECKING:
    from ..types import Secret

__all__ = [
    "RefreshReason",
    "build_login",
    "compute_refresh_time",
    "has_expired",
    "parse_account_id",
    "parse_claims",
    "parse_expiry",
    "parse_login",
]

# The values of `refresh_reason` on the wire. Codex CLI: login/src/auth/manager.rs.
RefreshReason: TypeAlias = Literal["proactive_expiry", "scheduled", "unauthorized_recovery", "forced"]

_AUTH_CLAIMS: Final = "https://api.openai.com/auth"
_PROFILE_CLAIMS: Final = "https://api.openai.com/profile"
_REGION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # the region is sent in a header

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def parse_claims(token: Secret | None) -> dict[str, Any]:
    """Return the claims of a JWT. The dict is empty if the token is None, not a JWT, or damaged."""
    parts = token.reveal().split(".") if token else []
    if len(parts) != 3:
        return {}
    payload = parts[1]
    try:
        return as_mapping(
            json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True))
        )
    except (ValueError, RecursionError):
        return {}


def parse_expiry(access_token: Secret) -> datetime | None:
    """Return the time in the claim `exp` (Unix seconds), None if it is missing or invalid."""
    seconds = parse_claims(access_token).get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # outside the range of datetime or of the platform
        return None


def compute_refresh_time(
    *, expires_at: datetime | None, last_refresh: datetime | None, lifetime: timedelta | None = None
) -> tuple[datetime, RefreshReason]:
    """Return the time at which a refresh is due, and the reason to send to the issuer.

    If `expires_at` is known, it determines the time. Otherwise `last_refresh` does (Codex CLI:
    login/src/auth/manager.rs). `lifetime` is the lifetime of the issuer's tokens, if known. A token that is valid for
    less than 20 minutes is refreshed in the last quarter of its lifetime, because five minutes before its expiry it may
    not have been issued yet.
    """
    if expires_at is not None:
        window = (
            REFRESH_BEFORE_EXPIRY
            if lifetime is None
            else min(REFRESH_BEFORE_EXPIRY, lifetime * REFRESH_IN_LAST_FRACTION)
        )
        return _add_within_calendar(expires_at, -window), "proactive_expiry"
    return _add_within_calendar(last_refresh or _BEFORE_ALL, REFRESH_OPAQUE_AFTER), "scheduled"


def _add_within_calendar(moment: datetime, duration: timedelta) -> datetime:
    try:
        return moment + duration
    except OverflowError:  # the result is outside the range of datetime
        return moment


def has_expired(login: Login, *, now: datetime) -> bool:
    """Return whether the access token has expired. False if its expiry is unknown."""
    return login.expires_at is not None and login.expires_at <= now


def parse_account_id(id_token: Secret | None, access_token: Secret | None) -> str | None:
    """Return the account ID in the claims of the ID token, else of the access token; None if neither has one."""
    for token in (id_token, access_token):
        account_id = as_mapping(parse_claims(token).get(_AUTH_CLAIMS)).get("chatgpt_account_id")
        if isinstance(account_id, str) and is_header_safe(account_id):  # sent in a header, like a token
            return account_id
    return None


def parse_login(document: dict[str, Any]) -> Login | None:
    """Return the login of an auth.json document, None if the document has no access token.

    Raises ValueError if the document is damaged. The stored account ID takes precedence over the claims, as in the
    Codex CLI.
    """
    tokens = parse_tokens(document)
    if tokens is None:
        return None
    return build_login(access_token=tokens.access_token, id_token=tokens.id_token, account_id=tokens.account_id)


def build_login(*, access_token: Secret, id_token: Secret | None = None, account_id: str | None = None) -> Login:
    """Build a login from tokens. `account_id` takes precedence over their claims."""
    # The access token has most of these claims too. It is used if the ID token is missing or not a JWT.
    identity = parse_claims(id_token) or parse_claims(access_token)
    auth = as_mapping(identity.get(_AUTH_CLAIMS))
    # Only access tokens have been observed to have this claim.
    region = as_mapping(parse_claims(access_token).get(_AUTH_CLAIMS)).get("chatgpt_compute_residency")
    is_region = isinstance(region, str) and _REGION.fullmatch(region) and region != "no_constraint"
    return Login(
        access_token=access_token,
        account_id=account_id or parse_account_id(id_token, access_token),
        is_fedramp=auth.get("chatgpt_account_is_fedramp") is True,
        expires_at=parse_expiry(access_token),
        email=as_text(identity.get("email")) or as_text(as_mapping(identity.get(_PROFILE_CLAIMS)).get("email")),
        plan=as_text(auth.get("chatgpt_plan_type")),
        user_id=as_text(auth.get("chatgpt_user_id")) or as_text(auth.get("user_id")),
        residency=region if is_region else None,
    )
