"""Test the interpreter check of the Makefile, and the list of modules in the coverage configuration."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parent.parent / "Makefile"

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ((), "", 0),
        (("PYTHON=./same",), "", 0),
        (("PYTHON=./other",), "PYTHON=./other is CPython 3.13.0, but .venv was created with CPython 3.11.2.", 2),
        (
            ("PYTHON=./absent",),
            "PYTHON=./absent is not a working interpreter, but .venv was created with CPython 3.11.2.",
            2,
        ),
    ],
)
def test_other_interpreter_than_the_venv_is_rejected(
    tmp_path: Path, arguments: tuple[str, ...], message: str, code: int
) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, version in ((".venv/bin/python", "3.11.2"), ("same", "3.11.2"), ("other", "3.13.0")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho CPython {version}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    command = ["make", *arguments, "environment"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert (result.returncode, bool(result.stderr)) == (code, bool(message))
    assert message in result.stderr
    assert ("rm -rf .venv" in result.stderr) == bool(message)


def test_coverage_includes_all_pure_modules() -> None:
    tools = tomllib.loads((MAKEFILE.parent / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (contract,) = [row for row in tools["importlinter"]["contracts"] if row["name"].startswith("Pure modules")]
    pure_files = {"*/" + module.replace(".", "/") + ".py" for module in contract["source_modules"]}
    assert set(tools["coverage"]["report"]["include"]) == pure_files
