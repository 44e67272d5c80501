"""Fetch the official openai package's own tests.

    python scripts/fetch_upstream_tests.py VERSION [DEST]

The source distribution of each openai release ships the tests of exactly that release. This downloads
the one named with pip (that one file: no dependencies) and unpacks its `tests/` and `pyproject.toml` into
DEST, which is `.cache/upstream/openai-VERSION` when not given. A DEST that is complete is left alone.
Nothing of it is committed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
WANTED = ("tests", "pyproject.toml")
UNPACKED_LIMIT_BYTES = 200_000_000
DOWNLOAD_LIMIT_SECONDS = 300


def main(arguments: list[str]) -> int:
    """Fetch what the command line names; 2 for a command line that names nothing sensible."""
    if not 1 <= len(arguments) <= 2 or not re.fullmatch(r"\d+\.\d+\.\d+", arguments[0]):
        print(__doc__, file=sys.stderr)
        return 2
    version = arguments[0]
    destination = Path(arguments[1]) if len(arguments) == 2 else default_destination(version)
    print(fetch(version, destination))
    return 0


def default_destination(version: str) -> Path:
    """Where the conformance tests look for the tests of one openai version."""
    return ROOT / ".cache" / "upstream" / f"openai-{version}"


def fetch(version: str, destination: Path) -> Path:
    """Download and unpack the tests of `version`, unless `destination` has them; return `destination`."""
    if is_complete(destination):
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
        unpacked = unpack(download(version, Path(scratch)), Path(scratch) / "unpacked")
        if not is_complete(unpacked):
            raise SystemExit(f"The source distribution of openai {version} ships no tests.")
        # A rename at the end: a folder that is there is a complete one, whenever the run was cut.
        unpacked.rename(destination)
    return destination


def is_complete(folder: Path) -> bool:
    """Whether the folder holds unpacked tests."""
    return (folder / "tests" / "conftest.py").is_file() and (folder / "pyproject.toml").is_file()


def download(version: str, folder: Path) -> Path:
    """Download the source distribution of openai `version` with pip; return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", "openai", "--dest", str(folder), f"openai=={version}"]
    subprocess.run(command, check=True, timeout=DOWNLOAD_LIMIT_SECONDS)
    return folder / f"openai-{version}.tar.gz"


def unpack(archive: Path, destination: Path) -> Path:
    """Unpack the wanted part of a source distribution, without its top folder; return `destination`."""
    size = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            size += member.size
            if size > UNPACKED_LIMIT_BYTES:
                raise SystemExit(f"{archive.name} unpacks to more than {UNPACKED_LIMIT_BYTES} bytes.")
            parts = PurePosixPath(member.name).parts[1:]
            if parts and parts[0] in WANTED:
                put(tar, member, destination.joinpath(*checked(parts, member.name)))
    return destination


def checked(parts: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the parts of a path that stays below where it is put; anything else ends the program."""
    if any(part in ("..", "/") or "\\" in part or ":" in part for part in parts):
        raise SystemExit(f"A path in the archive leads out of it: {name}")
    return parts


def put(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a regular file or make a folder; links and devices are left out.

    By hand, since the safe extraction of the standard library came only with Python 3.11.4.
    """
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        content = tar.extractfile(member)
        assert content is not None  # it is a regular file
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
