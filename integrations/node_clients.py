"""Run clients that are npm packages, isolated from the network and from the files of the user."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["isolated_environment", "path_of_command"]


def path_of_command(name: str) -> Path:
    """Return the path of a command that npm installed for these tests."""
    return Path(os.environ["INTEGRATION_NODE_MODULES"]) / ".bin" / name


def isolated_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return an environment in which connections to other hosts fail at once: nothing listens on the proxy's port."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **variables,
    }
