"""Run `codex-backend serve` as a process, for the tests of programs that use it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from node_clients import isolated_environment

from codex_backend_sdk._constants import DATA_FOLDER_ENV

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalServer", "run_local_server"]

_STOP_SECONDS = 60
_PROGRAM_SECONDS = 100


@dataclass(frozen=True)
class LocalServer:
    """A running server: its address with `/v1`, its key, and the file of its log.

    Programs run in the folder `work`, which has the file `poem.txt`. Their files are in the folder `home`.
    """

    base_url: str
    key: str
    log_file: Path
    home: Path

    @property
    def variables(self) -> dict[str, str]:
        """The variables that OpenAI's clients read."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.key}

    @property
    def log(self) -> str:
        """The lines of the requests until now."""
        return self.log_file.read_text(encoding="utf-8")

    @property
    def work(self) -> Path:
        """The folder in which programs run."""
        return self.home / "work"

    @property
    def poem(self) -> Path:
        """A file for the tools of programs."""
        return self.work / "poem.txt"

    def write(self, path: str, content: str) -> Path:
        """Write a file of the user of a program."""
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        return file

    def run(self, *command: object, **variables: str) -> str:
        """Run a program that can reach this machine only, and return what it prints."""
        result = subprocess.run(
            [str(word) for word in command],
            cwd=self.work,
            env=isolated_environment(self.home, **self.variables, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROGRAM_SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}\n{self.log}"
        return result.stdout.strip()


@contextlib.contextmanager
def run_local_server(folder: Path) -> Iterator[LocalServer]:
    """Start the server on a free port, with the login of the environment. All files are in `folder`."""
    log_file = folder / "server.log"
    command = [sys.executable, "-m", "codex_backend_sdk", "serve", "--json", "--port", "0"]
    data = folder / "data"
    with (
        log_file.open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            env={**os.environ, DATA_FOLDER_ENV: str(data)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log_file.read_text(encoding="utf-8")
            started = json.loads(line)
            key = Path(started["key_file"]).read_text(encoding="utf-8").strip()
            server = LocalServer(started["base_url"], key, log_file, folder / "home")
            server.write("work/poem.txt", "roses are red")
            yield server
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
