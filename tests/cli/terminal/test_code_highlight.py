"""Code that is highlighted line by line."""

from __future__ import annotations

import pytest

from codex_backend_sdk.cli.terminal.code_highlight import CodeHighlighter


@pytest.mark.parametrize("language", ["python", "rust", "html", "bash", "json", "no such language", "", "text"])
def test_text_stays_unchanged(language: str) -> None:
    code = ["def f():", '    """a', "", '    b"""', "\treturn 1  ", "", "  ", "é 中文 🎉", "<p class='x'>"]
    highlighter = CodeHighlighter(language)
    assert ["".join(text for text, _ in highlighter.line(line)) for line in code] == code


def test_a_string_of_several_lines_stays_a_string() -> None:
    highlighter = CodeHighlighter("python")
    highlighter.line('x = """a')
    assert highlighter.line("return") == [("return", "green")]
    assert highlighter.line('"""') == [('"""', "green")]
    assert highlighter.line("return") == [("return", "magenta")]


def test_a_long_block_forgets_lines_outside_of_strings_only() -> None:
    highlighter = CodeHighlighter("python")
    for _ in range(100):
        highlighter.line("x = 1")
    assert highlighter._before.count("\n") <= 40
    highlighter.line('"""')
    for _ in range(100):
        highlighter.line("text")
    assert highlighter.line("return") == [("return", "green")]


def test_a_block_that_is_too_long_has_no_colors() -> None:
    highlighter = CodeHighlighter("python")
    highlighter.line('"' + "x" * 30_000 + '"')
    assert highlighter.line("return") == [("return", "")]


def test_a_lexer_that_changes_the_text_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lexer:
        def get_tokens(self, text: str) -> list[tuple[None, str]]:
            return [(None, text.upper())]

    highlighter = CodeHighlighter("python")
    highlighter._lexer = Lexer()
    assert highlighter.line("return") == [("return", "")]
