"""`usage`: how much of the plan is used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from ..limits.limit_types import format_percent
from . import moments, output

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .. import RateLimits, RateLimitWindow, UsageReport

__all__ = ["report", "usage"]

_BAR_CELLS: Final = 12
# From this share on a bar is shown in the colour; the last row that fits decides.
_COLOURS: Final = ((0, "green"), (70, "yellow"), (90, "red"))


@click.command()
@click.option("--json", "wants_json", is_flag=True, help="Print what the backend answered.")
def usage(wants_json: bool) -> None:
    """Show how much of the plan is used, and when that resets."""
    from .. import OpenAI

    with OpenAI() as client:
        if wants_json:
            output.as_json(client.codex.usage())
            return
        found = client.codex.usage_report()
    for line in report(found, now=datetime.now(UTC)):
        click.echo(line)


def report(found: UsageReport, *, now: datetime) -> Iterator[str]:
    """Yield the lines that tell a usage report."""
    whose = output.printable(f"{found.email or 'Your account'}, plan {found.plan or 'unknown'}")
    yield click.style(whose, bold=True)
    rows = list(_rows(found))
    name_width = max((len(name) for name, _ in rows), default=0)
    used_width = max([len("100 %"), *(len(format_percent(window.used_percent)) for _, window in rows)])
    for name, window in rows:
        used = format_percent(window.used_percent).rjust(used_width)
        yield f"  {name.ljust(name_width)}  {_bar(window.used_percent)} {used} used{_reset(window, now=now)}"
    if not rows:
        yield "The backend names no limits for this account."
    yield from _remarks(found.limits)
    if found.reset_credits:
        yield f"Reset credits: {found.reset_credits} (`client.codex.reset_credits.consume()` uses one up)"


def _rows(found: UsageReport) -> Iterator[tuple[str, RateLimitWindow]]:
    """Yield the name and the figures of every window, the shortest first within each limit."""
    for window in found.limits.windows:
        yield window.name, window
    for limit in (*found.limits.additional, *([found.code_review] if found.code_review else [])):
        name = output.printable(limit.name or limit.id or "additional")
        for window in limit.windows:
            yield f"{name}, {window.name}", window


def _reset(window: RateLimitWindow, *, now: datetime) -> str:
    if window.resets_at is None:
        return ""
    return f", resets {moments.from_now(window.resets_at, now=now)} ({moments.format_local_time(window.resets_at)})"


def _bar(percent: float) -> str:
    filled = min(_BAR_CELLS, round(percent * _BAR_CELLS / 100))
    colour = [name for share, name in _COLOURS if percent >= share][-1]
    return click.style("█" * filled, fg=colour) + click.style("░" * (_BAR_CELLS - filled), dim=True)


def _remarks(limits: RateLimits) -> Iterator[str]:
    credits, control = limits.credits, limits.spend_control
    has_credits = credits is not None and (credits.unlimited or credits.has_credits)
    is_capped = control is not None and control.reached
    if limits.is_exhausted:
        then = "credits pay for" if has_credits and not is_capped else "the backend refuses"
        yield click.style(f"The limit is reached: {then} further calls until the reset.", fg="red")
    if has_credits:
        yield f"Credits: {credits}"
    if control is not None and (is_capped or control.limit is not None):
        yield f"Spending cap: {control}"
