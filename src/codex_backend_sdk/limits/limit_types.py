"""How much of the plan is used, as frozen values that users receive.

A member that the backend did not tell, or told in a form that makes no sense, is None or empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from .._timefmt import format_duration, format_local_time

if TYPE_CHECKING:
    from decimal import Decimal

__all__ = [
    "AdditionalLimit",
    "Credits",
    "RateLimitWindow",
    "RateLimits",
    "Shown",
    "SpendControl",
    "are_alike",
    "percentage",
]

_FIVE_HOURS: Final = timedelta(hours=5)
_WEEK: Final = timedelta(weeks=1)
_NAMES: Final = {
    _FIVE_HOURS: "5 h",
    timedelta(days=1): "daily",
    _WEEK: "weekly",
    timedelta(days=30): "monthly",
    timedelta(days=365): "yearly",
}
# The backend was seen to say 299 minutes for five hours, and a month has 28 to 31 days.
_ABOUT: Final = 0.07


def are_alike(one: timedelta, other: timedelta) -> bool:
    """Whether two lengths mean the same window."""
    return abs(one - other) <= other * _ABOUT


def percentage(value: float) -> str:
    """Return a percentage for people: `42 %`, `99.6 %`."""
    return f"{round(value, 1):g} %"


class Shown:
    """Shows what is there: members that are None or empty are left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        members = [(each.name, getattr(self, each.name)) for each in fields(self) if each.repr]  # type: ignore[arg-type]
        told = [f"{name}={_as_shown(value)}" for name, value in members if value is not None and value != ()]
        return f"{type(self).__name__}({', '.join(told)})"


def _as_shown(value: Any) -> str:
    return str(value) if isinstance(value, (datetime, timedelta)) else repr(value)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RateLimitWindow(Shown):
    """A stretch of time and how much of its allowance is used, in percent; it can be more than 100.

    `window` is its length, by which windows are told apart: the backend may give the weekly one first, or alone.
    """

    used_percent: float
    window: timedelta | None = None
    resets_at: datetime | None = None

    @property
    def name(self) -> str:
        """`5 h`, `daily`, `weekly`, `monthly`, or the length: `12 h`; `limit` when that is not known."""
        if self.window is None:
            return "limit"
        return next(
            (name for known, name in _NAMES.items() if are_alike(self.window, known)), format_duration(self.window)
        )

    @property
    def remaining_percent(self) -> float:
        """What is left, from 100 to 0."""
        return max(0.0, 100.0 - self.used_percent)

    @property
    def is_exhausted(self) -> bool:
        """Whether nothing is left."""
        return self.used_percent >= 100

    def __str__(self) -> str:
        reset = f", resets {format_local_time(self.resets_at)}" if self.resets_at else ""
        return f"{self.name} {percentage(self.used_percent)} used{reset}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credits(Shown):
    """Credits that go on where the plan ends. `balance` is None when it was not told, as for unlimited ones."""

    has_credits: bool
    unlimited: bool
    balance: Decimal | None = None
    overage_limit_reached: bool | None = None

    def __str__(self) -> str:
        if self.unlimited:
            return "unlimited"
        return str(self.balance if self.balance is not None else "some") if self.has_credits else "none"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SpendControl(Shown):
    """What a workspace lets its member spend; amounts are in credits."""

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


class _Limit(Shown):
    """What the plan's own limit and the additional ones have in common."""

    __slots__ = ()
    windows: tuple[RateLimitWindow, ...]
    limit_reached: bool | None

    def window(self, length: timedelta) -> RateLimitWindow | None:
        """Return the window of about this length, None when there is none."""
        return next((each for each in self.windows if each.window and are_alike(each.window, length)), None)

    @property
    def five_hours(self) -> RateLimitWindow | None:
        """The window of five hours."""
        return self.window(_FIVE_HOURS)

    @property
    def weekly(self) -> RateLimitWindow | None:
        """The window of a week."""
        return self.window(_WEEK)

    @property
    def exhausted_window(self) -> RateLimitWindow | None:
        """The window that is used up; of several the one that resets last. None when none is."""
        found = [each for each in self.windows if each.is_exhausted]
        return max(found, key=lambda each: each.resets_at.timestamp() if each.resets_at else float("inf"), default=None)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AdditionalLimit(_Limit):
    """A limit besides the plan's own, for instance of one model.

    `id` is the backend's word for it (`codex_bengalfox`), `name` the one for people (`GPT-X-Spark`); one may be None.
    `limit_reached` is what the backend said of it, None when it said nothing.
    """

    id: str | None = None
    name: str | None = None
    windows: tuple[RateLimitWindow, ...] = ()
    limit_reached: bool | None = None

    @property
    def reached(self) -> bool:
        """Whether it is used up."""
        return self.exhausted_window is not None if self.limit_reached is None else self.limit_reached

    def __str__(self) -> str:
        return f"{self.name or self.id or 'additional'}: {', '.join(map(str, self.windows)) or 'no figures'}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RateLimits(_Limit):
    """How much of the plan was used when the backend last said so, at `seen_at`.

    `windows` are those of the plan's own limit, the shortest first. Two are equal that say the same, whenever it was
    seen. `limit_reached` is what the backend said, None when it said nothing: `reached` knows the figures, too.
    `reached_type` is what a refusal was about, as the backend spells it (`workspace_member_credits_depleted`), and
    `active_limit` the id of the limit that it named: `codex` is the plan's own.
    """

    seen_at: datetime = field(compare=False)
    plan: str | None = None
    windows: tuple[RateLimitWindow, ...] = ()
    limit_reached: bool | None = None
    reached_type: str | None = None
    active_limit: str | None = None
    credits: Credits | None = None
    spend_control: SpendControl | None = None
    additional: tuple[AdditionalLimit, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the plan's own limit, or what the workspace lets its member spend, is used up."""
        if self.limit_reached is not None:
            own = self.limit_reached
        else:
            own = self.exhausted_window is not None or (
                self.reached_type is not None and self.active_limit in (None, "codex")
            )
        return own or (self.spend_control is not None and self.spend_control.reached)

    def limit(self, id_or_name: str) -> AdditionalLimit | None:
        """Return an additional limit by its id or its name, None when it was not told."""
        return next((each for each in self.additional if id_or_name in (each.id, each.name)), None)

    def __str__(self) -> str:
        control = self.spend_control
        is_capped = control is not None and (control.reached or control.limit is not None)
        parts = (
            self.plan and f"plan {self.plan}",
            *map(str, self.windows),
            *map(str, self.additional),
            self.credits and f"credits {self.credits}",
            is_capped and f"spending {control}",
            self.reached and "the limit is reached",
        )
        return "; ".join(part for part in parts if part) or "nothing is known"
