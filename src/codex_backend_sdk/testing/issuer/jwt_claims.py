"""Encode the JWTs of the simulated issuer.

The tokens have the same claims as those of the real issuer. Their signature is a digest that cannot be verified:
neither the Codex CLI nor this package verifies it (Codex CLI: login/src/token_data.rs).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..._constants import CLIENT_ID

if TYPE_CHECKING:
    from datetime import datetime

    from ..simulated_account import SimulatedAccount

__all__ = ["access_token_claims", "encode_jwt", "id_token_claims"]

# The names and the shapes of the claims: Codex CLI, login/src/token_data.rs.
_AUTH_CLAIM = "https://api.openai.com/auth"
_PROFILE_CLAIM = "https://api.openai.com/profile"


def encode_jwt(claims: dict[str, Any]) -> str:
    """Return the claims as a JWT with an unverifiable signature."""
    header = _base64url(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "simulator"}).encode())
    payload = _base64url(json.dumps(claims, separators=(",", ":")).encode())
    return f"{header}.{payload}.{_base64url(hashlib.sha256(f'{header}.{payload}'.encode()).digest())}"


def id_token_claims(
    account: SimulatedAccount, *, issuer: str, issued_at: datetime, expires_at: datetime
) -> dict[str, Any]:
    """Return the claims of an ID token."""
    return {
        "iss": issuer,
        "aud": [CLIENT_ID],
        "sub": f"auth0|{account.user_id}",
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "email": account.email,
        "email_verified": True,
        _AUTH_CLAIM: {
            **_account_claims(account),
            "chatgpt_account_is_fedramp": account.is_fedramp,
            "organizations": [
                {"id": "org-simulated", "is_default": True, "role": "owner", "title": "Personal"},
            ],
            "groups": [],
        },
    }


def access_token_claims(
    account: SimulatedAccount, *, issuer: str, issued_at: datetime, expires_at: datetime, token_id: str, scope: str
) -> dict[str, Any]:
    """Return the claims of an access token; `token_id` makes tokens that are issued in the same second differ."""
    return {
        "iss": issuer,
        "aud": ["https://api.openai.com/v1"],
        "client_id": CLIENT_ID,
        "sub": f"auth0|{account.user_id}",
        "jti": token_id,
        "scp": scope.split(),
        "iat": int(issued_at.timestamp()),
        "nbf": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        _AUTH_CLAIM: {
            **_account_claims(account),
            "chatgpt_account_user_id": f"{account.user_id}__{account.account_id}",
            "chatgpt_compute_residency": account.residency,
        },
        _PROFILE_CLAIM: {"email": account.email, "email_verified": True},
    }


def _account_claims(account: SimulatedAccount) -> dict[str, Any]:
    return {
        "chatgpt_account_id": account.account_id,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
