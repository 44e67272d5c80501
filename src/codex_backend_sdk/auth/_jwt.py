"""What the tokens say: claims, expiry, and whether the access token has to be renewed.

No signature is checked: the claims serve for display and for timing, the backend judges the token itself.
Claims used: Codex CLI login/src/token_data.rs.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from .._constants import REFRESH_BEFORE_EXPIRY, REFRESH_IN_LAST_FRACTION, REFRESH_OPAQUE_AFTER
from ..types import Login
from ._auth_json import is_token, tokens_of

if TYPE_CHECKING:
    from ..types import Secret

__all__ = ["RefreshReason", "account_of", "claims", "expiry", "has_expired", "login_from", "login_of", "renewal"]

# As the wire spells it; the issuer is told why it is asked.
RefreshReason: TypeAlias = Literal["proactive_expiry", "scheduled", "unauthorized_recovery", "forced"]

AUTH_CLAIMS: Final = "https://api.openai.com/auth"
PROFILE_CLAIMS: Final = "https://api.openai.com/profile"
REGION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it is sent in a header

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)


def claims(token: Secret | None) -> dict[str, Any]:
    """Return the claims of a JWT, an empty dict when the token is none or cannot be read."""
    parts = token.reveal().split(".") if token else []
    if len(parts) != 3:
        return {}
    payload = parts[1]
    try:
        found = json.loads(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def expiry(access_token: Secret) -> datetime | None:
    """Return the moment in the claim `exp` (unix seconds), None when it cannot be read."""
    seconds = claims(access_token).get("exp")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # out of the range of the calendar, or of the platform's
        return None


def renewal(
    *, expires_at: datetime | None, last_refresh: datetime | None, life: timedelta | None = None
) -> tuple[datetime, RefreshReason]:
    """Return the moment from which on a token is to be renewed, and the reason.

    A readable expiry decides alone; else the age of the last refresh does. Codex CLI: login/src/auth/manager.rs.
    `life` is how long the issuer's tokens live, where that is known: a short life is used for its greater part.
    """
    if expires_at is not None:
        window = REFRESH_BEFORE_EXPIRY if life is None else min(REFRESH_BEFORE_EXPIRY, life * REFRESH_IN_LAST_FRACTION)
        return _moved(expires_at, -window), "proactive_expiry"
    return _moved(last_refresh or _BEFORE_ALL, REFRESH_OPAQUE_AFTER), "scheduled"


def _moved(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:  # the end of the calendar
        return moment


def has_expired(login: Login, *, now: datetime) -> bool:
    """Tell whether the access token is dead for certain; one whose expiry cannot be read is not."""
    return login.expires_at is not None and login.expires_at <= now


def account_of(id_token: Secret | None, access_token: Secret | None) -> str | None:
    """Return the account id that the tokens name, the id token first; None when neither does."""
    for token in (id_token, access_token):
        account_id = _namespace(claims(token), AUTH_CLAIMS).get("chatgpt_account_id")
        if isinstance(account_id, str) and is_token(account_id):  # it has to fit into a header, too
            return account_id
    return None


def login_from(document: dict[str, Any]) -> Login | None:
    """Build the login that an auth.json document holds, None when it has no access token.

    ValueError when the document is damaged. The stored account id wins over the claims, as with the Codex CLI.
    """
    tokens = tokens_of(document)
    if tokens is None:
        return None
    return login_of(access_token=tokens.access_token, id_token=tokens.id_token, account_id=tokens.account_id)


def login_of(*, access_token: Secret, id_token: Secret | None, account_id: str | None) -> Login:
    """Build a login from tokens; `account_id` wins over their claims."""
    # The access token has most of the claims too; it steps in where the id token is missing or opaque.
    identity = claims(id_token) or claims(access_token)
    auth = _namespace(identity, AUTH_CLAIMS)
    return Login(
        access_token=access_token,
        account_id=account_id or account_of(id_token, access_token),
        is_fedramp=auth.get("chatgpt_account_is_fedramp") is True,
        expires_at=expiry(access_token),
        email=_first_text(identity.get("email"), _namespace(identity, PROFILE_CLAIMS).get("email")),
        plan=_first_text(auth.get("chatgpt_plan_type")),
        user_id=_first_text(auth.get("chatgpt_user_id"), auth.get("user_id")),
        residency=_residency(_namespace(claims(access_token), AUTH_CLAIMS)),
    )


def _residency(auth: dict[str, Any]) -> str | None:
    """Return the region in which an answer has to be computed; only access tokens were seen to have the claim."""
    region = auth.get("chatgpt_compute_residency")
    is_one = isinstance(region, str) and REGION.fullmatch(region) and region != "no_constraint"
    return region if is_one else None


def _namespace(found: dict[str, Any], name: str) -> dict[str, Any]:
    inner = found.get(name)
    return inner if isinstance(inner, dict) else {}


def _first_text(*values: object) -> str | None:
    return next((value for value in values if isinstance(value, str) and value), None)
