"""Test how the script unpacks the official tests, on this Python and on the oldest supported one."""

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
# Python 3.11 of Debian 12 has no extraction filters in `tarfile`.
PYTHONS = [sys.executable, *(path for path in ("/usr/bin/python3.11",) if os.path.exists(path))]


def create_archive(folder: Path, *entries: tuple[str, bytes | str | None]) -> Path:
    """Create an archive. An entry is a name and the content of a file, the target of a link, or None for a folder."""
    path = folder / "openai-1.0.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in entries:
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
    archive = create_archive(
        tmp_path,
        ("openai-1.0.0/pyproject.toml", b"[project]"),
        ("openai-1.0.0/tests", None),
        ("openai-1.0.0/tests/conftest.py", b"content"),
        ("openai-1.0.0/tests/link.py", "/etc/passwd"),
        ("openai-1.0.0/src/openai/__init__.py", b""),
        ("openai-1.0.0/README.md", b""),
    )
    result = unpack(python, archive, tmp_path / "out")
    assert (result.returncode, result.stderr) == (0, "")
    paths = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*"))
    assert paths == ["pyproject.toml", "tests", os.path.join("tests", "conftest.py")]
    assert (tmp_path / "out" / "tests" / "conftest.py").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["openai-1.0.0/tests/../../../escaped", "openai-1.0.0/tests/c:\\escaped"])
@pytest.mark.parametrize("python", PYTHONS)
def test_path_outside_the_destination_is_rejected(python: str, name: str, tmp_path: Path) -> None:
    result = unpack(python, create_archive(tmp_path, (name, b"x")), tmp_path / "a" / "out")
    assert result.returncode == 1
    assert "leads out" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.rglob("*escaped*")] == []


@pytest.mark.parametrize("python", PYTHONS)
def test_absolute_path_becomes_relative(python: str, tmp_path: Path) -> None:
    """The top folder is dropped whatever its name is, so the path stays inside the destination."""
    archive = create_archive(tmp_path, ("/tests/escaped.py", b"x"))
    assert unpack(python, archive, tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "tests" / "escaped.py").read_bytes() == b"x"
