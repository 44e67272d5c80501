"""The results of the checks, and how the report shows them on a terminal of any width.

Unlike the output of other commands, the report is wrapped in a pipe as well: users paste it into bug reports.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import click

from ..output import NARROW, WIDEST, line_width, printable, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CheckResult", "Level", "broken", "note", "ok", "print_line", "print_result", "print_summary", "warning"]

Level = Literal["ok", "note", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report. `what` and `remedy` are sentences without secrets."""

    level: Level
    what: str
    remedy: str | None = None


ok = partial(CheckResult, "ok")
note = partial(CheckResult, "note")  # for information
warning = partial(CheckResult, "warning")  # something may fail
broken = partial(CheckResult, "broken")  # calls, or a login, will fail

_SIGNS: Final[dict[Level, tuple[str, str | None]]] = {
    "ok": ("✓", "green"),
    "note": ("·", None),
    "warning": ("!", "yellow"),
    "broken": ("✗", "red"),
}
_NAME_WIDTH: Final = 15


def print_result(name: str, result: CheckResult) -> None:
    """Print a result and its remedy."""
    sign, colour = _SIGNS[result.level]
    print_line(name, result.what, sign=click.style(sign, fg=colour, bold=True) if colour else sign)
    if result.remedy:
        print_line("", f"→ {result.remedy}")


def print_line(name: str, text: str, *, sign: str = " ") -> None:
    """Print `text` in a column beside `name`; on a narrow terminal right after it."""
    width = min(line_width(), WIDEST)
    if width < NARROW:
        label, indent = f"{name}: " if name else "  ", 4
    else:
        label, indent = name.ljust(_NAME_WIDTH), 2 + _NAME_WIDTH
    click.echo(wrap(f"{sign} {label}{printable(text)}", width, indent=indent))


def print_summary(results: Sequence[CheckResult]) -> None:
    """Print how many problems there are."""
    counts = Counter(result.level for result in results)
    broken_count, warning_count = counts["broken"], counts["warning"]
    parts = []
    if broken_count:
        parts.append(f"{broken_count} broken")
    if warning_count:
        parts.append(f"{warning_count} warning{'' if warning_count == 1 else 's'}")
    text = f"{', '.join(parts)}." if parts else "No problems found."
    colour = "red" if broken_count else "yellow" if warning_count else "green"
    click.echo(f"\n{click.style(text, fg=colour, bold=True)}")
