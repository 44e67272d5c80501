"""Test the catalog that the commands keep for completion and for llm."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk import Model
from codex_backend_sdk.cli.known_models import is_outdated, known_models, remember_models

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CODEX_BACKEND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    return tmp_path


def model(name: str, **members: object) -> Model:
    return Model.model_validate({"id": name, "object": "model", "created": 0, "owned_by": "openai", **members})


def test_remembered_models_keep_what_llm_needs() -> None:
    levels = [{"effort": "low", "description": None}]
    members = {"default_reasoning_level": "low", "input_modalities": ["text"], "visibility": "hide"}
    remember_models(
        [model("second", priority=2), model("first", priority=1, supported_reasoning_levels=levels, **members)]
    )
    first, second = known_models()
    assert [first["id"], second["id"]] == ["first", "second"]
    assert members.items() <= first.items()
    assert first["supported_reasoning_levels"][0]["effort"] == "low"


@pytest.mark.parametrize(("age_hours", "expected"), [(0, False), (23, False), (25, True)])
def test_catalog_is_outdated_after_a_day(folder: Path, age_hours: int, expected: bool) -> None:
    remember_models([model("first")])
    changed_at = time.time() - age_hours * 3600
    os.utime(folder / "data" / "models.json", (changed_at, changed_at))
    assert is_outdated() is expected


def test_catalog_of_the_codex_cli_is_read_and_outdated(folder: Path) -> None:
    (folder / "codex").mkdir()
    catalog = {"models": [{"slug": "of-the-cli", "priority": 1}]}
    (folder / "codex" / "models_cache.json").write_text(json.dumps(catalog), encoding="utf-8")
    assert [each["id"] for each in known_models()] == ["of-the-cli"]
    assert is_outdated()


@pytest.mark.parametrize("text", ["", "{}", '{"models": 3}', '{"models": [3, {"slug": null}]}'])
def test_damaged_catalog_has_no_models(folder: Path, text: str) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "models.json").write_text(text, encoding="utf-8")
    assert list(known_models()) == []
