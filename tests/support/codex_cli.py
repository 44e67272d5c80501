"""Find the real Codex CLI and isolate it from the network.

Install it with `npm install @openai/codex@0.171.0` and set `CODEX_BINARY` to its path.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BINARY", "REQUIREMENTS", "isolated_environment", "requires_cli"]

BINARY = os.environ.get("CODEX_BINARY") or shutil.which("codex")
requires_cli = pytest.mark.skipif(
    BINARY is None, reason="no Codex CLI: CODEX_BINARY is not set, and there is no `codex` on the PATH"
)
REQUIREMENTS = [
    requires_cli,
    pytest.mark.skipif(os.name == "nt", reason="the tests end the process group with POSIX signals"),
]


def isolated_environment(home: Path, codex_home: Path, **environment: str) -> dict[str, str]:
    """Return an environment in which the CLI can connect to this machine only; other connections fail at once."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CODEX_HOME": str(codex_home),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing listens there
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **environment,
    }
