"""Fetch the official openai package's own tests.

    python scripts/fetch_upstream_tests.py VERSION [DEST]

The source distribution of an openai release contains the tests of exactly that release. The script downloads it with
pip and unpacks `tests/` and `pyproject.toml` into DEST (default: .cache/upstream/openai-VERSION).
It does nothing if DEST is complete. The tests are not part of this repository.
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
UNPACKED_NAMES = ("tests", "pyproject.toml")
MAX_UNPACKED_BYTES = 200_000_000
DOWNLOAD_TIMEOUT_SECONDS = 300


def main(arguments: list[str]) -> int:
    """Fetch the tests of the version in the command line. Return 2 if the command line is invalid."""
    if not 1 <= len(arguments) <= 2 or not re.fullmatch(r"\d+\.\d+\.\d+", arguments[0]):
        print(__doc__, file=sys.stderr)
        return 2
    version = arguments[0]
    destination = Path(arguments[1]) if len(arguments) == 2 else default_destination(version)
    print(fetch(version, destination))
    return 0


def default_destination(version: str) -> Path:
    """Return the folder in which the conformance tests expect the tests of one openai version."""
    return ROOT / ".cache" / "upstream" / f"openai-{version}"


def fetch(version: str, destination: Path) -> Path:
    """Download and unpack the tests of `version` unless `destination` is complete. Return `destination`."""
    if is_complete(destination):
        return destination
    destination.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.parent) as scratch:
        unpacked = unpack(download(version, Path(scratch)), Path(scratch) / "unpacked")
        if not is_complete(unpacked):
            raise SystemExit(f"The source distribution of openai {version} contains no tests.")
        # The folder is renamed at the end, so it is complete even if an earlier run was interrupted.
        unpacked.rename(destination)
    return destination


def is_complete(folder: Path) -> bool:
    """Return whether the folder contains unpacked tests."""
    return (folder / "tests" / "conftest.py").is_file() and (folder / "pyproject.toml").is_file()


def download(version: str, folder: Path) -> Path:
    """Download the source distribution of an openai version with pip. Return its path."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", "openai", "--dest", str(folder), f"openai=={version}"]
    subprocess.run(command, check=True, timeout=DOWNLOAD_TIMEOUT_SECONDS)
    return folder / f"openai-{version}.tar.gz"


def unpack(archive: Path, destination: Path) -> Path:
    """Unpack the tests of a source distribution, without its top folder. Return `destination`."""
    size = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            size += member.size
            if size > MAX_UNPACKED_BYTES:
                raise SystemExit(f"{archive.name} unpacks to more than {MAX_UNPACKED_BYTES} bytes.")
            parts = PurePosixPath(member.name).parts[1:]
            if parts and parts[0] in UNPACKED_NAMES:
                extract_member(tar, member, destination.joinpath(*safe_parts(parts, member.name)))
    return destination


def safe_parts(parts: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the parts of a path inside the destination; end the program for any other path."""
    if any(part in ("..", "/") or "\\" in part or ":" in part for part in parts):
        raise SystemExit(f"A path in the archive leads out of the destination: {name}")
    return parts


def extract_member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a regular file or create a folder; skip links and devices.

    The safe extraction filters of the standard library exist only from Python 3.11.4 on.
    """
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        content = tar.extractfile(member)
        assert content is not None  # None only for links and devices
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as file:
            shutil.copyfileobj(content, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
