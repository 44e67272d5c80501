"""Test the examples and the tables of docs/errors.md."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import openai
import pytest
from pages import ROOT, find_blocks, run_script, simulator_in_environment

import codex_backend_sdk as sdk
from codex_backend_sdk.cli.exit_codes import exit_code_of
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "errors.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \|.+\| (yes|no) \| (\d+) \|$", TEXT, re.MULTILINE)
CLASSES = {name: getattr(sdk, name) for name in sdk.__all__ if inspect.isclass(getattr(sdk, name))}


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (["usage_limit:plus"], r"The plus plan is exhausted until 20\d\d-"),
        (["cut_after_events:9"] * 3, "Incomplete: hello"),
        (["cut_after_bytes:0"] * 3, "Incomplete: nothing received"),
        (["overloaded"] * 3, "Try again later."),
        (["cyber_policy"], "A retry would fail, too."),
        ([], "hello"),
    ],
)
def test_example_names_each_failure(
    faults: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = find_blocks(PAGE)[0]
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        if faults:
            simulator.fail(*faults)
        assert re.search(expected, run_script(block, tmp_path))


def test_example_reports_a_missing_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulator_in_environment(tmp_path, monkeypatch):
        (tmp_path / "auth.json").unlink()
        assert run_script(find_blocks(PAGE)[0], tmp_path) == "Run: codex-backend login\n"


def test_table_lists_every_error_once() -> None:
    documented = [name for name, _, _ in ROWS]
    errors = {name for name, cls in CLASSES.items() if issubclass(cls, sdk.CodexError)}
    assert sorted(documented) == sorted(errors - {"CodexError"})


@pytest.mark.parametrize(("name", "retry", "exit_code"), ROWS)
def test_row_has_retry_and_exit_code(name: str, retry: str, exit_code: str) -> None:
    error = CLASSES[name].__new__(CLASSES[name])
    assert ("yes" if error.is_retryable else "no") == retry
    assert str(int(exit_code_of(error))) == exit_code


def test_official_classes_catch_the_listed_errors() -> None:
    rows = re.findall(r"^\| `openai\.(\w+)` \| (.+) \|$", TEXT, re.MULTILINE)
    assert len(rows) == 5
    for official, names in rows:
        listed = set(re.findall(r"`(\w+)`", names))
        subclasses = {name for name, cls in CLASSES.items() if issubclass(cls, getattr(openai, official))}
        if official == "APIConnectionError":  # its subclasses are listed in the next row
            subclasses -= {"IdleTimeoutError", "TotalTimeoutError"}
        assert listed == subclasses


def test_wrong_use_raises_builtin_errors() -> None:
    with Simulator() as simulator:
        with simulator.client() as client:
            for content, error in ((b"text", TypeError), (float("nan"), ValueError)):
                with pytest.raises(error):
                    client.responses.create(input=[{"role": "user", "content": content}])
        with pytest.raises(RuntimeError):
            client.responses.create(input="hi")
        assert not simulator.requests
