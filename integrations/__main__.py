"""Test other libraries on this client, other clients on the simulator, and programs on the local server.

    python -m integrations [NAME ...]
    python -m integrations --page

Each library gets an environment of its own in .cache/integrations, with its newest version. Its tests run in that
environment and may connect to 127.0.0.1 only. The program then prints a table of what works, and writes it into
docs/integrations.md (see page.py). With `--page`, it only writes the page.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .environments import ROOT, NotInstallableError, find_uv, install, installed_version, python_of
from .libraries import LIBRARIES, Library
from .page import PAGE, save_results, updated_page
from .table import Row, render_notes, render_table

_TEST_TIMEOUT_SECONDS = 900


def main() -> int:
    """Test the chosen libraries and print the table. Return 1 if a test failed or a library was not installed."""
    options = parse_arguments()
    if options.page:
        write_page()
        return 0
    uv = find_uv()
    rows = []
    for library in LIBRARIES:
        if not options.names or library.name in options.names:
            print(f"Testing {library.name}", file=sys.stderr, flush=True)
            rows.append(run(library, uv))
    print("", render_table(rows), render_notes(rows), sep="\n", end="")
    save_results(rows)
    write_page()
    return int(any(row.problem for row in rows))


def write_page() -> None:
    """Write the recipes and the tables into the page."""
    PAGE.write_text(updated_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the libraries to test (default: all)")
    parser.add_argument("--page", action="store_true", help="only write docs/integrations.md from the files it shows")
    options = parser.parse_args()
    unknown = set(options.names) - {library.name for library in LIBRARIES}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}. Known: {', '.join(each.name for each in LIBRARIES)}")
    return options


def run(library: Library, uv: str) -> Row:
    """Install a library, run its tests, and return its row."""
    if library.npm_packages and shutil.which("npm") is None:
        return Row(library.name, note="skipped: npm is not installed.")
    try:
        home, note = install(library, uv)
    except NotInstallableError as error:
        return Row(library.name, problem=f"cannot be installed: {error}")
    results = home / "results.json"
    results.unlink(missing_ok=True)
    file = Path("integrations") / f"test_{library.name}.py"
    command = [str(python_of(home)), "-m", "pytest", "-q", "-c", "integrations/pytest.ini", str(file)]
    environment = environment_of(home, results)
    try:
        code = subprocess.run(command, cwd=ROOT, env=environment, timeout=_TEST_TIMEOUT_SECONDS, check=False).returncode
        problem = f"pytest failed with exit code {code}; see above." if code else ""
    except subprocess.TimeoutExpired:
        problem = f"The tests did not end within {_TEST_TIMEOUT_SECONDS} seconds."
    outcomes = json.loads(results.read_text(encoding="utf-8")) if results.exists() else []
    version = installed_version(library, home)
    return Row.from_outcomes(library.name, version, outcomes, note=note, problem=problem)


def environment_of(home: Path, results: Path) -> dict[str, str]:
    """Return the variables for the tests: no keys, no telemetry, and no file of the user."""
    scratch = home / "home"
    scratch.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT")}
    return {
        **kept,
        "HOME": str(scratch),
        "USERPROFILE": str(scratch),
        "INTEGRATION_RESULTS": str(results),
        "INTEGRATION_NODE_MODULES": str(home / "node_modules"),
        "INTEGRATION_SEPARATE_PYTHON": str(python_of(home, "separate")),
        "DO_NOT_TRACK": "1",
    }


if __name__ == "__main__":
    sys.exit(main())
