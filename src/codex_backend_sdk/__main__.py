"""`python -m codex_backend_sdk` is `codex-backend`."""

from __future__ import annotations

from .cli import main

main()
