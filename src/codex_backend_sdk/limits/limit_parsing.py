"""What the backend tells of the plan's limits, in headers, in an event and in the usage answer → `RateLimits`.

Nothing here raises: a member of another type, a NaN, a negative or an absurd number is as if it had not been told.
Codex CLI: codex-api/src/rate_limits.rs, codex-backend-openapi-models/.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._coerce import (
    as_bool,
    as_datetime,
    as_decimal,
    as_list,
    as_mapping,
    as_number,
    as_text,
)
from .limit_types import AdditionalLimit, Credits, RateLimits, RateLimitWindow, SpendControl, are_alike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

__all__ = [
    "CODEX",
    "additional_limit",
    "from_event",
    "from_headers",
    "from_usage",
    "merged",
]

_T = TypeVar("_T")

# The id of the plan's own limit.
CODEX: Final = "codex"

# A figure beyond these is a mistake, and could not be shown.
_HIGHEST_PERCENT: Final = 10_000
_LONGEST_WINDOW_SECONDS: Final = 10 * 366 * 86_400

# The spellings of each figure, in the order of trust. Older backends say how far off a reset is and not when it is.
_LENGTHS: Final = (("limit_window_seconds", 1), ("window_minutes", 60))
_RESETS: Final = ("reset_at", "resets_at")
_RESETS_AFTER: Final = ("reset_after_seconds", "resets_in_seconds")

_FAMILY: Final = "-primary-used-percent"


def from_headers(headers: Mapping[str, str], *, seen_at: datetime) -> RateLimits | None:
    """Read the headers of any answer, None when they say nothing of limits.

    Each limit has a family of headers, `x-codex-primary-used-percent` or `x-codex-bengalfox-primary-used-percent`.
    """
    given = {name.lower(): value for name, value in headers.items()}
    families = {name.removeprefix("x-").removesuffix(_FAMILY) for name in given if name.endswith(_FAMILY)} - {CODEX}
    found = RateLimits(
        seen_at=seen_at,
        plan=as_text(given.get("x-codex-plan-type")),
        windows=_header_windows(given, CODEX, seen_at),
        reached_type=as_text(given.get("x-codex-rate-limit-reached-type")),
        active_limit=_limit_id(given.get("x-codex-active-limit")),
        credits=_credits(_family_reader(given, "codex-credits")),
        additional=tuple(
            AdditionalLimit(id=_limit_id(family), name=as_text(given.get(f"x-{family}-limit-name")), windows=windows)
            for family in sorted(families)
            if (windows := _header_windows(given, family, seen_at))
        ),
    )
    return found if _says_something(found) else None


def from_event(event: Any, *, seen_at: datetime) -> RateLimits | None:
    """Read a `codex.rate_limits` event, None when it is another or says nothing."""
    if not isinstance(event, dict) or event.get("type") != "codex.rate_limits":
        return None
    limit_id = _limit_id(event.get("metered_limit_name")) or _limit_id(event.get("limit_name")) or CODEX
    additional = _additional(event.get("additional_rate_limits"), seen_at)
    found = _told(event, event.get("rate_limits"), additional, seen_at)
    if limit_id != CODEX:
        other = AdditionalLimit(id=limit_id, windows=found.windows, limit_reached=found.limit_reached)
        found = replace(found, windows=(), limit_reached=None, additional=(other, *found.additional))
    return found if _says_something(found) else None


def from_usage(usage: Any, *, seen_at: datetime) -> RateLimits:
    """Read the answer of `/wham/usage`, which tells everything that there is."""
    answer = as_mapping(usage)
    found = _told(answer, answer.get("rate_limit"), _additional(answer.get("additional_rate_limits"), seen_at), seen_at)
    return replace(
        found,
        reached_type=as_text(as_mapping(answer.get("rate_limit_reached_type")).get("type")),
        spend_control=_spend_control(answer.get("spend_control"), seen_at),
    )


def merged(older: RateLimits | None, newer: RateLimits) -> RateLimits:
    """Return what is known after headers or an event, which tell a part, came in on top of what was known.

    A window that is not told again stays until its reset; plan, credits, spend control and additional limits stay
    until they are told again. What was reached is of the moment and does not stay. A usage answer needs no merging.
    """
    if older is None:
        return newer
    return replace(
        newer,
        plan=newer.plan or older.plan,
        windows=_merged_windows(older.windows, newer.windows, newer.seen_at),
        credits=newer.credits or older.credits,
        spend_control=newer.spend_control or older.spend_control,
        additional=_merged_additional(older.additional, newer.additional, newer.seen_at),
    )


def additional_limit(
    details: Any, *, id: str | None = None, name: str | None = None, seen_at: datetime
) -> AdditionalLimit | None:
    """Read one limit as the usage answer has it, None when it says nothing."""
    windows, reached = _windows(details, seen_at), _reached(details)
    if not windows and reached is None:
        return None
    return AdditionalLimit(id=id, name=name, windows=windows, limit_reached=reached)


# One limit


def _told(
    answer: dict[str, Any], details: Any, additional: tuple[AdditionalLimit, ...], seen_at: datetime
) -> RateLimits:
    return RateLimits(
        seen_at=seen_at,
        plan=as_text(answer.get("plan_type")),
        windows=_windows(details, seen_at),
        limit_reached=_reached(details),
        credits=_credits(as_mapping(answer.get("credits")).get),
        additional=additional,
    )


def _additional(given: Any, seen_at: datetime) -> tuple[AdditionalLimit, ...]:
    """Read the additional limits: a list as usage has it, or a mapping by the name, as events were seen to have."""
    pairs = given.items() if isinstance(given, dict) else [(None, each) for each in as_list(given)]
    found = [
        additional_limit(
            each.get("rate_limit", each),
            id=_limit_id(each.get("metered_feature")),
            name=as_text(each.get("limit_name")) or as_text(name),
            seen_at=seen_at,
        )
        for name, each in pairs
        if isinstance(each, dict)
    ]
    return tuple(each for each in found if each is not None)


def _header_windows(given: dict[str, str], family: str, seen_at: datetime) -> tuple[RateLimitWindow, ...]:
    found = [_window(_family_reader(given, f"{family}-{place}"), seen_at) for place in ("primary", "secondary")]
    return _sorted(each for each in found if each is not None)


def _family_reader(given: dict[str, str], prefix: str) -> Callable[[str], Any]:
    return lambda name: given.get(f"x-{prefix}-{name.replace('_', '-')}")


def _windows(details: Any, seen_at: datetime) -> tuple[RateLimitWindow, ...]:
    # Whatever it is called: what a window is, its length says.
    found = [_window(each.get, seen_at) for each in as_mapping(details).values() if isinstance(each, dict)]
    return _sorted(each for each in found if each is not None)


def _window(get: Callable[[str], Any], seen_at: datetime) -> RateLimitWindow | None:
    used = as_number(get("used_percent"), at_most=_HIGHEST_PERCENT)
    length = _first(_length(get(name), unit) for name, unit in _LENGTHS)
    resets_at = _first(as_datetime(get(name)) for name in _RESETS)
    after = _first(as_number(get(name)) for name in _RESETS_AFTER)
    if used is None or not (used or length or resets_at or after):
        return None
    if resets_at is None and after is not None:
        resets_at = as_datetime(seen_at.timestamp() + after)
    return RateLimitWindow(used_percent=used, window=length, resets_at=resets_at)


def _first(found: Iterable[_T | None]) -> _T | None:
    return next((each for each in found if each), None)


def _length(value: Any, unit: int) -> timedelta | None:
    found = as_number(value, at_most=_LONGEST_WINDOW_SECONDS / unit)
    return timedelta(seconds=found * unit) if found else None


def _sorted(windows: Iterable[RateLimitWindow]) -> tuple[RateLimitWindow, ...]:
    return tuple(sorted(windows, key=lambda each: each.window or timedelta.max))


def _reached(details: Any) -> bool | None:
    found = as_mapping(details)
    reached, allowed = as_bool(found.get("limit_reached")), as_bool(found.get("allowed"))
    return (None if allowed is None else not allowed) if reached is None else reached


def _credits(get: Callable[[str], Any]) -> Credits | None:
    has_credits, unlimited = as_bool(get("has_credits")), as_bool(get("unlimited"))
    if has_credits is None or unlimited is None:
        return None
    return Credits(
        has_credits=has_credits,
        unlimited=unlimited,
        balance=as_decimal(get("balance")),
        overage_limit_reached=as_bool(get("overage_limit_reached")),
    )


def _spend_control(given: Any, seen_at: datetime) -> SpendControl | None:
    control = as_mapping(given)
    reached, limit = as_bool(control.get("reached")), as_mapping(control.get("individual_limit"))
    if reached is None:
        return None
    window = _window(limit.get, seen_at)
    return SpendControl(
        reached=reached,
        source=as_text(limit.get("source")),
        limit=as_decimal(limit.get("limit")),
        used=as_decimal(limit.get("used")),
        remaining=as_decimal(limit.get("remaining")),
        used_percent=window.used_percent if window else None,
        resets_at=window.resets_at if window else None,
    )


def _limit_id(value: Any) -> str | None:
    found = as_text(value)
    return None if found is None else found.lower().replace("-", "_")


def _says_something(found: RateLimits) -> bool:
    return found != RateLimits(seen_at=found.seen_at)


# Merging


def _merged_windows(
    older: Iterable[RateLimitWindow], newer: tuple[RateLimitWindow, ...], now: datetime
) -> tuple[RateLimitWindow, ...]:
    return _sorted([*newer, *(each for each in older if _still_stands(each, newer, now))])


def _still_stands(window: RateLimitWindow, newer: tuple[RateLimitWindow, ...], now: datetime) -> bool:
    if window.resets_at is not None and window.resets_at <= now:
        return False
    if not newer:
        return True
    if window.window is None or window.resets_at is None:  # it could be one of the newer, or stay for ever
        return False
    return not any(each.window is None or are_alike(each.window, window.window) for each in newer)


def _merged_additional(
    older: tuple[AdditionalLimit, ...], newer: tuple[AdditionalLimit, ...], now: datetime
) -> tuple[AdditionalLimit, ...]:
    found = list(older)
    for limit in newer:
        place = next((n for n, each in enumerate(found) if _is_same(each, limit)), None)
        if place is None:
            found.append(limit)
            continue
        known = found[place]
        found[place] = replace(
            limit,
            id=limit.id or known.id,
            name=limit.name or known.name,
            windows=_merged_windows(known.windows, limit.windows, now),
        )
    return tuple(found)


def _is_same(one: AdditionalLimit, other: AdditionalLimit) -> bool:
    if one.id is not None and other.id is not None:
        return one.id == other.id
    return one.name is not None and one.name == other.name
