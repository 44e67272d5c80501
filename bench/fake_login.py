"""A login that no server accepts, for clients that need one to start."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["ACCOUNT_ID", "access_token", "login_document"]

ACCOUNT_ID = "00000000-0000-4000-8000-000000000000"
_EXPIRES_AT = 4_070_908_800  # 2099, so that no client refreshes the token during a run


def access_token() -> str:
    """Return an unsigned JWT of an invented account."""
    claims = {
        "exp": _EXPIRES_AT,
        "email": "bench@example.invalid",
        "https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT_ID, "chatgpt_plan_type": "plus"},
    }
    return ".".join(_encode(part) for part in ({"alg": "none"}, claims, {}))


def login_document() -> dict[str, Any]:
    """Return an auth.json document that contains this token."""
    token = access_token()
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {"id_token": token, "access_token": token, "refresh_token": "none", "account_id": ACCOUNT_ID},
        "last_refresh": "2099-01-01T00:00:00Z",
    }


def _encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
