"""Faults of the login and of the account: what the token endpoint and the list of workspaces can respond.

Codex CLI: login/src/auth/manager.rs distinguishes the refused refreshes, and app-server's workspace_routing.rs the
cases of a workspace. The faults that modify a successful response let the simulator make it first, so a refresh token
is used up although the client gets another response.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..http.delivery import SimulatedResponse
from ..issuer.jwt_claims import encode_jwt
from ..replies.messages import error_message
from ..turns import Turn

if TYPE_CHECKING:
    from ..backend.turn_context import TurnContext

__all__ = [
    "duplicated_workspace",
    "invalid_grant",
    "missing_workspace",
    "refresh_for_another_account",
    "refresh_refused",
    "refresh_without",
    "workspace_map",
    "workspace_origin",
    "workspace_override",
]

JsonObject = dict[str, Any]

_OTHER_ACCOUNT: Final = "acc-99999999-0000-4000-8000-000000000099"

# A client looks for the code of a refused refresh in three places of the body.
_REFUSAL_SHAPES: Final[dict[str, Callable[[str, str], JsonObject]]] = {
    "object": lambda code, message: {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    },
    "text": lambda code, message: {"error": code},
    "code": lambda code, message: {"code": code, "message": message},
}


def refresh_refused(code: str, shape: str = "object", status: int = 401) -> Turn:
    """Refuse a refresh permanently; `shape` is where the body has the code: `object`, `text` or `code`."""
    if shape not in _REFUSAL_SHAPES:
        raise ValueError(f"Unknown shape: {shape!r}. Use one of: {', '.join(_REFUSAL_SHAPES)}.")
    return Turn.error(status, _REFUSAL_SHAPES[shape](code, error_message(code)))


def invalid_grant(status: int = 400) -> Turn:
    """Refuse a refresh in the form of the OAuth standard (RFC 6749, 5.2)."""
    return Turn.error(status, {"error": "invalid_grant", "error_description": "The refresh token is not valid."})


def refresh_without(member: str = "id_token") -> Turn:
    """Leave a member out of the response to a refresh; the client has to keep its old value."""
    return _modified_json(lambda body: {name: value for name, value in body.items() if name != member})


def refresh_for_another_account() -> Turn:
    """Respond to a refresh with the tokens of another account."""
    return _modified_json(
        lambda body: {**body, **{n: _for_other_account(body[n]) for n in ("id_token", "access_token")}}
    )


def _for_other_account(token: str) -> str:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    account_id = claims["https://api.openai.com/auth"]["chatgpt_account_id"]
    return encode_jwt(json.loads(json.dumps(claims).replace(account_id, _OTHER_ACCOUNT)))


def workspace_map() -> Turn:
    """Send the workspaces as an object keyed by id, the other form that the backend has."""

    def modify(body: JsonObject) -> JsonObject:
        accounts = {entry["id"]: {"account": {**entry, "account_id": entry["id"]}} for entry in body["accounts"]}
        return {**body, "accounts": accounts}

    return _modified_json(modify)


def missing_workspace() -> Turn:
    """Leave the account's workspace out of the list."""
    return _modified_json(lambda body: {**body, "accounts": [], "account_ordering": []})


def duplicated_workspace() -> Turn:
    """List the account's workspace twice, with contradicting routing overrides."""
    return _modified_json(
        lambda body: {**body, "accounts": [*body["accounts"], *_with(body, account_routing_override="us_cr")]}
    )


def workspace_origin(url: str = "") -> Turn:
    """Send this text as the origin of the workspace's backend, valid or not; null when it is empty."""
    return _modified_json(lambda body: {**body, "accounts": _with(body, workspace_backend_origin=url or None)})


def workspace_override(value: str = "moon") -> Turn:
    """Send this routing override, known or not."""
    return _modified_json(lambda body: {**body, "accounts": _with(body, account_routing_override=value)})


def _with(body: JsonObject, **members: Any) -> list[JsonObject]:
    return [{**entry, **members} for entry in body["accounts"]]


def _modified_json(modify: Callable[[JsonObject], JsonObject]) -> Turn:
    """Return a turn that modifies the JSON of the default response, if its status is 200."""

    def respond(context: TurnContext) -> SimulatedResponse:
        if context.captured is None or context.captured.status != 200:
            return context.default_response()
        return SimulatedResponse.json(200, modify(context.captured.json()))

    return Turn(respond, modifies_default=True)
