"""`python -m codex_backend_sdk.cli` is `codex-backend`."""

from __future__ import annotations

import sys

from codex_backend_sdk.cli import main

if __name__ == "__main__":
    sys.exit(main())
