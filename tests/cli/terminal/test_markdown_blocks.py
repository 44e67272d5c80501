"""The blocks of a Markdown text that arrives in parts."""

from __future__ import annotations

import pytest

from codex_backend_sdk.cli.terminal.markdown_blocks import (
    Block,
    CodeLine,
    MarkdownBlocks,
    code_blocks,
    stable_length,
)


def finished(source: str) -> list[str]:
    """The finished blocks of a text: their sources, and the lines of code with their language."""
    splitter = MarkdownBlocks()
    blocks = [*splitter.feed(source), *splitter.finish()]
    return [
        f"{each.language}: {each.text}" if isinstance(each, CodeLine) else each.source
        for each in blocks
        if isinstance(each, CodeLine) or each.is_finished
    ]


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ("One\ntwo\n\nThree", ["One\ntwo", "Three"]),
        ("- a\n- b\n  c\n\nText", ["- a", "- b\n  c", "Text"]),
        ("# Title\nText", ["# Title", "Text"]),
        ("Text\n# Title", ["Text", "# Title"]),
        ("```py x\na\n```\nText", ["py: a", "Text"]),
        ("```\n\na\n", [": ", ": a"]),
        ("> a\n> b\n\n> c", ["> a\n> b", "> c"]),
        ("| a |\n|---|\n| 1 |\n| 2 |\n\nText", ["| a |\n|---|\n| 1 |\n| 2 |", "Text"]),
        ("1. a\n   ```\n   x\n   ```\n   b\n2. c", ["1. a", ": x", "b", "2. c"]),
        ("", []),
        ("\n\n", []),
    ],
)
def test_blocks_end_where_the_next_begins(source: str, blocks: list[str]) -> None:
    assert finished(source) == blocks


def test_a_block_is_repeated_until_it_is_finished() -> None:
    splitter = MarkdownBlocks()
    assert splitter.feed("One two") == [Block(0, "One", 0, has_gap=False, is_finished=False)]
    assert splitter.feed(" three") == [Block(0, "One two", 0, has_gap=False, is_finished=False)]
    assert splitter.feed("\n\n") == [Block(0, "One two three", 0, has_gap=False, is_finished=True)]
    assert splitter.feed("Four") == [Block(1, "", 0, has_gap=True, is_finished=False)]
    assert splitter.finish() == [Block(1, "Four", 0, has_gap=True, is_finished=True)]


@pytest.mark.parametrize(
    ("source", "gaps"),
    [
        ("a\n\nb", [False, True]),
        ("a\n- b\n- c", [False, False, False]),
        ("a\n\n- b\n\n- c", [False, True, True]),
        ("# a\n- b", [False, True]),
        ("- a\n\nb", [False, True]),
        ("- a\n# b", [False, True]),
    ],
)
def test_items_have_a_gap_only_after_an_empty_line(source: str, gaps: list[bool]) -> None:
    splitter = MarkdownBlocks()
    blocks = [*splitter.feed(source), *splitter.finish()]
    assert [each.has_gap for each in blocks if isinstance(each, Block) and each.is_finished] == gaps


@pytest.mark.parametrize(
    ("source", "stable"),
    [
        ("one two", "one"),
        ("one ", "one"),
        ("one", ""),
        ("one **two three", "one"),
        ("one **two** three", "one **two**"),
        ("one **two** ", "one **two**"),
        ("one **two**", "one"),
        ("a ***b** c* d", "a ***b** c*"),
        ("a **b *c** d", "a"),  # one star is left
        ("a * b c", "a * b"),
        ("a_b_c d", "a_b_c"),
        ("a _b c", "a"),
        ("a _b_ c", "a _b_"),
        ("a ~~b~~ c", "a ~~b~~"),
        ("a `b c", "a"),
        ("a `b c` d", "a `b c`"),
        ("a ``b ` c`` d", "a ``b ` c``"),
        ("a `b c`", "a"),
        ("a [b c", "a"),
        ("a [b c] d", "a [b c]"),
        ("a [b c]", "a"),
        ("a [b c](http://x y", "a"),
        ("a [b c](http://x) y", "a [b c](http://x)"),
        ("a \\", "a"),
        ("a \\* b c", "a \\* b"),
        ("**a\n\n*b* c d", "**a\n\n*b* c"),
        ("- *a\n- b c", "- *a\n- b"),
        ("- a\n  - b", "- a"),
        ("a\nb c", "a\nb"),
        ("**" + "x" * 300 + " y", "**" + "x" * 300),
        ("", ""),
    ],
)
def test_stable_text_ends_outside_of_open_delimiters(source: str, stable: str) -> None:
    assert source[: stable_length(source)] == stable


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ("```py\na\n\nb\n```\ntext\n```\nc\n```", ["a\n\nb", "c"]),
        ("- x\n  ```\n  a\n    b\n  ```", ["a\n  b"]),
        ("`inline`", []),
        ("```\nopen", ["open"]),
    ],
)
def test_code_blocks_are_returned_without_fences(source: str, blocks: list[str]) -> None:
    assert code_blocks(source) == blocks
