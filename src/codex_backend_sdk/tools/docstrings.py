"""Split a docstring into the descriptions of its parameters and all other text. Pure.

Google (`Args:`), NumPy (a title with a line of dashes) and Sphinx (`:param name:`) are recognized by the lines
themselves, so a docstring may mix them. Only the sections about parameters are taken out. All other sections, such as
`Returns:` and `Note:`, remain in the text as they were written, because the model needs them to use the tool.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from textwrap import dedent
from typing import Final, NamedTuple

__all__ = ["ParsedDocstring", "parse_docstring"]

_TITLE: Final = r"(?:Other |Keyword )?(?:Args|Arguments|Params|Parameters)"
_GOOGLE_TITLE: Final = re.compile(rf"{_TITLE}:\s*")
_NUMPY_TITLE: Final = re.compile(rf"{_TITLE}\s*")
_DASHES: Final = re.compile(r"-{3,}\s*")
# `name`, `a, b` or `**name`; then a type in parentheses (Google) or after a colon (NumPy)
_NAMES: Final = r"(?P<names>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)"
_GOOGLE_ENTRY: Final = re.compile(rf"{_NAMES}\s*(?:\(.*?\))?\s*:(?:\s+(?P<text>.*)|\s*)")
_NUMPY_ENTRY: Final = re.compile(rf"{_NAMES}\s*(?::.*)?")
# The name is the last word: a type may precede it.
_SPHINX_FIELD: Final = re.compile(
    r":(?:param|parameter|arg|argument|key|keyword|kwarg|kwparam)\s+(?:[^:]*\s)?\\?(?P<names>\*{0,2}\w+):\s*(?P<text>.*)"
)
_SPHINX_TYPE: Final = re.compile(r":(?:type|kwtype)\s+[^:]*:.*")


class ParsedDocstring(NamedTuple):
    """The text of a docstring without the sections about parameters, and the description of each parameter."""

    text: str
    parameters: dict[str, str]


def parse_docstring(docstring: str) -> ParsedDocstring:
    """Return the parts of a docstring. A section without a recognizable entry remains in the text."""
    lines = cleandoc(docstring).splitlines()
    parameters: dict[str, str] = {}
    kept: list[str] = []
    position = 0
    while position < len(lines):
        end, found = _section_at(lines, position)
        if found is None:
            kept += lines[position:end]
        else:
            parameters |= found
        position = end
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in kept))
    return ParsedDocstring(text.strip(), parameters)


def _section_at(lines: list[str], start: int) -> tuple[int, dict[str, str] | None]:
    """Return the end of the section at this line, and its parameters. They are None if the lines remain in the text."""
    line = lines[start]
    following = lines[start + 1] if start + 1 < len(lines) else ""
    if _GOOGLE_TITLE.fullmatch(line):
        end = _end_of_indented(lines, start + 1)
        return end, _entries(dedent("\n".join(lines[start + 1 : end])).splitlines(), _GOOGLE_ENTRY) or None
    if _NUMPY_TITLE.fullmatch(line) and _DASHES.fullmatch(following):
        end = start + 2
        while end < len(lines) and not (end + 1 < len(lines) and lines[end] and _DASHES.fullmatch(lines[end + 1])):
            end += 1
        return end, _entries(lines[start + 2 : end], _NUMPY_ENTRY) or None
    if _SPHINX_FIELD.fullmatch(line) or _SPHINX_TYPE.fullmatch(line):
        end = _end_of_indented(lines, start + 1)
        return end, _entries(lines[start:end], _SPHINX_FIELD)
    return start + 1, None


def _end_of_indented(lines: list[str], position: int) -> int:
    while position < len(lines) and (not lines[position].strip() or lines[position][0].isspace()):
        position += 1
    return position


def _entries(lines: list[str], pattern: re.Pattern[str]) -> dict[str, str]:
    """Return the descriptions of the entries at the left margin. Other lines continue the entry before them."""
    texts: dict[str, list[str]] = {}
    names: tuple[str, ...] = ()
    for line in lines:
        match = pattern.fullmatch(line)
        if match:
            names = tuple(name.strip(" *") for name in match["names"].split(","))
            texts |= {name: [match.groupdict().get("text") or ""] for name in names}
        else:
            for name in names:
                texts[name].append(line.strip())
    return {name: "\n".join(parts).strip() for name, parts in texts.items()}
