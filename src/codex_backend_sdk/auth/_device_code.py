"""The device code protocol of the issuer, without I/O: what each response means.

Two requests: one for a code, and one, repeated every `interval`, for whether the user has entered it in a browser on
another device. The polling ends with a grant, a refusal, or the end of the code's lifetime. It resembles RFC 8628 and
differs from it in paths and statuses. Wire source: Codex CLI, login/src/device_code_auth.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias, TypeGuard

from .._coerce import parse_json_object
from .._constants import CLIENT_ID
from ..types import DeviceCode, Secret
from ._oauth import AuthorizationGrant, describe_error, parse_error_code

__all__ = [
    "CODE_LIFETIME",
    "PENDING",
    "POLL_PATH",
    "USER_CODE_PATH",
    "DeviceCodeFailure",
    "build_poll_body",
    "build_user_code_body",
    "parse_poll",
    "parse_user_code",
]

USER_CODE_PATH: Final = "/api/accounts/deviceauth/usercode"
POLL_PATH: Final = "/api/accounts/deviceauth/token"
_PAGE_PATH: Final = "/codex/device"
# The issuer returns the PKCE verifier as well, and associates the code with this redirect address.
_REDIRECT_PATH: Final = "/deviceauth/callback"

CODE_LIFETIME: Final = timedelta(minutes=15)
_DEFAULT_INTERVAL: Final = timedelta(seconds=5)
_SHORTEST_INTERVAL: Final = timedelta(seconds=1)  # whatever the issuer says
_LONGEST_INTERVAL: Final = timedelta(minutes=1)

PENDING: Final = "pending"

_NOT_ENABLED: Final = (
    "Login with a device code is not enabled for this account or issuer. Enable it in the security settings of "
    "ChatGPT, or ask the administrator of the workspace. Login with a browser works without it."
)


@dataclass(frozen=True, slots=True)
class DeviceCodeFailure:
    """Why the device login failed: a code for programs and a sentence for users."""

    code: str
    message: str


_Meaning: TypeAlias = Literal["success", "pending", "not enabled", "failed"]

# A status that is not in the table means "failed".
_USER_CODE_MEANINGS: Final[dict[int, _Meaning]] = {200: "success", 404: "not enabled"}
_POLL_MEANINGS: Final[dict[int, _Meaning]] = {
    200: "success",
    403: "pending",
    404: "pending",
    # The issuer, or a proxy before it, is unavailable for now. The user can enter the code in the meantime.
    **dict.fromkeys((408, 425, 429, *range(500, 600)), "pending"),
}
# The error codes of the standard for "not yet" (RFC 8628, 3.5), with any status.
_PENDING_CODES: Final = frozenset({"authorization_pending", "slow_down"})


def build_user_code_body() -> dict[str, str]:
    """Return the JSON body of the request for a code."""
    return {"client_id": CLIENT_ID}


def build_poll_body(code: DeviceCode) -> dict[str, str]:
    """Return the JSON body of a poll."""
    return {"device_auth_id": code.device_auth_id.reveal(), "user_code": code.user_code}


def parse_user_code(status: int, body: bytes, *, issuer: str) -> DeviceCode | DeviceCodeFailure:
    """Parse the response to the request for a code."""
    meaning = _USER_CODE_MEANINGS.get(status, "failed")
    if meaning == "not enabled":
        return DeviceCodeFailure("device_code_not_enabled", _NOT_ENABLED)
    if meaning == "failed":
        detail = describe_error(body)
        return DeviceCodeFailure("device_code_failed", f"The issuer gave no device code: status {status}, {detail}.")
    response = parse_json_object(body)
    device_auth_id = response.get("device_auth_id")
    user_code = response.get("user_code", response.get("usercode"))
    if not (_is_text(device_auth_id) and _is_text(user_code)):
        return DeviceCodeFailure("device_code_failed", "The issuer's response has no usable device code in it.")
    return DeviceCode(
        user_code=user_code,
        url=issuer + _PAGE_PATH,
        expires_in=CODE_LIFETIME,
        interval=_interval(response.get("interval")),
        device_auth_id=Secret(device_auth_id),
    )


def parse_poll(status: int, body: bytes, *, issuer: str) -> AuthorizationGrant | Literal["pending"] | DeviceCodeFailure:
    """Parse the response to a poll."""
    meaning = _POLL_MEANINGS.get(status, "failed")
    if meaning == "pending" or (meaning == "failed" and parse_error_code(body) in _PENDING_CODES):
        return PENDING
    if meaning == "failed":
        return DeviceCodeFailure(
            parse_error_code(body) or "device_code_failed", f"The device login failed with status {status}."
        )
    response = parse_json_object(body)
    authorization_code, verifier = response.get("authorization_code"), response.get("code_verifier")
    if not (_is_text(authorization_code) and _is_text(verifier)):
        return DeviceCodeFailure(
            "device_code_failed", "The device login failed: the response has no usable authorization code in it."
        )
    return AuthorizationGrant(
        code=Secret(authorization_code), verifier=Secret(verifier), redirect_uri=issuer + _REDIRECT_PATH
    )


def _interval(value: object) -> timedelta:
    """Parse a number of seconds, which the issuer sends as a string."""
    try:
        interval = timedelta(seconds=float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return _DEFAULT_INTERVAL
    return min(max(interval, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and value.isprintable()
