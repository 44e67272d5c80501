"""The command-line interface, `codex-backend`.

To start quickly, the package imports the module of a command when that command runs, and imports `openai`, `httpx2`,
`rich`, `prompt_toolkit` and the simulator in the functions that need them.
"""

from __future__ import annotations

from .app import run as main

__all__ = ["main"]
