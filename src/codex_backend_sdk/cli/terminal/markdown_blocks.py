"""Split Markdown that arrives in parts into blocks that never change again.

A terminal can only append: what has scrolled cannot be drawn again. So a block is either finished, or the beginning of
the last block up to which later text changes neither its structure nor its words (`stable_length`). A line of code is
finished with its newline. A list is a block for each of its items, so that a long list appears item by item.

Code inside of a list item ends its block. The text after it belongs to the same item and is a block with an `indent`.

markdown-it-py decides where blocks begin; fences are recognized here, because their lines must not wait for their end,
and leniently, because models indent them inconsistently. This module has no I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

__all__ = ["WORD_END", "Block", "CodeLine", "MarkdownBlocks", "code_blocks", "parse", "stable_length"]

# HTML is shown as text. A line of dashes under a text is a rule: models mean that, and not a heading. Definitions of
# references would vanish, and the texts that refer to them are in other blocks.
_PARSER: Final = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
_PARSER.disable(["lheading", "reference"])

_CJK: Final = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"
_OPENING: Final = r"\u3008\u300a\u300c\u300e\u3010\u3014\uff08\uff3b\uff5b"
# Where a line may be broken: before whitespace, and between CJK characters, but not before their closing punctuation
# or after their opening brackets.
WORD_END: Final = re.compile(
    rf"(?=\s)|(?<=[{_CJK}])(?<![{_OPENING}])(?=[\w{_OPENING}])|(?<=\w)(?=[{_CJK}])(?=[\w{_OPENING}])"
)

# A fence may follow list markers in its line.
_MARKERS: Final = r"\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)*"
_FENCE: Final = re.compile(rf"({_MARKERS})(`{{3,}}|~{{3,}})\s*([^`]*?)\s*")
# A line that may still become the marker of a list, a heading, a quote, a rule, a row of a table or a fence.
_MAYBE_MARKER: Final = re.compile(rf"{_MARKERS}(?:[>*+|#=~`:\s-]*|\d{{1,9}}[.)]?)")
_MAYBE_FENCE: Final = re.compile(rf"{_MARKERS}(?:```|~~~)")
# A line that begins another inline text: delimiters do not pair with those before it.
_STARTS_TEXT: Final = re.compile(r"[ \t]*(?:\n|\Z|(?:[-*+>]|#{1,6}|\d{1,9}[.)])(?=\s))")
_DELIMITERS: Final = re.compile(r"[\\`\[*_~\n]")
_RUN: Final = re.compile(r"(.)\1*")
_BACKTICKS: Final = re.compile("`+")
_MAX_OPEN: Final = 240  # characters after which a delimiter that was not closed is taken for text


@dataclass(frozen=True, slots=True)
class Block:
    """A block of Markdown, or the beginning of the last one.

    Attributes:
        index: The number of the block. The same index comes again until the block is finished.
        source: The Markdown from the start of the block.
        indent: The columns by which the block is indented, because it continues a list item.
        has_gap: Whether an empty line precedes the block.
        is_finished: Whether the source is complete.
    """

    index: int
    source: str
    indent: int
    has_gap: bool
    is_finished: bool


@dataclass(frozen=True, slots=True)
class CodeLine:
    """A line of fenced code, without its newline and the indentation of the fence.

    Lines of the same code have the same index; `language` is the first word after the fence.
    """

    index: int
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class _Fence:
    index: int
    marker: str
    indent: int
    language: str

    def is_closed_by(self, line: str) -> bool:
        text = line.strip()
        return len(text) >= len(self.marker) and not text.strip(self.marker[0])


class MarkdownBlocks:
    """Split one text that arrives in parts."""

    def __init__(self) -> None:
        self._lines: list[str] = []  # of the blocks that are not finished
        self._partial = ""  # the last line, without its newline
        self._fence: _Fence | None = None
        self._indent = 0
        self._index = 0
        self._last_kind = ""
        self._follows_blank = False

    def feed(self, text: str) -> list[Block | CodeLine]:
        """Return what this part adds: blocks that it finishes, lines of code, and the beginning of the last block."""
        *lines, self._partial = (self._partial + text).split("\n")
        added: list[Block | CodeLine] = []
        for line in lines:
            added += self._end_line(line)
        added += self._begin_block()
        return added

    def finish(self) -> list[Block | CodeLine]:
        """Return the rest. The text has ended."""
        partial, self._partial = self._partial, ""
        added = list(self._end_line(partial)) if partial else []
        added += self._flush()
        self._fence = None
        return added

    def _end_line(self, line: str) -> Iterator[Block | CodeLine]:
        if self._fence is not None:
            if self._fence.is_closed_by(line):
                self._fence = None
            else:
                yield CodeLine(self._fence.index, _dedent(line, self._fence.indent), self._fence.language)
            return
        if (match := _FENCE.fullmatch(line)) is not None:
            yield from self._open_fence(match)
            return
        yield from self._leave_item(line)
        self._lines.append(_dedent(line, self._indent))
        yield from self._split()
        if self._is_closed():
            yield from self._flush()

    def _open_fence(self, match: re.Match[str]) -> Iterator[Block | CodeLine]:
        prefix, marker, info = match.groups()
        if prefix.strip():
            self._lines.append(_dedent(prefix, self._indent))
        yield from self._flush()
        language = info.split()[0] if info.split() else ""
        self._fence = _Fence(self._next_index("code"), marker, len(prefix), language)
        self._indent = len(prefix)

    def _leave_item(self, line: str) -> Iterator[Block]:
        """End the block if this line is outside of the list item that it continues."""
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent < self._indent:
            yield from self._flush()
            self._indent = indent

    def _begin_block(self) -> Iterator[Block]:
        """Yield the beginning of the last block, if its structure is certain."""
        if self._fence is not None or (self._partial and not self._is_certain(self._partial)):
            return
        if self._partial:
            yield from self._leave_item(self._partial)
            self._lines.append(_dedent(self._partial, self._indent))
            yield from self._split()
        source = "\n".join(self._lines)
        if source and not source.lstrip().startswith("|") and not _is_table(source):
            kind = _kind(source)
            yield Block(
                self._index,
                source[: stable_length(source if self._partial else source + "\n")],
                self._indent,
                self._has_gap(kind),
                is_finished=False,
            )
        if self._partial:
            self._lines.pop()

    def _is_certain(self, line: str) -> bool:
        is_table = bool(self._lines) and self._lines[0].lstrip().startswith("|")
        return not is_table and not _MAYBE_MARKER.fullmatch(line) and not _MAYBE_FENCE.match(line)

    def _split(self) -> Iterator[Block]:
        """Yield the blocks before the last one, and keep the lines of the last one."""
        starts = _block_starts(self._lines)
        if len(starts) < 2:
            return
        bounds = [0, *starts[1:]]
        for start, end in pairwise(bounds):
            yield from self._block(self._lines[start:end])
        del self._lines[: bounds[-1]]

    def _is_closed(self) -> bool:
        """Return whether no further line can belong to the last block."""
        if not self._lines or self._lines[-1].strip():
            return bool(self._lines) and _kind("\n".join(self._lines)) in ("heading", "hr")
        return _kind("\n".join(self._lines)) not in ("item", "blockquote", "code_block")

    def _flush(self) -> Iterator[Block]:
        lines, self._lines = self._lines, []
        for start, end in _bounds(lines):
            yield from self._block(lines[start:end])

    def _block(self, lines: Sequence[str]) -> Iterator[Block]:
        source = "\n".join(lines)
        text = source.rstrip()
        if text:
            kind = _kind(text)
            has_gap = self._has_gap(kind)
            yield Block(self._next_index(kind), text.lstrip("\n"), self._indent, has_gap, is_finished=True)
        self._follows_blank = not text or not lines[-1].strip()

    def _has_gap(self, kind: str) -> bool:
        """Return whether an empty line precedes a block. Items may follow the line before them directly."""
        if not self._last_kind:
            return False
        follows_text = self._last_kind in ("item", "paragraph")
        return self._follows_blank or not (kind == "item" and follows_text)

    def _next_index(self, kind: str) -> int:
        self._last_kind, self._follows_blank = kind, False
        self._index += 1
        return self._index - 1


@lru_cache(maxsize=4)  # the beginning of a block is parsed for its structure, and then to be rendered
def parse(source: str) -> Sequence[Token]:
    """Return the tokens of a source, which must not be changed."""
    return _PARSER.parse(source)


def code_blocks(source: str) -> list[str]:
    """Return the fenced code in a Markdown text, also that in lists, without the last newline of each."""
    blocks: dict[int, list[str]] = {}
    splitter = MarkdownBlocks()
    for block in [*splitter.feed(source), *splitter.finish()]:
        if isinstance(block, CodeLine):
            blocks.setdefault(block.index, []).append(block.text)
    return ["\n".join(lines) for lines in blocks.values()]


def _bounds(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    starts = [0, *_block_starts(lines)[1:]]
    return zip(starts, [*starts[1:], len(lines)], strict=True)


def _block_starts(lines: Sequence[str]) -> list[int]:
    """Return the first line of each block. Each item of a list is a block."""
    starts = []
    for token in parse("\n".join(lines)):
        is_list = token.type in ("bullet_list_open", "ordered_list_open")
        is_block = token.level == 0 and token.nesting >= 0 and not is_list
        if token.map and (is_block or (token.type == "list_item_open" and token.level == 1)):
            starts.append(token.map[0])
    return starts


def _kind(source: str) -> str:
    """Return the type of the last block of a source."""
    kind = "paragraph"
    for token in parse(source):
        if token.level == 0 and token.nesting >= 0:
            kind = token.type.removesuffix("_open")
    return "item" if kind in ("bullet_list", "ordered_list") else kind


def _is_table(source: str) -> bool:
    return "|" in source and _kind(source) == "table"


def _dedent(line: str, columns: int) -> str:
    """Remove up to so many columns of whitespace."""
    return line[min(columns, len(line) - len(line.lstrip())) :]


def stable_length(source: str) -> int:
    """Return the length of the beginning that later text does not change.

    It ends after a whole word, outside of a delimiter (of emphasis, code, a link) that is not closed before it.
    """
    length = len(source)
    while True:
        opened = _first_open(source, length)
        length = max((match.start() for match in WORD_END.finditer(source, 0, opened + 1)), default=0)
        length = len(source[:length].rstrip())
        line_start = source.rfind("\n", 0, length) + 1
        if line_start and _MAYBE_MARKER.fullmatch(source, line_start, length):
            length = line_start - 1
        elif _first_open(source, length) == length:
            return length


def _first_open(source: str, end: int) -> int:
    """Return the position of the first delimiter that is not closed before `end`, or else `end`."""
    opened: list[tuple[int, str, int]] = []  # position, character, length of the run
    position = 0
    while position < end:
        is_line_start = position == 0 or source[position - 1] == "\n"
        if is_line_start and (start := _STARTS_TEXT.match(source, position)) is not None:
            opened.clear()
            position = max(start.end(), position + 1)
            continue
        match = _DELIMITERS.search(source, position, end)
        if match is None:
            break
        position = _after_delimiter(source, match.start(), end, opened)
    return min((start for start, *_ in opened if end - start <= _MAX_OPEN), default=end)


def _after_delimiter(source: str, start: int, end: int, opened: list[tuple[int, str, int]]) -> int:
    """Note in `opened` what the delimiter at `start` opens or closes, and return the position after it."""
    character = source[start]
    if character == "\n":
        return start + 1
    if character == "\\":
        if start + 1 == len(source):
            opened.append((start, character, 1))
        return start + 2
    if character == "[":
        return _after_link(source, start, end, opened)
    run = _RUN.match(source, start)
    assert run is not None
    if character != "`":
        _pair_emphasis(source, run, opened)
        return run.end()
    for other in _BACKTICKS.finditer(source, run.end()):
        if len(other[0]) == len(run[0]) and other.end() <= end:
            return other.end()
    opened.append((start, character, len(run[0])))
    return run.end()


def _after_link(source: str, start: int, end: int, opened: list[tuple[int, str, int]]) -> int:
    text_end = source.find("]", start, end)
    if text_end + 1 in (0, len(source)):  # without an end, or the address may follow
        opened.append((start, "[", 1))
        return start + 1
    if source[text_end + 1] != "(":
        return start + 1
    address_end = source.find(")", text_end, end)
    if address_end < 0:
        opened.append((start, "[", 1))
        return text_end + 2
    return address_end + 1


def _pair_emphasis(source: str, run: re.Match[str], opened: list[tuple[int, str, int]]) -> None:
    """Pair a run of `*`, `_` or `~`, by the rules of CommonMark for flanking that matter here."""
    character, length = run[1], len(run[0])
    before, after = source[run.start() - 1 : run.start()] or " ", source[run.end() : run.end() + 1]
    if not after:
        opened.append((run.start(), character, length))
        return
    is_word = character == "_"  # which does not work within words
    if not before.isspace() and not (is_word and after.isalnum()):
        while length and (index := _last_open(opened, character)) is not None:
            position, _, opened_length = opened[index]
            del opened[index:]
            if opened_length > length:
                opened.append((position, character, opened_length - length))
            length = max(0, length - opened_length)
    if length and not after.isspace() and not (is_word and before.isalnum()):
        opened.append((run.start(), character, length))


def _last_open(opened: Sequence[tuple[int, str, int]], character: str) -> int | None:
    return next((index for index in reversed(range(len(opened))) if opened[index][1] == character), None)
