"""Test the table and the lists of `make integrations`, which itself needs a package index and runs on its own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pages import ROOT, find_blocks

from integrations import page
from integrations.__main__ import run
from integrations.libraries import LIBRARIES, LIBRARIES_ON_OUR_CLIENT, Library
from integrations.page import PAGE, RECIPES, updated_page
from integrations.table import COLUMNS, Row, render_notes, render_table

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "integrations"
HELPERS = [
    path for path in (ROOT / "src" / "codex_backend_sdk" / "integrations").glob("*.py") if path.name != "__init__.py"
]
ON_OUR_CLIENT = {library.name for library in LIBRARIES_ON_OUR_CLIENT}
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DOCUMENTED = (ast.Module, *_DEFINITIONS)


def outcome(feature: str | None, mode: str | None, result: str, reason: str = "") -> dict[str, str | None]:
    return {"feature": feature, "mode": mode, "outcome": result, "reason": reason}


def test_libraries_are_those_with_tests() -> None:
    assert {f"test_{library.name}.py" for library in LIBRARIES} == {path.name for path in FOLDER.glob("test_*.py")}
    assert len({library.name for library in LIBRARIES}) == len(LIBRARIES)


def test_every_library_has_a_recipe_on_the_page() -> None:
    names = ON_OUR_CLIENT
    assert {path.stem.removeprefix("with_") for path in RECIPES.glob("*.py")} == names
    text = PAGE.read_text(encoding="utf-8")
    assert {*re.findall(r"^<!-- examples/integrations/with_(\w+)\.py -->$", text, re.MULTILINE)} == names
    assert len(find_blocks(PAGE)) == len(names), "each block of the page is a recipe"


def test_page_shows_exactly_the_recipes_and_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert updated_page(text) == text, "run `python -m integrations --page`"


@pytest.mark.parametrize(
    ("stale", "fresh"),
    [
        ("import agents\n", "import agents as sdk\n"),
        (
            "<!-- examples/integrations/with_openai.py -->\n\n```python\n",
            "<!-- examples/integrations/with_openai.py -->\n",
        ),
        ("<!-- results: libraries -->\n", "<!-- results: libraries -->\n\n| library |\n"),
    ],
)
def test_update_repairs_a_page_that_differs(stale: str, fresh: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    changed = text.replace(stale, fresh)
    if "```" in stale:  # a new section, without its block
        code = (RECIPES / "with_openai.py").read_text(encoding="utf-8")
        changed = changed.replace(fresh + code + "```\n", fresh)
    assert changed != text
    assert updated_page(changed) == text


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_recipe_is_short(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 25


@pytest.mark.parametrize("path", HELPERS, ids=lambda path: path.stem)
def test_helper_is_short_and_documented(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    docstrings = [
        ast.get_docstring(node, clean=False) or "" for node in (tree, *tree.body) if isinstance(node, _DOCUMENTED)
    ]
    total, documentation = (
        sum(bool(line.strip()) for line in part.splitlines()) for part in (text, "\n".join(docstrings))
    )
    assert total - documentation < 50
    documented = {node.name for node in tree.body if isinstance(node, _DEFINITIONS) and ast.get_docstring(node)}
    (names,) = re.findall(r"^__all__ = (\[.+\])$", text, re.MULTILINE)
    public = {name for name in documented if not name.startswith("_")}
    assert public == set(ast.literal_eval(names))
    reference = (ROOT / "docs" / "reference" / "integrations.md").read_text(encoding="utf-8")
    for name in public:
        assert f"\n::: codex_backend_sdk.integrations.{path.stem}.{name}\n" in reference


@pytest.mark.parametrize(
    "row", [row for row in page.load_results().values() if row.name in ON_OUR_CLIENT], ids=lambda row: row.name
)
def test_saved_cells_are_ok_or_have_a_reason(row: Row) -> None:
    assert list(row.cells) == list(COLUMNS)
    outcomes = {part for cell in row.cells.values() for part in cell.split(" / ")}
    assert outcomes <= {"ok", "n/a", "fault"}
    reasons = [note.partition(": ") for note in row.notes]
    assert outcomes - {"ok"} <= {kind for kind, _, _ in reasons}
    assert all(re.match(r"[\w.-]+/[\w.-]+#\d+: ", reason) for kind, _, reason in reasons if kind == "fault")


def test_page_links_to_the_issue_of_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results.json")
    page.save_results([Row.from_outcomes("openai", "1", [outcome("tool", "sync", "fault", "a/b.c#1: x#2")])])
    text = updated_page("<!-- results: libraries -->\n<!-- end of results -->\n")
    assert text.splitlines()[-3:] == [
        "- openai: fault: [a/b.c#1](https://github.com/a/b.c/issues/1): x#2",
        "",
        "<!-- end of results -->",
    ]


def test_saved_results_keep_other_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "RESULTS", tmp_path / "results.json")
    good = Row.from_outcomes("openai", "1", [outcome("tool", "sync", "ok")])
    page.save_results([good, Row.from_outcomes("langchain", "1", [outcome("tool", "sync", "fault", "a/b#1: no")])])
    page.save_results([Row.from_outcomes("openai", "2", [outcome("tool", "sync", "FAILED", "test_x")])])
    page.save_results([Row("llama_index", problem="cannot be installed"), Row("unknown", "1", good.cells)])
    saved = page.load_results()
    assert {name: row.version for name, row in saved.items()} == {"langchain": "1", "openai": "1"}
    assert saved["openai"] == good
    assert saved["langchain"].notes == ("fault: a/b#1: no",)


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


@pytest.mark.timeout(300)
def test_hidden_connection_fails_the_test_of_a_library(tmp_path: Path) -> None:
    """The tests of every library load conftest.py. It fails a test whose library hides the error of a connection."""
    attempts = {
        "address": "socket.create_connection(('192.0.2.1', 443), 5)",
        "name": "urllib.request.urlopen('http://example.invalid')",
        "loopback": "socket.create_connection(('127.0.0.1', 9), 5)",
    }
    text = "import contextlib, socket, urllib.request\n"
    for name, attempt in attempts.items():
        text += f"def test_{name}():\n    with contextlib.suppress(OSError): {attempt}\n"
    (tmp_path / "test_library.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-c", str(FOLDER / "pytest.ini"), "-p", "conftest"]
    done = subprocess.run(
        [*command, str(tmp_path / "test_library.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), str(ROOT / "tests")])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    failed = re.findall(r"^ERROR .*::test_(\w+)", done.stdout, re.MULTILINE)
    assert failed == ["address", "name"], done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.py")), ids=lambda path: path.stem)
def test_recipe_names_no_other_host(path: Path) -> None:
    hosts = re.findall(r"\w+://([^/\"'\s:]+)", path.read_text(encoding="utf-8"))
    assert set(hosts) <= {"127.0.0.1"}


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
    row = Row.from_outcomes("x", "1", [outcome("plain", "sync", result) for result in outcomes])
    assert row.cells["sync"] == cell
    assert row.cells["async"] == "-"
    assert bool(row.problem) == (cell == "FAILED")


@pytest.mark.parametrize(
    ("outcomes", "cell"),
    [
        ({"sync": "ok", "async": "ok"}, "ok"),
        ({"sync": "n/a", "async": "ok"}, "n/a / ok"),
        ({"sync": "ok"}, "ok / -"),
        ({"async": "FAILED"}, "- / FAILED"),
        ({}, "-"),
    ],
)
def test_cell_shows_both_modes_where_they_differ(outcomes: dict[str, str], cell: str) -> None:
    row = Row.from_outcomes("x", "1", [outcome("stream", mode, result) for mode, result in outcomes.items()])
    assert row.cells["stream"] == cell


def test_npm_packages_are_skipped_without_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    row = run(Library("x", npm_packages=("x",)), uv="not used")
    assert row.note == "skipped: npm is not installed."
    assert not row.problem


def test_table_names_reasons_once() -> None:
    skipped = [outcome("stream", mode, "n/a", "it has no stream") for mode in ("sync", "async")]
    rows = [
        Row.from_outcomes("first", "1.2", skipped, note="Installed with an override."),
        Row("second", problem="No wheel."),
    ]
    assert render_table(rows, {"first": "#first"}).splitlines() == [
        "| library | version | sync | async | stream | tool | structured |",
        "|---|---|---|---|---|---|---|",
        "| [first](#first) | 1.2 | - | - | n/a | - | - |",
        "| second | - | - | - | - | - | - |",
    ]
    assert render_notes(rows).splitlines() == [
        "- first: Installed with an override.",
        "- first: n/a: it has no stream",
        "- second: No wheel.",
    ]
    assert render_notes(rows, all_notes=False) == "- first: n/a: it has no stream\n"
