"""The account's limits as they are now: set by a test, used up by a fault, filled up by a reset credit."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .limits_state import AdditionalLimit, Limits, Window

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = ["Meter"]

_GRANTED_AT = "2026-06-17T00:00:00Z"
# The limits of a workspace that are not about credits.
_SPEND_CAPS = ("workspace_owner_usage_limit_reached", "workspace_member_usage_limit_reached")


class Meter:
    """Holds the limits; every request reads them here."""

    def __init__(self, limits: Limits) -> None:
        self._lock = threading.Lock()
        self._at_first = limits
        self.limits = limits

    @property
    def limits(self) -> Limits:
        """The limits; setting them grants the reset credits anew."""
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        with self._lock:
            self._limits = limits
            self._redeemed: dict[str, str | None] = {
                f"RateLimitResetCredit_{number + 1}": None for number in range(limits.reset_credits or 0)
            }
            self._keys: set[str] = set()

    def clear(self) -> None:
        """Go back to the limits of the beginning."""
        self.limits = self._at_first

    def use_up(self, window: Window, *, reached: str | None = None, model: AdditionalLimit | None = None) -> None:
        """Let this window be used up: of the plan, or of one model's own limit; `reached` is the backend's word."""
        with self._lock:
            limits = self._limits
            if model is not None:
                others = tuple(each for each in limits.additional if each.id != model.id)
                self._limits = replace(limits, additional=(*others, replace(model, primary=window)))
                return
            is_second = limits.secondary is not None and limits.secondary.minutes == window.minutes
            self._limits = replace(
                limits,
                primary=limits.primary if is_second else window,
                secondary=window if is_second else limits.secondary,
                reached=reached,
                spend_cap_reached=limits.spend_cap_reached or reached in _SPEND_CAPS,
            )

    # Reset credits. Codex CLI: backend-client/src/client/rate_limit_resets.rs.

    def credits(self) -> dict[str, Any] | None:
        """Return the answer that lists them, None for an account without such credits."""
        if self._limits.reset_credits is None:
            return None
        given = [
            {
                "id": name,
                "reset_type": "codex_rate_limits",
                "status": "available" if redeemed_at is None else "redeemed",
                "granted_at": _GRANTED_AT,
                "expires_at": None,
                "redeemed_at": redeemed_at,
                "title": "Rate limit reset",
                "description": "Fills your limits up once.",
            }
            for name, redeemed_at in self._redeemed.items()
        ]
        return {"credits": given, "available_count": self._limits.reset_credits}

    def consume(self, body: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Use a credit up, for a body that has a key, and return the answer."""
        with self._lock:
            key, wanted = body["redeem_request_id"], body.get("credit_id")
            available = [name for name, redeemed_at in self._redeemed.items() if redeemed_at is None]
            if key in self._keys or (wanted is not None and self._redeemed.get(wanted) is not None):
                return {"code": "already_redeemed", "windows_reset": 0}
            if not available or (wanted is not None and wanted not in available):
                return {"code": "no_credit", "windows_reset": 0}
            count = self._fill_up(now)
            if not count:
                return {"code": "nothing_to_reset", "windows_reset": 0}
            self._keys.add(key)
            self._redeemed[wanted or available[0]] = now.isoformat(timespec="seconds").replace("+00:00", "Z")
            self._limits = replace(self._limits, reset_credits=len(available) - 1)
            return {"code": "reset", "windows_reset": count}

    def _fill_up(self, now: datetime) -> int:
        limits = self._limits
        windows = [window for window in (limits.primary, limits.secondary) if window is not None]
        used = sum(window.used_at(now) > 0 for window in windows)
        self._limits = replace(
            limits,
            primary=Window(0, limits.primary.minutes),
            secondary=None if limits.secondary is None else Window(0, limits.secondary.minutes),
            reached=None,
        )
        return used
