"""What can go wrong at the token endpoint. Codex CLI: login/src/auth/manager.rs sorts the answers."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from ..issuer.token_mint import encode_jwt
from ..replies.sentences import sentence
from ..turns import Turn
from .changed import changed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["invalid_grant", "refresh_refused", "renewed_for_another_account", "renewed_without"]

OTHER_ACCOUNT = "acc-99999999-0000-4000-8000-000000000099"


def _as_object(code: str) -> dict[str, Any]:
    return {"error": {"message": sentence(code), "type": "invalid_request_error", "param": None, "code": code}}


# The three places in which a client looks for the code.
_SHAPES: dict[str, Callable[[str], dict[str, Any]]] = {
    "object": _as_object,
    "text": lambda code: {"error": code},
    "code": lambda code: {"code": code, "message": sentence(code)},
}


def refresh_refused(code: str, shape: str = "object", status: int = 401) -> Turn:
    """Refuse a renewal for good; `shape` is where the code stands: `object`, `text` or `code`."""
    if shape not in _SHAPES:
        raise ValueError(f"No such shape: {shape}. Shapes: {', '.join(_SHAPES)}")
    return Turn.error(status, _SHAPES[shape](code))


def invalid_grant(status: int = 400) -> Turn:
    """Refuse in the words of the standard (RFC 6749, 5.2)."""
    return Turn.error(status, {"error": "invalid_grant", "error_description": "The refresh token is not valid."})


def renewed_without(member: str = "id_token") -> Turn:
    """Renew, and leave a member out of the answer: the client keeps what it has."""
    return changed(lambda answer: {name: value for name, value in answer.items() if name != member})


def renewed_for_another_account() -> Turn:
    """Renew with tokens of somebody else's account."""
    return changed(lambda answer: {**answer, **{n: _moved(answer[n]) for n in ("id_token", "access_token")}})


def _moved(token: str) -> str:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    auth = claims["https://api.openai.com/auth"]
    return encode_jwt(json.loads(json.dumps(claims).replace(auth["chatgpt_account_id"], OTHER_ACCOUNT)))
