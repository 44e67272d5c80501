"""docs/testing.md: its examples run, and its table has every fault."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.testing.faults.fault_catalogue import FAULTS

pytest_plugins = ["pytester"]

TEXT = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.+?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_has_every_fault() -> None:
    listed = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", TEXT, re.MULTILINE))
    assert listed == {fault.usage: fault.says for fault in FAULTS.values()}


def test_the_tests_in_it_pass(pytester: pytest.Pytester) -> None:
    tests = [block for block in blocks("python") if "def test_" in block]
    pytester.makepyfile(**{f"test_{number}": block for number, block in enumerate(tests)})
    result = pytester.runpytest_subprocess("-q", "-W", "error", "--strict-markers", "-p", "no:asyncio")
    result.assert_outcomes(passed="".join(tests).count("def test_"))
    assert len(tests) == 5


def test_the_other_examples_run() -> None:
    others = [block for block in blocks("python") if "def test_" not in block]
    for block in others:
        exec(compile(block, "docs/testing.md", "exec"), {})
    assert len(others) == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_example_in_javascript_runs(tmp_path: Path) -> None:
    (example,) = blocks("js")
    (tmp_path / "example.mjs").write_text(example, encoding="utf-8")
    with Simulator() as sim:
        home = sim.write_codex_home(tmp_path / "home")
        variables = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}
        command = ["node", str(tmp_path / "example.mjs")]
        ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=True)
    assert ran.stdout == "429 usage_limit_reached\n"
