"""Check the programs in this folder with mypy --strict and pyright strict, as the type checkers of users do.

`user_program.py` must be free of errors, and `wrong_program.py` must have one on each marked line and on no other.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
USER_PROGRAM, WRONG_PROGRAM = FOLDER / "user_program.py", FOLDER / "wrong_program.py"
Errors = dict[str, dict[int, str]]  # file name → line → message


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        cwd=FOLDER,
        env=environment,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def mypy_errors(tmp_path_factory: pytest.TempPathFactory) -> Errors:
    config = tmp_path_factory.mktemp("mypy") / "mypy.ini"  # the project's own configuration must not apply
    config.write_text("[mypy]\nstrict = true\n")
    # The options are those of `make lint`, so the checker reuses its cache for openai and the package.
    cache = Path(__file__).parents[2] / ".mypy_cache"
    done = run("mypy", "--config-file", str(config), "--cache-dir", str(cache), USER_PROGRAM.name, WRONG_PROGRAM.name)
    assert done.returncode == 1, done.stdout + done.stderr
    errors: Errors = {}
    for file, line, message in re.findall(r"^(\w+\.py):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        errors.setdefault(file, {})[int(line)] = message
    return errors


@pytest.fixture(scope="module")
def pyright_errors() -> Errors:
    done = run("pyright", "--project", str(FOLDER), "--pythonpath", sys.executable, "--outputjson")
    report = json.loads(done.stdout)
    errors: Errors = {}
    for entry in report["generalDiagnostics"]:
        if entry["severity"] == "error":
            line = entry["range"]["start"]["line"] + 1
            errors.setdefault(Path(entry["file"]).name, {})[line] = entry["message"]
    return errors


@pytest.fixture(params=["mypy", "pyright"])
def errors(request: pytest.FixtureRequest) -> Errors:
    found: Errors = request.getfixturevalue(f"{request.param}_errors")
    return found


@pytest.mark.timeout(300)
def test_user_program_has_no_type_errors(errors: Errors) -> None:
    assert errors.get(USER_PROGRAM.name, {}) == {}


@pytest.mark.timeout(300)
def test_wrong_program_has_an_error_on_each_marked_line(errors: Errors) -> None:
    lines = WRONG_PROGRAM.read_text().splitlines()
    marked = [number for number, line in enumerate(lines, start=1) if line.endswith("# error")]
    assert sorted(errors[WRONG_PROGRAM.name]) == marked
