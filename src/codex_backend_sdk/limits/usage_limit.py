"""A used-up plan: which limit, until when, and what helps. Codex CLI: protocol/src/error.rs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._coerce import as_datetime, as_number, as_text
from .._timefmt import local
from .limit_parsing import CODEX, from_headers
from .limit_types import RateLimitWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .limit_types import RateLimits

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
# A window resets by itself; credits do not.
_CREDITS_DEPLETED: Final = ("workspace_owner_credits_depleted", "workspace_member_credits_depleted")
_LONGEST_WINDOW_MINUTES: Final = 10 * 366 * 1440  # a longer one is a mistake
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
    `limits` is what the headers told.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window: timedelta | None = None
    limit_name: str | None = None
    reached: str | None = None
    limits: RateLimits | None = None
    message: str = ""


def usage_limit(error: Mapping[str, Any], headers: Mapping[str, str], *, now: datetime) -> UsageLimit:
    """Read what an error of the type `usage_limit_reached` and the headers beside it tell."""
    limits = from_headers(headers, seen_at=now)
    plan = as_text(error.get("plan_type"))
    reached = as_text(headers.get("x-codex-rate-limit-reached-type"))
    name = _name_of_its_own(headers)
    full = _window(error, limits, name)
    promo = as_text(headers.get("x-codex-promo-message"))
    subject, helps = _OF_WORKSPACES.get(reached or "", (_subject(plan, full, name), _what_helps(plan, name, promo)))
    waiting_helps = reached not in _CREDITS_DEPLETED
    when = f" It resets at {local(full.resets_at)}." if full.resets_at and waiting_helps else ""
    before = " before that" if waiting_helps else ""
    return UsageLimit(
        plan=plan,
        resets_at=full.resets_at,
        window=full.window,
        limit_name=name,
        reached=reached,
        limits=limits,
        message=f"{subject}{when}" + (f" What helps{before}: {helps}." if helps else ""),
    )


def _window(error: Mapping[str, Any], limits: RateLimits | None, name: str | None) -> RateLimitWindow:
    """Return the window that is full: as the error tells it, else as the headers do."""
    windows = limits.windows if limits else ()
    if limits and name:
        windows = next((limit.windows for limit in limits.additional if limit.name == name), ())
    full = max((each for each in windows if each.is_exhausted), key=_reset, default=None)
    minutes = as_number(error.get("limit_window_minutes"), at_most=_LONGEST_WINDOW_MINUTES)
    return RateLimitWindow(
        used_percent=100,
        window=timedelta(minutes=minutes) if minutes else full.window if full else None,
        resets_at=as_datetime(error.get("resets_at")) or (full.resets_at if full else None),
    )


def _reset(window: RateLimitWindow) -> float:
    return window.resets_at.timestamp() if window.resets_at else 0.0


def _subject(plan: str | None, full: RateLimitWindow, name: str | None) -> str:
    which = f"{full.name} " if full.window else ""
    of_what = f" of {name}" if name else f" of the {plan} plan" if plan else ""
    return f"The {which}usage limit{of_what} is reached."


def _what_helps(plan: str | None, name: str | None, promo: str | None) -> str | None:
    if name:
        return "another model"
    if promo:
        return promo.rstrip(".")
    return next((help_ for plans, help_ in _OF_PLANS if (plan or "").startswith(plans)), None)


def _name_of_its_own(headers: Mapping[str, str]) -> str | None:
    """Return the name of the limit that was reached when it is not that of the plan."""
    limit_id = (as_text(headers.get("x-codex-active-limit")) or CODEX).lower().replace("_", "-")
    return None if limit_id == CODEX else as_text(headers.get(f"x-{limit_id}-limit-name"))
