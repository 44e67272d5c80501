"""Test the generator of docs/api.md."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk import _public, types

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script() -> ModuleType:
    """The module scripts/api_reference.py."""
    spec = importlib.util.spec_from_file_location("api_reference", ROOT / "scripts" / "api_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_api_reference_is_up_to_date(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--check"]) == 0, capsys.readouterr().err


def test_api_reference_has_each_heading_once(script: Any) -> None:
    headings = [line for line in script.reference().splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))


def test_table_of_contents_links_to_headings(script: Any) -> None:
    page = script.reference()
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors


def test_types_module_holds_public_names_only() -> None:
    assert set(types.__all__) <= set(_public.PUBLIC_NAMES["codex_backend_sdk"]["types"])


def test_stale_page_is_an_error(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.PAGE = tmp_path / "api.md"
    assert script.main(["--check"]) == 1
    assert script.main([]) == 0
    assert script.main(["--check"]) == 0
    script.PAGE.write_text("old")
    assert script.main(["--check"]) == 1
    assert "docs/api.md is not up to date. Run: python scripts/api_reference.py" in capsys.readouterr().err


def test_undocumented_public_name_is_an_error(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(_public.PUBLIC_NAMES["codex_backend_sdk"], "_json", ("decode",))
    monkeypatch.setattr("codex_backend_sdk.decode", lambda: None, raising=False)
    assert script.main(["--check"]) == 1
    assert "codex_backend_sdk.decode is in no group" in capsys.readouterr().err


def test_public_name_without_a_docstring_is_an_error(
    script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("codex_backend_sdk.Explanation.__doc__", None)
    assert script.main(["--check"]) == 1
    assert "Explanation has no docstring" in capsys.readouterr().err
