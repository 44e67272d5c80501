"""Test the examples and the argument table of docs/authentication.md."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

from pages import ROOT, find_blocks, run_program, simulator_in_environment

from codex_backend_sdk.auth import Credentials

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = ROOT / "docs" / "authentication.md"


def test_status_example_prints_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (block for block in find_blocks(PAGE) if "client.account()" in block.code)
    with simulator_in_environment(tmp_path, monkeypatch):
        run_program(block)
    assert capsys.readouterr().out == f"user@example.com pro {tmp_path / 'auth.json'}\n"
    assert (tmp_path / "auth.json").exists()


def test_arguments_of_authenticate_are_complete() -> None:
    documented = set(re.findall(r"^\| `(\w+)=", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    parameters = set(inspect.signature(Credentials.authenticate).parameters)
    assert documented == parameters - {"self", "ports"}
