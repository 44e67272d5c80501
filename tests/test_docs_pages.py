"""Test all pages of documentation: each example runs alone, and links, error names and options exist."""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING

import click
import openai
import pytest
from pages import (
    ROOT,
    Block,
    assert_links,
    find_blocks,
    parametrize_programs,
    parametrize_pytest_files,
    run_script,
    run_tests,
    simulator_in_environment,
    write_sample_files,
)

import codex_backend_sdk
from codex_backend_sdk._constants import AUTO_MODEL, DEFAULT_MODEL
from codex_backend_sdk.cli import main
from codex_backend_sdk.cli.app import codex_backend
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

# The README has tests of its own, and so has the API reference.
DOCS = sorted(
    page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "reference" and page.name != "commands.md"
)
# The libraries of the recipes have environments of their own: `make integrations`.
DOCS_TO_RUN = [page for page in DOCS if page.name != "integrations.md"]
PAGES = [*DOCS, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
COOKBOOK = [page for page in DOCS if page.parent.name == "cookbook" and page.name != "README.md"]

# The names of the commands of `codex-backend`.
_COMMANDS = set(codex_backend.list_commands(click.Context(codex_backend)))

# Pages with names of earlier versions, which no longer exist.
PAGES_ABOUT_OLD_NAMES = {"migrating.md"}
# Classes of other packages.
FOREIGN_ERRORS = {"ValidationError", "HTTPError", "ProtocolError", "ChunkedEncodingError"}


@pytest.mark.timeout(180)
@parametrize_programs(*DOCS_TO_RUN)
def test_program_runs_alone(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sample_files(tmp_path)
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        monkeypatch.setenv("MY_TOKEN", simulator.personal_access_token())
        if "restarts" in block.code:  # the example shows a restarted stream
            simulator.script(Turn.text("half of it").cut_after_events(8))
        run_script(block, tmp_path, input="Hello\ny\n")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('failed')", "failed"),
        ("import warnings; warnings.warn('old')", "UserWarning: old"),
        ("file = open('photo.png')", "ResourceWarning: unclosed file"),
        ("from codex_backend_sdk import OpenAI; print(json)", "NameError: name 'json'"),
        ("def get_weather(city: City): ...", "NameError: name 'City'"),
    ],
)
def test_failure_of_a_program_is_reported(tmp_path: Path, code: str, message: str) -> None:
    write_sample_files(tmp_path)
    with pytest.raises(AssertionError, match=message):
        run_script(Block(tmp_path / "page.md", 1, "python", code), tmp_path)


@parametrize_pytest_files(*DOCS_TO_RUN)
def test_pytest_file_passes_alone(block: Block, pytester: pytest.Pytester) -> None:
    run_tests(block, pytester)


@pytest.mark.parametrize("page", COOKBOOK, ids=lambda page: page.name)
def test_cookbook_page_begins_with_one_complete_file(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    heading, introduction, rest = text.split("\n\n", 2)
    assert heading.startswith("# ")
    assert 1 <= len(re.findall(r"[.!?](?:\s|$)", introduction)) <= 2
    assert rest.startswith("```python\n")
    assert 120 <= len(text.split()) <= 350
    # The other programs are variants: each is shorter than the file.
    (first, *variants) = find_blocks(page)
    assert text.startswith(first.code, text.index("```python\n") + len("```python\n"))
    assert all(len(variant.code) < len(first.code) or "Celery" in variant.code for variant in variants)


def test_index_lists_every_cookbook_page() -> None:
    index = (ROOT / "docs" / "cookbook" / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"\]\((\w[\w-]*\.md)\) \|$", index, re.MULTILINE)) == [page.name for page in COOKBOOK]


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


EXTRAS = {"demo": "testing", "simulate": "testing", "serve": "server"}


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=["README.md", *NAMES])
def test_extra_is_installed_above_its_command(page: Path) -> None:
    """`pip install .` is not enough for these commands."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^\$ codex-backend (\w+)", text, re.MULTILINE):
        extra = EXTRAS.get(match[1])
        assert extra is None or f"pip install '.[{extra}]'" in text[: match.start()], f"{match[0]} needs [{extra}]"


@pytest.mark.parametrize(
    ("name", "model"), [("quickstart", DEFAULT_MODEL), ("quickstart", AUTO_MODEL), ("chat-completions", AUTO_MODEL)]
)
def test_page_explains_the_choice_of_a_model(name: str, model: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert re.search(rf'`(model=)?"?{re.escape(model)}"?`', text)


def test_readme_names_the_extra_of_the_server() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in readme.splitlines() if "codex-backend serve" in line]
    assert "pip install '.[server]'" in row


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=["README.md", *NAMES])
def test_commands_and_options_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if page.name in PAGES_ABOUT_OLD_NAMES:
        pytest.skip("the page lists names of old versions")
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^\$|`|; |\|) ?(?:\w+=\S+ )?codex-backend ([a-z]+)", text, re.MULTILINE))
    assert named <= _COMMANDS, "not a command"
    commands = re.findall(r"codex-backend (\w+)((?: --?\w[\w-]*)+)", text)
    for command, options in commands:
        assert main([command, "--help"]) == 0
        help_text = capsys.readouterr().out
        for option in options.split():
            assert option in help_text, f"{page.name}: codex-backend {command} {option}"
