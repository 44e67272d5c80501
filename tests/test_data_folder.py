"""Test the location of the folder for saved conversations and the usage history."""

from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from codex_backend_sdk._data_folder import data_folder


def test_data_folder_of_the_variable_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODEX_BACKEND_DATA", "kept data")
    assert data_folder() == tmp_path / "kept data"
    assert not data_folder().exists()


def test_data_folder_expands_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_BACKEND_DATA", "~/kept")
    assert data_folder() == Path.home() / "kept"


@pytest.mark.parametrize("value", [None, ""])
def test_data_folder_default_is_that_of_the_platform(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is None:
        monkeypatch.delenv("CODEX_BACKEND_DATA", raising=False)
    else:
        monkeypatch.setenv("CODEX_BACKEND_DATA", value)
    assert data_folder() == platformdirs.user_data_path("codex-backend-sdk", appauthor=False)
