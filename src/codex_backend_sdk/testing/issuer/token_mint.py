"""Mint identifiers and tokens: the same seed gives the same ones in the same order.

The tokens are well-formed JWTs with the claims that the issuer's have; their signature is a digest that nobody
can verify, as nobody does: neither the Codex CLI nor this package checks it (Codex CLI: login/src/token_data.rs).
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from ..._constants import CLIENT_ID

if TYPE_CHECKING:
    from datetime import datetime

    from ..sim_account import Account

__all__ = ["Ids", "access_claims", "id_claims", "jwt"]

_AUTH = "https://api.openai.com/auth"
_PROFILE = "https://api.openai.com/profile"


class Ids:
    """A source of identifiers that never repeats itself; safe to use from any thread."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # One bytecode call under the interpreter's lock: two threads cannot be given the same number.
        self._numbers = itertools.count(1)

    def new(self, prefix: str, length: int = 24) -> str:
        """Return `prefix_` and `length` hexadecimal digits."""
        digest = hashlib.sha256(f"{self._seed}:{next(self._numbers)}".encode()).hexdigest()
        return f"{prefix}_{digest[:length]}"


def jwt(claims: dict[str, Any]) -> str:
    """Return the claims as a JWT."""
    head = _encode(json.dumps({"alg": "RS256", "typ": "JWT", "kid": "simulator"}).encode())
    payload = _encode(json.dumps(claims, separators=(",", ":")).encode())
    return f"{head}.{payload}.{_encode(hashlib.sha256(f'{head}.{payload}'.encode()).digest())}"


def id_claims(account: Account, *, issuer: str, issued: datetime, expires: datetime) -> dict[str, Any]:
    """Return the claims of an id token."""
    return {
        "iss": issuer,
        "aud": [CLIENT_ID],
        "sub": f"auth0|{account.user_id}",
        "iat": int(issued.timestamp()),
        "exp": int(expires.timestamp()),
        "email": account.email,
        "email_verified": True,
        _AUTH: {
            **_auth_claims(account),
            "chatgpt_account_is_fedramp": account.is_fedramp,
            "organizations": [
                {"id": "org-simulated", "is_default": True, "role": "owner", "title": "Personal"},
            ],
            "groups": [],
        },
    }


def access_claims(
    account: Account, *, issuer: str, issued: datetime, expires: datetime, token_id: str, scope: str
) -> dict[str, Any]:
    """Return the claims of an access token; `token_id` makes two of the same second differ."""
    return {
        "iss": issuer,
        "aud": ["https://api.openai.com/v1"],
        "client_id": CLIENT_ID,
        "sub": f"auth0|{account.user_id}",
        "jti": token_id,
        "scp": scope.split(),
        "iat": int(issued.timestamp()),
        "nbf": int(issued.timestamp()),
        "exp": int(expires.timestamp()),
        _AUTH: {
            **_auth_claims(account),
            "chatgpt_account_user_id": f"{account.user_id}__{account.account_id}",
            "chatgpt_compute_residency": account.residency,
        },
        _PROFILE: {"email": account.email, "email_verified": True},
    }


def _auth_claims(account: Account) -> dict[str, Any]:
    return {
        "chatgpt_account_id": account.account_id,
        "chatgpt_plan_type": account.plan,
        "chatgpt_user_id": account.user_id,
        "user_id": account.user_id,
    }


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
