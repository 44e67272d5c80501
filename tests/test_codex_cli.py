"""Run the real Codex CLI on the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.codex_cli import REQUIREMENTS, CodexCli

from codex_backend_sdk.testing import Simulator, Turn

pytestmark = REQUIREMENTS


def model_requests(cli: CodexCli) -> list[dict[str, Any]]:
    return [request.json() for request in cli.sim.requests if request.path == "/backend-api/codex/responses"]


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CodexCli]:
    with Simulator() as sim:
        yield CodexCli(sim, tmp_path)


# The CLI sends gpt-5.5 top-level tools, and the default model an `additional_tools` item.
MODELS = pytest.mark.parametrize("model", ["gpt-5.5", None])


@MODELS
def test_cli_prints_the_default_reply(cli: CodexCli, model: str | None) -> None:
    result = cli.exec("hi", model=model)
    assert result.code == 0, result.err
    assert result.out == 'This is the simulator, not a model. You wrote: "hi"\n'
    (request,) = model_requests(cli)
    assert request["model"] == (model or "gpt-6.2-sol")
    assert ("tools" in request) is (model == "gpt-5.5")


@MODELS
def test_cli_runs_a_tool_call_and_sends_its_output(cli: CodexCli, model: str | None) -> None:
    cli.sim.script(Turn.call("exec_command", {"cmd": "echo simulated-$((40+2))"}), Turn.text("The command ran."))
    # The command comes from this test. Without this option the CLI starts a sandbox, which a container may not allow.
    result = cli.exec("run it", "--sandbox", "danger-full-access", model=model)
    assert result.code == 0, result.err
    assert result.out == "The command ran.\n"
    assert "simulated-42" in result.err
    first, second = model_requests(cli)
    assert "simulated-42" not in str(first)
    assert "simulated-42" in str([item for item in second["input"] if item["type"] == "function_call_output"])


def test_cli_refreshes_an_expired_login(cli: CodexCli) -> None:
    cli.sim.write_codex_home(cli.home, model="gpt-5.5", expires_in=timedelta(minutes=-1))
    old_document = (cli.home / "auth.json").read_text()
    result = cli.exec("hi", model="gpt-5.5", CODEX_REFRESH_TOKEN_URL_OVERRIDE=f"{cli.sim.issuer}/oauth/token")
    assert result.code == 0, result.err
    assert result.out == 'This is the simulator, not a model. You wrote: "hi"\n'
    assert (cli.home / "auth.json").read_text() != old_document
    refreshes = [request.json() for request in cli.sim.requests if request.path == "/oauth/token"]
    assert [refresh["grant_type"] for refresh in refreshes] == ["refresh_token"] * len(refreshes) != []
