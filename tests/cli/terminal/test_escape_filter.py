"""Escape sequences in text that arrives in parts."""

from __future__ import annotations

import pytest

from codex_backend_sdk._redaction import remove_control_characters
from codex_backend_sdk.cli.terminal.escape_filter import EscapeFilter

SEQUENCES = {
    "color": ("\x1b[1;31m", ""),
    "clipboard (OSC 52)": ("\x1b]52;c;aGVsbG8=\x07", ""),
    "link (OSC 8)": ("\x1b]8;;https://evil.example\x1b\\", ""),
    "title, C1": ("\x9d0;title\x9c", ""),
    "CSI, C1": ("\x9b2J", ""),
    "DCS": ("\x1bPq#0\x1b\\", ""),
    "APC": ("\x1b_secret\x1b\\", ""),
    "charset": ("\x1b(B", ""),
    "reset": ("\x1bc", ""),
    "carriage return": ("\r\n", "\n"),
    "bell": ("\x07", ""),
    "bidi": ("\u202e", ""),
    "tab": ("\t", "\t"),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequence_is_removed_wherever_it_is_split(name: str) -> None:
    sequence, expected = SEQUENCES[name]
    text = f"a{sequence}b"
    for cut in range(len(text) + 1):
        each = EscapeFilter()
        assert each.feed(text[:cut]) + each.feed(text[cut:]) + each.finish() == f"a{expected}b"


def test_characters_alone_give_the_same_text() -> None:
    text = "".join(f"[{name}{sequence}]" for name, (sequence, _) in SEQUENCES.items())
    each = EscapeFilter()
    assert "".join(map(each.feed, text)) + each.finish() == remove_control_characters(text)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["a\x1b"], "a"),
        (["a\x1b", "b"], "a"),  # ESC b is a sequence
        (["a\x1b["], "a"),
        (["a\x1b]52;c;abc"], "a52;c;abc"),  # as text, which is harmless
        (["\x1b]0;x", "\nnext"], "0;x\nnext"),
        (["\x1b]0;" + "x" * 10_000, "y"], "0;" + "x" * 10_000 + "y"),
        (["\x1b[31", "", "mred"], "red"),
        ([], ""),
    ],
)
def test_sequence_without_an_end_loses_its_start_only(parts: list[str], text: str) -> None:
    each = EscapeFilter()
    assert "".join(map(each.feed, parts)) + each.finish() == text
