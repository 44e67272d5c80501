"""Test all pages of documentation: each example runs alone, and links, error names and options exist."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING

import openai
import pytest
from pages import (
    ROOT,
    Block,
    assert_links,
    parametrize_programs,
    parametrize_pytest_files,
    run_program,
    run_tests,
    simulator_in_environment,
)

import codex_backend_sdk
from codex_backend_sdk.cli import main
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

# The README has tests of its own.
DOCS = sorted((ROOT / "docs").glob("*.md"))
# The libraries of the recipes have environments of their own: `make integrations`.
DOCS_TO_RUN = [page for page in DOCS if page.name != "integrations.md"]
PAGES = [*DOCS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
NAMES = [page.name for page in PAGES]

# Pages with names of earlier versions, which no longer exist.
PAGES_ABOUT_OLD_NAMES = {"migrating.md"}
# Classes of other packages.
FOREIGN_ERRORS = {"ValidationError", "HTTPError", "ProtocolError", "ChunkedEncodingError"}


@parametrize_programs(*DOCS_TO_RUN)
def test_program_runs_alone(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        monkeypatch.chdir(tmp_path)  # for files that an example writes
        monkeypatch.setenv("MY_TOKEN", simulator.personal_access_token())
        if "restarts" in block.code:  # the example shows a restarted stream
            simulator.script(Turn.text("half of it").cut_after_events(8))
        run_program(block)


@parametrize_pytest_files(*DOCS_TO_RUN)
def test_pytest_file_passes_alone(block: Block, pytester: pytest.Pytester) -> None:
    run_tests(block, pytester)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_link_targets_exist(page: Path) -> None:
    assert_links(page)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_error_names_exist(page: Path) -> None:
    if page.name in PAGES_ABOUT_OLD_NAMES:
        pytest.skip("the page lists names of old versions")
    names = set(re.findall(r"`(?:\w+\.)?([A-Z]\w+Error)`", page.read_text(encoding="utf-8")))
    known = {name for module in (codex_backend_sdk, openai, builtins) for name in dir(module)}
    assert names <= known | FOREIGN_ERRORS


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=["README.md", *NAMES])
def test_command_line_options_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if page.name in PAGES_ABOUT_OLD_NAMES:
        pytest.skip("the page lists names of old versions")
    commands = re.findall(r"codex-backend (\w+)((?: --?\w[\w-]*)+)", page.read_text(encoding="utf-8"))
    for command, options in commands:
        assert main([command, "--help"]) == 0
        help_text = capsys.readouterr().out
        for option in options.split():
            assert option in help_text, f"{page.name}: codex-backend {command} {option}"
