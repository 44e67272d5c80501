"""The command-line interface, `codex-backend`.

To start quickly, the package imports the module of a command when that command runs, and imports `openai`, `httpx2`,
`rich`, `prompt_toolkit` and the simulator in the functions that need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (default: `sys.argv[1:]`) and return the exit code."""
    try:
        from .app import run
    except KeyboardInterrupt:  # Ctrl-C at once, without a traceback
        return 130
    return run(arguments)
