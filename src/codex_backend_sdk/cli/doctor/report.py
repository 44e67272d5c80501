"""How the report of `doctor` is laid out: on wide and narrow terminals, without colour, and for another program."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from .. import output

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .result import Level, Outcome

__all__ = ["Report"]


class _Mark(NamedTuple):
    sign: str
    plain: str  # for terminals that cannot show the sign
    colour: str | None


_MARKS: Final[dict[Level, _Mark]] = {
    "ok": _Mark("✓", "+", "green"),
    "note": _Mark("·", "-", None),
    "warning": _Mark("!", "!", "yellow"),
    "broken": _Mark("✗", "x", "red"),
}
_ARROW: Final = _Mark("→", ">", None)
_WIDEST: Final = 100
_NARROW: Final = 60
_NAME_WIDTH: Final = 15


class Report:
    """What was found, printed as it comes unless it `is_silent`."""

    def __init__(self, *, is_silent: bool) -> None:
        self._is_silent = is_silent
        self._seen: list[tuple[str, Outcome]] = []
        # Where nobody reads at a width, a line is not broken: another program may look for words in it.
        self._width = min(shutil.get_terminal_size().columns, _WIDEST) if sys.stdout.isatty() else sys.maxsize
        self._indent = 4 if self._width < _NARROW else 2 + _NAME_WIDTH

    def add(self, name: str, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of one check."""
        for number, outcome in enumerate(outcomes):
            self._seen.append((name, outcome))
            if not self._is_silent:
                self._show(name if number == 0 else "", outcome)

    @property
    def is_broken(self) -> bool:
        """Whether one of them is."""
        return any(outcome.level == "broken" for _, outcome in self._seen)

    def rows(self) -> list[dict[str, str | None]]:
        """Return the outcomes for another program."""
        return [{"check": name, **asdict(outcome)} for name, outcome in self._seen]

    def facts(self, heading: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Print names and values under a heading, nothing when there are none."""
        for name, value in pairs:
            if heading:
                click.echo(f"\n{heading}")
                heading = ""
            self._print("  " + self._named(name), value, indent=self._indent)

    def sum_up(self) -> None:
        """Print how it all is."""
        counts = Counter(outcome.level for _, outcome in self._seen)
        broken, warnings = counts["broken"], counts["warning"]
        parts = [f"{broken} broken"] if broken else []
        parts += [f"{warnings} warning{'' if warnings == 1 else 's'}"] if warnings else []
        level: Level = "broken" if broken else "warning" if warnings else "ok"
        text = f"{', '.join(parts)}." if parts else "All is well."
        click.echo(f"\n{click.style(text, fg=_MARKS[level].colour, bold=True)}")

    def _show(self, name: str, outcome: Outcome) -> None:
        mark = _MARKS[outcome.level]
        self._print(f"{_shown(mark)} {self._named(name)}", outcome.what, indent=self._indent, colour=mark.colour)
        if outcome.remedy:
            lead = " " * self._indent + _shown(_ARROW)
            self._print(f"{lead} ", outcome.remedy, indent=self._indent + 2)

    def _named(self, name: str) -> str:
        """Return the name as the beginning of a line: in a column, or where that is too wide before the text."""
        if self._width >= _NARROW:
            return name.ljust(_NAME_WIDTH)
        return f"{name}: " if name else ""

    def _print(self, lead: str, text: str, *, indent: int, colour: str | None = None) -> None:
        first, *rest = textwrap.wrap(
            output.printable(text),
            self._width,
            initial_indent=lead,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [lead.rstrip()]
        click.echo(click.style(first[0], fg=colour, bold=True) + first[1:] if colour else first)
        for line in rest:
            click.echo(line)


def _shown(mark: _Mark) -> str:
    try:
        mark.sign.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return mark.plain
    return mark.sign
