"""Local servers of OpenAI's API in front of the benchmark server: `codex-backend serve` and its peers.

Each is a process of its own with the same upstream. Linux only: the CPU time and the memory of another process are read
as the kernel counts them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.fake_login import login_document
from bench.http_driver import KEY, get_status
from bench.workloads import MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LOCAL_SERVERS", "LocalServer", "local_server"]

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.005
# More than the streams of any row, so that a queue is no part of a measurement.
_CONCURRENCY = 1000


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A running server. `start_ms` is the time from its start to its first list of models."""

    port: int
    process_id: int
    start_ms: float

    def cpu_seconds(self) -> float:
        """Return the CPU time of the processes of the server, including all of their threads."""
        return sum(map(_cpu_seconds, self._process_ids()))

    def resident_mb(self) -> float:
        """Return the memory of the processes of the server that is in RAM."""
        return sum(map(_resident_mb, self._process_ids()))

    def _process_ids(self) -> Iterator[int]:
        """Yield the process and its descendants: a launcher may run the server in another process."""
        remaining = [self.process_id]
        while remaining:
            process_id = remaining.pop()
            yield process_id
            for children in Path(f"/proc/{process_id}/task").glob("*/children"):
                remaining += map(int, children.read_text().split())


def _cpu_seconds(process_id: int) -> float:
    clock = ctypes.c_int()
    if ctypes.CDLL(None).clock_getcpuclockid(process_id, ctypes.byref(clock)):
        raise ProcessLookupError(f"The local server (process {process_id}) has ended.")
    return time.clock_gettime(clock.value)


def _resident_mb(process_id: int) -> float:
    status = Path(f"/proc/{process_id}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


@dataclass(frozen=True, slots=True)
class _Launch:
    """What a server is started with: its program, the URL of its upstream, a free port, and its home folder."""

    program: Path
    upstream: str
    port: int
    home: Path


def _ours(launch: _Launch) -> tuple[list[str], dict[str, str]]:
    options = ["--port", str(launch.port), "--concurrency", str(_CONCURRENCY), "--quiet"]
    environment = {"CODEX_BASE_URL": launch.upstream, "CODEX_SERVER_KEY": KEY}
    return [str(launch.program), "serve", *options], environment


def _openai_oauth(launch: _Launch) -> tuple[list[str], dict[str, str]]:
    options = ["--no-open", "--port", str(launch.port), "--base-url", launch.upstream]
    # Without a version, it asks the registry of npm for the newest one.
    return [str(launch.program), *options, "--codex-version", "0.171.0"], {}


def _litellm(launch: _Launch) -> tuple[list[str], dict[str, str]]:
    tokens = launch.home / "litellm"
    tokens.mkdir()
    (tokens / "auth.json").write_text(json.dumps(login_document()["tokens"]))
    config = launch.home / "config.yaml"
    models = [{"model_name": MODEL, "litellm_params": {"model": f"chatgpt/{MODEL}"}}]
    config.write_text(json.dumps({"model_list": models}))  # JSON is YAML
    environment = {
        "CHATGPT_API_BASE": launch.upstream,
        "CHATGPT_TOKEN_DIR": str(tokens),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MASTER_KEY": KEY,
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "ERROR",
    }
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(launch.port), "--telemetry", "False"]
    return [str(launch.program), *options], environment


_COMMANDS = {"ours": _ours, "openai-oauth": _openai_oauth, "litellm": _litellm}
# The name of each program.
LOCAL_SERVERS = {"ours": "codex-backend", "openai-oauth": "openai-oauth", "litellm": "litellm"}


@contextmanager
def local_server(
    peer: str, program: Path, upstream: str, *, home: Path, environment: dict[str, str]
) -> Iterator[LocalServer]:
    """Run the server of a peer. `home` is an empty folder for its files. Raises RuntimeError if it does not start."""
    if sys.platform != "linux":
        raise RuntimeError("The rows of local servers run on Linux only. Choose other rows with --rows.")
    (home / "auth.json").write_text(json.dumps(login_document()))
    # openai-oauth starts only once for each home.
    homes = dict.fromkeys(("HOME", "CODEX_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"), str(home))
    command, variables = _COMMANDS[peer](_Launch(program, upstream, _free_port(), home))
    port = int(command[command.index("--port") + 1])
    output = home / "output.txt"
    start = time.perf_counter()
    with output.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=environment | homes | variables,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(peer, process, port, output)
        yield LocalServer(port, process.pid, (time.perf_counter() - start) * 1e3)
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with contextlib.suppress(ProcessLookupError):  # what a launcher has left
        os.killpg(process.pid, signal.SIGKILL)


def _wait_until_ready(peer: str, process: subprocess.Popen[Any], port: int, output: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while get_status(port, "/v1/models") != 200:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"The server of {peer} did not start within {_START_SECONDS:.0f} seconds. The end of its output:\n"
                + output.read_text(errors="replace")[-2000:]
            )
        time.sleep(_POLL_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
