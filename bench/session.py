"""One run: the server, a process for each peer, and whose turn it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bench.credentials import document
from bench.environments import ROOT, ready
from bench.server import Answer, base_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rows import Job, Row

__all__ = ["Figures", "Session"]

# What a job measured, round by round.
Figures = dict[str, list[float]]

_COMMAND = "codex-backend"
_STOP_SECONDS = 10
_PROCESS_LIMIT_SECONDS = 60
_IMPORT = """\
import time
wall, cpu = time.perf_counter(), time.process_time()
{code}
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""
_DOES_IT_IMPORT = """\
import sys
from importlib.metadata import entry_points
(command,) = entry_points(group="console_scripts", name={command!r})
sys.argv[1:] = {arguments!r}
try:
    command.load()()
except SystemExit:
    pass
print(int("openai" in sys.modules))
"""


class Session:
    """A context in which rows can be run. Nobody's own login or configuration is in reach of what it starts."""

    def __init__(self, python: Callable[[str], Path] = ready) -> None:
        """`python` gives the interpreter that has a peer installed."""
        self._python = python
        self._stack = ExitStack()
        self._peers: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "auth.json").write_text(json.dumps(document()))
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "TMPDIR") if name in os.environ}
        homes = dict.fromkeys(("HOME", "CODEX_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(home))
        self._environment = kept | homes | {"PYTHONHASHSEED": "0"}
        server = self._start(sys.executable, "-m", "bench.server")
        assert server.stdout is not None
        self._server = server.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, row: Row, *, rounds: int) -> dict[str, Figures]:
        """Let the jobs of a row take turns, and return their figures by label."""
        figures: dict[str, Figures] = {job.label: defaultdict(list) for job in row.jobs}
        for job in row.jobs:
            self._make_answer(job)
        for turn in range(rounds):
            for job in row.jobs:
                if turn < job.rounds:
                    for metric, value in self._measure(job).items():
                        figures[job.label][metric].append(value)
        return figures

    def _measure(self, job: Job) -> dict[str, float]:
        measure = {"import": self._import, "cold": self._cold, "command": self._command}.get(job.task)
        if measure is not None:
            return measure(job)
        given = {**job.given, "task": job.task}
        if not given.pop("fresh", False):
            return self._ask(self._peer(job.peer), job.label, given)
        process = self._start_peer(job.peer)
        figures = self._ask(process, job.label, given)
        self._stop(process)
        return figures

    def _ask(self, process: subprocess.Popen[str], label: str, order: dict[str, Any]) -> dict[str, float]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{label} ended in the middle of {order['task']}; its error is above.")
        figures: dict[str, float] = json.loads(line)
        return figures

    # Processes of their own

    def _import(self, job: Job) -> dict[str, float]:
        wall, cpu = self._output(job.peer, "-c", _IMPORT.format(**job.given)).split()
        return {"wall_ms": float(wall), "cpu_ms": float(cpu)}

    def _cold(self, job: Job) -> dict[str, float]:
        url = self._server + base_path(Answer(*job.given["answer"]))
        figures: dict[str, float] = json.loads(self._output(job.peer, "-m", "bench.fresh", job.peer, url))
        return figures

    def _command(self, job: Job) -> dict[str, float]:
        """Time a command from its start to its end; without arguments, an interpreter that does nothing."""
        arguments = job.given.get("arguments")
        python = self._python(job.peer)
        command = [str(python), "-c", "pass"] if arguments is None else [str(python.parent / _COMMAND), *arguments]
        start = time.perf_counter()
        self._run(command)
        figures = {"wall_ms": (time.perf_counter() - start) * 1e3}
        if arguments is not None:
            told = self._output(job.peer, "-c", _DOES_IT_IMPORT.format(command=_COMMAND, arguments=arguments))
            figures["imports_openai"] = float(told.split()[-1])
        return figures

    def _output(self, peer: str, *arguments: str) -> str:
        return self._run([str(self._python(peer)), *arguments])

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=_PROCESS_LIMIT_SECONDS,
        )
        return done.stdout

    def _peer(self, name: str) -> subprocess.Popen[str]:
        if name not in self._peers:
            self._peers[name] = self._start_peer(name)
        return self._peers[name]

    def _start_peer(self, name: str) -> subprocess.Popen[str]:
        return self._start(str(self._python(name)), "-m", "bench.peers", name, self._server)

    def _start(self, *command: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command, cwd=ROOT, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._stack.callback(self._stop, process)
        return process

    def _stop(self, process: subprocess.Popen[str]) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _make_answer(self, job: Job) -> None:
        if "answer" in job.given:
            url = self._server + base_path(Answer(*job.given["answer"]))
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).close()
