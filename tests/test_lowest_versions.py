"""Test that the package works with the lowest versions that pyproject.toml declares. `make lowest` tests more."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from pages import ROOT

SCRIPT = ROOT / "scripts" / "lowest_versions.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = [*PROJECT["dependencies"], *(line for lines in PROJECT["optional-dependencies"].values() for line in lines)]
DIRECT = [requirement for line in LINES if (requirement := Requirement(line)).name != PROJECT["name"]]

UV_IS_MISSING = 2
INDEX_IS_UNREACHABLE = 75


@pytest.mark.timeout(600)
@pytest.mark.parametrize("extra", ["base", "all"])
def test_lowest_versions_work(extra: str) -> None:
    command = [sys.executable, str(SCRIPT), "--extra", extra]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode in (UV_IS_MISSING, INDEX_IS_UNREACHABLE):
        pytest.skip(done.stderr.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(rf"{extra} +works\n", done.stdout)


# Lower versions can be installed, but have a defect that matters here.
KNOWN_DEFECTS = [
    ("pydantic", "2.5.3"),  # finds no types of a dataclass of another module, so it has no schema for a tool
    ("filelock", "3.20.0"),  # truncates the file that a symlink at the lock file names (CVE-2025-68146)
    ("redis", "5.3.1"),  # does not check the host name of a rediss:// server
]


@pytest.mark.parametrize(("name", "version"), KNOWN_DEFECTS)
def test_version_with_a_defect_is_excluded(name: str, version: str) -> None:
    (requirement,) = (requirement for requirement in DIRECT if requirement.name == name)
    assert version not in requirement.specifier


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_dependency_declares_a_minimum(requirement: Requirement) -> None:
    minimums = [Version(part.version) for part in requirement.specifier if part.operator == ">="]
    # pydantic requires one exact version of pydantic-core.
    assert len(minimums) == (0 if requirement.name == "pydantic-core" else 1)
