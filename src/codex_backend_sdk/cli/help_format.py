"""Format `--help` for the width of the terminal, also for narrow ones.

click's formatter needs 50 columns, and puts the text of an option to the right of its name. Below 50 columns, this one
puts the text below the name.
"""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Final

import click

from .output import wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CommandContext"]

_NARROW_COLUMNS: Final = 50
_MIN_COLUMNS: Final = 16


class _HelpFormatter(click.HelpFormatter):
    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        if width is None:
            width = max(min(shutil.get_terminal_size().columns, max_width or 80) - 1, _MIN_COLUMNS)
        super().__init__(indent_increment, width, max_width)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        if self.width >= _NARROW_COLUMNS:
            super().write_usage(prog, args, prefix)
            return
        self.write(wrap(f"{prefix or 'Usage: '}{prog} {args}", self.width, indent=2) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        if self.width >= _NARROW_COLUMNS:
            super().write_dl(rows, col_max, col_spacing)
            return
        for name, text in rows:
            for value, indent in ((name, self.current_indent), (text, self.current_indent + 2)):
                if value:
                    self.write(textwrap.indent(wrap(value, self.width - indent), " " * indent) + "\n")


class CommandContext(click.Context):
    """The context of all commands."""

    formatter_class = _HelpFormatter
