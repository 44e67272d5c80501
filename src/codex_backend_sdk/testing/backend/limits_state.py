"""How much of the plan is used: one set of figures, told in headers, in an event and in the usage answer.

The figures do not grow with use; a test that needs other ones sets its own `Limits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ..sim_account import Account

__all__ = ["AdditionalLimit", "Limits", "Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time and how much of its allowance is used.

    It ends at `resets_at`, and from then on nothing is used; without that, windows lie end to end.
    """

    used_percent: int
    minutes: int
    resets_at: datetime | None = None

    def used_at(self, now: datetime) -> int:
        """Return how much is used at this time."""
        return 0 if self.resets_at is not None and self.resets_at <= now else self.used_percent

    def reset_at(self, now: datetime) -> int:
        """Return the end of the window in unix seconds."""
        if self.resets_at is not None and self.resets_at > now:
            return int(self.resets_at.timestamp())
        seconds = self.minutes * 60
        return (int(now.timestamp()) // seconds + 1) * seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class AdditionalLimit:
    """A limit besides the plan's own, as of one model."""

    id: str = "codex_bengalfox"
    name: str = "GPT-X-Spark"
    primary: Window = Window(1, 300)
    secondary: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The figures of one account.

    `reached` is what ran out, as the backend spells it. `reset_credits` is how many there are; None is an account
    whose backend knows nothing of such credits.
    """

    primary: Window = Window(12, 300)
    secondary: Window | None = Window(34, 10080)
    additional: tuple[AdditionalLimit, ...] = ()
    has_credits: bool = False
    credit_balance: str = "0"
    spend_cap_reached: bool = False
    reached: str | None = None
    reset_credits: int | None = 0

    def headers(self, now: datetime) -> list[tuple[str, str]]:
        """Return the headers of a model answer. Codex CLI: codex-api/src/rate_limits.rs."""
        found = list(_family_headers("codex", self.primary, self.secondary, now))
        for limit in self.additional:
            family = limit.id.replace("_", "-")
            found += _family_headers(family, limit.primary, limit.secondary, now)
            found.append((f"x-{family}-limit-name", limit.name))
        return [
            *found,
            ("x-codex-credits-has-credits", str(self.has_credits).lower()),
            ("x-codex-credits-unlimited", "false"),
            ("x-codex-credits-balance", self.credit_balance),
        ]

    def event(self, account: Account, now: datetime) -> dict[str, Any]:
        """Return the `codex.rate_limits` event that comes before `response.created`."""
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

    def usage(self, account: Account, now: datetime) -> dict[str, Any]:
        """Return the answer of `GET /wham/usage`. Codex CLI: codex-backend-openapi-models/."""
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
            "rate_limit_reached_type": None if self.reached is None else {"type": self.reached},
            "model_usage": {},
            "rate_limit_reset_credits": (
                None if self.reset_credits is None else {"available_count": self.reset_credits}
            ),
            "rate_limit_upsell": None,
            "promo": None,
            "referral_beacon": None,
        }


def _family_headers(family: str, primary: Window, secondary: Window | None, now: datetime) -> Iterator[tuple[str, str]]:
    for name, window in (("primary", primary), ("secondary", secondary)):
        if window is not None:
            yield f"x-{family}-{name}-used-percent", f"{window.used_at(now):.1f}"
            yield f"x-{family}-{name}-window-minutes", str(window.minutes)
            yield f"x-{family}-{name}-reset-at", str(window.reset_at(now))


def _permission(primary: Window, secondary: Window | None, now: datetime) -> dict[str, bool]:
    is_reached = any(window is not None and window.used_at(now) >= 100 for window in (primary, secondary))
    return {"allowed": not is_reached, "limit_reached": is_reached}


def _event_window(window: Window | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"window_minutes": window.minutes, **_figures(window, now)}


def _usage_limit(primary: Window, secondary: Window | None, now: datetime) -> dict[str, Any]:
    return {
        **_permission(primary, secondary, now),
        "primary_window": _usage_window(primary, now),
        "secondary_window": _usage_window(secondary, now),
    }


def _usage_window(window: Window | None, now: datetime) -> dict[str, int] | None:
    return None if window is None else {"limit_window_seconds": window.minutes * 60, **_figures(window, now)}


def _figures(window: Window, now: datetime) -> dict[str, int]:
    reset_at = window.reset_at(now)
    return {
        "used_percent": window.used_at(now),
        "reset_after_seconds": reset_at - int(now.timestamp()),
        "reset_at": reset_at,
    }
