"""A used-up plan: which limit, until when, and what helps. Codex CLI: protocol/src/error.rs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UsageLimit", "usage_limit"]

_USAGE_PAGE: Final = "https://chatgpt.com/settings/usage"

# What the header about a workspace says: whose limit it was, and who can change it.
_OF_WORKSPACES: Final = {
    "workspace_owner_credits_depleted": ("The workspace has no credits left.", "adding credits to the workspace"),
    "workspace_member_credits_depleted": (
        "The workspace has no credits left.",
        "asking the workspace's owner to add credits",
    ),
    "workspace_owner_usage_limit_reached": (
        "The spending cap that you set for your workspace is reached.",
        "a higher cap in the workspace's settings",
    ),
    "workspace_member_usage_limit_reached": (
        "The spending cap that the workspace's owner set for you is reached.",
        "asking the owner for a higher cap",
    ),
}
_MORE_CREDITS: Final = f"more credits ({_USAGE_PAGE})"
_ASK_ADMIN: Final = "asking your workspace's admin for more"
# Plans, by the beginnings of their names, and what gives them more; the others can only wait.
_OF_PLANS: Final = (
    (("free", "go"), "the Plus plan (https://chatgpt.com/explore/plus)"),
    (("plus",), f"the Pro plan (https://chatgpt.com/explore/pro) or {_MORE_CREDITS}"),
    (("pro",), _MORE_CREDITS),  # pro, prolite, promax
    (("team", "business", "self_serve_business", "enterprise_cbp", "ent26"), _ASK_ADMIN),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLimit:
    """A usage limit that was reached, as far as the backend told.

    `limit_name` is set when the limit is one model's own. `reached` is the backend's word for a workspace's limit.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window: timedelta | None = None
    limit_name: str | None = None
    reached: str | None = None
    message: str = ""


def usage_limit(error: Mapping[str, Any], headers: Mapping[str, str]) -> UsageLimit:
    """Read what an error of the type `usage_limit_reached` and the headers beside it tell."""
    plan = _text(error.get("plan_type"))
    resets_at = _time(error.get("resets_at"))
    window = _minutes(error.get("limit_window_minutes"))
    reached = _text(headers.get("x-codex-rate-limit-reached-type"))
    name = _name_of_its_own(headers)
    promo = _text(headers.get("x-codex-promo-message"))
    subject, helps = _OF_WORKSPACES.get(reached or "", (_subject(plan, window, name), _what_helps(plan, name, promo)))
    when = f" It resets at {resets_at:%Y-%m-%d %H:%M} UTC." if resets_at else ""
    return UsageLimit(
        plan=plan,
        resets_at=resets_at,
        window=window,
        limit_name=name,
        reached=reached,
        message=f"{subject}{when}" + (f" What helps before that: {helps}." if helps else ""),
    )


def _subject(plan: str | None, window: timedelta | None, name: str | None) -> str:
    of_what = f" of {name}" if name else f" of the {plan} plan" if plan else ""
    return f"The {_named(window)}usage limit{of_what} is reached."


def _named(window: timedelta | None) -> str:
    if window is None:
        return ""
    hours = window.total_seconds() / 3600
    return {24.0: "daily ", 168.0: "weekly "}.get(hours, f"{hours:g}-hour ")


def _what_helps(plan: str | None, name: str | None, promo: str | None) -> str | None:
    if name:
        return "another model"
    if promo:
        return promo.rstrip(".")
    return next((help_ for plans, help_ in _OF_PLANS if (plan or "").startswith(plans)), None)


def _name_of_its_own(headers: Mapping[str, str]) -> str | None:
    """Return the name of the limit that was reached when it is not that of the plan."""
    limit_id = (headers.get("x-codex-active-limit") or "codex").strip().lower().replace("_", "-")
    return None if limit_id == "codex" else _text(headers.get(f"x-{limit_id}-limit-name"))


def _text(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _time(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):  # not a number, or not a time that can be
        return None


def _minutes(value: Any) -> timedelta | None:
    try:
        return timedelta(minutes=value) if value > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None
