"""One benchmark run: the server, one process for each peer, and the order of the jobs.

The jobs of a row run in turn, round by round, so that a change in the load of the machine affects all of them. A peer
runs in its own environment; jobs that measure a start (`import`, `cold`, `command`) get a new process each time.
"""

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

from bench.environments import NPM_PEERS, ROOT, interpreter_of, npm_program
from bench.fake_login import login_document
from bench.local_servers import LOCAL_SERVERS, local_server
from bench.server import ResponseSpec, base_path
from bench.server_tasks import SERVER_TASKS, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rows import Job, Row

__all__ = ["Figures", "Session"]

# The values of each metric of a job, round by round.
Figures = dict[str, list[float]]

_COMMAND = "codex-backend"
_STOP_SECONDS = 10
_PROCESS_TIMEOUT_SECONDS = 60
_TIME_IMPORT = """\
import time
wall, cpu = time.perf_counter(), time.process_time()
{code}
print((time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3)
"""
_CHECK_OPENAI_IMPORT = """\
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
    """A context in which rows can run. Its processes cannot see the login or the configuration of the user.

    Attributes:
        server: The URL of the server.
    """

    def __init__(self, python: Callable[[str], Path] = interpreter_of) -> None:
        """`python` returns the interpreter that a peer is installed for."""
        self.server = ""
        self._python = python
        self._stack = ExitStack()
        self._peers: dict[str, subprocess.Popen[str]] = {}
        self._local_servers: dict[str, Target] = {}
        self._server_count = 0

    def __enter__(self) -> Self:
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "auth.json").write_text(json.dumps(login_document()))
        inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG", "TMPDIR") if name in os.environ}
        homes = dict.fromkeys(("HOME", "CODEX_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(home))
        self._environment = inherited | homes | {"PYTHONHASHSEED": "0"}
        server = self._start(sys.executable, "-m", "bench.server")
        assert server.stdout is not None
        self.server = server.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, row: Row, *, rounds: int) -> dict[str, Figures]:
        """Run the jobs of a row in turn, `rounds` times, and return their figures by label."""
        figures: dict[str, Figures] = {job.label: defaultdict(list) for job in row.jobs}
        for job in row.jobs:
            self._prepare_response(job)
        for number in range(rounds):
            for job in row.jobs:
                if number < job.rounds:
                    for metric, value in self._measure(job).items():
                        figures[job.label][metric].append(value)
        return figures

    def _measure(self, job: Job) -> dict[str, float]:
        measure = {"import": self._time_import, "cold": self._time_cold_start, "command": self._time_command}.get(
            job.task
        )
        if measure is not None:
            return measure(job)
        if job.task in SERVER_TASKS:
            return self._measure_local_server(job)
        order = {**job.arguments, "task": job.task}
        if not order.pop("new_process", False):
            return self._run_task(self._peer(job.peer), job.label, order)
        process = self._start_peer(job.peer)
        figures = self._run_task(process, job.label, order)
        self._stop(process)
        return figures

    def _run_task(self, process: subprocess.Popen[str], label: str, order: dict[str, Any]) -> dict[str, float]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {label} ended during {order['task']}. Its error is above.")
        figures: dict[str, float] = json.loads(line)
        return figures

    def _measure_local_server(self, job: Job) -> dict[str, float]:
        task: Callable[..., dict[str, float]] = SERVER_TASKS[job.task]
        arguments = dict(job.arguments)
        if arguments.pop("new_process", False):
            with ExitStack() as stack:
                return task(self._start_local_server(job.peer, stack), **arguments)
        if job.peer not in self._local_servers:
            self._local_servers[job.peer] = self._start_local_server(job.peer, self._stack)
        return task(self._local_servers[job.peer], **arguments)

    def _start_local_server(self, peer: str, stack: ExitStack) -> Target:
        self._server_count += 1
        session = self._server_count
        program = npm_program(peer) if peer in NPM_PEERS else self._python(peer).parent / LOCAL_SERVERS[peer]
        upstream = self.server + base_path(ResponseSpec("selected", 0, session=session))
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(local_server(peer, program, upstream, home=home, environment=self._environment))
        return Target(server, self.server, session)

    # Jobs that need a new process each time

    def _time_import(self, job: Job) -> dict[str, float]:
        wall, cpu = self._output(job.peer, "-c", _TIME_IMPORT.format(**job.arguments)).split()
        return {"wall_ms": float(wall), "cpu_ms": float(cpu)}

    def _time_cold_start(self, job: Job) -> dict[str, float]:
        url = self.server + base_path(ResponseSpec(*job.arguments["response"]))
        figures: dict[str, float] = json.loads(self._output(job.peer, "-m", "bench.cold_start", job.peer, url))
        return figures

    def _time_command(self, job: Job) -> dict[str, float]:
        """Time a command from start to end. Without arguments, time an interpreter that does nothing."""
        arguments, program = job.arguments.get("arguments"), job.arguments.get("program", _COMMAND)
        python = self._python(job.peer)
        command = [str(python), "-c", "pass"] if arguments is None else [str(python.parent / program), *arguments]
        start = time.perf_counter()
        self._run(command)
        figures = {"wall_ms": (time.perf_counter() - start) * 1e3}
        if arguments is not None and program == _COMMAND:
            output = self._output(job.peer, "-c", _CHECK_OPENAI_IMPORT.format(command=_COMMAND, arguments=arguments))
            figures["imports_openai"] = float(output.split()[-1])
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
            timeout=_PROCESS_TIMEOUT_SECONDS,
        )
        return done.stdout

    def _peer(self, name: str) -> subprocess.Popen[str]:
        if name not in self._peers:
            self._peers[name] = self._start_peer(name)
        return self._peers[name]

    def _start_peer(self, name: str) -> subprocess.Popen[str]:
        return self._start(str(self._python(name)), "-m", "bench.peers", name, self.server)

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

    def _prepare_response(self, job: Job) -> None:
        if "response" in job.arguments:
            url = self.server + base_path(ResponseSpec(*job.arguments["response"]))
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).close()
