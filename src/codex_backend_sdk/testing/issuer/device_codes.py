"""Issue device codes and report whether the user approved them.

A program requests a device code, the user enters it on a page of the issuer, and the program polls for the decision
(Codex CLI: login/src/device_code_auth.rs). Before the user decides, the real issuer is reported to return 403 with the
code `deviceauth_authorization_unknown`. Its response to a denied login is not recorded; the one here is invented.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from ..._constants import CLIENT_ID, LOGIN_SCOPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from ..id_generator import IdGenerator
    from .oauth_issuer import Approval, OAuthIssuer, StatusAndBody

__all__ = ["DeviceCodes", "DeviceLoginSettings"]

_LIFETIME = timedelta(minutes=15)
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that no code is a word


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLoginSettings:
    """Settings of the simulated device code login.

    - `enabled`: False simulates an account that does not allow this login.
    - `interval_seconds`: the poll interval that the issuer requests.
    - `pending_polls`: the number of polls before an `approval` of `auto` or `deny` takes effect.
    """

    enabled: bool = True
    interval_seconds: int = 5
    pending_polls: int = 0


@dataclass(slots=True)
class _PendingLogin:
    user_code: str
    expires_at: datetime
    poll_count: int = 0
    decision: Literal["approve", "deny"] | None = None


class DeviceCodes:
    """The issued device codes and their state. The class is thread-safe."""

    def __init__(
        self,
        issuer: OAuthIssuer,
        *,
        settings: DeviceLoginSettings,
        approval: Approval,
        ids: IdGenerator,
        clock: Callable[[], datetime],
        get_url: Callable[[], str],
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._approval = approval
        self._ids = ids
        self._clock = clock
        self._get_url = get_url
        self._lock = threading.Lock()
        self._logins: dict[str, _PendingLogin] = {}

    def create(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Create a device code and return the response. The user code has four letters, a hyphen and five digits."""
        if not self._settings.enabled:
            return 404, {"detail": "Not Found"}
        if request.get("client_id") != CLIENT_ID:
            return 401, {"error": {"code": "invalid_client", "message": "Unknown client_id."}}
        expires_at = self._clock() + _LIFETIME
        device_auth_id = self._ids.new("deviceauth")
        number = int(self._ids.new("code", 16).partition("_")[2], 16)
        letters = "".join(_ALPHABET[number // len(_ALPHABET) ** position % len(_ALPHABET)] for position in range(4))
        user_code = f"{letters}-{number % 100_000:05}"
        with self._lock:
            self._logins[device_auth_id] = _PendingLogin(user_code, expires_at)
        return 200, {
            "device_auth_id": device_auth_id,
            "user_code": user_code,
            "interval": str(self._settings.interval_seconds),  # a string, as from the real issuer
            "expires_at": expires_at.isoformat(),
        }

    def poll(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Return an authorization code if the user approved. A status of 403 or 404 means that the login is pending."""
        with self._lock:
            login = self._logins.get(str(request.get("device_auth_id")))
            if login is None or login.user_code != request.get("user_code") or login.expires_at <= self._clock():
                return 404, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not found."}}
            login.poll_count += 1
            if self._approval != "manual" and login.poll_count > self._settings.pending_polls:
                login.decision = login.decision or ("approve" if self._approval == "auto" else "deny")
            if login.decision is None:
                return 403, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not authorized yet."}}
            del self._logins[str(request["device_auth_id"])]  # the decision is reported only once
        if login.decision == "deny":
            return 400, {"error": {"code": "access_denied", "message": "The user denied the request."}}
        verifier = self._ids.new("verifier", 64)
        code, challenge = self._issuer.issue_code_for_device(
            f"{self._get_url()}/deviceauth/callback", verifier=verifier, scope=LOGIN_SCOPES
        )
        return 200, {"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier}

    def decide(self, user_code: str, decision: Literal["approve", "deny"]) -> bool:
        """Record the user's first decision. Return False if the code is unknown or expired."""
        normalized_code = user_code.strip().upper()
        with self._lock:
            for login in self._logins.values():
                if login.user_code == normalized_code and login.expires_at > self._clock():
                    login.decision = login.decision or decision
                    return True
        return False
