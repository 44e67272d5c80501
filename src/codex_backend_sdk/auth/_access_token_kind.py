"""Access tokens that are given instead of made by a sign-in: which kind one is, and whose.

A personal access token begins with `at-` and says nothing by itself: the issuer is asked who it belongs to. Any other
is a JWT with the account in its claims. Codex CLI: login/src/auth/access_token.rs, personal_access_token.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .._coerce import parse_json_object
from ..types import Login, Secret
from . import _jwt
from ._auth_json import is_token

__all__ = ["WHOAMI_PATH", "Unknown", "is_personal", "login_of_jwt", "login_of_personal", "mistaken"]

WHOAMI_PATH: Final = "/api/accounts/v1/user-auth-credential/whoami"
PERSONAL_PREFIX: Final = "at-"
AGENT_IDENTITY: Final = "https://chatgpt.com/codex-backend/agent-identity"

# Without these the backend cannot be asked anything.
REQUIRED: Final = ("chatgpt_account_id", "chatgpt_user_id")

REFUSED_STATUSES: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why nobody knows whose token it is; a permanent reason cannot be mended by asking again."""

    message: str
    is_permanent: bool


def is_personal(token: Secret) -> bool:
    """Tell a personal access token."""
    return token.reveal().startswith(PERSONAL_PREFIX)


def mistaken(token: Secret) -> str | None:
    """Say what was given instead of an access token; None when it may be one. The text holds none of it."""
    text = token.reveal()
    if not text:
        return "it is empty"
    if not is_token(text):
        return "it has characters that no token has"
    if is_personal(token):
        return None
    if text.startswith("sk-"):
        return "it is an API key of the OpenAI platform"
    found = _jwt.claims(token)
    if not found:
        return "it is neither a personal access token (at-…) nor a JWT"
    if found.get("iss") == AGENT_IDENTITY:
        return "it is an agent identity, which this package cannot use"
    return None


def login_of_jwt(token: Secret) -> Login:
    """Build the login of a JWT from its claims."""
    return _jwt.login_of(access_token=token, id_token=None, account_id=None)


def login_of_personal(token: Secret, status: int, body: bytes) -> Login | Unknown:
    """Build the login of a personal access token from the issuer's answer to "who is this?"."""
    if status in REFUSED_STATUSES:
        return Unknown(f"The issuer does not accept it (status {status}).", is_permanent=True)
    if status != 200:
        return Unknown(f"The issuer was asked whose it is and answered with status {status}.", is_permanent=False)
    answer = parse_json_object(body)
    if not all(isinstance(answer.get(name), str) and is_token(answer[name]) for name in REQUIRED):
        return Unknown("The issuer was asked whose it is and did not say.", is_permanent=False)
    return Login(
        access_token=token,
        account_id=answer["chatgpt_account_id"],
        user_id=answer["chatgpt_user_id"],
        email=_text(answer.get("email")),
        plan=_text(answer.get("chatgpt_plan_type")),
        is_fedramp=answer.get("chatgpt_account_is_fedramp") is True,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
