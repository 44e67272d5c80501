"""Test that the terminal pictures of the documentation show what the commands print."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "pictures"

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the script needs a pseudo-terminal"),
    pytest.mark.skipif(importlib.util.find_spec("time_machine") is None, reason="time-machine is not installed"),
]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("terminal_pictures", ROOT / "scripts" / "terminal_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


script = _load() if os.name == "posix" else None
PICTURES = {picture.name: picture for picture in script.PICTURES} if script else {}


def shown(svg: str) -> str:
    """Return the text of a picture, for a readable difference."""
    lines = re.sub(r"</text>\s*<text[^>]*y=", "\n", svg)
    return re.sub(r"<[^>]+>", "", lines).replace("&#160;", " ")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", PICTURES)
def test_picture_is_up_to_date(name: str) -> None:
    stored = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    drawn = script.draw(PICTURES[name])
    command = f"python scripts/terminal_pictures.py {name}"
    assert shown(stored) == shown(drawn), command
    assert stored == drawn, command


def test_folder_has_no_other_pictures() -> None:
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.svg")), ids=lambda path: path.stem)
def test_picture_loads_nothing(path: Path) -> None:
    svg = path.read_text(encoding="utf-8")
    assert not re.findall(r"@font-face|@import|href=|url\([\"']?http", svg)


def test_output_of_another_machine_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TZ": "Asia/Tokyo", "COLUMNS": "20", "NO_COLOR": "1", "CODEX_HOME": "/nowhere"}.items():
        monkeypatch.setenv(name, value)
    assert script.draw(PICTURES["usage"]) == (FOLDER / "usage.svg").read_text(encoding="utf-8")
