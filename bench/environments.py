"""One environment for each peer, in .cache/bench, installed on first use from a lock file with hashes.

It is a virtual environment, or a folder of npm packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ENVIRONMENTS",
    "NPM_PEERS",
    "ROOT",
    "install",
    "interpreter_of",
    "npm_program",
    "npm_version",
]

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
            "litellm",
        )
    },
}
# The peers that are npm packages. They are left out where npm is not installed.
NPM_PEERS = ("openai-oauth",) if shutil.which("npm") else ()


def install(peer: str) -> None:
    """Install the environment of a peer if it is missing or out of date."""
    if peer in NPM_PEERS:
        npm_program(peer)
    else:
        interpreter_of(peer)


def npm_version(peer: str) -> str:
    """Return the version of an npm package in its lock file."""
    lock: Any = json.loads((_LOCK_FILES / peer / "package-lock.json").read_text())
    version: str = lock["packages"][f"node_modules/{peer}"]["version"]
    return version


def npm_program(peer: str) -> Path:
    """Return the command of a peer that is an npm package. Install it if it is missing or out of date."""
    home = _CACHE / peer
    with _installation(peer, (_LOCK_FILES / peer / "package-lock.json").read_bytes()) as is_due:
        if is_due:
            shutil.copytree(_LOCK_FILES / peer, home, dirs_exist_ok=True)
            _run(shutil.which("npm") or "npm", "ci", "--silent", "--no-audit", "--no-fund", "--prefix", str(home))
    return home / "node_modules" / ".bin" / peer


def interpreter_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment. Install the environment if it is missing or out of date."""
    environment = ENVIRONMENTS[peer]
    home = _CACHE / peer
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with _installation(peer, environment.lock_file.read_bytes() + sys.version.encode()) as is_due:
        if is_due:
            _run(sys.executable, "-m", "venv", "--clear", str(home))
            _run(str(python), *_PIP_INSTALL, "--require-hashes", "-r", str(environment.lock_file))
            if environment.with_this_package:
                _run(str(python), *_PIP_INSTALL, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    return python


@contextmanager
def _installation(peer: str, source: bytes) -> Iterator[bool]:
    """Yield whether the environment of a peer must be installed from `source`. Record it at the end of the block."""
    stamp = _CACHE / peer / "installed-from"
    source_hash = hashlib.sha256(source).hexdigest()
    is_due = not stamp.exists() or stamp.read_text() != source_hash
    if is_due:
        print(f"Installing {peer} into {stamp.parent.relative_to(ROOT)}", file=sys.stderr, flush=True)
    yield is_due
    if is_due:
        stamp.write_text(source_hash)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_INSTALL_TIMEOUT_SECONDS)
