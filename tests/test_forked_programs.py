"""Test that a program of the tests runs as in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from support import forked_programs
from support.forked_programs import run_python_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_program_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_interrupted: bool) -> None:
    """The program ends with its test, even if the time limit of the test interrupts it, and the next program runs."""
    program = tmp_path / "program.py"
    program.write_text("import time; time.sleep(600)")
    with monkeypatch.context() as context:
        if is_interrupted and sys.platform == "linux":
            context.setattr(forked_programs.select, "select", Mock(side_effect=InterruptedError))
        with pytest.raises((subprocess.TimeoutExpired, InterruptedError)):
            run_python_file(program, cwd=tmp_path, env={}, timeout=0.2)
    program.write_text("print('fine')")
    assert run_python_file(program, cwd=tmp_path, env={}, timeout=60).stdout == "fine\n"
