"""The private names of `openai` that we stand on are where they were, and only the seam imports them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from codex_backend_sdk import _upstream, _upstream_streaming

HOOKS = {**_upstream.HOOKS, **_upstream_streaming.HOOKS}
SOURCE = Path(__file__).parent.parent / "src" / "codex_backend_sdk"
# For annotations only, and for the base classes that resources inherit from.
ALLOWED = {"resources/models.py"}


@pytest.mark.parametrize(("owner", "name"), HOOKS)
def test_a_hook_has_the_parameters_it_always_had(owner: type, name: str) -> None:
    parameters = list(inspect.signature(getattr(owner, name)).parameters)
    assert tuple(parameters[1:]) == HOOKS[owner, name]


def test_only_the_seam_imports_private_names() -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if re.search(r"(from|import) openai(\.\w+)*\._|from openai\.lib", path.read_text())
    }
    assert found - ALLOWED == {"_upstream.py", "_upstream_streaming.py"}
