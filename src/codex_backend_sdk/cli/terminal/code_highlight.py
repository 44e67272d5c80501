"""Highlight code that arrives line by line.

A lexer of Pygments needs the text from a point outside of strings and comments. So each line is lexed together with the
lines before it; of a long block, only with those since a line without indentation that ended outside of both.
The styles are colors of the terminal's own palette, so they are readable on light and on dark backgrounds.

This module has no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pygments.token import (  # type: ignore[import-untyped]
    Comment,
    Keyword,
    Literal,
    Name,
    Operator,
    Text,
    Whitespace,
)

if TYPE_CHECKING:
    from .markdown_spans import Span

__all__ = ["CodeHighlighter"]

_STYLES: Final = {
    Comment: "dim",
    Keyword: "magenta",
    Operator.Word: "magenta",
    Literal.String: "green",
    Literal.Number: "cyan",
    Name.Function: "blue",
    Name.Class: "blue",
    Name.Tag: "blue",
    Name.Attribute: "cyan",
    Name.Builtin: "cyan",
    Name.Decorator: "cyan",
}
_MAX_LINES: Final = 40  # from here on, the lines up to one that ended outside of strings are forgotten
_MAX_CHARACTERS: Final = 20_000  # of the lines to lex; a longer block is not highlighted any more


class CodeHighlighter:
    """Highlight one block of code. Text of an unknown language has no colors."""

    def __init__(self, language: str) -> None:
        self._lexer = _find_lexer(language)
        self._before = ""

    def line(self, text: str) -> list[Span]:
        """Return a line as spans. Their text is the line, unchanged."""
        plain = [(text, "")] if text else []
        if self._lexer is None:
            return plain
        spans: list[Span] = []
        position, start, last = 0, len(self._before), Text
        for token, part in self._lexer.get_tokens(f"{self._before}{text}\n"):
            position += len(part)
            if position > start:
                last = token
                part = part[max(0, start - (position - len(part))) :].rstrip("\n")
                if part:
                    spans.append((part, _style(token)))
        self._keep(text, is_outside=last in Text or last in Whitespace)
        return spans if "".join(part for part, _ in spans) == text else plain

    def _keep(self, text: str, *, is_outside: bool) -> None:
        """Keep the line for those that follow. `is_outside`: its newline is not part of a string or a comment."""
        self._before += f"{text}\n"
        if is_outside and not text.startswith((" ", "\t")) and self._before.count("\n") > _MAX_LINES:
            self._before = ""
        if len(self._before) > _MAX_CHARACTERS:
            self._lexer, self._before = None, ""


def _find_lexer(language: str) -> Any:
    if not language:
        return None
    # Slow to import, and not every response has code.
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language, stripnl=False, stripall=False, ensurenl=True)
    except ClassNotFound:
        return None


def _style(token: Any) -> str:
    while token is not None:
        if token in _STYLES:
            return _STYLES[token]
        token = token.parent
    return ""
