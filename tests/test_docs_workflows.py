"""Test the CI workflows: pinned actions, and the versions that pyproject.toml supports."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest
from pages import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CI = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_version(workflow: Path) -> None:
    actions = re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    assert actions
    assert [action for action in actions if not re.fullmatch(r"[\w/.-]+@v\d+\.\d+\.\d+", action)] == []


def test_oldest_openai_is_the_lower_bound() -> None:
    (requirement,) = (line for line in PROJECT["dependencies"] if line.startswith("openai"))
    (oldest,) = re.findall(r'OLDEST_OPENAI: "([\d.]+)"', CI)
    assert requirement.startswith(f"openai>={oldest.removesuffix('.0')},")


def test_python_versions_include_all_classifiers() -> None:
    classified = set(re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"])))
    tested = set(re.findall(r'"(3\.\d+)"', re.findall(r"python: \[(.+)\]", CI)[0]))
    assert PROJECT["requires-python"] == ">=" + min(tested, key=lambda version: int(version[2:]))
    assert classified <= tested


def test_ci_runs_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"run: make ([\w-]+)", CI))
    assert {"test", "lowest"} <= targets
    assert targets <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
