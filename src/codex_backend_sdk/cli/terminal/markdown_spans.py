"""Render a block of Markdown as styled text that is wrapped to a width.

The result is a list of spans: a text, and a style in rich's notation. Lines are broken between words and have no
trailing spaces; a word that is wider than the line (a URL, a path) is not broken. If a source is the beginning of
another one up to `stable_length`, then so is its text, which `MarkdownStream` needs to append only.

This module has no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len

from .markdown_blocks import WORD_END, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from markdown_it.token import Token

__all__ = ["Span", "plain_text", "render"]

Span = tuple[str, str]

_HEADING_STYLES: Final = {"h1": "bold underline", "h2": "bold"}
_CODE_STYLE: Final = "cyan"
_LINK_STYLE: Final = "underline"
_BULLET: Final = "• "
_QUOTE: Final = "│ "
_RULE: Final = "─"
_MAX_RULE_WIDTH: Final = 40
_COLUMN_GAP: Final = 2
_MIN_CELL_WIDTH: Final = 8  # a table whose cells would be narrower is a list of its rows


def plain_text(spans: Iterable[Span]) -> str:
    """Return the text of spans."""
    return "".join(text for text, _ in spans)


def render(source: str, width: int, *, indent: int = 0, style: str = "") -> list[Span]:
    """Render one block of Markdown.

    Args:
        source: The Markdown.
        width: The width in columns.
        indent: The columns before each line.
        style: The style of the whole text.
    """
    writer = _Writer(width, _Prefix((" " * indent, ""), (" " * indent, "")), style)
    _render_tokens(writer, parse(source))
    return writer.spans


@dataclass(slots=True)
class _Prefix:
    """What precedes the first line of a block, and its other lines."""

    first: Span
    other: Span


@dataclass(slots=True)
class _Writer:
    """Lines that are wrapped, with prefixes of the containers (lists, quotes) around them."""

    width: int
    base: _Prefix
    style: str
    spans: list[Span] = field(default_factory=list)
    prefixes: list[_Prefix] = field(default_factory=list)
    column: int = 0

    def start_line(self) -> None:
        """Begin a line with the prefixes. The next lines have the other ones."""
        if self.spans:
            self.spans.append(("\n", ""))
        prefixes = [self.base, *self.prefixes]
        texts = [each.first for each in prefixes]
        self.column = sum(cell_len(text) for text, _ in texts)
        self.spans += [each for each in texts if each[0]]
        for each in prefixes:
            each.first = each.other

    def empty_line(self) -> None:
        """Add a line with the prefixes only, without spaces at its end."""
        self.spans.append(("\n", ""))
        texts = "".join(each.other[0] for each in (self.base, *self.prefixes)).rstrip()
        self.spans += [(texts, self._styled("dim"))] if texts else []

    def line(self, spans: Sequence[Span]) -> None:
        """Add a line that is not wrapped."""
        self.start_line()
        self.spans += [(text, self._styled(style)) for text, style in spans if text]

    def paragraph(self, spans: Sequence[Span]) -> None:
        """Add wrapped text. A newline in it begins a line."""
        self.start_line()
        start, space_style = self.column, None
        for word in _words(spans):
            text = plain_text(word)
            if text == "\n":
                self.start_line()
                start, space_style = self.column, None
            elif text.isspace():
                space_style = word[-1][1]
            else:
                space = int(space_style is not None and self.column > start)
                width = cell_len(text)
                if self.column > start and self.column + space + width > self.width:
                    self.start_line()
                    start, space = self.column, 0
                if space:
                    self.spans.append((" ", self._styled(space_style or "")))
                self.spans += [(part, self._styled(style)) for part, style in word]
                self.column += space + width
                space_style = None

    def _styled(self, style: str) -> str:
        return f"{self.style} {style}".strip()


def _words(spans: Sequence[Span]) -> list[list[Span]]:
    """Split spans into words, whitespace and newlines. A word may have several styles."""
    text = plain_text(spans)
    cuts = sorted({0, len(text), *(match.start() for match in WORD_END.finditer(text)), *_ends_of_whitespace(text)})
    styles = [style for part, style in spans for _ in part]
    words = []
    for start, end in pairwise(cuts):
        word: list[Span] = []
        for character, style in zip(text[start:end], styles[start:end], strict=True):
            if word and word[-1][1] == style:
                word[-1] = (word[-1][0] + character, style)
            else:
                word.append((character, style))
        words.append(word)
    return words


def _ends_of_whitespace(text: str) -> Iterable[int]:
    return (index + 1 for index, character in enumerate(text) if character.isspace())


# --- blocks ------------------------------------------------------------------------------------------------------


def _render_tokens(writer: _Writer, tokens: Sequence[Token]) -> None:
    numbers: list[int | None] = []  # of the lists that are open; None for one with bullets
    heading = ""
    is_first = True
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        match token.type:
            case "bullet_list_open":
                numbers.append(None)
            case "ordered_list_open":
                numbers.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                numbers.pop()
            case "list_item_open":
                marker = _BULLET if numbers[-1] is None else f"{numbers[-1]}. "
                if numbers[-1] is not None:
                    numbers[-1] += 1
                writer.prefixes.append(_Prefix((marker, writer._styled("")), (" " * len(marker), "")))
                is_first = True
            case "blockquote_open":
                writer.prefixes.append(_Prefix((_QUOTE, "dim"), (_QUOTE, "dim")))
                is_first = is_first or not writer.spans
            case "list_item_close":
                item = writer.prefixes[-1]
                if item.first != item.other:  # an empty item
                    writer.start_line()
                    writer.spans[-1] = (writer.spans[-1][0].rstrip(), writer.spans[-1][1])
                writer.prefixes.pop()
                is_first = True
            case "blockquote_close":
                writer.prefixes.pop()
            case "heading_open":
                heading = _HEADING_STYLES.get(token.tag, "bold")
            case "heading_close":
                heading = ""
            case "paragraph_open":
                if not is_first and not token.hidden:
                    writer.empty_line()
                is_first = False
            case "inline":
                writer.paragraph(_inline_spans(token.children or [], heading))
            case "hr":
                writer.line([(_RULE * min(writer.width, _MAX_RULE_WIDTH), "dim")])
            case "code_block" | "fence":
                for line in token.content.removesuffix("\n").split("\n"):
                    writer.line([(line, _CODE_STYLE)])
                is_first = False
            case "table_open":
                end = next(index for index in range(position, len(tokens)) if tokens[index].type == "table_close")
                _render_table(writer, tokens[position:end])
                position = end + 1
                is_first = False


def _inline_spans(tokens: Sequence[Token], style: str) -> list[Span]:
    spans: list[Span] = []
    styles = [style]
    link: tuple[str, int] | None = None
    for token in tokens:
        current = " ".join(filter(None, styles))
        match token.type:
            case "softbreak" | "hardbreak":
                spans.append(("\n", current))
            case "code_inline":
                spans.append((token.content, f"{current} {_CODE_STYLE}".strip()))
            case "strong_open":
                styles.append("bold")
            case "em_open":
                styles.append("italic")
            case "s_open":
                styles.append("strike")
            case "link_open":
                styles.append(_LINK_STYLE)
                link = (str(token.attrs["href"]), len(spans))
            case "link_close":
                styles.pop()
                if link is not None and _shows_address(plain_text(spans[link[1] :]), link[0]):
                    spans.append((f" ({link[0]})", "dim"))
                link = None
            case "strong_close" | "em_close" | "s_close":
                styles.pop()
            case "image":
                spans.append((f"[{token.content}] ({token.attrs['src']})", current))
            case _:  # text
                spans.append((token.content, current))
    return [(text, each) for text, each in spans if text]


def _shows_address(text: str, address: str) -> bool:
    """Return whether the address of a link must be shown, because its text is another one."""
    return text not in (address, address.removeprefix("mailto:"), address.partition("://")[2])


# --- tables ------------------------------------------------------------------------------------------------------


def _render_table(writer: _Writer, tokens: Sequence[Token]) -> None:
    rows: list[list[list[Span]]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(_inline_spans(token.children or [], "" if len(rows) > 1 else "bold"))
    available = writer.width - sum(cell_len(each.other[0]) for each in (writer.base, *writer.prefixes))
    natural = [max(cell_len(plain_text(cell)) for cell in column) for column in zip(*rows, strict=True)]
    widths = _column_widths(natural, available)
    if widths is None:
        _render_rows(writer, rows)
        return
    for number, row in enumerate(rows):
        cells = [_wrap_cell(cell, width) for cell, width in zip(row, widths, strict=True)]
        for line in range(max(map(len, cells))):
            spans: list[Span] = []
            for cell, width in zip(cells, widths, strict=True):
                content = cell[line] if line < len(cell) else []
                spans += [*content, (" " * (width - cell_len(plain_text(content)) + _COLUMN_GAP), "")]
            writer.line(_without_trailing_space(spans))
        if number == 0:
            writer.line([((" " * _COLUMN_GAP).join(_RULE * width for width in widths), "dim")])


def _column_widths(natural: Sequence[int], available: int) -> list[int] | None:
    """Return the widths of the columns, the widest made narrower until they fit, or None if they cannot."""
    widths = [max(width, 1) for width in natural]
    available -= _COLUMN_GAP * (len(widths) - 1)
    while sum(widths) > available:
        widest = max(range(len(widths)), key=widths.__getitem__)
        if widths[widest] <= _MIN_CELL_WIDTH:
            return None
        widths[widest] -= 1
    return widths


def _wrap_cell(cell: Sequence[Span], width: int) -> list[list[Span]]:
    """Return the lines of a cell. Unlike elsewhere, a long word is broken, because it would shift the other columns."""
    writer = _Writer(width, _Prefix(("", ""), ("", "")), "")
    writer.paragraph([(text.replace("\n", " "), style) for text, style in cell])
    lines: list[list[Span]] = [[]]
    used = 0
    for text, style in writer.spans:
        for character in text:
            size = cell_len(character)
            if character == "\n" or used + size > width:
                lines.append([])
                used = 0
            if character != "\n":
                lines[-1].append((character, style))
                used += size
    return lines


def _without_trailing_space(spans: list[Span]) -> list[Span]:
    while spans and not spans[-1][0].strip():
        spans.pop()
    return spans


def _render_rows(writer: _Writer, rows: Sequence[Sequence[Sequence[Span]]]) -> None:
    """Render a table that is too wide as a list: a line for each cell, and an empty line between rows."""
    headings, *others = rows
    for number, row in enumerate(others or [[]]):
        if number:
            writer.empty_line()
        for heading, cell in zip(headings, row, strict=False):
            writer.paragraph([*heading, (": ", "bold"), *cell])
