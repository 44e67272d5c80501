"""Create the faults of the token endpoint and of the list of workspaces.

The Codex CLI distinguishes rejected refreshes in login/src/auth/manager.rs, and the cases of a workspace in
app-server's workspace_routing.rs. Some faults modify the default response. The simulator creates that response first,
so the fault uses up the refresh token although the client does not receive the correct response.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..http.delivery import SimulatedResponse
from ..issuer.jwt_claims import encode_jwt
from ..replies.messages import default_message
from ..turns import Turn

if TYPE_CHECKING:
    from ..backend.turn_context import TurnContext

__all__ = [
    "duplicated_workspace",
    "invalid_grant",
    "missing_workspace",
    "refresh_for_another_account",
    "refresh_rejected",
    "refresh_without",
    "workspace_map",
    "workspace_origin",
    "workspace_override",
]

JsonObject = dict[str, Any]

_OTHER_ACCOUNT: Final = "acc-99999999-0000-4000-8000-000000000099"

# A client must find the code of a rejected refresh in three shapes of the body (Codex CLI: login/src/auth/manager.rs).
_REJECTION_BODIES: Final[dict[str, Callable[[str, str], JsonObject]]] = {
    "object": lambda code, message: {
        "error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    },
    "text": lambda code, message: {"error": code},
    "code": lambda code, message: {"code": code, "message": message},
}


def refresh_rejected(code: str, shape: str = "object", status: int = 401) -> Turn:
    """Reject a refresh permanently. The body contains the code in the given shape: `object`, `text` or `code`."""
    if shape not in _REJECTION_BODIES:
        raise ValueError(f"Unknown shape: {shape!r}. Use one of: {', '.join(_REJECTION_BODIES)}.")
    return Turn.error(status, _REJECTION_BODIES[shape](code, default_message(code)))


def invalid_grant(status: int = 400) -> Turn:
    """Reject a refresh with the error response of the OAuth standard (RFC 6749, 5.2)."""
    return Turn.error(status, {"error": "invalid_grant", "error_description": "The refresh token is not valid."})


def refresh_without(member: str = "id_token") -> Turn:
    """Remove a member from the response to a refresh. The client must continue to use its previous value."""
    return _modified_json(lambda body: {name: value for name, value in body.items() if name != member})


def refresh_for_another_account() -> Turn:
    """Return the tokens of another account in the response to a refresh."""
    return _modified_json(
        lambda body: {**body, **{name: _for_other_account(body[name]) for name in ("id_token", "access_token")}}
    )


def _for_other_account(token: str) -> str:
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    account_id = claims["https://api.openai.com/auth"]["chatgpt_account_id"]
    return encode_jwt(json.loads(json.dumps(claims).replace(account_id, _OTHER_ACCOUNT)))


def workspace_map() -> Turn:
    """Return the workspaces as an object with their ids as keys, which is the backend's other format."""

    def modify(body: JsonObject) -> JsonObject:
        accounts = {entry["id"]: {"account": {**entry, "account_id": entry["id"]}} for entry in body["accounts"]}
        return {**body, "accounts": accounts}

    return _modified_json(modify)


def missing_workspace() -> Turn:
    """Return an empty list of workspaces."""
    return _modified_json(lambda body: {**body, "accounts": [], "account_ordering": []})


def duplicated_workspace() -> Turn:
    """Return two entries for the account's workspace, with different routing overrides."""
    return _modified_json(
        lambda body: {
            **body,
            "accounts": [*body["accounts"], *_changed_accounts(body, account_routing_override="us_cr")],
        }
    )


def workspace_origin(url: str = "") -> Turn:
    """Set the backend origin of the workspace to this value, even if it is invalid. An empty string sets it to null."""
    return _modified_json(
        lambda body: {**body, "accounts": _changed_accounts(body, workspace_backend_origin=url or None)}
    )


def workspace_override(value: str = "moon") -> Turn:
    """Set the routing override of the workspace to this value, even if it is unknown."""
    return _modified_json(lambda body: {**body, "accounts": _changed_accounts(body, account_routing_override=value)})


def _changed_accounts(body: JsonObject, **changes: Any) -> list[JsonObject]:
    return [{**entry, **changes} for entry in body["accounts"]]


def _modified_json(modify: Callable[[JsonObject], JsonObject]) -> Turn:
    """Return a turn that modifies the JSON body of the default response, if its status is 200."""

    def respond(context: TurnContext) -> SimulatedResponse:
        response = context.route_response
        if response is None or response.status != 200:
            return context.default_response()
        return SimulatedResponse.json(200, modify(json.loads(response.body)))

    return Turn(respond, modifies_default=True)
