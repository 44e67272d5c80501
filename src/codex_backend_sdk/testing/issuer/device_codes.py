"""The issuer's device codes: given to a program, typed in by a person, and asked about in between.

Answers: Codex CLI login/src/device_code_auth.rs. While nobody has decided, the real server was seen to answer 403 with
the code `deviceauth_authorization_unknown`; how it words a refusal is not known, so that sentence is our own.
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

    from .issuer_pages import Approval
    from .oauth_issuer import Issuer, Reply
    from .token_mint import Ids

__all__ = ["DeviceCodes", "DeviceSettings"]

_LIFETIME = timedelta(minutes=15)
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels: a code is not a word


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """How signing in with a device code goes.

    `enabled` False is an account for which it is switched off. `interval` is the time between two questions, in
    seconds. With `approve="auto"` and `"deny"` it is decided after `pending` questions.
    """

    enabled: bool = True
    interval: int = 5
    pending: int = 0


@dataclass(slots=True)
class _Device:
    user_code: str
    expires: datetime
    questions: int = 0
    decision: Literal["approve", "deny"] | None = None


class DeviceCodes:
    """The device codes that were given out; safe to use from any thread."""

    def __init__(
        self,
        issuer: Issuer,
        *,
        settings: DeviceSettings,
        approve: Approval,
        ids: Ids,
        clock: Callable[[], datetime],
        url: Callable[[], str],
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._approve = approve
        self._ids = ids
        self._clock = clock
        self._url = url
        self._lock = threading.Lock()
        self._devices: dict[str, _Device] = {}

    def begin(self, request: Mapping[str, Any]) -> Reply:
        """Give out a code."""
        if not self._settings.enabled:
            return 404, {"detail": "Not Found"}
        if request.get("client_id") != CLIENT_ID:
            return 401, {"error": {"code": "invalid_client", "message": "The client is not known here."}}
        expires = self._clock() + _LIFETIME
        device_auth_id, user_code = self._ids.new("deviceauth"), self._new_user_code()
        with self._lock:
            self._devices[device_auth_id] = _Device(user_code, expires)
        return 200, {
            "device_auth_id": device_auth_id,
            "user_code": user_code,
            "interval": str(self._settings.interval),  # a string, as the real one
            "expires_at": expires.isoformat(),
        }

    def poll(self, request: Mapping[str, Any]) -> Reply:
        """Say whether a code was typed in."""
        with self._lock:
            device = self._devices.get(str(request.get("device_auth_id")))
            if device is None or device.user_code != request.get("user_code") or device.expires <= self._clock():
                return 404, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not found."}}
            self._decide_alone(device)
            if device.decision is None:
                return 403, {"error": {"code": "deviceauth_authorization_unknown", "message": "Not authorized yet."}}
            del self._devices[str(request["device_auth_id"])]  # the answer is given once
        if device.decision == "deny":
            return 400, {"error": {"code": "access_denied", "message": "The user denied the request."}}
        verifier = self._ids.new("verifier", 64)
        code, challenge = self._issuer.code_for(
            f"{self._url()}/deviceauth/callback", verifier=verifier, scope=LOGIN_SCOPES
        )
        return 200, {"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier}

    def decide(self, user_code: str, decision: Literal["approve", "deny"]) -> bool:
        """Note what the person has decided; False when there is no such code."""
        wanted = user_code.strip().upper()
        with self._lock:
            found = [d for d in self._devices.values() if d.user_code == wanted and d.expires > self._clock()]
            for device in found:
                device.decision = device.decision or decision
        return bool(found)

    def _decide_alone(self, device: _Device) -> None:
        device.questions += 1
        if self._approve != "ask" and device.questions > self._settings.pending:
            device.decision = device.decision or ("approve" if self._approve == "auto" else "deny")

    def _new_user_code(self) -> str:
        number = int(self._ids.new("code", 16).partition("_")[2], 16)
        letters = "".join(_LETTERS[number // 20**place % 20] for place in range(4))
        return f"{letters}-{number % 100_000:05}"
