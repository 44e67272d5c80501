"""Print the output of the commands: wrapped text, columns, JSON, and times relative to now.

Everything that a command prints passes through this module, which redacts it (`_redaction`): an error text, an email or
the name of a model may contain escape sequences or a token. Text that `style` or `join` returned is printed unchanged.

Text is wrapped between words if the output is a terminal. In a pipe, lines are not wrapped, so that `grep` finds a
whole message in one line. A word that is longer than a line (a URL, a path, a command) is not split, because users copy
it.

`click.echo` removes the escape sequences of colors if the stream is not a terminal.

Pipes and files get UTF-8. A terminal gets the encoding of its locale; what that lacks is replaced, and bars are ASCII.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from .._constants import INSTALL_EXTRA
from .._redaction import redact, redact_data, remove_control_characters
from .._timefmt import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

__all__ = [
    "MAX_WIDTH_COLUMNS",
    "NARROW_WIDTH_COLUMNS",
    "Styled",
    "bar",
    "can_encode",
    "erase_lines",
    "format_relative_time",
    "join",
    "json_text",
    "line_width",
    "print_block",
    "print_fields",
    "print_json",
    "print_json_line",
    "print_response_text",
    "print_table",
    "print_text",
    "redraw_line",
    "requires_extra",
    "set_output_encoding",
    "style",
    "terminal_width",
    "usage_bar",
    "wrap",
]

MAX_WIDTH_COLUMNS: Final = 100
NARROW_WIDTH_COLUMNS: Final = 60  # below this width, values follow their name directly instead of in a column
# What JSON does not escape: C1 controls, separators of lines, controls of the writing direction, lone surrogates.
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# The lowest percentage of each color of a usage bar.
_BAR_COLORS: Final = ((0, "green"), (70, "yellow"), (90, "red"))


def set_output_encoding() -> None:
    """Set the encoding of standard output and standard error, so that no character of a response is an error.

    `PYTHONIOENCODING` wins. On POSIX, the locale says what a terminal can show; on Windows, consoles accept UTF-8.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not in a test or a notebook
            is_fixed = "PYTHONIOENCODING" in os.environ or (os.name == "posix" and stream.isatty())
            stream.reconfigure(encoding=None if is_fixed else "utf-8", errors="replace")


def can_encode(text: str, *, err: bool = False) -> bool:
    """Return whether standard output (or standard error) can print these characters."""
    try:
        text.encode(getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


class Styled(str):
    """Redacted text, which may contain the escape sequences of colors."""

    __slots__ = ()


def style(text: str, **attributes: Any) -> Styled:
    """Redact a text and style it. `attributes` are those of `click.style`."""
    return Styled(click.style(_redacted(text), **attributes))


def join(*parts: str) -> Styled:
    """Join texts. Those that are not `Styled` are redacted."""
    return Styled("".join(map(_redacted, parts)))


def _redacted(text: str) -> Styled:
    return text if isinstance(text, Styled) else Styled(redact(text))


def bar(percent: float, color: str, *, cells: int = 12, err: bool = False) -> Styled:
    """Return a bar that is filled to `percent`."""
    full, empty = ("█", "░") if can_encode("█░", err=err) else ("#", ".")
    filled = min(cells, round(percent * cells / 100))
    return join(style(full * filled, fg=color), style(empty * (cells - filled), dim=True))


def usage_bar(percent: float) -> Styled:
    """Return a bar for the use of a limit: green, yellow from 70 %, red from 90 %."""
    return bar(percent, [name for threshold, name in _BAR_COLORS if percent >= threshold][-1])


def line_width(*, err: bool = False) -> int:
    """Return the width at which to wrap: at most 100 columns on a terminal, unlimited otherwise."""
    width = terminal_width(err=err)
    return width if width == sys.maxsize else min(width, MAX_WIDTH_COLUMNS)


def terminal_width(*, err: bool = False) -> int:
    """Return the number of columns of the terminal, or `sys.maxsize` if the output is not a terminal."""
    stream = sys.stderr if err else sys.stdout
    return shutil.get_terminal_size().columns if stream.isatty() else sys.maxsize


def wrap(text: str, width: int, *, indent: int = 0) -> str:
    """Wrap `text` between words. Continuation lines start with `indent` spaces.

    Unlike `textwrap`, this function preserves repeated spaces in a line (columns) and does not count escape sequences.
    """
    lines: list[str] = []
    line, length = "", 0
    # Without whitespace at its end, every match succeeds: the time is proportional to the length of the text.
    for word in re.findall(r"\s*+\S++", text.rstrip()):
        word_length = len(click.unstyle(word))
        if line and length + word_length > width:
            lines.append(line)
            word = word.lstrip()
            line, length = " " * indent + word, indent + len(click.unstyle(word))
        else:
            line, length = line + word, length + word_length
    return "\n".join([*lines, line])


def print_text(text: str, *, indent: int = 0, err: bool = False, **attributes: Any) -> None:
    """Print paragraphs, wrapped for the terminal. `attributes` are passed to `click.style`."""
    width = line_width(err=err)
    for paragraph in _redacted(text).split("\n"):
        wrapped = wrap(paragraph, width, indent=indent)
        click.echo(click.style(wrapped, **attributes) if attributes else wrapped, err=err)


def print_block(text: str, *, err: bool = False, **attributes: Any) -> None:
    """Print a text that is not wrapped and not redacted, such as the URL of a login. Control characters are removed."""
    click.secho(text if isinstance(text, Styled) else remove_control_characters(text), err=err, **attributes)


def erase_lines(count: int) -> None:
    """Move the cursor of the terminal to the beginning of the line `count` lines above, and erase what follows."""
    sys.stdout.write(f"\x1b[{count}A\r\x1b[J")  # click removes escape sequences if `NO_COLOR` is set
    sys.stdout.flush()


def print_response_text(text: str, *, is_complete: bool = True) -> None:
    """Print text of a model, which may be about tokens. `is_complete` adds a newline."""
    click.echo(remove_control_characters(text), nl=is_complete)


def print_json(value: Any, *, is_model_text: bool = False, is_one_line: bool = False) -> None:
    """Print a value as JSON, for other programs. Text of a model may be about tokens: it is not redacted."""
    click.echo(json_text(value if is_model_text else redact_data(value), is_one_line=is_one_line))


def json_text(value: Any, *, is_one_line: bool = False) -> str:
    """Return a value as JSON. Control characters are escaped, so a terminal can show it; no character is lost."""
    text = json.dumps(value, indent=None if is_one_line else 2, ensure_ascii=False, default=str)
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def print_json_line(value: Any, *, err: bool = False) -> None:
    """Print a value as JSON in one line, for a stream of values."""
    click.echo(json_text(redact_data(value), is_one_line=True), err=err)


def redraw_line(text: str) -> None:
    """Print a text on standard error over the current line of the terminal, without ending the line."""
    click.echo("\r" + text, nl=False, err=True)


def print_fields(*pairs: tuple[str, str]) -> None:
    """Print names and values in two columns."""
    name_width = max(len(name) for name, _ in pairs)
    indent = 4 + name_width if line_width() >= NARROW_WIDTH_COLUMNS else 4
    for name, value in pairs:
        print_text(join("  ", style(name.ljust(name_width), dim=True), "  ", value), indent=indent)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under headings. Each column is as wide as its longest cell; the last column is wrapped."""
    table = [[_redacted(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)
    if indent + 20 > line_width():
        indent = 4
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        print_text(line, indent=indent, **({"bold": True} if number == 0 else {}))


def format_relative_time(time: datetime, *, now: datetime) -> str:
    """Format a time relative to `now`: `in 3 h 12 min`, `2 d ago`, `now`."""
    if abs(time - now) < timedelta(minutes=1):
        return "now"
    return f"in {format_duration(time - now)}" if time > now else f"{format_duration(now - time)} ago"


@contextmanager
def requires_extra(extra: str) -> Iterator[None]:
    """Replace a ModuleNotFoundError with an error that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name == "codex_backend_sdk":  # a bug in this package, not a missing dependency
            raise
        raise click.ClickException(
            f"This command needs the package {name}, which is not installed. {INSTALL_EXTRA.format(extra)}"
        ) from error
