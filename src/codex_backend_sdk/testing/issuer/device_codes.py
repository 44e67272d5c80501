"""Device codes: created for a program, entered by the user, polled by the program.

The protocol is that of the Codex CLI (login/src/device_code_auth.rs). While the user has not decided, the real server
was observed to respond 403 with the code `deviceauth_authorization_unknown`. The wording of its response to a denied
login is not recorded, so that text is ours.
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
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that a code never spells a word


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLoginSettings:
    """Set how the login with a device code behaves.

    `enabled=False` simulates an account that has it turned off. `interval_seconds` is the poll interval that the issuer
    demands. With `approval="auto"` or `"deny"` the login is decided after `pending_polls` polls.
    """

    enabled: bool = True
    interval_seconds: int = 5
    pending_polls: int = 0


@dataclass(slots=True)
class _PendingLogin:
    user_code: str
    expires_at: datetime
    polls: int = 0
    decision: Literal["approve", "deny"] | None = None


class DeviceCodes:
    """The issued device codes and their state. Safe to use from any thread."""

    def __init__(
        self,
        issuer: OAuthIssuer,
        *,
        settings: DeviceLoginSettings,
        approval: Approval,
        ids: IdGenerator,
        clock: Callable[[], datetime],
        url: Callable[[], str],
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._approval = approval
        self._ids = ids
        self._clock = clock
        self._url = url
        self._lock = threading.Lock()
        self._logins: dict[str, _PendingLogin] = {}

    def create(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Create a device code."""
        if not self._settings.enabled:
            return 404, {"detail": "Not Found"}
        if request.get("client_id") != CLIENT_ID:
            return 401, {"error": {"code": "invalid_client", "message": "The client is not known here."}}
        expires_at = self._clock() + _LIFETIME
        device_auth_id, user_code = self._ids.new("deviceauth"), self._new_user_code()
        with self._lock:
            self._logins[device_auth_id] = _PendingLogin(user_code, expires_at)
        return 200, {
            "device_auth_id": device_auth_id,
            "user_code": user_code,
            "interval": str(self._settings.interval_seconds),  # the real issuer sends a string, too
            "expires_at": expires_at.isoformat(),
        }

    def poll(self, request: Mapping[str, Any]) -> StatusAndBody:
        """Return an authorization code if the user has approved, else a status that the program polls on."""
        with self._lock:
            login = self._logins.get(str(request.get("device_auth_id")))
            if login is None or login.user_code != request.get("user_code") or login.expires_at <= self._clock():
                return 404, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not found."}}
            login.polls += 1
            if self._approval != "manual" and login.polls > self._settings.pending_polls:
                login.decision = login.decision or ("approve" if self._approval == "auto" else "deny")
            if login.decision is None:
                return 403, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not authorized yet."}}
            del self._logins[str(request["device_auth_id"])]  # the decision is reported once
        if login.decision == "deny":
            return 400, {"error": {"code": "access_denied", "message": "The user denied the request."}}
        verifier = self._ids.new("verifier", 64)
        code, challenge = self._issuer.code_for_device(
            f"{self._url()}/deviceauth/callback", verifier=verifier, scope=LOGIN_SCOPES
        )
        return 200, {"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier}

    def decide(self, user_code: str, decision: Literal["approve", "deny"]) -> bool:
        """Record the user's decision; return False if the code is unknown or expired. The first decision counts."""
        normalized = user_code.strip().upper()
        with self._lock:
            logins = [x for x in self._logins.values() if x.user_code == normalized and x.expires_at > self._clock()]
            for login in logins:
                login.decision = login.decision or decision
        return bool(logins)

    def _new_user_code(self) -> str:
        """Return a code of the real form: four letters, a hyphen, five digits."""
        number = int(self._ids.new("code", 16).partition("_")[2], 16)
        letters = "".join(_ALPHABET[number // 20**place % 20] for place in range(4))
        return f"{letters}-{number % 100_000:05}"
