"""How results are laid out. Colour appears on a terminal only: `click.echo` takes it out elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_json", "facts", "printable", "table"]


def as_json(value: Any) -> None:
    """Print a value as JSON for another program."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def facts(*pairs: tuple[str, str]) -> None:
    """Print names and values in two columns."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        click.echo(f"  {click.style(name.ljust(width), dim=True)}  {value}")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings, each column as wide as it needs."""
    widths = [max(len(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    click.secho(_line(headings, widths), bold=True)
    for row in rows:
        click.echo(_line(row, widths))


def printable(text: str) -> str:
    """Leave out control characters: what a model says must not move the cursor or rename the window."""
    return "".join(letter for letter in text if letter in "\n\t" or not _is_control(letter))


def _is_control(letter: str) -> bool:
    return letter < " " or "\x7f" <= letter <= "\x9f"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
