"""Test that the new names in the tables of docs/migrating.md exist."""

from __future__ import annotations

import builtins
import re

import openai
import pytest
from pages import ROOT

import codex_backend_sdk
from codex_backend_sdk import auth, testing

TEXT = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+) \| (.+) \|$", TEXT, re.MULTILINE)
NEW_NAMES = sorted({name for _, new in ROWS for name in re.findall(r"`([A-Z]\w*[a-z]\w*)(?:\(|\.|`)", new)})


@pytest.mark.parametrize("name", NEW_NAMES)
def test_new_name_exists(name: str) -> None:
    modules = (codex_backend_sdk, auth, testing, openai, builtins)
    assert any(hasattr(module, name) for module in modules)


def test_members_of_new_names_exist() -> None:
    modules = (codex_backend_sdk, auth, testing)
    members = {pair for _, new in ROWS for pair in re.findall(r"`([A-Z]\w+)(?:\(\))?\.(\w+)", new)}
    assert len(members) > 4
    for name, member in members:
        owner = next(getattr(module, name) for module in modules if hasattr(module, name))
        assert hasattr(owner, member) or member in owner.__annotations__, f"{name}.{member}"


def test_old_names_do_not_exist() -> None:
    text = TEXT.partition("## From earlier versions")[2]
    old_names = re.findall(r"^\| `([A-Z]\w+)` \|", text, re.MULTILINE)
    assert len(old_names) > 15
    assert not [name for name in old_names if hasattr(codex_backend_sdk, name)]
