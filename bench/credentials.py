"""A login that nobody accepts, for clients that insist on one."""

from __future__ import annotations

import base64
import json
from typing import Any

__all__ = ["ACCOUNT", "access_token", "document"]

ACCOUNT = "00000000-0000-4000-8000-000000000000"
_FAR_AHEAD = 4_070_908_800  # 2099: nothing is renewed during a run


def access_token() -> str:
    """Return a well-formed JWT of a made-up account."""
    claims = {
        "exp": _FAR_AHEAD,
        "email": "bench@example.invalid",
        "https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "plus"},
    }
    return ".".join(_encoded(part) for part in ({"alg": "none"}, claims, {}))


def document() -> dict[str, Any]:
    """Return an auth.json document around it."""
    token = access_token()
    return {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {"id_token": token, "access_token": token, "refresh_token": "none", "account_id": ACCOUNT},
        "last_refresh": "2099-01-01T00:00:00Z",
    }


def _encoded(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
