"""Run the `codex-backend` command with `python -m codex_backend_sdk`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
