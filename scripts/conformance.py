"""Run the official package's own tests on this client, on several interpreters and openai versions.

    python scripts/conformance.py [--python 3.12 ...] [--openai 3.15.0 newest ...] [--mode client ...]

The default is each Python from 3.11 on that can be found (this one, pyenv's, those on PATH), with the oldest and the
newest supported openai. Each combination gets a virtual environment in .cache/conformance. The script prints a table;
the exit code is 0 if no run deviates from tests/conformance/expected.toml.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fetch_upstream_tests import ROOT, default_destination, fetch

CACHE = ROOT / ".cache" / "conformance"
REQUIREMENTS = ROOT / "scripts" / "conformance-requirements.txt"
MODES = ("off", "client")
OLDEST_OPENAI = "3.15.0"
SUPPORTED_OPENAI = "openai>=3.15,<4"
MINORS = range(11, 20)
INSTALL_TIMEOUT_SECONDS = 900
RUN_TIMEOUT_SECONDS = 1260
TEST = "test_official_tests_deviate_only_as_listed"
ROW = "{:<8}{:<10}{:<9}{:>8}{:>8}{:>9}  {}"


@dataclass(frozen=True, slots=True)
class Combination:
    """One interpreter with one openai version."""

    minor: int
    interpreter: Path
    openai: str

    @property
    def environment(self) -> Path:
        """The folder of its virtual environment."""
        return CACHE / f"python3.{self.minor}-openai-{self.openai}"

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment."""
        return self.environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def report(self, mode: str) -> Path:
        """Return the file to which tests/conformance writes the outcomes of a mode."""
        return CACHE / "reports" / f"python3.{self.minor}" / f"openai-{self.openai}" / f"{mode}.json"


def main() -> int:
    """Run the chosen combinations, then print the table."""
    options = parse_arguments()
    table = [ROW.format("Python", "openai", "mode", "passed", "failed", "skipped", "verdict")]
    deviations = 0
    for combination in combinations(options.python, options.openai):
        prepare(combination)
        for mode in options.mode:
            conforms = run(combination, mode)
            deviations += not conforms
            table.append(row(combination, mode, conforms))
            print(table[-1], flush=True)
    print("", *table, sep="\n")
    return int(deviations > 0)


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=[], metavar="3.N")
    parser.add_argument("--openai", nargs="+", default=[OLDEST_OPENAI, "newest"], metavar="VERSION")
    parser.add_argument("--mode", nargs="+", default=MODES, choices=MODES)
    return parser.parse_args()


def combinations(pythons: list[str], versions: list[str]) -> Iterator[Combination]:
    """Yield each chosen interpreter (default: all that can be found) with each openai version."""
    interpreters = {minor: path for minor in MINORS if (path := interpreter(minor)) is not None}
    minors = [int(name.removeprefix("3.")) for name in pythons] or list(interpreters)
    numbers = dict.fromkeys(newest_openai() if name == "newest" else name for name in versions)
    if missing := [f"3.{minor}" for minor in minors if minor not in interpreters]:
        raise SystemExit(f"No Python {', '.join(missing)} with venv and pip can be found.")
    return (Combination(minor, interpreters[minor], number) for minor in minors for number in numbers)


def interpreter(minor: int) -> Path | None:
    """Find a Python 3.`minor` that can create a virtual environment: this one, one of pyenv, or one on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which(f"python3.{minor}")
    candidates = [
        *([Path(sys.executable)] if sys.version_info[:2] == (3, minor) else []),
        *sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True),
        *([Path(on_path)] if on_path else []),
    ]
    return next((path for path in candidates if is_usable(path, minor)), None)


def is_usable(python: Path, minor: int) -> bool:
    """Return whether `python` is a Python 3.`minor` that has venv and pip."""
    code = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([python, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0


def newest_openai() -> str:
    """Return the newest openai that this package supports, as pip resolves it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
    command += ["--ignore-installed", "--no-deps", "--report", "-", SUPPORTED_OPENAI]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=INSTALL_TIMEOUT_SECONDS, check=True)
    return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])


def prepare(combination: Combination) -> None:
    """Create or update the environment of a combination, and fetch the official tests of its openai version."""
    fetch(combination.openai, default_destination(combination.openai))
    inputs = (ROOT / "pyproject.toml").read_bytes() + REQUIREMENTS.read_bytes()
    stamp = combination.environment / hashlib.sha256(inputs).hexdigest()
    if stamp.exists():
        return
    print(f"Preparing {combination.environment.relative_to(ROOT)}", flush=True)
    subprocess.run([combination.interpreter, "-m", "venv", "--clear", combination.environment], timeout=120, check=True)
    install: list[str | Path] = [combination.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["-r", REQUIREMENTS, f"openai=={combination.openai}", "-e", f"{ROOT}[testing]"]  # for conftest.py
    subprocess.run(install, timeout=INSTALL_TIMEOUT_SECONDS, check=True)
    stamp.touch()


def run(combination: Combination, mode: str) -> bool:
    """Run the official tests in one mode and return whether they deviate only as listed. Print the output if not."""
    combination.report(mode).unlink(missing_ok=True)
    # This repository makes every warning an error, and pytest-asyncio, which the official tests need, emits one.
    command: list[str | Path] = [
        combination.python,
        "-m",
        "pytest",
        "-q",
        "--no-header",
        "--tb=short",
        "-p",
        "no:asyncio",
    ]
    command += ["-p", "no:cacheprovider", f"tests/conformance/test_upstream.py::{TEST}[{mode}]"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_TIMEOUT_SECONDS, check=False)
    conforms = done.returncode == 0 and combination.report(mode).exists()
    if not conforms:
        print(done.stdout, done.stderr, flush=True)
    return conforms


def row(combination: Combination, mode: str, conforms: bool) -> str:
    """Format one line of the table."""
    report = combination.report(mode)
    outcomes = json.loads(report.read_text(encoding="utf-8"))["outcomes"] if report.exists() else {}
    count = Counter(outcomes.values())
    counts = (count[name] for name in ("passed", "failed", "skipped"))
    return ROW.format(
        f"3.{combination.minor}", combination.openai, mode, *counts, "as listed" if conforms else "DEVIATES"
    )


if __name__ == "__main__":
    sys.exit(main())
