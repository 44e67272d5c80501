"""One virtual environment for each peer, in .cache/bench, installed on first use from a lock file with hashes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["ENVIRONMENTS", "ROOT", "interpreter_of"]

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / ".cache" / "bench"
_LOCK_FILES = ROOT / "bench" / "requirements"
_INSTALL_TIMEOUT_SECONDS = 900
_PIP_INSTALL = ("-m", "pip", "--disable-pip-version-check", "--quiet", "--quiet", "install")


class Environment(NamedTuple):
    """The lock file of a peer's environment. `with_this_package` also installs the working tree, editable."""

    lock_file: Path
    with_this_package: bool = False


ENVIRONMENTS = {
    "ours": Environment(ROOT / "requirements" / "demo.txt", with_this_package=True),
    **{
        peer: Environment(_LOCK_FILES / f"{peer}.txt")
        for peer in (
            "openai",
            "llm",
            "original-0.2.0",
            "original-0.5.9",
            "login-with-chatgpt",
            "gpt-codex-client",
            "floor",
        )
    },
}


def interpreter_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment. Install the environment if it is missing or out of date."""
    environment = ENVIRONMENTS[peer]
    home = _CACHE / peer
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "installed-from"
    lock_hash = hashlib.sha256(environment.lock_file.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == lock_hash:
        return python
    print(f"Installing {peer} into {home.relative_to(ROOT)}", file=sys.stderr, flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(home))
    _run(str(python), *_PIP_INSTALL, "--require-hashes", "-r", str(environment.lock_file))
    if environment.with_this_package:
        _run(str(python), *_PIP_INSTALL, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    stamp.write_text(lock_hash)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_TIMEOUT_SECONDS)
