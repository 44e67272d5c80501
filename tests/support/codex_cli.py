"""Find the real Codex CLI, isolate it from the network and run it on a simulator.

Install it with `npm install @openai/codex@0.171.0` and set `CODEX_BINARY` to its path.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

__all__ = ["BINARY", "REQUIREMENTS", "CliResult", "CodexCli", "isolated_environment", "requires_cli"]

_TIMEOUT_SECONDS = 50

BINARY = os.environ.get("CODEX_BINARY") or shutil.which("codex")
requires_cli = pytest.mark.skipif(
    BINARY is None, reason="no Codex CLI: CODEX_BINARY is not set, and there is no `codex` on the PATH"
)
REQUIREMENTS = [
    requires_cli,
    pytest.mark.skipif(os.name == "nt", reason="the tests end the process group with POSIX signals"),
]


def isolated_environment(home: Path, codex_home: Path, **environment: str) -> dict[str, str]:
    """Return an environment in which the CLI can connect to this machine only; other connections fail at once."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "CODEX_HOME": str(codex_home),
        "HTTPS_PROXY": "http://127.0.0.1:9",  # nothing listens there
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1,localhost",
        **environment,
    }


@dataclass(frozen=True)
class CliResult:
    code: int
    out: str
    err: str


class CodexCli:
    """Runs of the CLI with a temporary home folder. The CLI can connect to the simulator only."""

    def __init__(self, sim: Simulator, scratch: Path, *, supports_websockets: bool = False) -> None:
        self.sim = sim
        self._supports_websockets = supports_websockets
        self.home = scratch / "codex"
        self._scratch = scratch

    def exec(self, prompt: str, *options: str, model: str | None, **environment: str) -> CliResult:
        if not (self.home / "auth.json").exists():
            self.sim.write_codex_home(self.home, model=model, supports_websockets=self._supports_websockets)
        work = self._scratch / "work"
        work.mkdir(exist_ok=True)
        assert BINARY is not None
        process = subprocess.Popen(
            [BINARY, "exec", "--skip-git-repo-check", *options, prompt],
            cwd=work,
            env=isolated_environment(self._scratch, self.home, **environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=_TIMEOUT_SECONDS)
        finally:
            _kill_group(process)
        return CliResult(process.returncode, out, err)


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended already
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
