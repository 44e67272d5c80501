"""The usage limits of the simulated account, in the three forms in which the backend reports them.

Response headers, the `codex.rate_limits` event and `GET /wham/usage` are built from one `SimulatedLimits` value, so they
agree. The figures do not grow with use: a test sets the value it needs, a `usage_limit` fault exhausts a window, and a
reset credit empties the windows again.
"""

from __future__ import annotations

import threading
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from ..simulated_account import SimulatedAccount

__all__ = ["AccountLimits", "SimulatedAdditionalLimit", "SimulatedLimits", "SimulatedWindow"]

_GRANTED_AT = "2026-06-17T00:00:00Z"
# The values of `rate_limit_reached_type` that report a spend cap; the others report missing credits.
_SPEND_CAP_TYPES = ("workspace_owner_usage_limit_reached", "workspace_member_usage_limit_reached")


@dataclass(frozen=True, slots=True)
class SimulatedWindow:
    """A limit window of `minutes` length, and how much of it is used, in percent.

    `resets_at` (aware) is when its use goes back to 0. Without it, windows follow each other without a gap, and the use
    stays.
    """

    used_percent: int
    _: KW_ONLY
    minutes: int
    resets_at: datetime | None = None

    def used_percent_at(self, now: datetime) -> int:
        """Return how much is used at this time, in percent."""
        return 0 if self.resets_at is not None and self.resets_at <= now else self.used_percent

    def next_reset(self, now: datetime) -> int:
        """Return when the window ends next, in Unix seconds."""
        if self.resets_at is not None and self.resets_at > now:
            return int(self.resets_at.timestamp())
        length_seconds = self.minutes * 60
        return (int(now.timestamp()) // length_seconds + 1) * length_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedAdditionalLimit:
    """A limit of one model, in addition to the limits of the plan."""

    id: str = "codex_bengalfox"
    name: str = "GPT-X-Spark"
    primary: SimulatedWindow = SimulatedWindow(1, minutes=300)
    secondary: SimulatedWindow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedLimits:
    """All figures of one account.

    `reached_type` is the backend's word for an exhausted limit of a workspace, such as
    `workspace_owner_credits_depleted`. `reset_credits` is the number of available reset credits; None simulates an
    account for which the backend has no such feature.
    """

    primary: SimulatedWindow = SimulatedWindow(12, minutes=300)
    secondary: SimulatedWindow | None = SimulatedWindow(34, minutes=10080)
    additional: tuple[SimulatedAdditionalLimit, ...] = ()
    has_credits: bool = False
    credit_balance: str = "0"
    spend_cap_reached: bool = False
    reached_type: str | None = None
    reset_credits: int | None = 0

    def headers(self, now: datetime) -> list[tuple[str, str]]:
        """Return the headers of a model response. Codex CLI: codex-api/src/rate_limits.rs."""
        headers = list(_window_headers("codex", self.primary, self.secondary, now))
        for limit in self.additional:
            family = limit.id.replace("_", "-")
            headers += _window_headers(family, limit.primary, limit.secondary, now)
            headers.append((f"x-{family}-limit-name", limit.name))
        return [
            *headers,
            ("x-codex-credits-has-credits", str(self.has_credits).lower()),
            ("x-codex-credits-unlimited", "false"),
            ("x-codex-credits-balance", self.credit_balance),
        ]

    def event(self, account: SimulatedAccount, now: datetime) -> dict[str, Any]:
        """Return the `codex.rate_limits` event, which precedes `response.created`."""
        additional = {
            limit.name: {
                "primary": _event_window(limit.primary, now),
                "secondary": _event_window(limit.secondary, now),
            }
            for limit in self.additional
        }
        return {
            "type": "codex.rate_limits",
            "plan_type": account.plan,
            "rate_limits": {
                **_permission(self.primary, self.secondary, now),
                "primary": _event_window(self.primary, now),
                "secondary": _event_window(self.secondary, now),
            },
            "code_review_rate_limits": None,
            "additional_rate_limits": additional or None,
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "balance": self.credit_balance,
            },
            "promo": None,
        }

    def usage(self, account: SimulatedAccount, now: datetime) -> dict[str, Any]:
        """Return the body of `GET /wham/usage`. Codex CLI: codex-backend-openapi-models/."""
        return {
            "user_id": account.user_id,
            "account_id": account.account_id,
            "email": account.email,
            "plan_type": account.plan,
            "rate_limit": _usage_limit(self.primary, self.secondary, now),
            "code_review_rate_limit": None,
            "additional_rate_limits": [
                {
                    "limit_name": limit.name,
                    "metered_feature": limit.id,
                    "normal_model_slug": None,
                    "rate_limit": _usage_limit(limit.primary, limit.secondary, now),
                }
                for limit in self.additional
            ],
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "overage_limit_reached": False,
                "balance": self.credit_balance,
                "approx_local_messages": [0, 0],
                "approx_cloud_messages": [0, 0],
            },
            "spend_control": {"reached": self.spend_cap_reached, "individual_limit": None},
            "rate_limit_reached_type": None if self.reached_type is None else {"type": self.reached_type},
            "model_usage": {},
            "rate_limit_reset_credits": (
                None if self.reset_credits is None else {"available_count": self.reset_credits}
            ),
            "rate_limit_upsell": None,
            "promo": None,
            "referral_beacon": None,
        }


def _window_headers(
    family: str, primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime
) -> Iterator[tuple[str, str]]:
    for name, window in (("primary", primary), ("secondary", secondary)):
        if window is not None:
            yield f"x-{family}-{name}-used-percent", f"{window.used_percent_at(now):.1f}"
            yield f"x-{family}-{name}-window-minutes", str(window.minutes)
            yield f"x-{family}-{name}-reset-at", str(window.next_reset(now))


def _permission(primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime) -> dict[str, bool]:
    windows = (primary, secondary)
    is_reached = any(window is not None and window.used_percent_at(now) >= 100 for window in windows)
    return {"allowed": not is_reached, "limit_reached": is_reached}


def _event_window(window: SimulatedWindow | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"window_minutes": window.minutes, **_figures(window, now)}


def _usage_limit(primary: SimulatedWindow, secondary: SimulatedWindow | None, now: datetime) -> dict[str, Any]:
    return {
        **_permission(primary, secondary, now),
        "primary_window": _usage_window(primary, now),
        "secondary_window": _usage_window(secondary, now),
    }


def _usage_window(window: SimulatedWindow | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"limit_window_seconds": window.minutes * 60, **_figures(window, now)}


def _figures(window: SimulatedWindow, now: datetime) -> dict[str, int]:
    reset_at = window.next_reset(now)
    return {
        "used_percent": window.used_percent_at(now),
        "reset_after_seconds": reset_at - int(now.timestamp()),
        "reset_at": reset_at,
    }


class AccountLimits:
    """The current limits and the reset credits of the account. Safe to use from any thread.

    Assigning `limits` replaces everything, including the reset credits that were already redeemed.
    """

    def __init__(self, limits: SimulatedLimits) -> None:
        self._lock = threading.Lock()
        self._initial = limits
        self.limits = limits

    @property
    def limits(self) -> SimulatedLimits:
        """The limits as every response reports them now."""
        return self._limits

    @limits.setter
    def limits(self, limits: SimulatedLimits) -> None:
        with self._lock:
            self._limits = limits
            # Credit id -> when it was redeemed; None while it is available.
            self._redeemed_at: dict[str, str | None] = {
                f"RateLimitResetCredit_{number + 1}": None for number in range(limits.reset_credits or 0)
            }
            self._used_keys: set[str] = set()

    def restore(self) -> None:
        """Go back to the limits that were given to the constructor."""
        self.limits = self._initial

    def exhaust(
        self,
        window: SimulatedWindow,
        *,
        reached_type: str | None = None,
        additional: SimulatedAdditionalLimit | None = None,
    ) -> None:
        """Report this exhausted window from now on: one of the plan, or with `additional` the one of a model.

        A window of the plan replaces the secondary window if it has the same length, else the primary one.
        """
        with self._lock:
            limits = self._limits
            if additional is not None:
                others = tuple(limit for limit in limits.additional if limit.id != additional.id)
                self._limits = replace(limits, additional=(*others, replace(additional, primary=window)))
                return
            is_secondary = limits.secondary is not None and limits.secondary.minutes == window.minutes
            self._limits = replace(
                limits,
                primary=limits.primary if is_secondary else window,
                secondary=window if is_secondary else limits.secondary,
                reached_type=reached_type,
                spend_cap_reached=limits.spend_cap_reached or reached_type in _SPEND_CAP_TYPES,
            )

    # Reset credits. Codex CLI: backend-client/src/client/rate_limit_resets.rs.

    def credits(self) -> dict[str, Any] | None:
        """Return the body that lists the reset credits, or None for an account without them."""
        if self._limits.reset_credits is None:
            return None
        credits = [
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
            for name, redeemed_at in self._redeemed_at.items()
        ]
        return {"credits": credits, "available_count": self._limits.reset_credits}

    def consume(self, request: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Redeem a reset credit and return the response body; a repeated `redeem_request_id` redeems nothing."""
        with self._lock:
            key, credit_id = request["redeem_request_id"], request.get("credit_id")
            available = [name for name, redeemed_at in self._redeemed_at.items() if redeemed_at is None]
            if key in self._used_keys or (credit_id is not None and self._redeemed_at.get(credit_id) is not None):
                return {"code": "already_redeemed", "windows_reset": 0}
            if not available or (credit_id is not None and credit_id not in available):
                return {"code": "no_credit", "windows_reset": 0}
            limits = self._limits
            windows = [window for window in (limits.primary, limits.secondary) if window is not None]
            reset_count = sum(window.used_percent_at(now) > 0 for window in windows)
            if not reset_count:
                return {"code": "nothing_to_reset", "windows_reset": 0}
            self._used_keys.add(key)
            redeemed_at = now.isoformat(timespec="seconds").replace("+00:00", "Z")
            self._redeemed_at[credit_id or available[0]] = redeemed_at
            self._limits = replace(
                limits,
                primary=SimulatedWindow(0, minutes=limits.primary.minutes),
                secondary=limits.secondary and SimulatedWindow(0, minutes=limits.secondary.minutes),
                reached_type=None,
                reset_credits=len(available) - 1,
            )
            return {"code": "reset", "windows_reset": reset_count}
