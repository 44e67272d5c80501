"""Format the results of `codex-backend doctor` for the terminal.

Unlike the output of other commands, the report is also wrapped when it is piped, because users paste it into bug
reports.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from ..output import MAX_WIDTH_COLUMNS, NARROW_WIDTH_COLUMNS, Styled, join, line_width, print_block, style, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CheckResult",
    "Level",
    "error_result",
    "note",
    "ok",
    "print_line",
    "print_result",
    "print_summary",
    "warning",
]

Level = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A line of the report. `message` and `remedy` are sentences without secrets."""

    level: Level
    message: str
    remedy: str | None = None


ok = partial(CheckResult, "ok")
note = partial(CheckResult, "note")  # no effect on calls
warning = partial(CheckResult, "warning")  # a call may fail
error_result = partial(CheckResult, "error")  # calls or the login will fail

_SYMBOLS: Final[dict[Level, tuple[str, str | None]]] = {
    "ok": ("✓", "green"),
    "note": ("·", None),
    "warning": ("!", "yellow"),
    "error": ("✗", "red"),
}
_NAME_WIDTH: Final = 15


def print_result(name: str | None, result: CheckResult) -> None:
    """Print a result as a line with the name of its check (None: no name), and its remedy on the next line."""
    symbol, color = _SYMBOLS[result.level]
    print_line(name, result.message, symbol=style(symbol, fg=color, bold=True) if color else symbol)
    if result.remedy:
        print_line(None, f"→ {result.remedy}")


def print_line(name: str | None, text: str, *, symbol: str = " ") -> None:
    """Print `text` in a column beside `name`. On a narrow terminal, print it directly after the name."""
    width = min(line_width(), MAX_WIDTH_COLUMNS)
    if width < NARROW_WIDTH_COLUMNS:
        label, indent = f"{name}: " if name else "  ", 4
    else:
        label, indent = (name or "").ljust(_NAME_WIDTH), 2 + _NAME_WIDTH
    print_block(Styled(wrap(join(symbol, f" {label}", text), width, indent=indent)))


def print_summary(results: Sequence[CheckResult]) -> None:
    """Print the number of errors and warnings."""
    counts = Counter(result.level for result in results)
    problems = [
        f"{counts[level]} {level}{'' if counts[level] == 1 else 's'}" for level in ("error", "warning") if counts[level]
    ]
    text = f"{', '.join(problems)}." if problems else "No problems found."
    color = "red" if counts["error"] else "yellow" if counts["warning"] else "green"
    print_block(join("\n", style(text, fg=color, bold=True)))
