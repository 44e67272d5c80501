"""Run `codex-backend`, as the script of an installation does."""

import sys

from codex_backend_sdk.cli import main

if __name__ == "__main__":
    sys.exit(main())
