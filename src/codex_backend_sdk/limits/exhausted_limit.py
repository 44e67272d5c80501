"""Parse a refusal for an exhausted usage limit: which limit, until when, and how the user can continue. Pure.

The error object (`usage_limit_reached`) has the plan, the reset time and the window's length. The headers beside it
name the limit of a single model, say what a workspace ran out of, and fill in what the error leaves out. Wire source
of members and headers: Codex CLI, protocol/src/error.rs, `UsageLimitReachedError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._coerce import as_datetime, as_number, as_text
from .._timefmt import format_local_time
from .limit_parsing import PLAN_LIMIT_ID, parse_headers
from .limit_types import RateLimitWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .limit_types import RateLimits

__all__ = ["ExhaustedLimit", "parse_exhausted_limit"]

_MAX_WINDOW_MINUTES: Final = 10 * 366 * 1440  # a longer window is a mistake of the backend

# By the value of `x-codex-rate-limit-reached-type`: what a workspace ran out of, and what this user can do about it.
_WORKSPACE_REASONS: Final = {
    "workspace_owner_credits_depleted": ("The workspace is out of credits.", "add credits to the workspace"),
    "workspace_member_credits_depleted": (
        "The workspace is out of credits.",
        "ask the workspace's owner to add credits",
    ),
    "workspace_owner_usage_limit_reached": (
        "The spending cap of your workspace is reached.",
        "raise the cap in the workspace's settings",
    ),
    "workspace_member_usage_limit_reached": (
        "Your spending cap in the workspace is reached.",
        "ask the workspace's owner to raise it",
    ),
}
# Windows reset by themselves; credits do not come back, whatever reset time the error has.
_CREDITS_DEPLETED: Final = ("workspace_owner_credits_depleted", "workspace_member_credits_depleted")

_BUY_CREDITS: Final = "buy credits (https://chatgpt.com/settings/usage)"
# By the beginning of the plan's name. Users of other plans can only wait.
_PLAN_REMEDIES: Final = (
    (("free", "go"), "upgrade to the Plus plan (https://chatgpt.com/explore/plus)"),
    (("plus",), f"upgrade to the Pro plan (https://chatgpt.com/explore/pro) or {_BUY_CREDITS}"),
    (("pro",), _BUY_CREDITS),  # pro, prolite, promax
    (
        ("team", "business", "self_serve_business", "enterprise_cbp", "ent26"),
        "ask your workspace's admin to raise the limit",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExhaustedLimit:
    """The limit that a request was refused for, as far as the backend reported it.

    `limit_name` is set for the limit of a single model. `reached_type` is what a workspace ran out of, in the backend's
    words. `limits` are those in the headers of the refusal. `message` is complete, for the exception.
    """

    plan: str | None = None
    resets_at: datetime | None = None
    window_length: timedelta | None = None
    limit_name: str | None = None
    reached_type: str | None = None
    limits: RateLimits | None = None
    message: str = ""


def parse_exhausted_limit(error: Mapping[str, Any], headers: Mapping[str, str], *, now: datetime) -> ExhaustedLimit:
    """Return the limit that an error object of type `usage_limit_reached` and the headers beside it describe."""
    limits = parse_headers(headers, received_at=now)
    plan = as_text(error.get("plan_type"))
    reached_type = as_text(headers.get("x-codex-rate-limit-reached-type"))
    limit_name = _model_limit_name(headers)
    window = _exhausted_window(error, limits, limit_name)
    promo = as_text(headers.get("x-codex-promo-message"))

    remedy: str | None
    if reached_type in _WORKSPACE_REASONS:
        message, remedy = _WORKSPACE_REASONS[reached_type]
        promo = None
    else:
        message = _reason(plan, window, limit_name)
        remedy = "use another model" if limit_name else _plan_remedy(plan)
    has_reset = window.resets_at is not None and reached_type not in _CREDITS_DEPLETED
    if window.resets_at is not None and has_reset:
        message += f" It resets at {format_local_time(window.resets_at)}."
    if promo and not limit_name:
        message += f" {promo.rstrip('.')}."  # the backend's own offer replaces our advice
    elif remedy:
        message += f" To continue{' before that' if has_reset else ''}, {remedy}."

    return ExhaustedLimit(
        plan=plan,
        resets_at=window.resets_at,
        window_length=window.length,
        limit_name=limit_name,
        reached_type=reached_type,
        limits=limits,
        message=message,
    )


def _exhausted_window(error: Mapping[str, Any], limits: RateLimits | None, limit_name: str | None) -> RateLimitWindow:
    """Return the exhausted window as the error describes it; the headers fill in what the error leaves out."""
    windows = limits.windows if limits else ()
    if limits and limit_name:
        windows = next((limit.windows for limit in limits.additional if limit.name == limit_name), ())
    # The request cannot succeed before the last exhausted window has reset.
    from_headers = max((window for window in windows if window.is_exhausted), key=_reset_timestamp, default=None)
    minutes = as_number(error.get("limit_window_minutes"), at_most=_MAX_WINDOW_MINUTES)
    length = timedelta(minutes=minutes) if minutes else None
    resets_at = as_datetime(error.get("resets_at"))
    if from_headers is not None:
        length, resets_at = length or from_headers.length, resets_at or from_headers.resets_at
    return RateLimitWindow(used_percent=100, length=length, resets_at=resets_at)


def _reset_timestamp(window: RateLimitWindow) -> float:
    return window.resets_at.timestamp() if window.resets_at else 0.0


def _reason(plan: str | None, window: RateLimitWindow, limit_name: str | None) -> str:
    window_name = f"{window.name} " if window.length else ""
    owner = f" of {limit_name}" if limit_name else f" of the {plan} plan" if plan else ""
    return f"The {window_name}usage limit{owner} is reached."


def _plan_remedy(plan: str | None) -> str | None:
    return next((remedy for prefixes, remedy in _PLAN_REMEDIES if (plan or "").startswith(prefixes)), None)


def _model_limit_name(headers: Mapping[str, str]) -> str | None:
    """Return the name of the limit that was reached, None when it is the plan's own."""
    limit_id = (as_text(headers.get("x-codex-active-limit")) or PLAN_LIMIT_ID).lower().replace("_", "-")
    return None if limit_id == PLAN_LIMIT_ID else as_text(headers.get(f"x-{limit_id}-limit-name"))
