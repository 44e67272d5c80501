"""The command, run in this process or in one of its own, with everything pointed at a simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cli.runs import Ran

from codex_backend_sdk.cli import main
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli.runs import Run, Spawn, StoreLogin

# Settings of the person who runs the tests that would change what the command prints or asks.
FOREIGN = (
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

HEAVY = ("httpx2", "openai", "pydantic", "rich", "starlette", "uvicorn")


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """A simulator that has heard nothing yet."""
    running.clear()
    return running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The folder that stands for ~/.codex."""
    return tmp_path / "codex home"


@pytest.fixture
def environment(sim: Simulator, home: Path) -> dict[str, str]:
    """The variables for a process of the command."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(FOREIGN)}
    return {**inherited, **sim.environment, "CODEX_HOME": str(home), "TZ": "UTC"}


@pytest.fixture
def store_login(home: Path, sim: Simulator) -> StoreLogin:
    """Write an auth.json: the simulator's login, or the document given."""

    def write(document: dict[str, Any] | None = None) -> dict[str, Any]:
        found = sim.login_document() if document is None else document
        home.mkdir(exist_ok=True)
        (home / "auth.json").write_text(json.dumps(found), encoding="utf-8")
        return found

    return write


@pytest.fixture
def listing() -> str:
    """Code for `run_alone`: says at the end, on stderr, which heavy packages were imported."""
    found = f"[name for name in {HEAVY!r} if name in sys.modules]"
    return f"import atexit, sys; atexit.register(lambda: print('imported:', {found}, file=sys.stderr))"


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command in this process."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def call(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main(arguments)
        return Ran(code, *capsys.readouterr())

    return call


@pytest.fixture
def spawn(environment: dict[str, str]) -> Spawn:
    """Start the command in a process of its own; `code` runs in it first."""

    def start(*arguments: str, code: str = "", **options: Any) -> subprocess.Popen[str]:
        program = f"{code}\nimport sys\nfrom codex_backend_sdk.cli import main\nsys.exit(main())"
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        env = environment | options.pop("env", {})
        command = [sys.executable, "-c", program, *arguments]
        return subprocess.Popen(command, env=env, encoding="utf-8", **(given | options))

    return start


@pytest.fixture
def run_alone(spawn: Spawn) -> Run:
    """Run the command in a process of its own, to its end."""

    def call(*arguments: str, **options: Any) -> Ran:
        with spawn(*arguments, **options) as process:
            out, err = process.communicate(timeout=40)
        return Ran(process.returncode, out, err)

    return call
