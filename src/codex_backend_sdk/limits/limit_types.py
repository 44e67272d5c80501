"""Define the immutable types for usage limits, usage reports and reset credits.

A limit has up to two windows (usually five hours and a week), each with a percentage and a reset time. The plan has its
own limit, and may have additional ones, for example for a single model. A field is None or empty if the backend did not
report it, or reported an invalid value; `repr()` omits such fields.

`limit_parsing` builds these objects from headers, events and usage reports. This module does not import openai, because
`codex-backend status` shows limits and must start fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from .._timefmt import format_duration, format_local_time
from .usage_html import LimitRow, limits_as_html

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

__all__ = [
    "AdditionalLimit",
    "Credits",
    "ModelUsage",
    "RateLimitWindow",
    "RateLimits",
    "ResetCredit",
    "ResetCredits",
    "ResetResult",
    "SpendControl",
    "UsageReport",
    "format_percent",
    "is_close_to",
]

_FIVE_HOURS: Final = timedelta(hours=5)
_WEEK: Final = timedelta(weeks=1)
_WINDOW_NAMES: Final = {
    _FIVE_HOURS: "5 h",
    timedelta(days=1): "daily",
    _WEEK: "weekly",
    timedelta(days=30): "monthly",
    timedelta(days=365): "yearly",
}
# The backend has reported 299 minutes for five hours, and a month has 28 to 31 days.
_LENGTH_TOLERANCE: Final = 0.07


def is_close_to(duration: timedelta, expected: timedelta) -> bool:
    """Return whether a duration differs from the expected one by at most 7 %."""
    return abs(duration - expected) <= expected * _LENGTH_TOLERANCE


def format_percent(value: float) -> str:
    """Return a percentage with at most one decimal: `42 %`, `99.6 %`."""
    return f"{round(value, 1):g} %"


class _SparseRepr:
    """Mixin for a `repr()` that omits fields that are None or empty, and shows readable times."""

    __slots__ = ()

    def __repr__(self) -> str:
        values = [(each.name, getattr(self, each.name)) for each in fields(self) if each.repr]  # type: ignore[arg-type]
        shown = [
            f"{name}={value if isinstance(value, (datetime, timedelta)) else repr(value)}"
            for name, value in values
            if value is not None and value != ()
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


# Limits


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RateLimitWindow(_SparseRepr):
    """A window of a limit: the used part of its allowance in percent (can exceed 100), its length and its reset time.

    A window is identified by its `length`, not by its position: the backend may send the weekly window first, or alone.
    """

    used_percent: float
    length: timedelta | None = None
    resets_at: datetime | None = None

    @property
    def name(self) -> str:
        """`5 h`, `daily`, `weekly`, `monthly`, `yearly`, a length such as `12 h`, or `limit` if it is unknown."""
        if self.length is None:
            return "limit"
        names = (name for length, name in _WINDOW_NAMES.items() if is_close_to(self.length, length))
        return next(names, format_duration(self.length))

    @property
    def remaining_percent(self) -> float:
        """The unused part of the allowance in percent, from 0 to 100."""
        return max(0.0, 100.0 - self.used_percent)

    @property
    def is_exhausted(self) -> bool:
        """Whether the allowance is used up."""
        return self.used_percent >= 100

    def __str__(self) -> str:
        reset = f", resets {format_local_time(self.resets_at)}" if self.resets_at else ""
        return f"{self.name} {format_percent(self.used_percent)} used{reset}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credits(_SparseRepr):
    """Credits that pay for usage beyond the plan. `balance` is None if not reported, as for unlimited credits."""

    has_credits: bool
    unlimited: bool
    balance: Decimal | None = None
    overage_limit_reached: bool | None = None

    def __str__(self) -> str:
        if self.unlimited:
            return "unlimited"
        return str(self.balance if self.balance is not None else "some") if self.has_credits else "none"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpendControl(_SparseRepr):
    """The spending cap of a workspace for this member. Amounts are in credits. The backend reports `reached`."""

    reached: bool
    source: str | None = None
    limit: Decimal | None = None
    used: Decimal | None = None
    remaining: Decimal | None = None
    used_percent: float | None = None
    resets_at: datetime | None = None

    def __str__(self) -> str:
        state = "reached" if self.reached else "not reached"
        return state if self.limit is None or self.used is None else f"{self.used} of {self.limit}, {state}"


class _LimitWindows(_SparseRepr):
    """The windows of one limit."""

    __slots__ = ()
    windows: tuple[RateLimitWindow, ...]
    limit_reached: bool | None

    def window(self, length: timedelta) -> RateLimitWindow | None:
        """Return the window of about this length, or None."""
        return next((window for window in self.windows if window.length and is_close_to(window.length, length)), None)

    @property
    def five_hours(self) -> RateLimitWindow | None:
        """The window of five hours."""
        return self.window(_FIVE_HOURS)

    @property
    def weekly(self) -> RateLimitWindow | None:
        """The window of one week."""
        return self.window(_WEEK)

    @property
    def binding_window(self) -> RateLimitWindow | None:
        """The window that stops requests first, or None if there is no window.

        It is the used-up window that resets last, or else the one with the highest percentage.
        """
        exhausted = [window for window in self.windows if window.is_exhausted]
        if exhausted:
            return max(exhausted, key=lambda w: w.resets_at.timestamp() if w.resets_at else float("inf"))
        return max(self.windows, key=lambda w: (w.used_percent, w.length or timedelta.max), default=None)

    @property
    def exhausted_window(self) -> RateLimitWindow | None:
        """The binding window if it is used up, or None. If the backend reports so, it is used up below 100 %, too."""
        window = self.binding_window
        return window if window is not None and (window.is_exhausted or self.limit_reached) else None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AdditionalLimit(_LimitWindows):
    """A limit in addition to the plan's own, for example for a single model.

    `id` is the backend's identifier (`codex_bengalfox`), `name` is the display name (`GPT-X-Spark`); one of them may be
    None. The backend reports `limit_reached`, which is None if absent.
    """

    id: str | None = None
    name: str | None = None
    windows: tuple[RateLimitWindow, ...] = ()
    limit_reached: bool | None = None

    @property
    def is_exhausted(self) -> bool:
        """Whether this limit is used up, by `limit_reached` if the backend reported it, otherwise by the windows."""
        return self.exhausted_window is not None if self.limit_reached is None else self.limit_reached

    def __str__(self) -> str:
        return f"{self.name or self.id or 'additional'}: {', '.join(map(str, self.windows)) or 'no data'}"

    def _repr_html_(self) -> str:
        return limits_as_html(self.name or self.id or "additional limit", _rows(self))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RateLimits(_LimitWindows):
    """The usage limits of the plan, as the backend reported them at `received_at`.

    `windows` are those of the plan's own limit, shortest first. The backend reports `limit_reached`, which is None if
    absent; `is_exhausted` also uses the percentages of the windows. `reached_type` is the backend's code for a rejected
    request (`workspace_member_credits_depleted`). `active_limit` is the ID of the limit that applied to the request;
    `codex` is the plan's own limit. Comparisons ignore `received_at`.
    """

    received_at: datetime = field(compare=False)
    plan: str | None = None
    windows: tuple[RateLimitWindow, ...] = ()
    limit_reached: bool | None = None
    reached_type: str | None = None
    active_limit: str | None = None
    credits: Credits | None = None
    spend_control: SpendControl | None = None
    additional: tuple[AdditionalLimit, ...] = ()

    @property
    def is_exhausted(self) -> bool:
        """Whether the plan's own limit, or the member's spending cap in a workspace, is used up."""
        if self.limit_reached is not None:
            is_plan_exhausted = self.limit_reached
        else:
            is_plan_exhausted = self.exhausted_window is not None or (
                self.reached_type is not None and self.active_limit in (None, "codex")
            )
        return is_plan_exhausted or (self.spend_control is not None and self.spend_control.reached)

    def limit(self, id_or_name: str) -> AdditionalLimit | None:
        """Return the additional limit with this ID or name, or None."""
        return next((limit for limit in self.additional if id_or_name in (limit.id, limit.name)), None)

    def __str__(self) -> str:
        control = self.spend_control
        has_cap = control is not None and (control.reached or control.limit is not None)
        parts = (
            self.plan and f"plan {self.plan}",
            *map(str, self.windows),
            *map(str, self.additional),
            self.credits and f"credits {self.credits}",
            has_cap and f"spending {control}",
            self.is_exhausted and "the limit is reached",
        )
        return "; ".join(part for part in parts if part) or "no limits reported"

    def _repr_html_(self) -> str:
        return _as_html(self)


def _rows(limit: RateLimits | AdditionalLimit, prefix: str = "") -> Iterator[LimitRow]:
    for window in limit.windows:
        is_refused_early = window is limit.exhausted_window and not window.is_exhausted
        percent = format_percent(window.used_percent)
        yield LimitRow(
            name=f"{prefix}{window.name}",
            used_percent=window.used_percent,
            used_text=f"exhausted at {percent}" if is_refused_early else f"{percent} used",
            reset_text=f"resets {format_local_time(window.resets_at)}" if window.resets_at else "",
        )


def _as_html(
    limits: RateLimits, *, code_review: AdditionalLimit | None = None, reset_credits: int | None = None
) -> str:
    """Return a table of all limits. It does not name the account: notebooks are shared."""
    others = (*limits.additional, *([code_review] if code_review else []))
    rows = [
        *_rows(limits),
        *(row for each in others for row in _rows(each, f"{each.name or each.id or 'additional'}, ")),
    ]
    control = limits.spend_control
    has_cap = control is not None and (control.reached or control.limit is not None)
    remarks = (
        limits.is_exhausted and "The usage limit is used up.",
        limits.credits and limits.credits.has_credits and f"Credits: {limits.credits}",
        has_cap and f"Spending cap: {control}",
        reset_credits and f"Reset credits: {reset_credits}",
        f"Read at {format_local_time(limits.received_at)}",
    )
    return limits_as_html(f"Plan {limits.plan or 'unknown'}", rows, [remark for remark in remarks if remark])


# Usage reports


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ModelUsage(_SparseRepr):
    """The availability of a model: now, from `available_at` on, or with credits."""

    model: str
    available: bool | None = None
    available_at: datetime | None = None
    credits_would_enable: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UsageReport(_SparseRepr):
    """The complete report of the usage endpoint.

    `reset_credits` is the number of available reset credits, or None for an account that cannot have any. `banner` is
    the backend's promotional object for this account, unchanged. `repr()` does not show the account.
    """

    limits: RateLimits
    email: str | None = field(default=None, repr=False)
    account_id: str | None = field(default=None, repr=False)
    user_id: str | None = field(default=None, repr=False)
    code_review: AdditionalLimit | None = None
    models: tuple[ModelUsage, ...] = ()
    reset_credits: int | None = None
    banner: dict[str, Any] | None = field(default=None, hash=False)

    @property
    def plan(self) -> str | None:
        """The plan, as the backend spells it."""
        return self.limits.plan

    def __str__(self) -> str:
        return str(self.limits)

    def _repr_html_(self) -> str:
        return _as_html(self.limits, code_review=self.code_review, reset_credits=self.reset_credits)


# Reset credits


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetCredit(_SparseRepr):
    """A credit that resets the plan's windows early. The status of a usable credit is `available`."""

    id: str
    status: str | None = None
    reset_type: str | None = None
    granted_at: datetime | None = None
    expires_at: datetime | None = None
    redeemed_at: datetime | None = None
    title: str | None = None
    description: str | None = None

    @property
    def is_available(self) -> bool:
        """Whether the credit can be used."""
        return self.status == "available"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetCredits(_SparseRepr):
    """The reset credits of the account; iterating yields each credit."""

    available_count: int
    credits: tuple[ResetCredit, ...] = ()

    def __iter__(self) -> Iterator[ResetCredit]:
        return iter(self.credits)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResetResult(_SparseRepr):
    """The result of using a reset credit.

    `code` is the backend's result code: `reset`, `nothing_to_reset`, `no_credit`, `already_redeemed`,
    `cooldown_active`, `redeeming`, or another value. `windows_reset` is the number of windows that were reset.
    """

    code: str | None
    windows_reset: int | None = None
    redeem_request_id: str

    @property
    def was_reset(self) -> bool:
        """Whether this request, or an earlier request with the same `redeem_request_id`, reset the windows."""
        return self.code in ("reset", "already_redeemed")
