"""Test that openai still has the private methods that this package overrides."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from codex_backend_sdk._upstream import HOOKS, connection_hooks, streaming_hooks

ALL_HOOKS = {**HOOKS, **streaming_hooks(), **connection_hooks()}
SOURCE = Path(__file__).parent.parent / "src" / "codex_backend_sdk"
# These modules import private names for annotations only.
TYPE_ONLY_IMPORTERS = {"conversation/conversation.py", "resources/models.py", "resources/responses.py"}


@pytest.mark.parametrize(("owner", "name"), ALL_HOOKS)
def test_hook_keeps_its_parameters(owner: type, name: str) -> None:
    parameters = list(inspect.signature(getattr(owner, name)).parameters)
    assert tuple(parameters[1:]) == ALL_HOOKS[owner, name]


def test_only_upstream_imports_private_names() -> None:
    importers = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(r"(from|import) openai(\.\w+)*\._|from openai\.lib", path.read_text())
    }
    assert importers - TYPE_ONLY_IMPORTERS == {"_upstream.py"}
