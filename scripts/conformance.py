"""Run the official package's own tests against ours, on several interpreters and openai versions.

    python scripts/conformance.py [--python 3.12 ...] [--openai 3.15.0 newest ...] [--mode client ...]

By default on every Python from 3.11 on that is found (this one, those of pyenv, those on PATH), with the oldest
supported openai and the newest. Each pair has a virtual environment in .cache/conformance, made on its first
run. Prints a table; the exit code is 0 when no run deviates from tests/conformance/expected.toml.
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
INSTALL_LIMIT_SECONDS = 900
RUN_LIMIT_SECONDS = 1260
TEST = "test_official_tests_deviate_only_as_listed"
ROW = "{:<8}{:<10}{:<9}{:>8}{:>8}{:>9}  {}"


@dataclass(frozen=True, slots=True)
class Pair:
    """One interpreter with one openai version."""

    minor: int
    interpreter: Path
    openai: str

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return CACHE / f"python3.{self.minor}-openai-{self.openai}"

    @property
    def python(self) -> Path:
        """The interpreter of its virtual environment."""
        return self.environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def report(self, mode: str) -> Path:
        """Where tests/conformance leaves the outcomes of one mode."""
        return CACHE / "reports" / f"python3.{self.minor}" / f"openai-{self.openai}" / f"{mode}.json"


def main() -> int:
    """Run what the command line asks for, then print the table."""
    asked = arguments()
    table = [ROW.format("Python", "openai", "mode", "passed", "failed", "skipped", "verdict")]
    deviations = 0
    for pair in pairs(asked.python, asked.openai):
        prepare(pair)
        for mode in asked.mode:
            as_listed = run(pair, mode)
            deviations += not as_listed
            table.append(row(pair, mode, as_listed))
            print(table[-1], flush=True)
    print("", *table, sep="\n")
    return int(deviations > 0)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=[], metavar="3.N")
    parser.add_argument("--openai", nargs="+", default=[OLDEST_OPENAI, "newest"], metavar="VERSION")
    parser.add_argument("--mode", nargs="+", default=MODES, choices=MODES)
    return parser.parse_args()


def pairs(pythons: list[str], versions: list[str]) -> Iterator[Pair]:
    """Each interpreter asked for (all found, when none is) with each openai version."""
    found = {minor: path for minor in MINORS if (path := interpreter(minor)) is not None}
    minors = [int(name.removeprefix("3.")) for name in pythons] or list(found)
    numbers = dict.fromkeys(newest_openai() if name == "newest" else name for name in versions)
    if missing := [f"3.{minor}" for minor in minors if minor not in found]:
        raise SystemExit(f"No Python {', '.join(missing)} with venv and pip was found.")
    return (Pair(minor, found[minor], number) for minor in minors for number in numbers)


def interpreter(minor: int) -> Path | None:
    """Find a Python 3.`minor` that can make a virtual environment: this one, one of pyenv, one on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which(f"python3.{minor}")
    candidates = [
        *([Path(sys.executable)] if sys.version_info[:2] == (3, minor) else []),
        *sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True),
        *([Path(on_path)] if on_path else []),
    ]
    return next((path for path in candidates if is_usable(path, minor)), None)


def is_usable(python: Path, minor: int) -> bool:
    """Whether `python` is a Python 3.`minor` with what a virtual environment needs."""
    question = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([python, "-c", question], capture_output=True, timeout=60, check=False).returncode == 0


def newest_openai() -> str:
    """Ask pip for the newest openai that the package supports."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
    command += ["--ignore-installed", "--no-deps", "--report", "-", SUPPORTED_OPENAI]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=INSTALL_LIMIT_SECONDS, check=True)
    return str(json.loads(done.stdout)["install"][0]["metadata"]["version"])


def prepare(pair: Pair) -> None:
    """Have the environment of a pair and the official tests of its openai version, up to date."""
    fetch(pair.openai, default_destination(pair.openai))
    inputs = (ROOT / "pyproject.toml").read_bytes() + REQUIREMENTS.read_bytes()
    stamp = pair.environment / hashlib.sha256(inputs).hexdigest()
    if stamp.exists():
        return
    print(f"Preparing {pair.environment.relative_to(ROOT)}", flush=True)
    subprocess.run([pair.interpreter, "-m", "venv", "--clear", pair.environment], timeout=120, check=True)
    install: list[str | Path] = [pair.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["-r", REQUIREMENTS, f"openai=={pair.openai}", "-e", ROOT]
    subprocess.run(install, timeout=INSTALL_LIMIT_SECONDS, check=True)
    stamp.touch()


def run(pair: Pair, mode: str) -> bool:
    """Run the official tests in one mode; whether they deviate only as listed. Findings are printed."""
    pair.report(mode).unlink(missing_ok=True)
    # Our own settings make every warning an error; pytest-asyncio, which the official tests need, warns.
    command: list[str | Path] = [pair.python, "-m", "pytest", "-q", "--no-header", "--tb=short", "-p", "no:asyncio"]
    command += ["-p", "no:cacheprovider", f"tests/conformance/test_upstream.py::{TEST}[{mode}]"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=RUN_LIMIT_SECONDS, check=False)
    as_listed = done.returncode == 0 and pair.report(mode).exists()
    if not as_listed:
        print(done.stdout, done.stderr, flush=True)
    return as_listed


def row(pair: Pair, mode: str, as_listed: bool) -> str:
    """One line of the table."""
    report = pair.report(mode)
    outcomes = json.loads(report.read_text(encoding="utf-8"))["outcomes"] if report.exists() else {}
    count = Counter(outcomes.values())
    counts = (count[name] for name in ("passed", "failed", "skipped"))
    return ROW.format(f"3.{pair.minor}", pair.openai, mode, *counts, "as listed" if as_listed else "DEVIATES")


if __name__ == "__main__":
    sys.exit(main())
