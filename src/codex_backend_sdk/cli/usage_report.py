"""Format a usage report: lines for a terminal, a JSON object for programs, and the limits of `usage --check`.

Within each limit, the window that stops requests first comes first, and the others are dim. If the lines are too wide
for the terminal, the reset time gets a line of its own, and in a very narrow one the bar, too.

This module prints nothing, so `chat` can show the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from .._timefmt import format_local_time
from ..limits.limit_parsing import PLAN_LIMIT_ID
from ..limits.limit_types import format_percent
from .output import Styled, format_relative_time, join, style, usage_bar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import AdditionalLimit, RateLimits, RateLimitWindow, UsageReport

__all__ = ["LimitOverThreshold", "limit_over_threshold", "usage_data", "usage_lines"]

_MAX_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class _Row:
    """A window and the limit that it belongs to. `name` is unique in a report."""

    name: str
    limit: str
    limit_name: str | None
    window: RateLimitWindow
    is_binding: bool
    is_used_up: bool

    @property
    def percent_text(self) -> str:
        percent = format_percent(self.window.used_percent)
        is_refused_early = self.is_used_up and not self.window.is_exhausted
        return f"exhausted at {percent}" if is_refused_early else f"{percent} used"


def _rows(report: UsageReport) -> Iterator[_Row]:
    limits: list[tuple[str, str | None, RateLimits | AdditionalLimit]] = [(PLAN_LIMIT_ID, None, report.limits)]
    for other in (*report.limits.additional, *([report.code_review] if report.code_review else [])):
        limits.append((other.id or other.name or "additional", other.name, other))
    for limit_id, limit_name, limit in limits:
        binding, exhausted = limit.binding_window, limit.exhausted_window
        for window in sorted(limit.windows, key=lambda window: window is not binding):  # a stable sort
            name = window.name if limit is report.limits else f"{limit_name or limit_id}, {window.name}"
            yield _Row(
                name=name,
                limit=limit_id,
                limit_name=limit_name,
                window=window,
                is_binding=window is binding,
                is_used_up=window is exhausted or window.is_exhausted,
            )


# Lines


def usage_lines(report: UsageReport, *, now: datetime, width: int) -> Iterator[tuple[str, int]]:
    """Yield the lines of a usage report. Each line has an indentation, for the case that it is wrapped."""
    yield style(f"{report.email or 'Your account'}, plan {report.plan or 'unknown'}", bold=True), 0
    rows = list(_rows(report))
    layouts = [list(layout(rows, now)) for layout in (_one_line, _two_lines, _narrow_lines)]
    fitting = (lines for lines in layouts if all(len(click.unstyle(line)) <= width for line, _ in lines))
    yield from next(fitting, layouts[-1])
    if not rows:
        yield "The backend reports no limits for this account.", 0
    for remark in _remarks(report, now=now):
        yield remark, 0
    received_at = report.limits.received_at
    age = format_relative_time(received_at, now=now)
    yield style(f"Read {'just now' if age == 'now' else age}, at {format_local_time(received_at)}", dim=True), 2


def _one_line(rows: list[_Row], now: datetime) -> Iterator[tuple[Styled, int]]:
    name_width, percent_width = _column_widths(rows)
    for row in rows:
        percent = row.percent_text.rjust(percent_width) if not row.is_used_up else row.percent_text
        reset = _reset_text(row, now)
        yield _styled(row, f"  {row.name.ljust(name_width)}  ", f" {percent}{reset and f', {reset}'}"), 4


def _two_lines(rows: list[_Row], now: datetime) -> Iterator[tuple[Styled, int]]:
    name_width, percent_width = _column_widths(rows)
    for row in rows:
        yield _styled(row, f"  {row.name.ljust(name_width)}  ", f" {row.percent_text.rjust(percent_width)}"), 4
        if row.window.resets_at is not None:
            yield style(f"    {_reset_text(row, now)}", dim=not row.is_binding), 4


def _narrow_lines(rows: list[_Row], now: datetime) -> Iterator[tuple[Styled, int]]:
    for row in rows:
        yield style(f"  {row.name}: {row.percent_text}", dim=not row.is_binding), 4
        yield _styled(row, "  ", ""), 2
        if row.window.resets_at is not None:
            yield style(f"  {_reset_text(row, now)}", dim=not row.is_binding), 4


def _column_widths(rows: list[_Row]) -> tuple[int, int]:
    name_width = max((len(join(row.name)) for row in rows), default=0)
    return name_width, max([len("100 % used"), *(len(row.percent_text) for row in rows if not row.is_used_up)])


def _styled(row: _Row, before: str, after: str) -> Styled:
    bar = usage_bar(100 if row.is_used_up else row.window.used_percent)
    return join(before, bar, after) if row.is_binding else style(f"{before}{click.unstyle(bar)}{after}", dim=True)


def _reset_text(row: _Row, now: datetime) -> str:
    resets_at = row.window.resets_at
    if resets_at is None:
        return ""
    verb = "resets" if resets_at > now else "reset"
    return f"{verb} {format_local_time(resets_at)} ({format_relative_time(resets_at, now=now)})"


def _remarks(report: UsageReport, *, now: datetime) -> Iterator[str]:
    limits = report.limits
    credits, control = limits.credits, limits.spend_control
    has_credits = credits is not None and (credits.unlimited or credits.has_credits)
    is_capped = control is not None and control.reached
    if limits.is_exhausted:
        # Credits pay for calls beyond the limit until the spending cap of the workspace is reached.
        effect = "credits pay for" if has_credits and not is_capped else "the backend rejects"
        window = limits.exhausted_window
        resets_at = window.resets_at if window is not None else None
        until = f"the reset, {format_relative_time(resets_at, now=now)}" if resets_at is not None else "the reset"
        yield style(f"The usage limit is used up: {effect} further calls until {until}.", fg="red")
    if has_credits:
        yield f"Credits: {credits}"
    if control is not None and (is_capped or control.limit is not None):
        yield f"Spending cap: {control}"
    if report.reset_credits:
        yield f"Reset credits: {report.reset_credits} (`codex-backend usage --reset` uses one)"


# JSON


def usage_data(report: UsageReport, response: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """Return the JSON object of `usage --json`. Times are ISO 8601 in UTC, percentages 0 to 100 or more, used."""
    limits = report.limits
    windows = [_window_data(row, now) for row in _rows(report)]
    credits, control = limits.credits, limits.spend_control
    return {
        "email": report.email,
        "account_id": report.account_id,
        "plan": report.plan,
        "received_at": _time(limits.received_at),
        "is_used_up": limits.is_exhausted,
        "binding_window": next((each for each in windows if each["limit"] == PLAN_LIMIT_ID), None),
        "windows": windows,
        "credits": credits
        and {
            "has_credits": credits.has_credits,
            "unlimited": credits.unlimited,
            "balance": None if credits.balance is None else str(credits.balance),
        },
        "spending_cap": control
        and {
            "reached": control.reached,
            "limit_credits": None if control.limit is None else str(control.limit),
            "used_credits": None if control.used is None else str(control.used),
            "resets_at": _time(control.resets_at),
        },
        "reset_credits": report.reset_credits,
        "response": response,
    }


def _window_data(row: _Row, now: datetime) -> dict[str, Any]:
    window = row.window
    return {
        "limit": row.limit,
        "limit_name": row.limit_name,
        "window": window.name,
        "length_seconds": window.length.total_seconds() if window.length else None,
        "used_percent": window.used_percent,
        "is_used_up": row.is_used_up,
        "is_binding": row.is_binding,
        "resets_at": _time(window.resets_at),
        "resets_in_seconds": round((window.resets_at - now).total_seconds()) if window.resets_at else None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


# Thresholds


@dataclass(frozen=True, slots=True)
class LimitOverThreshold:
    """The limit that `usage --check` reports. `message` is a sentence."""

    message: str
    resets_at: datetime | None


def limit_over_threshold(report: UsageReport, percent: float, *, now: datetime) -> LimitOverThreshold | None:
    """Return a limit whose binding window is used to `percent` or more, or that is used up, else None.

    The limits are those of the plan, of single models, and the spending cap.
    """
    for row in _rows(report):
        if row.is_binding and (row.window.used_percent >= percent or row.is_used_up):
            reset = _reset_text(row, now)
            message = f"The limit ({row.name}) is {row.percent_text}."
            message += f" It {reset}." if reset else ""
            return LimitOverThreshold(f"{message} The threshold is {format_percent(percent)}.", row.window.resets_at)
    if report.limits.is_exhausted:  # without a window: the spending cap, or a refusal without details
        control = report.limits.spend_control
        is_capped = control is not None and control.reached
        subject = "The spending cap of the workspace is reached" if is_capped else "The usage limit is used up"
        return LimitOverThreshold(f"{subject}.", control.resets_at if control is not None else None)
    return None
