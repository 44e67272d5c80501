"""Test that the table of parameters in the documentation is that of the code."""

from __future__ import annotations

from pathlib import Path

from codex_backend_sdk._chat.parameters import _RESPONSES_PARAMETERS, ALIASES, PARAMETERS

PAGE = Path(__file__).parents[2] / "docs" / "chat-completions.md"


def table() -> str:
    rows = [f"| `{name}` | {row.treatment.value} | {row.note} |" for name, row in PARAMETERS.items()]
    return "\n".join(["| parameter | treatment | note |", "|---|---|---|", *rows]).replace(" |  |", " | |")


def test_table_of_parameters_is_current() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"Replace the table by:\n{table()}"


def test_other_members_are_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in (*ALIASES, *_RESPONSES_PARAMETERS) if f"`{name}`" not in text] == []
