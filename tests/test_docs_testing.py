"""Test the fault table and the JavaScript example of docs/testing.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from pages import ROOT, find_blocks

from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.testing.faults.fault_catalog import FAULTS

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "testing.md"


def test_fault_table_lists_every_fault() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [(fault.syntax, fault.description) for fault in FAULTS.values()]
    assert rows == expected, "Update the table with `python scripts/write_fault_table.py`."


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript_example_is_rejected_with_429(tmp_path: Path) -> None:
    (block,) = find_blocks(PAGE, "js")
    (tmp_path / "example.mjs").write_text(block.code, encoding="utf-8")
    with Simulator() as sim:
        home = sim.write_codex_home(tmp_path / "home")
        environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}
        command = ["node", str(tmp_path / "example.mjs")]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout == "429 usage_limit_reached\n"
