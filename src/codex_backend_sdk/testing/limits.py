"""How much of the plan is used: one set of figures, told in headers, in an event and in the usage answer.

The figures do not grow with use; a test that needs other ones passes its own `Limits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from .account import Account

__all__ = ["Limits", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time and how much of its allowance is used."""

    used_percent: int
    minutes: int

    def reset_at(self, now: datetime) -> int:
        """Return the end of the window in unix seconds; windows lie end to end."""
        seconds = self.minutes * 60
        return (int(now.timestamp()) // seconds + 1) * seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The figures of one account."""

    primary: Window = Window(12, 300)
    secondary: Window = Window(34, 10080)
    has_credits: bool = False
    credit_balance: str = "0"

    def headers(self, now: datetime) -> list[tuple[str, str]]:
        """Return the headers of a model answer. Codex CLI: codex-api/src/rate_limits.rs."""
        found: list[tuple[str, str]] = []
        for name, window in (("primary", self.primary), ("secondary", self.secondary)):
            found += [
                (f"x-codex-{name}-used-percent", f"{window.used_percent:.1f}"),
                (f"x-codex-{name}-window-minutes", str(window.minutes)),
                (f"x-codex-{name}-reset-at", str(window.reset_at(now))),
            ]
        return [
            *found,
            ("x-codex-credits-has-credits", str(self.has_credits).lower()),
            ("x-codex-credits-unlimited", "false"),
            ("x-codex-credits-balance", self.credit_balance),
        ]

    def event(self, account: Account, now: datetime) -> dict[str, Any]:
        """Return the `codex.rate_limits` event that comes before `response.created`."""
        return {
            "type": "codex.rate_limits",
            "plan_type": account.plan,
            "rate_limits": {
                "allowed": True,
                "limit_reached": False,
                "primary": _event_window(self.primary, now),
                "secondary": _event_window(self.secondary, now),
            },
            "code_review_rate_limits": None,
            "additional_rate_limits": None,
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "balance": self.credit_balance,
            },
            "promo": None,
        }

    def usage(self, account: Account, now: datetime) -> dict[str, Any]:
        """Return the answer of `GET /wham/usage`. Codex CLI: codex-backend-openapi-models/."""
        return {
            "user_id": account.user_id,
            "account_id": account.account_id,
            "email": account.email,
            "plan_type": account.plan,
            "rate_limit": {
                "allowed": True,
                "limit_reached": False,
                "primary_window": _usage_window(self.primary, now),
                "secondary_window": _usage_window(self.secondary, now),
            },
            "code_review_rate_limit": None,
            "additional_rate_limits": [],
            "credits": {
                "has_credits": self.has_credits,
                "unlimited": False,
                "overage_limit_reached": False,
                "balance": self.credit_balance,
                "approx_local_messages": [0, 0],
                "approx_cloud_messages": [0, 0],
            },
            "spend_control": {"reached": False, "individual_limit": None},
            "rate_limit_reached_type": None,
            "model_usage": {},
            "rate_limit_reset_credits": {"available_count": 0},
            "rate_limit_upsell": None,
            "promo": None,
            "referral_beacon": None,
        }


def _event_window(window: Window, now: datetime) -> dict[str, int]:
    reset_at = window.reset_at(now)
    return {
        "used_percent": window.used_percent,
        "window_minutes": window.minutes,
        "reset_after_seconds": reset_at - int(now.timestamp()),
        "reset_at": reset_at,
    }


def _usage_window(window: Window, now: datetime) -> dict[str, int]:
    reset_at = window.reset_at(now)
    return {
        "used_percent": window.used_percent,
        "limit_window_seconds": window.minutes * 60,
        "reset_after_seconds": reset_at - int(now.timestamp()),
        "reset_at": reset_at,
    }
