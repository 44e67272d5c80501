"""Markdown that arrives in parts: the same text as at once, and only appended."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import pytest
from cli.terminal.markdown_samples import SAMPLES
from rich.cells import cell_len

from codex_backend_sdk.cli.terminal.markdown_spans import Span, plain_text
from codex_backend_sdk.cli.terminal.markdown_stream import MarkdownStream

WIDTHS = (20, 40, 80, 120)


def stream(parts: list[str], width: int = 80, style: str = "") -> list[Span]:
    markdown = MarkdownStream(lambda: width, style=style)
    spans = [span for part in parts for span in markdown.feed(part)]
    return [*spans, *markdown.finish()]


def split(text: str, seed: int) -> list[str]:
    chance = random.Random(seed)
    cuts = sorted({0, len(text), *(chance.randrange(len(text) + 1) for _ in range(len(text) // 3))})
    return [text[start:end] for start, end in pairwise(cuts)]


@pytest.mark.parametrize("name", SAMPLES)
def test_text_does_not_depend_on_the_parts(name: str) -> None:
    source, width = SAMPLES[name], 30
    whole = plain_text(stream([source], width))
    for parts in (list(source), *(split(source, seed) for seed in range(3))):
        assert plain_text(stream(parts, width)) == whole


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SAMPLES)
def test_lines_fit_and_have_no_spaces_at_their_ends(name: str, width: int) -> None:
    lines = plain_text(stream([SAMPLES[name]], width)).split("\n")
    for line in lines:
        assert line == line.rstrip()
        is_one_word = len(line.strip(" •│").split()) <= 2
        assert cell_len(line) <= width or is_one_word or "code" in name


@pytest.mark.parametrize("name", SAMPLES)
def test_no_word_is_lost(name: str) -> None:
    source = re.sub(r"[`~]{3,}\w*|\|[-:|]+|---|\]\(|\[\^?", " ", SAMPLES[name])
    words = set(re.findall(r"[A-Za-z]{3,}", source)) - {"amp"}
    assert words <= set(re.findall(r"[A-Za-z]{3,}", plain_text(stream([SAMPLES[name]], 120))))


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        (["Hello wor"], "Hello"),
        (["Hello world "], "Hello world"),
        (["Hello **bo", "ld words"], "Hello"),
        (["Hello **bold** words "], "Hello bold words"),
        (["Hello `a b", " c"], "Hello"),
        (["See [the link](https://exa"], "See"),
        (["- item on", "e and"], "• item one"),
        (["- "], ""),
        (["1"], ""),
        (["1. one two"], "1. one"),
        (["# Title wor"], "Title"),
        (["```py\nx = 1\ny"], "x = 1\n"),
        (["``"], ""),
        (["| a | b |\n|---|---|\n| 1 | 2 |\n"], ""),
        (["| a | b |\n|---|---|\n| 1 | 2 |\n\n"], "a  b\n─  ─\n1  2\n"),
        (["一二三四"], "一二三"),
        (["一二。"], "一"),
        (["word\x1b", "[31m next "], "word next"),
        ([f"**{'x ' * 150}"], f"**{'x ' * 150}".strip()),
    ],
)
def test_words_appear_as_soon_as_they_are_certain(parts: list[str], shown: str) -> None:
    markdown = MarkdownStream(lambda: 1_000)
    assert plain_text([span for part in parts for span in markdown.feed(part)]) == shown


def test_a_changed_meaning_prints_the_line_again() -> None:
    parts = ["a | b | some words ", "more\n", "--|--|--\n", "1 | 2 | 3\n"]
    assert plain_text(stream(parts)) == (
        "a | b | some words more\na  b  some words more\n─  ─  ───────────────\n1  2  3\n"
    )


def test_a_block_keeps_its_width_and_the_next_has_the_new_one() -> None:
    width = 40
    markdown = MarkdownStream(lambda: width)
    words = "word " * 20
    spans = markdown.feed(words)
    width = 20
    spans += [*markdown.feed(words), *markdown.feed("\n\n" + words), *markdown.finish()]
    first, second = plain_text(spans).rstrip("\n").split("\n\n")
    assert {max(map(len, first.split("\n"))), max(map(len, second.split("\n")))} == {39, 19}


def test_long_code_is_streamed_line_by_line() -> None:
    lines = [f"value_{number} = {number}  # the number" for number in range(500)]
    markdown = MarkdownStream(lambda: 20)
    assert plain_text(markdown.feed("```python\n")) == ""
    for line in lines:
        assert plain_text(markdown.feed(line)) == ""
        assert plain_text(markdown.feed("\n")) == f"{line}\n"
    assert plain_text([*markdown.feed("```\n"), *markdown.finish()]) == ""


@pytest.mark.parametrize(
    ("source", "span"),
    [
        ("**bold**", ("bold", "bold")),
        ("*italic*", ("italic", "italic")),
        ("`code`", ("code", "cyan")),
        ("# Title", ("Title", "bold underline")),
        ("#### Title", ("Title", "bold")),
        ("[text](https://a.example)", ("(https://a.example)", "dim")),
        ("[https://a.example](https://a.example)", ("https://a.example", "underline")),
        ("```py\nreturn\n```", ("return", "magenta")),
    ],
)
def test_styles_follow_the_markdown(source: str, span: Span) -> None:
    assert span in stream([source])


def test_style_of_the_whole_text_is_added_to_all() -> None:
    spans = stream(["**a** b\n\n```py\nreturn x\n```\n- c\n"], style="dim")
    assert all(style.startswith("dim") for text, style in spans if text.strip())
