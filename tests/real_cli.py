"""The real Codex CLI: `npm install @openai/codex@0.169.0`, then name it in `CODEX_BINARY`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BINARY", "NEEDED", "alone", "needs_the_cli"]

BINARY = os.environ.get("CODEX_BINARY") or shutil.which("codex")
needs_the_cli = pytest.mark.skipif(
    BINARY is None, reason="no Codex CLI: CODEX_BINARY is not set and no codex is on the PATH"
)
NEEDED = [
    needs_the_cli,
    pytest.mark.skipif(os.name == "nt", reason="the process group is ended in the POSIX manner"),
]


def alone(home: Path, codex_home: Path, **environment: str) -> dict[str, str]:
    """Return an environment in which it reaches this machine only: a call to any other host fails at once."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CODEX_HOME": str(codex_home),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nobody listens there
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **environment,
    }
