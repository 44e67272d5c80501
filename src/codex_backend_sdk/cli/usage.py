"""`usage`: how much of the plan is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from codex_backend_sdk.cli import moments, show

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["report", "usage", "window_name"]

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_BAR_CELLS: Final = 16
# From this share on a bar is shown in the colour; the last row that fits decides.
_COLOURS: Final = ((0, "green"), (70, "yellow"), (90, "red"))


@click.command()
@click.option("--json", "wants_json", is_flag=True, help="Print what the backend answered.")
def usage(wants_json: bool) -> None:
    """Show how much of the plan is used, and when that resets."""
    from codex_backend_sdk import OpenAI

    with OpenAI() as client:
        answer = client.codex.usage()
    if wants_json:
        show.as_json(answer)
        return
    for line in report(answer, now=datetime.now(UTC)):
        click.echo(line)


def report(answer: dict[str, Any], *, now: datetime) -> Iterator[str]:
    """Yield the lines that tell a usage answer, of which only `plan_type` is certain to be there."""
    account = f"{answer.get('email') or 'Your account'}, plan {answer.get('plan_type') or 'unknown'}"
    yield click.style(account, bold=True)
    rows = list(_rows(answer, now=now))
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, used, reset in rows:
        yield f"  {name.ljust(width)}  {_bar(used)} {used:3.0f} % used{reset}"
    if not rows:
        yield "The backend names no limits for this account."
    yield from _remarks(answer)


def window_name(seconds: float) -> str:
    """Name a window by its length: the backend may give the weekly one first, or alone.

    Months differ in length, so anything from 28 to 31 days is one.
    """
    days = seconds / _DAY
    if 28 <= days <= 31:
        return "monthly"
    if days in (1, 7):
        return {1: "daily", 7: "weekly"}[int(days)]
    return moments.duration(timedelta(seconds=seconds))


def _rows(answer: dict[str, Any], *, now: datetime) -> Iterator[tuple[str, float, str]]:
    """Yield name, percentage and reset of every window, the shortest first within each limit."""
    extra = answer.get("additional_rate_limits") or []
    limits = [("", answer.get("rate_limit")), *((each["limit_name"] + ", ", each.get("rate_limit")) for each in extra)]
    for prefix, limit in limits:
        windows = [window for name in ("primary_window", "secondary_window") if (window := (limit or {}).get(name))]
        for window in sorted(windows, key=lambda window: window["limit_window_seconds"]):
            name = prefix + window_name(window["limit_window_seconds"])
            yield name, window["used_percent"], _reset(window.get("reset_at"), now=now)


def _reset(seconds: int | None, *, now: datetime) -> str:
    if seconds is None:
        return ""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f", resets {moments.from_now(moment, now=now)} ({moments.local(moment)})"


def _bar(percent: float) -> str:
    filled = min(_BAR_CELLS, max(0, round(percent * _BAR_CELLS / 100)))
    colour = [name for share, name in _COLOURS if percent >= share or share == 0][-1]
    return click.style("█" * filled, fg=colour) + click.style("░" * (_BAR_CELLS - filled), dim=True)


def _remarks(answer: dict[str, Any]) -> Iterator[str]:
    if (answer.get("rate_limit") or {}).get("limit_reached"):
        yield click.style("The limit is reached: the backend refuses further calls until the reset.", fg="red")
    credits = answer.get("credits") or {}
    if credits.get("unlimited"):
        yield "Credits: unlimited"
    elif credits.get("has_credits"):
        yield f"Credits: {credits.get('balance')}"
