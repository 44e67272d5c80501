"""One virtual environment for each peer, in .cache/bench, made on first use from a lock with hashes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["ENVIRONMENTS", "ROOT", "ready"]

ROOT = Path(__file__).resolve().parent.parent
_CACHE = ROOT / ".cache" / "bench"
_OURS = ROOT / "requirements" / "demo.txt"
_THEIRS = ROOT / "bench" / "requirements"
_INSTALL_LIMIT_SECONDS = 900
_PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet", "--quiet", "install")


class Environment(NamedTuple):
    """Where a peer's requirements are; `with_this_package`: this package is installed too, as its files are now."""

    requirements: Path
    with_this_package: bool = False


ENVIRONMENTS = {
    "ours": Environment(_OURS, with_this_package=True),
    "openai": Environment(_THEIRS / "openai.txt"),
    "original-0.2.0": Environment(_THEIRS / "original-0.2.0.txt"),
    "original-0.5.9": Environment(_THEIRS / "original-0.5.9.txt"),
    "login-with-chatgpt": Environment(_THEIRS / "login-with-chatgpt.txt"),
    "floor": Environment(_THEIRS / "floor.txt"),
}


def ready(peer: str) -> Path:
    """Return the interpreter of a peer's environment, which is made when there is none or its lock has changed."""
    environment = ENVIRONMENTS[peer]
    home = _CACHE / peer
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = home / "made-from"
    recipe = hashlib.sha256(environment.requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == recipe:
        return python
    print(f"Installing {peer} into {home.relative_to(ROOT)}", file=sys.stderr, flush=True)
    _run(sys.executable, "-m", "venv", "--clear", str(home))
    _run(str(python), *_PIP, "--require-hashes", "-r", str(environment.requirements))
    if environment.with_this_package:
        _run(str(python), *_PIP, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    stamp.write_text(recipe)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_LIMIT_SECONDS)
