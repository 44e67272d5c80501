"""Test the table and the lists of `make integrations`, which itself needs a package index and runs on its own."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pages import ROOT, find_blocks

from integrations.__main__ import run
from integrations.libraries import LIBRARIES, LIBRARIES_ON_OUR_CLIENT, Library
from integrations.table import Row, render

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "integrations"
PAGE = ROOT / "docs" / "integrations.md"


def outcome(feature: str | None, mode: str | None, result: str, reason: str = "") -> dict[str, str | None]:
    return {"feature": feature, "mode": mode, "outcome": result, "reason": reason}


def test_libraries_are_those_with_tests() -> None:
    assert {f"test_{library.name}.py" for library in LIBRARIES} == {path.name for path in FOLDER.glob("test_*.py")}
    assert len({library.name for library in LIBRARIES}) == len(LIBRARIES)


def test_tests_run_every_block_of_the_page() -> None:
    run = {
        re.findall('^RECIPE = "(.+)"$', (FOLDER / f"test_{library.name}.py").read_text("utf-8"), re.MULTILINE)[0]
        for library in LIBRARIES_ON_OUR_CLIENT
    }
    headings = {}
    for number, line in enumerate(PAGE.read_text(encoding="utf-8").splitlines(), 1):
        if re.match("##+ ", line):
            headings[number] = line.lstrip("# ")
    with_blocks = {headings[max(start for start in headings if start < block.line)] for block in find_blocks(PAGE)}
    assert with_blocks == run


@pytest.mark.parametrize(
    ("attempt", "host"),
    [
        ("socket.create_connection(('example.invalid', 443))", "example.invalid"),
        ("socket.getaddrinfo(b'example.invalid', 443)", "example.invalid"),
        ("socket.socket().connect(('192.0.2.1', 443))", "192.0.2.1"),
        ("socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))", "192.0.2.1"),
        ("asyncio.run(asyncio.open_connection('192.0.2.1', 443))", "192.0.2.1"),
        ("socket.create_connection(socket.create_server(('127.0.0.1', 0)).getsockname())", None),
        ("socket.create_connection(('localhost', socket.create_server(('127.0.0.1', 0)).getsockname()[1]))", None),
    ],
)
def test_other_hosts_are_refused_and_reported(attempt: str, host: str | None) -> None:
    """In a process of its own, because an audit hook stays until the process ends."""
    code = f"""
import asyncio, socket, warnings
from integrations.loopback_only import allow_loopback_only
hosts = allow_loopback_only()
warnings.simplefilter("ignore")
try:
    {attempt}
except OSError as error:
    print(error)
print(*hosts)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n")[-2] == (host or "")
    assert ("this machine only" in done.stdout) == (host is not None)


@pytest.mark.parametrize(
    ("outcomes", "cell"),
    [
        ([], "-"),
        (["ok", "ok"], "ok"),
        (["ok", "FAILED"], "FAILED"),
        (["fault", "FAILED"], "FAILED"),
        (["ok", "fault"], "fault"),
        (["ok", "skipped"], "skipped"),
        (["n/a"], "n/a"),
    ],
)
def test_cell_shows_the_worst_outcome(outcomes: list[str], cell: str) -> None:
    row = Row("x", "1", [outcome("tool", "sync", result) for result in outcomes])
    assert row.cell("tool", "sync") == cell
    assert row.cell("tool", "async") == "-"
    assert row.has_failed == (cell == "FAILED")


def test_npm_packages_are_skipped_without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = run(Library("x", npm_packages=("x",)), uv="not used")
    assert row.note == "skipped: npm is not installed."
    assert not row.has_failed


def test_table_names_reasons_once() -> None:
    skipped = [outcome("plain", mode, "n/a", "it returns no text") for mode in ("sync", "async")]
    rows = [Row("first", "1.2", skipped, note="Installed with an override."), Row("second", "", problem="No wheel.")]
    assert render(rows) == "\n".join(
        [
            "",
            "| library | version | plain | stream | tool | structured | other |",
            "|---|---|---|---|---|---|---|",
            "| first | 1.2 | n/a / n/a | - / - | - / - | - / - | - |",
            "| second | - | - | - | - | - | - |",
            "",
            "- first: Installed with an override.",
            "- first: n/a: it returns no text",
            "- second: No wheel.",
        ]
    )
    assert [row.has_failed for row in rows] == [False, True]
