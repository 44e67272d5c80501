"""The command `codex-backend`.

Start-up time is what users of a command notice first, so imports are late: a command's module is imported when that
command runs, and `openai`, `httpx2`, `rich` and the simulator inside the functions that need them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (default: `sys.argv`) and return the exit code."""
    try:
        import click  # noqa: F401  # an optional dependency: without it, name the extra instead of a traceback
    except ImportError:
        sys.stderr.write(
            "Error: codex-backend needs packages that are not installed. Run: pip install 'codex-backend-sdk[cli]'\n"
        )
        return 1
    from .app import run

    return run(arguments)
