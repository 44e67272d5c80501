"""Fixtures that run the command against a simulator, in this process or in a new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from cli.command_runs import CommandResult
from support import command
from support.forked_programs import run_on_streams, run_python_file

from codex_backend_sdk.cli import main
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from cli.command_runs import Run, Spawn, StoreLogin

# Prefixes of variables that change the output of the command or its requests.
INTERFERING_PREFIXES = (
    "CODEX_",
    "OPENAI_",
    "NO_COLOR",
    "FORCE_COLOR",
    "BROWSER",
    "COLUMNS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
)
COMMAND = Path(command.__file__)
HEAVY_PACKAGES = ("httpx2", "openai", "prompt_toolkit", "pydantic", "pydantic_core", "rich", "starlette", "uvicorn")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The path of the CODEX_HOME. The folder does not exist."""
    return tmp_path / "codex home"


@pytest.fixture
def environment(sim: Simulator, home: Path) -> dict[str, str]:
    """The environment of a process that runs the command."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(INTERFERING_PREFIXES)}
    data = str(home.parent / "data")
    return {**inherited, **sim.environment, "CODEX_HOME": str(home), "CODEX_BACKEND_DATA": data, "TZ": "UTC"}


@pytest.fixture
def store_login(home: Path, sim: Simulator) -> StoreLogin:
    """Write an auth.json: the simulator's login by default."""

    def write(document: dict[str, Any] | None = None) -> dict[str, Any]:
        document = sim.login_document() if document is None else document
        home.mkdir(exist_ok=True)
        (home / "auth.json").write_text(json.dumps(document), encoding="utf-8")
        (home / "auth.json").chmod(0o600)
        return document

    return write


@pytest.fixture
def print_imports() -> str:
    """Code for `run_in_process` that prints the imported heavy packages to stderr when the process exits."""
    names = f"[name for name in {HEAVY_PACKAGES!r} if name in sys.modules]"
    return f"import atexit, sys; atexit.register(lambda: print('imported:', {names}, file=sys.stderr))"


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> CommandResult:
        capsys.readouterr()
        code = main(arguments)
        return CommandResult(code, *capsys.readouterr())

    return call


@pytest.fixture
def spawn(environment: dict[str, str]) -> Spawn:
    """Start the command in a new process, which runs `code` first."""

    def start(*arguments: str, code: str = "", **options: Any) -> subprocess.Popen[str]:
        program = f"{code}\nimport sys\nfrom codex_backend_sdk.cli import main\nsys.exit(main())"
        defaults = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = environment | options.pop("env", {})
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, env=env, encoding="utf-8", **(defaults | options))

    return start


@pytest.fixture
def run_in_process(spawn: Spawn, environment: dict[str, str]) -> Run:
    """Run the command in a new process and wait until it exits.

    The process is a fork (support/forked_programs.py), or a new interpreter if an option or a variable requires it.
    """

    def call(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> CommandResult:
        if not options and not any(name.startswith("PYTHON") for name in env or ()):
            done = run_python_file(COMMAND, *arguments, cwd=Path.cwd(), env={**environment, **(env or {})}, timeout=40)
            return CommandResult(done.returncode, done.stdout, done.stderr)
        with spawn(*arguments, env=env or {}, **options) as process:
            out, err = process.communicate(timeout=40)
        return CommandResult(process.returncode, out, err)

    return call


@pytest.fixture
def run_in_terminal(spawn: Spawn, environment: dict[str, str]) -> Callable[..., str]:
    """Run the command with a pseudo-terminal as its output, and return what the terminal received.

    `code` is the expected exit code; `program` is code that runs first. The process is a fork, or a new
    interpreter for `program` and for variables that the interpreter reads.
    """
    pty = pytest.importorskip("pty")  # not on Windows

    def call(*arguments: str, columns: int = 80, code: int = 0, program: str = "", **env: str) -> str:
        controller, terminal = pty.openpty()
        received = bytearray()

        def read() -> None:
            try:
                while chunk := os.read(controller, 65536):
                    received.extend(chunk)
            except OSError:  # Linux raises this when the other side is closed
                pass

        reader = Thread(target=read)
        env = {"TERM": "xterm-256color", "COLUMNS": str(columns), **env}
        if program or any(name.startswith("PYTHON") for name in env):
            with spawn(*arguments, code=program, stdout=terminal, stderr=terminal, env=env) as process:
                reader.start()
                exit_code = process.wait(timeout=40)
        else:
            reader.start()
            device = Path(os.ttyname(terminal))
            streams = (Path(os.devnull), device, device)
            environment_of_call = {**environment, **env}
            exit_code = run_on_streams(
                COMMAND, *arguments, cwd=Path.cwd(), env=environment_of_call, streams=streams, timeout=40
            )
        os.close(terminal)
        reader.join(timeout=10)
        os.close(controller)
        assert exit_code == code, received.decode()
        return received.decode().replace("\r\n", "\n")

    return call
