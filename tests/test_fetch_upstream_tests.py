"""The script that fetches the official tests: which files it unpacks, on this Python and on the oldest one."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"
CODE = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from pathlib import Path
import fetch_upstream_tests
fetch_upstream_tests.unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""
# Debian 12 and other long-lived systems have a 3.11 from before the extraction filters of the standard library.
PYTHONS = [sys.executable, *(path for path in ("/usr/bin/python3.11",) if os.path.exists(path))]

Member = tuple[str, bytes | str | None]


def archive_of(folder: Path, *members: Member) -> Path:
    """Make an archive: bytes are a file's content, text is a link's target, None is a folder."""
    path = folder / "openai-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            else:
                info.type = tarfile.DIRTYPE if content is None else tarfile.SYMTYPE
                info.linkname = content or ""
            tar.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return path


def unpack(python: str, archive: Path, destination: Path) -> subprocess.CompletedProcess[str]:
    command = [python, "-c", CODE, str(archive), str(destination)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("python", PYTHONS)
def test_tests_are_unpacked_without_the_top_folder(python: str, tmp_path: Path) -> None:
    archive = archive_of(
        tmp_path,
        ("openai-1.0.0/pyproject.toml", b"[project]"),
        ("openai-1.0.0/tests", None),
        ("openai-1.0.0/tests/conftest.py", b"content"),
        ("openai-1.0.0/tests/link.py", "/etc/passwd"),
        ("openai-1.0.0/src/openai/__init__.py", b""),
        ("openai-1.0.0/README.md", b""),
    )
    ran = unpack(python, archive, tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    found = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*"))
    assert found == ["pyproject.toml", "tests", os.path.join("tests", "conftest.py")]
    assert (tmp_path / "out" / "tests" / "conftest.py").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["openai-1.0.0/tests/../../../escaped", "openai-1.0.0/tests/c:\\escaped"])
@pytest.mark.parametrize("python", PYTHONS)
def test_path_outside_the_destination_is_an_error(python: str, name: str, tmp_path: Path) -> None:
    ran = unpack(python, archive_of(tmp_path, (name, b"x")), tmp_path / "a" / "out")
    assert ran.returncode == 1
    assert "leads out" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert [path.name for path in tmp_path.rglob("*escaped*")] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_absolute_path_loses_its_root(python: str, tmp_path: Path) -> None:
    """The top folder is dropped whatever its name is, so the path stays inside the destination."""
    archive = archive_of(tmp_path, ("/tests/escaped.py", b"x"))
    assert unpack(python, archive, tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "tests" / "escaped.py").read_bytes() == b"x"
