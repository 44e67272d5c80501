"""Build the requests and parse the responses of the issuer's device code login. This module has no I/O.

The first request returns a code. The second request, repeated every `interval`, returns whether the user has entered
the code in a browser on another device. The polling ends with a grant, a failure, or the expiry of the code. The
protocol resembles RFC 8628, with other paths and statuses. Wire source: Codex CLI, login/src/device_code_auth.rs.
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
# The issuer also returns the PKCE verifier, and issues the authorization code for this redirect URI.
_REDIRECT_PATH: Final = "/deviceauth/callback"

CODE_LIFETIME: Final = timedelta(minutes=15)
_DEFAULT_INTERVAL: Final = timedelta(seconds=5)
# Bounds for the interval that the issuer returns.
_SHORTEST_INTERVAL: Final = timedelta(seconds=1)
_LONGEST_INTERVAL: Final = timedelta(minutes=1)

PENDING: Final = "pending"

_RETRY: Final = "Log in again later, or with a browser."

_NOT_ENABLED: Final = (
    "Login with a device code is not enabled for this account or issuer. Enable it in the security settings of "
    "ChatGPT, contact the administrator of the workspace, or log in with a browser."
)


@dataclass(frozen=True, slots=True)
class DeviceCodeFailure:
    """The reason why a device login failed: a code for programs and a message for users."""

    code: str
    message: str


_Result: TypeAlias = Literal["success", "pending", "not enabled", "failed"]

# Any other status means "failed".
_USER_CODE_RESULTS: Final[dict[int, _Result]] = {200: "success", 404: "not enabled"}
_POLL_RESULTS: Final[dict[int, _Result]] = {
    200: "success",
    403: "pending",
    404: "pending",
    # The issuer, or a proxy in front of it, is temporarily unavailable. The user can still enter the code.
    **dict.fromkeys((408, 425, 429, *range(500, 600)), "pending"),
}
# Error codes that mean "pending" with any status (RFC 8628, 3.5).
_PENDING_CODES: Final = frozenset({"authorization_pending", "slow_down"})


def build_user_code_body() -> dict[str, str]:
    """Return the JSON body of the request for a code."""
    return {"client_id": CLIENT_ID}


def build_poll_body(code: DeviceCode) -> dict[str, str]:
    """Return the JSON body of a poll."""
    return {"device_auth_id": code.device_auth_id.reveal(), "user_code": code.user_code}


def parse_user_code(status: int, body: bytes, *, issuer: str) -> DeviceCode | DeviceCodeFailure:
    """Parse the response to the request for a code."""
    result = _USER_CODE_RESULTS.get(status, "failed")
    if result == "not enabled":
        return DeviceCodeFailure("device_code_not_enabled", _NOT_ENABLED)
    if result == "failed":
        detail = describe_error(body)
        return DeviceCodeFailure(
            "device_code_failed", f"The issuer returned no device code: status {status}, {detail.rstrip('.')}. {_RETRY}"
        )
    response = parse_json_object(body)
    device_auth_id = response.get("device_auth_id")
    user_code = response.get("user_code", response.get("usercode"))
    if not (_is_printable(device_auth_id) and _is_printable(user_code)):
        return DeviceCodeFailure("device_code_failed", f"The issuer's response has no valid device code. {_RETRY}")
    return DeviceCode(
        user_code=user_code,
        url=issuer + _PAGE_PATH,
        expires_in=CODE_LIFETIME,
        interval=_parse_interval(response.get("interval")),
        device_auth_id=Secret(device_auth_id),
    )


def parse_poll(status: int, body: bytes, *, issuer: str) -> AuthorizationGrant | Literal["pending"] | DeviceCodeFailure:
    """Parse the response to a poll."""
    result = _POLL_RESULTS.get(status, "failed")
    if result == "pending" or (result == "failed" and parse_error_code(body) in _PENDING_CODES):
        return PENDING
    if result == "failed":
        return DeviceCodeFailure(
            parse_error_code(body) or "device_code_failed", f"The device login failed with status {status}. {_RETRY}"
        )
    response = parse_json_object(body)
    authorization_code, verifier = response.get("authorization_code"), response.get("code_verifier")
    if not (_is_printable(authorization_code) and _is_printable(verifier)):
        return DeviceCodeFailure(
            "device_code_failed", f"The device login failed: the response has no valid authorization code. {_RETRY}"
        )
    return AuthorizationGrant(
        code=Secret(authorization_code), verifier=Secret(verifier), redirect_uri=issuer + _REDIRECT_PATH
    )


def _parse_interval(value: object) -> timedelta:
    """Parse a number of seconds, which the issuer sends as a string, and limit it to the allowed range."""
    try:
        interval = timedelta(seconds=float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return _DEFAULT_INTERVAL
    return min(max(interval, _SHORTEST_INTERVAL), _LONGEST_INTERVAL)


def _is_printable(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and value.isprintable()
