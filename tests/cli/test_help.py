"""Test `--help` at several widths, and the page with the help of all commands."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from codex_backend_sdk.cli.app import codex_backend
from codex_backend_sdk.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from cli.command_runs import Run

ROOT = Path(__file__).parents[2]
COMMANDS = codex_backend.list_commands(click.Context(codex_backend))


def command_reference() -> Any:
    spec = importlib.util.spec_from_file_location("command_reference", ROOT / "scripts" / "command_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_width(run: Run, monkeypatch: pytest.MonkeyPatch, columns: int, command: str) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    result = run(*command.split(), "--help")
    assert result.code == 0
    for line in result.out.splitlines():
        # Only a word, or an example that users copy, may exceed the line.
        assert len(line) <= columns or len(line.split()) == 1 or line.strip().startswith(("bash:", "zsh:", "fish:")), (
            line
        )


@pytest.mark.skipif(not version("click").startswith("8.5"), reason="other versions of click write other help")
def test_page_has_the_help_of_every_command() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert page == command_reference().reference(), "run: python scripts/command_reference.py"


def test_page_has_every_command_and_exit_code() -> None:
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"\n## {command}\n" in page
    rows = [f"| {int(code)} | {code.meaning} |" for code in ExitCode]
    assert "\n".join(rows) in page
    assert all(code.meaning.endswith(".") for code in ExitCode)
