"""Blocks of Markdown as wrapped, styled text."""

from __future__ import annotations

import pytest

from codex_backend_sdk.cli.terminal.markdown_spans import plain_text, render


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("one two three four", "one two\nthree four"),
        ("1234567890", "1234567890"),
        ("12345678901234 b", "12345678901234\nb"),
        ("a  b\nc", "a b\nc"),
        ("- one two three", "• one two\n  three"),
        ("9. one two\n10. x", "9. one two\n10. x"),
        ("- a\n  - b c d e f", "• a\n  • b c d\n    e f"),
        ("- a\n\n  b", "• a\n\n  b"),
        ("> one two three", "│ one two\n│ three"),
        ("> a\n>\n> b", "│ a\n│\n│ b"),
        ("> - a\n>   b", "│ • a\n│   b"),
        ("-", "•"),
        ("# One two three", "One two\nthree"),
        ("---", "──────────"),
        ("    code  that is long", "code  that is long"),
        ("> ```\n> code\n> ```", "│ code"),
        ("- a\n\n      code", "• a\n  code"),
        ("中文字符测试", "中文字符测\n试"),
        ("一二三四五。六", "一二三四\n五。六"),
        ("一二三四「五」", "一二三四\n「五」"),
        ("a🎉 👩‍💻 b", "a🎉 👩‍💻 b"),
        ("![alt](i.png)", "[alt]\n(i.png)"),
        ("<mailto:a@b.c>", "mailto:a@b.c"),
        ("a&amp;b &lt;", "a&b <"),
        ("<b>x</b>", "<b>x</b>"),
        ("~~a~~ *b* `c`", "a b c"),
        ("", ""),
    ],
)
def test_text_is_wrapped_between_words(source: str, text: str) -> None:
    assert plain_text(render(source, 10)) == text


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (80, "Name  Text\n────  ────────────\na     long text ab\nbb"),
        (16, "Name  Text\n────  ──────────\na     long text\n      ab\nbb"),
        (14, "Name  Text\n────  ────────\na     long\n      text ab\nbb"),
        (12, "Name: a\nText: long\ntext ab\n\nName: bb\nText:"),
    ],
)
def test_table_fits_the_width_or_becomes_a_list(width: int, text: str) -> None:
    source = "| Name | Text |\n|---|---|\n| a | long text ab |\n| bb | |"
    assert plain_text(render(source, width)) == text


def test_a_long_word_in_a_table_is_broken() -> None:
    text = plain_text(render("| A |\n|---|\n| abcdefghijklmnop |", 12))
    assert text == "A\n────────────\nabcdefghijkl\nmnop"


def test_indent_precedes_each_line() -> None:
    assert plain_text(render("one two three", 10, indent=3)) == "   one two\n   three"
