"""The command `codex-backend`.

Start-up is kept small: a command's module is imported when that command runs, and `openai`, `rich` and the simulator
only inside the functions that need them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: this process's) and return the exit code."""
    try:
        import click  # noqa: F401
    except ImportError:
        sys.stderr.write("Error: the command codex-backend needs more packages: pip install 'codex-backend-sdk[cli]'\n")
        return 1
    from .app import run

    return run(arguments)
