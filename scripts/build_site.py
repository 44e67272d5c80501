"""Build the documentation site, with warnings as errors.

    python scripts/build_site.py [FOLDER]     FOLDER/html/index.html is the site (default: build/site)

The build reads a copy of the pages with the tree of the repository, because the generator publishes all that is in its
folder. It fetches nothing, and the site loads nothing from the network.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["build"]

ROOT: Final = Path(__file__).resolve().parents[1]
# What the site publishes, including the files that pages link to.
PUBLISHED: Final = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "SECURITY.md",
    "bench/results.json",
    "docs",
    "examples",
)


def build(folder: Path, repository: Path = ROOT) -> list[str]:
    """Build the site of a repository in `folder`, which is replaced. Return the problems."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in PUBLISHED:
        source, target = repository / name, folder / "pages" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    shutil.copy(repository / "zensical.toml", folder)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    output = re.sub(r"\x1b\[[\d;]*m", "", result.stdout + result.stderr)
    # Problems in docstrings are printed without failing the build.
    has_problems = result.returncode != 0 or re.search(r"^(griffe|mkdocstrings): ", output, re.MULTILINE)
    return output.splitlines() if has_problems else []


def main() -> int:
    """Build the site and print where it is, or the problems."""
    parser = argparse.ArgumentParser(description="Build the documentation site, with warnings as errors.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "build" / "site")
    folder = parser.parse_args().folder
    if problems := build(folder):
        print(*problems, sep="\n", file=sys.stderr)
        return 1
    print(f"The site is {folder / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
