"""Turn Markdown that arrives in parts into styled text to append to a terminal.

Words appear as soon as they are certain, and nothing that was returned is taken back. If later text changes what a
block means after all (a table whose first line looked like text), the line in which it differs is printed again.

This module has no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .code_highlight import CodeHighlighter
from .escape_filter import EscapeFilter
from .markdown_blocks import Block, CodeLine, MarkdownBlocks
from .markdown_spans import plain_text, render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .markdown_spans import Span

__all__ = ["MarkdownStream"]


class MarkdownStream:
    """Render one text that arrives in parts.

    Args:
        width: Returns the current width of the terminal. A block keeps the width that it began with.
        style: The style of the whole text, in rich's notation.
    """

    def __init__(self, width: Callable[[], int], *, style: str = "") -> None:
        self._current_width = width
        self._style = style
        self._filter = EscapeFilter()
        self._blocks = MarkdownBlocks()
        self._index: int | None = None
        self._width = 0
        self._written = ""  # of the block
        self._highlighter: CodeHighlighter | None = None

    def feed(self, text: str) -> list[Span]:
        """Return what this part adds."""
        return self._render(self._blocks.feed(self._filter.feed(text)))

    def finish(self) -> list[Span]:
        """Return the rest, which ends with a newline if there is any text."""
        rest = self._filter.finish()
        return self._render([*(self._blocks.feed(rest) if rest else ()), *self._blocks.finish()])

    def _render(self, blocks: Iterable[Block | CodeLine]) -> list[Span]:
        return [span for block in blocks for span in self._render_one(block)]

    def _render_one(self, block: Block | CodeLine) -> list[Span]:
        if isinstance(block, CodeLine):
            spans = self._begin(block.index, has_gap=True)
            if spans is not None:
                self._highlighter = CodeHighlighter(block.language)
            assert self._highlighter is not None
            line = self._highlighter.line(block.text)
            return [*(spans or []), *((text, f"{self._style} {style}".strip()) for text, style in line), ("\n", "")]
        width = self._width if block.index == self._index else self._current_width()
        rendered = render(block.source, width, indent=block.indent, style=self._style)
        if not rendered:
            return []
        spans = self._begin(block.index, has_gap=block.has_gap) or []
        self._width = width
        spans += self._rest(rendered)
        return [*spans, ("\n", "")] if block.is_finished else spans

    def _begin(self, index: int, *, has_gap: bool) -> list[Span] | None:
        """Begin a block, unless it was begun before: return the empty line before it, if any, or else None."""
        if index == self._index:
            return None
        is_first, self._index, self._written = self._index is None, index, ""
        return [("\n", "")] if has_gap and not is_first else []

    def _rest(self, rendered: list[Span]) -> list[Span]:
        """Return what follows the text of the block that was returned before."""
        text = plain_text(rendered)
        written, self._written = self._written, text
        if written.startswith(text):
            self._written = written
            return []
        if text.startswith(written):
            return _after(rendered, len(written))
        common = next(index for index, pair in enumerate(zip(text, written, strict=False)) if pair[0] != pair[1])
        return [("\n", ""), *_after(rendered, text.rfind("\n", 0, common) + 1)]


def _after(spans: Iterable[Span], length: int) -> list[Span]:
    """Return the spans without their first `length` characters."""
    rest: list[Span] = []
    for text, style in spans:
        if length < len(text):
            rest.append((text[length:], style))
        length = max(0, length - len(text))
    return rest
