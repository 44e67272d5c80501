"""Parse a `usage_limit_reached` error: the exhausted limit, its reset time, and the remedy.

The error object has the plan, the reset time and the length of the window. The response headers have the name of the
limit of a single model and the exhausted workspace limit, and supply fields that the error omits. This module has no
I/O, clock or randomness. Wire source of fields and headers: Codex CLI, protocol/src/error.rs, `UsageLimitReachedError`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._coerce import as_number, as_text
from .._timefmt import format_local_time
from .limit_parsing import PLAN_LIMIT_ID, parse_clock_offset, parse_headers, parse_reset_time
from .limit_types import RateLimitWindow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .limit_types import RateLimits

__all__ = ["ExhaustedLimit", "parse_exhausted_limit"]

_MAX_WINDOW_MINUTES: Final = 10 * 366 * 1440  # longer values are invalid

# Value of `x-codex-rate-limit-reached-type` → message and remedy.
_WORKSPACE_MESSAGES: Final = {
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
# Depleted credits do not reset, so the reset time of the error is ignored.
_CREDITS_DEPLETED: Final = ("workspace_owner_credits_depleted", "workspace_member_credits_depleted")

_BUY_CREDITS: Final = "buy credits (https://chatgpt.com/settings/usage)"
# Prefixes of the plan's name → remedy. Users of other plans can only wait.
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
    """The exhausted limit for which the backend rejected a request. A field that the backend did not report is None.

    `limit_name` is set for the limit of a single model. `reached_type` is the value of the header
    `x-codex-rate-limit-reached-type`. `limits` is parsed from the response headers, with the refused limit as used
    up. `message` is the message of the
    exception.
    """

    message: str
    plan: str | None = None
    resets_at: datetime | None = None
    window_length: timedelta | None = None
    limit_name: str | None = None
    reached_type: str | None = None
    limits: RateLimits | None = None


def parse_exhausted_limit(error: Mapping[str, Any], headers: Mapping[str, str], *, now: datetime) -> ExhaustedLimit:
    """Return the exhausted limit from an error object of type `usage_limit_reached` and the response headers."""
    limit_name = _model_limit_name(headers)
    limits = parse_headers(headers, received_at=now)
    if limits is not None:
        limits = _with_refusal(limits, limit_name)
    plan = as_text(error.get("plan_type"))
    reached_type = as_text(headers.get("x-codex-rate-limit-reached-type"))
    resets_at = parse_reset_time(error.get, received_at=now, clock_offset=parse_clock_offset(headers, now=now))
    window = _exhausted_window(error, resets_at, limits, limit_name)
    promo = as_text(headers.get("x-codex-promo-message"))

    remedy: str | None
    if reached_type in _WORKSPACE_MESSAGES:
        message, remedy = _WORKSPACE_MESSAGES[reached_type]
        promo = None
    else:
        message = _limit_sentence(plan, window, limit_name)
        remedy = "use another model" if limit_name else _plan_remedy(plan)
    resets_at = None if reached_type in _CREDITS_DEPLETED else window.resets_at
    if resets_at is not None:
        message += f" It resets at {format_local_time(resets_at)}."
    if promo and not limit_name:
        message += f" {promo.rstrip('.')}."  # the promotional message of the backend replaces the remedy
    elif remedy:
        message += f" To continue{' before that' if resets_at is not None else ''}, {remedy}."

    return ExhaustedLimit(
        plan=plan,
        resets_at=window.resets_at,
        window_length=window.length,
        limit_name=limit_name,
        reached_type=reached_type,
        limits=limits,
        message=message,
    )


def _with_refusal(limits: RateLimits, limit_name: str | None) -> RateLimits:
    """Return the limits with the refused one marked as used up: the backend may refuse at a reported 99 %."""
    if limit_name is None:
        return replace(limits, limit_reached=True)
    additional = tuple(
        replace(limit, limit_reached=True) if limit.name == limit_name else limit for limit in limits.additional
    )
    return replace(limits, additional=additional)


def _exhausted_window(
    error: Mapping[str, Any], resets_at: datetime | None, limits: RateLimits | None, limit_name: str | None
) -> RateLimitWindow:
    """Return the exhausted window from the error. The headers supply fields that the error omits."""
    windows = limits.windows if limits else ()
    if limits and limit_name:
        windows = next((limit.windows for limit in limits.additional if limit.name == limit_name), ())
    # The request cannot succeed before the last exhausted window has reset.
    from_headers = max((window for window in windows if window.is_exhausted), key=_reset_timestamp, default=None)
    minutes = as_number(error.get("limit_window_minutes"), at_most=_MAX_WINDOW_MINUTES)
    length = timedelta(minutes=minutes) if minutes else None
    if from_headers is not None:
        length, resets_at = length or from_headers.length, resets_at or from_headers.resets_at
    return RateLimitWindow(used_percent=100, length=length, resets_at=resets_at)


def _reset_timestamp(window: RateLimitWindow) -> float:
    return window.resets_at.timestamp() if window.resets_at else 0.0


def _limit_sentence(plan: str | None, window: RateLimitWindow, limit_name: str | None) -> str:
    window_name = f"{window.name} " if window.length else ""
    scope = f" of {limit_name}" if limit_name else f" of the {plan} plan" if plan else ""
    return f"The {window_name}usage limit{scope} is reached."


def _plan_remedy(plan: str | None) -> str | None:
    return next((remedy for prefixes, remedy in _PLAN_REMEDIES if (plan or "").startswith(prefixes)), None)


def _model_limit_name(headers: Mapping[str, str]) -> str | None:
    """Return the name of the exhausted limit, or None if it is the plan's own."""
    limit_id = (as_text(headers.get("x-codex-active-limit")) or PLAN_LIMIT_ID).lower().replace("_", "-")
    return None if limit_id == PLAN_LIMIT_ID else as_text(headers.get(f"x-{limit_id}-limit-name"))
