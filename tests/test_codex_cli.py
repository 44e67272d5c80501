"""Run the real Codex CLI on the simulator."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.codex_cli import BINARY, REQUIREMENTS, isolated_environment

from codex_backend_sdk.testing import Simulator, Turn

TIMEOUT_SECONDS = 50

pytestmark = REQUIREMENTS


@dataclass(frozen=True)
class CliResult:
    code: int
    out: str
    err: str


class Cli:
    """Runs of the CLI with a temporary home folder. The CLI can connect to the simulator only."""

    def __init__(self, sim: Simulator, scratch: Path) -> None:
        self.sim = sim
        self.home = scratch / "codex"
        self._scratch = scratch

    def exec(self, prompt: str, *options: str, model: str | None, **environment: str) -> CliResult:
        if not (self.home / "auth.json").exists():
            self.sim.write_codex_home(self.home, model=model)
        work = self._scratch / "work"
        work.mkdir()
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
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            _kill_group(process)
        return CliResult(process.returncode, out, err)

    def model_requests(self) -> list[dict[str, Any]]:
        return [request.json() for request in self.sim.requests if request.path == "/backend-api/codex/responses"]


def _kill_group(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):  # the whole group has ended already
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    with Simulator() as sim:
        yield Cli(sim, tmp_path)


# The CLI sends gpt-5.5 top-level tools, and the default model an `additional_tools` item.
MODELS = pytest.mark.parametrize("model", ["gpt-5.5", None])


@MODELS
def test_cli_prints_the_default_reply(cli: Cli, model: str | None) -> None:
    result = cli.exec("hi", model=model)
    assert result.code == 0, result.err
    assert result.out == 'This is the simulator, not a model. You wrote: "hi"\n'
    (request,) = cli.model_requests()
    assert request["model"] == (model or "gpt-6.2-sol")
    assert ("tools" in request) is (model == "gpt-5.5")


@MODELS
def test_cli_runs_a_tool_call_and_sends_its_output(cli: Cli, model: str | None) -> None:
    cli.sim.script(Turn.call("exec_command", {"cmd": "echo simulated-$((40+2))"}), Turn.text("The command ran."))
    # The command comes from this test. Without this option the CLI starts a sandbox, which a container may not allow.
    result = cli.exec("run it", "--sandbox", "danger-full-access", model=model)
    assert result.code == 0, result.err
    assert result.out == "The command ran.\n"
    assert "simulated-42" in result.err
    first, second = cli.model_requests()
    assert "simulated-42" not in str(first)
    assert "simulated-42" in str([item for item in second["input"] if item["type"] == "function_call_output"])


def test_cli_refreshes_an_expired_login(cli: Cli) -> None:
    cli.sim.write_codex_home(cli.home, model="gpt-5.5", expires_in=timedelta(minutes=-1))
    old_document = (cli.home / "auth.json").read_text()
    result = cli.exec("hi", model="gpt-5.5", CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{cli.sim.issuer}/oauth/token")
    assert result.code == 0, result.err
    assert result.out == 'This is the simulator, not a model. You wrote: "hi"\n'
    assert (cli.home / "auth.json").read_text() != old_document
    refreshes = [request.json() for request in cli.sim.requests if request.path == "/oauth/token"]
    assert [refresh["grant_type"] for refresh in refreshes] == ["refresh_token"] * len(refreshes) != []
