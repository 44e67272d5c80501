"""Parse the usage limits that the backend reports, and merge partial reports.

There are three sources, which spell the same values differently:
- the headers of every response (`x-codex-primary-used-percent`, …), which have only the windows;
- the `codex.rate_limits` event of a stream, which adds the plan and whether a limit is exhausted;
- the usage endpoint, `/wham/usage`, which is complete.

No function raises: limits are a by-product of a call and must not make it fail. A field counts as absent if it has the
wrong type or is NaN, negative or too large. This module has no I/O, clock or randomness. Wire source: Codex CLI,
codex-api/src/rate_limits.rs, codex-backend-openapi-models/ and backend-client/src/client/rate_limit_resets.rs.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from .._coerce import as_bool, as_count, as_datetime, as_decimal, as_list, as_mapping, as_number, as_text
from .limit_types import (
    AdditionalLimit,
    Credits,
    ModelUsage,
    RateLimits,
    RateLimitWindow,
    ResetCredit,
    ResetCredits,
    ResetResult,
    SpendControl,
    UsageReport,
    is_close_to,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

__all__ = [
    "PLAN_LIMIT_ID",
    "merge",
    "parse_clock_offset",
    "parse_event",
    "parse_headers",
    "parse_reset_credits",
    "parse_reset_result",
    "parse_reset_time",
    "parse_usage",
    "parse_usage_report",
]

_T = TypeVar("_T")

# The id of the plan's own limit.
PLAN_LIMIT_ID: Final = "codex"

# Larger values are invalid, and some could not be displayed.
_MAX_PERCENT: Final = 10_000
_MAX_WINDOW_SECONDS: Final = 10 * 366 * 86_400
_MAX_DATE_LENGTH: Final = 64

# Differences between two clocks that are ignored: a `Date` has whole seconds, and a response takes time.
_MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=1)

# The names of each field, most trusted first. Those of the window length come with their unit in seconds. A report has
# the time of a reset, the seconds until it, or both.
_LENGTH_FIELDS: Final = (("limit_window_seconds", 1), ("window_minutes", 60))
_RESET_FIELDS: Final = ("reset_at", "resets_at")
_RESET_AFTER_FIELDS: Final = ("reset_after_seconds", "resets_in_seconds")

_FAMILY_SUFFIX: Final = "-primary-used-percent"


# Limits


def parse_headers(headers: Mapping[str, str], *, received_at: datetime) -> RateLimits | None:
    """Return the limits in the headers of a response, or None if the headers have none.

    Each limit has a family of headers: `x-codex-primary-used-percent`, `x-codex-bengalfox-primary-used-percent`, ….
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    clock_offset = parse_clock_offset(headers, now=received_at)
    families = {
        name.removeprefix("x-").removesuffix(_FAMILY_SUFFIX) for name in lowered if name.endswith(_FAMILY_SUFFIX)
    }
    limits = RateLimits(
        received_at=received_at,
        plan=as_text(lowered.get("x-codex-plan-type")),
        windows=_header_windows(lowered, PLAN_LIMIT_ID, received_at, clock_offset),
        reached_type=as_text(lowered.get("x-codex-rate-limit-reached-type")),
        active_limit=_limit_id(lowered.get("x-codex-active-limit")),
        credits=_credits(_header_getter(lowered, "codex-credits")),
        additional=tuple(
            AdditionalLimit(id=_limit_id(family), name=as_text(lowered.get(f"x-{family}-limit-name")), windows=windows)
            for family in sorted(families - {PLAN_LIMIT_ID})
            if (windows := _header_windows(lowered, family, received_at, clock_offset))
        ),
    )
    return None if _is_empty(limits) else limits


def parse_clock_offset(headers: Mapping[str, str], *, now: datetime) -> timedelta:
    """Return how far the local clock is ahead of the server's `Date`, or zero if they agree within a minute.

    A time of the server plus this offset is that moment on the local clock, to which all waits are relative.
    """
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        offset = now - parsedate_to_datetime(date[:_MAX_DATE_LENGTH])
    except (TypeError, ValueError, OverflowError):  # no date, or one without a time zone
        return timedelta(0)
    return offset if abs(offset) > _MAX_CLOCK_DIFFERENCE else timedelta(0)


def parse_reset_time(
    get: Callable[[str], Any], *, received_at: datetime, clock_offset: timedelta = timedelta(0)
) -> datetime | None:
    """Return the time of a reset on the local clock, from its time or from the seconds until it.

    If the two differ by more than a minute, one of the clocks is wrong, and the seconds do not depend on it.
    """
    resets_at = _first(as_datetime(get(name)) for name in _RESET_FIELDS)
    server_time = received_at - clock_offset
    if resets_at is not None and resets_at > server_time:  # else it is not a time of that clock
        resets_at += clock_offset
    reset_after = _first(as_number(get(name)) for name in _RESET_AFTER_FIELDS)
    relative = None if reset_after is None else as_datetime(received_at.timestamp() + reset_after)
    if resets_at is None or (relative is not None and abs(resets_at - relative) > _MAX_CLOCK_DIFFERENCE):
        return relative
    return resets_at


def parse_event(event: Any, *, received_at: datetime) -> RateLimits | None:
    """Return the limits in a `codex.rate_limits` event, or None if it is another event or has no limits.

    If the event reports another limit than the plan's, that limit is in `additional`.
    """
    if not isinstance(event, dict) or event.get("type") != "codex.rate_limits":
        return None
    limit_id = _limit_id(event.get("metered_limit_name")) or _limit_id(event.get("limit_name")) or PLAN_LIMIT_ID
    limits = _rate_limits(event, event.get("rate_limits"), received_at)
    if limit_id != PLAN_LIMIT_ID:
        additional = AdditionalLimit(id=limit_id, windows=limits.windows, limit_reached=limits.limit_reached)
        limits = replace(limits, windows=(), limit_reached=None, additional=(additional, *limits.additional))
    return None if _is_empty(limits) else limits


def parse_usage(usage: Any, *, received_at: datetime) -> RateLimits:
    """Return the limits in a response of `/wham/usage`, which is complete and needs no merging."""
    report = as_mapping(usage)
    return replace(
        _rate_limits(report, report.get("rate_limit"), received_at),
        reached_type=as_text(as_mapping(report.get("rate_limit_reached_type")).get("type")),
        spend_control=_spend_control(report.get("spend_control"), received_at),
    )


def merge(older: RateLimits | None, newer: RateLimits) -> RateLimits:
    """Merge a partial report (headers or an event) into the older limits.

    A window that the newer report does not have remains until its reset. Plan, credits, spend control and additional
    limits remain until the backend reports them again. `limit_reached`, `reached_type` and `active_limit` describe one
    response and do not remain.
    """
    if older is None:
        return newer
    return replace(
        newer,
        plan=newer.plan or older.plan,
        windows=_merge_windows(older.windows, newer.windows, newer.received_at),
        credits=newer.credits or older.credits,
        spend_control=newer.spend_control or older.spend_control,
        additional=_merge_additional(older.additional, newer.additional, newer.received_at),
    )


def _rate_limits(report: dict[str, Any], details: Any, received_at: datetime) -> RateLimits:
    """Parse the fields that an event and a usage report share. `details` is the field for the plan's own limit."""
    return RateLimits(
        received_at=received_at,
        plan=as_text(report.get("plan_type")),
        windows=_windows(details, received_at),
        limit_reached=_limit_reached(details),
        credits=_credits(as_mapping(report.get("credits")).get),
        additional=_additional_limits(report.get("additional_rate_limits"), received_at),
    )


def _additional_limits(value: Any, received_at: datetime) -> tuple[AdditionalLimit, ...]:
    """Parse the additional limits: a list in a usage report, a mapping by name in some events."""
    named_entries = value.items() if isinstance(value, dict) else [(None, entry) for entry in as_list(value)]
    limits = [
        _additional_limit(
            entry.get("rate_limit", entry),
            id=_limit_id(entry.get("metered_feature")),
            name=as_text(entry.get("limit_name")) or as_text(name),
            received_at=received_at,
        )
        for name, entry in named_entries
        if isinstance(entry, dict)
    ]
    return tuple(limit for limit in limits if limit is not None)


def _additional_limit(
    details: Any, *, id: str | None, name: str | None, received_at: datetime
) -> AdditionalLimit | None:
    windows, limit_reached = _windows(details, received_at), _limit_reached(details)
    if not windows and limit_reached is None:
        return None
    return AdditionalLimit(id=id, name=name, windows=windows, limit_reached=limit_reached)


def _header_windows(
    headers: dict[str, str], family: str, received_at: datetime, clock_offset: timedelta
) -> tuple[RateLimitWindow, ...]:
    return _sorted_windows(
        _window(_header_getter(headers, f"{family}-{position}"), received_at, clock_offset)
        for position in ("primary", "secondary")
    )


def _header_getter(headers: dict[str, str], prefix: str) -> Callable[[str], Any]:
    return lambda name: headers.get(f"x-{prefix}-{name.replace('_', '-')}")


def _windows(details: Any, received_at: datetime) -> tuple[RateLimitWindow, ...]:
    # The fields are `primary_window` and `secondary_window`, or `primary` and `secondary`. Their names do not matter,
    # because a window is identified by its length.
    return _sorted_windows(
        _window(window.get, received_at) for window in as_mapping(details).values() if isinstance(window, dict)
    )


def _window(
    get: Callable[[str], Any], received_at: datetime, clock_offset: timedelta = timedelta(0)
) -> RateLimitWindow | None:
    used = as_number(get("used_percent"), at_most=_MAX_PERCENT)
    length = _first(_length(get(name), unit_seconds) for name, unit_seconds in _LENGTH_FIELDS)
    resets_at = parse_reset_time(get, received_at=received_at, clock_offset=clock_offset)
    # If all values are zero, the plan does not have this window.
    if used is None or not (used or length or resets_at):
        return None
    return RateLimitWindow(used_percent=used, length=length, resets_at=resets_at)


def _first(values: Iterable[_T | None]) -> _T | None:
    return next((value for value in values if value), None)


def _length(value: Any, unit_seconds: int) -> timedelta | None:
    units = as_number(value, at_most=_MAX_WINDOW_SECONDS / unit_seconds)
    return timedelta(seconds=units * unit_seconds) if units else None


def _sorted_windows(windows: Iterable[RateLimitWindow | None]) -> tuple[RateLimitWindow, ...]:
    present = [window for window in windows if window is not None]
    return tuple(sorted(present, key=lambda window: window.length or timedelta.max))


def _limit_reached(details: Any) -> bool | None:
    limit = as_mapping(details)
    limit_reached, allowed = as_bool(limit.get("limit_reached")), as_bool(limit.get("allowed"))
    if limit_reached is None and allowed is not None:
        return not allowed
    return limit_reached


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


def _spend_control(value: Any, received_at: datetime) -> SpendControl | None:
    control = as_mapping(value)
    reached, limit = as_bool(control.get("reached")), as_mapping(control.get("individual_limit"))
    if reached is None:
        return None
    window = _window(limit.get, received_at)
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
    # Headers have `codex-bengalfox`, and usage reports `codex_bengalfox`.
    limit_id = as_text(value)
    return None if limit_id is None else limit_id.lower().replace("-", "_")


def _is_empty(limits: RateLimits) -> bool:
    return limits == RateLimits(received_at=limits.received_at)


# Merging


def _merge_windows(
    older: Iterable[RateLimitWindow], newer: tuple[RateLimitWindow, ...], now: datetime
) -> tuple[RateLimitWindow, ...]:
    return _sorted_windows([*newer, *(window for window in older if _is_still_valid(window, newer, now))])


def _is_still_valid(window: RateLimitWindow, newer: tuple[RateLimitWindow, ...], now: datetime) -> bool:
    if window.resets_at is not None and window.resets_at <= now:
        return False
    if not newer:
        return True
    # A window without a length could be one of the newer windows. One without a reset time would never be removed.
    if window.length is None or window.resets_at is None:
        return False
    return not any(other.length is None or is_close_to(other.length, window.length) for other in newer)


def _merge_additional(
    older: tuple[AdditionalLimit, ...], newer: tuple[AdditionalLimit, ...], now: datetime
) -> tuple[AdditionalLimit, ...]:
    merged = list(older)
    for limit in newer:
        index = next((index for index, old_limit in enumerate(merged) if _is_same_limit(old_limit, limit)), None)
        if index is None:
            merged.append(limit)
            continue
        old_limit = merged[index]
        merged[index] = replace(
            limit,
            id=limit.id or old_limit.id,
            name=limit.name or old_limit.name,
            windows=_merge_windows(old_limit.windows, limit.windows, now),
        )
    return tuple(merged)


def _is_same_limit(limit: AdditionalLimit, other: AdditionalLimit) -> bool:
    if limit.id is not None and other.id is not None:
        return limit.id == other.id
    return limit.name is not None and limit.name == other.name


# Usage reports and reset credits


def parse_usage_report(usage: Any, *, received_at: datetime) -> UsageReport:
    """Parse a response of `/wham/usage` completely."""
    report = as_mapping(usage)
    banner = report.get("rate_limit_upsell")
    return UsageReport(
        limits=parse_usage(report, received_at=received_at),
        email=as_text(report.get("email")),
        account_id=as_text(report.get("account_id")),
        user_id=as_text(report.get("user_id")),
        code_review=_additional_limit(
            report.get("code_review_rate_limit"), id="code_review", name="Code review", received_at=received_at
        ),
        models=tuple(
            ModelUsage(
                model=model,
                available=as_bool(entry.get("available")),
                available_at=as_datetime(entry.get("available_at")),
                credits_would_enable=as_bool(entry.get("credits_would_enable")),
            )
            for model, entry in as_mapping(report.get("model_usage")).items()
            if isinstance(entry, dict)
        ),
        reset_credits=as_count(as_mapping(report.get("rate_limit_reset_credits")).get("available_count")),
        banner=banner if isinstance(banner, dict) else None,
    )


def parse_reset_credits(body: Any) -> ResetCredits:
    """Parse a response of `/wham/rate-limit-reset-credits`."""
    response = as_mapping(body)
    credits = tuple(
        ResetCredit(
            id=credit_id,
            status=as_text(entry.get("status")),
            reset_type=as_text(entry.get("reset_type")),
            granted_at=as_datetime(entry.get("granted_at")),
            expires_at=as_datetime(entry.get("expires_at")),
            redeemed_at=as_datetime(entry.get("redeemed_at")),
            title=as_text(entry.get("title")),
            description=as_text(entry.get("description")),
        )
        for entry in as_list(response.get("credits"))
        if isinstance(entry, dict) and (credit_id := as_text(entry.get("id")))
    )
    available_count = as_count(response.get("available_count"))
    if available_count is None:
        available_count = sum(credit.is_available for credit in credits)
    return ResetCredits(credits=credits, available_count=available_count)


def parse_reset_result(body: Any, *, redeem_request_id: str) -> ResetResult:
    """Parse a response of `/wham/rate-limit-reset-credits/consume`."""
    response = as_mapping(body)
    return ResetResult(
        code=as_text(response.get("code")),
        windows_reset=as_count(response.get("windows_reset")),
        redeem_request_id=redeem_request_id,
    )
