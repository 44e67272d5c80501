"""The command-line interface, `codex-backend`.

To start quickly, the package imports the module of a command when that command runs, and imports `openai`, `httpx2`,
`rich` and the simulator in the functions that need them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command-line interface with these arguments (default: `sys.argv[1:]`) and return the exit code."""
    try:
        import click  # noqa: F401  # an optional dependency: if it is missing, print the extra instead of a traceback
    except ImportError:
        sys.stderr.write(
            "Error: codex-backend needs packages that are not installed. Run: pip install 'codex-backend-sdk[cli]'\n"
        )
        return 1
    from .app import run

    return run(arguments)
