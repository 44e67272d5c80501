"""Signing in with a code that is typed into a browser elsewhere: what each answer of the issuer means.

Two tables: the answer to "give me a code", and the answer to "has it been typed in?". Whoever drives the conversation
asks, shows the code, and asks again every `interval` until the answer is a grant, a refusal, or the time is over.
Codex CLI: login/src/device_code_auth.rs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias, TypeGuard

from .._coerce import parse_json_object
from .._constants import CLIENT_ID
from ..types import DeviceCode, Secret
from ._oauth import Grant, error_code, error_text

__all__ = [
    "CODE_LIFETIME",
    "PENDING",
    "POLL_PATH",
    "USER_CODE_PATH",
    "Refusal",
    "judge_poll",
    "poll_body",
    "read_user_code",
    "user_code_body",
]

USER_CODE_PATH: Final = "/api/accounts/deviceauth/usercode"
POLL_PATH: Final = "/api/accounts/deviceauth/token"
PAGE_PATH: Final = "/codex/device"
# The issuer hands out the verifier too, and knows the code under this address.
REDIRECT_PATH: Final = "/deviceauth/callback"

CODE_LIFETIME: Final = timedelta(minutes=15)
DEFAULT_INTERVAL: Final = timedelta(seconds=5)
SHORTEST_INTERVAL: Final = timedelta(seconds=1)  # whatever the issuer says, it is not asked more often
LONGEST_INTERVAL: Final = timedelta(minutes=1)

PENDING: Final = "pending"

SWITCHED_OFF: Final = (
    "Signing in with a device code is not enabled for this account or sign-in server. It is switched on in the "
    "security settings of ChatGPT, or by the administrator of the workspace; signing in with a browser works without."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there will be no login: a code for programs and a sentence for people."""

    code: str
    message: str


_Meaning: TypeAlias = Literal["given", "pending", "switched off", "failed"]

# A status that is in no row means "failed".
USER_CODE_MEANINGS: Final[dict[int, _Meaning]] = {200: "given", 404: "switched off"}
POLL_MEANINGS: Final[dict[int, _Meaning]] = {
    200: "given",
    403: "pending",
    404: "pending",
    # The issuer, or something before it, is not well just now. The person types in the code meanwhile.
    **dict.fromkeys((408, 425, 429, *range(500, 600)), "pending"),
}
# The standard's own words for "not yet" (RFC 8628, 3.5), whatever status they come with.
PENDING_CODES: Final = frozenset({"authorization_pending", "slow_down"})


def user_code_body() -> dict[str, str]:
    """Return the JSON body that asks for a code."""
    return {"client_id": CLIENT_ID}


def poll_body(code: DeviceCode) -> dict[str, str]:
    """Return the JSON body that asks whether the code was typed in."""
    return {"device_auth_id": code.device_auth_id.reveal(), "user_code": code.user_code}


def read_user_code(status: int, body: bytes, *, issuer: str) -> DeviceCode | Refusal:
    """Read the answer to "give me a code"."""
    meaning = USER_CODE_MEANINGS.get(status, "failed")
    if meaning == "switched off":
        return Refusal("device_code_not_enabled", SWITCHED_OFF)
    if meaning == "failed":
        return Refusal("device_code_failed", f"No device code was given: status {status}, {error_text(body)}.")
    answer = parse_json_object(body)
    device_auth_id = answer.get("device_auth_id")
    user_code = answer.get("user_code", answer.get("usercode"))
    if not (_is_text(device_auth_id) and _is_text(user_code)):
        return Refusal("device_code_failed", "No device code was given: the answer has no usable code in it.")
    return DeviceCode(
        user_code=user_code,
        url=issuer + PAGE_PATH,
        expires_in=CODE_LIFETIME,
        interval=_interval(answer.get("interval")),
        device_auth_id=Secret(device_auth_id),
    )


def judge_poll(status: int, body: bytes, *, issuer: str) -> Grant | Literal["pending"] | Refusal:
    """Read the answer to "has it been typed in?"."""
    meaning = POLL_MEANINGS.get(status, "failed")
    if meaning == "pending" or (meaning == "failed" and error_code(body) in PENDING_CODES):
        return PENDING
    if meaning == "failed":
        return Refusal(error_code(body) or "device_code_failed", f"Device sign-in failed with status {status}.")
    answer = parse_json_object(body)
    code, verifier = answer.get("authorization_code"), answer.get("code_verifier")
    if not (_is_text(code) and _is_text(verifier)):
        return Refusal("device_code_failed", "Device sign-in failed: the answer has no usable code in it.")
    return Grant(code=Secret(code), verifier=Secret(verifier), redirect_uri=issuer + REDIRECT_PATH)


def _interval(given: object) -> timedelta:
    """Read a number of seconds, which comes as a string."""
    try:
        seconds = timedelta(seconds=float(given))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return DEFAULT_INTERVAL
    return min(max(seconds, SHORTEST_INTERVAL), LONGEST_INTERVAL)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value) and value.isprintable()
