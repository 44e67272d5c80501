"""What a step of the demo prints goes to the terminal at once, and is kept to be checked."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Said"]


class Said(io.TextIOBase):
    """A stand-in for standard output: marks each line with `mark` and breaks long ones between words.

    `text` is what was printed, and `writes` in how many pieces it came.
    """

    def __init__(self, console: Console, *, mark: str, style: str) -> None:
        self._console = console
        self._mark = mark
        self._style = style
        self._column = 0
        self._parts: list[str] = []

    @property
    def text(self) -> str:
        """Everything so far."""
        return "".join(self._parts)

    @property
    def writes(self) -> int:
        """The number of pieces with something to read in them."""
        return sum(bool(part.strip()) for part in self._parts)

    def writable(self) -> bool:
        """Say that this can be written to."""
        return True

    def write(self, text: str) -> int:
        """Print a piece."""
        self._parts.append(text)
        for word in re.findall(r"\n|[^\S\n]+|\S+", text):
            self._put(word)
        return len(text)

    def end(self) -> None:
        """End the line, unless it has just ended."""
        if self._column:
            self._put("\n")

    def _put(self, word: str) -> None:
        if word == "\n":
            self._out("\n" if self._column else f"{self._mark}\n")
            self._column = 0
            return
        # Where the output is no terminal a reader has their own idea of width.
        if self._console.is_terminal and self._column and self._column + len(word) > self._console.width:
            self._out("\n")
            self._column = 0
            word = word.lstrip()
        if not self._column:
            self._out(self._mark)
            self._column = len(self._mark)
        self._out(word)
        self._column += len(word)

    def _out(self, text: str) -> None:
        self._console.out(text, style=self._style, highlight=False, end="")
        self._console.file.flush()
