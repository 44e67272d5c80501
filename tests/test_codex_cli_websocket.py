"""Run the real Codex CLI on the simulator over a WebSocket, and compare its messages with a recording."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from support.codex_cli import BINARY, REQUIREMENTS, CodexCli
from support.recorded_frames import RECORDINGS, clean_frames

from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = REQUIREMENTS

# The CLI sends gpt-5.5 top-level tools, and the default model an `additional_tools` item.
MODELS = pytest.mark.parametrize("model", ["gpt-5.5", None])
RECORDED_VERSION = "0.171.0"


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CodexCli]:
    with Simulator() as sim:
        yield CodexCli(sim, tmp_path, supports_websockets=True)


def assert_no_http(sim: Simulator) -> None:
    assert [request.path for request in sim.requests if request.method == "POST" and "/codex/" in request.path] == []


@MODELS
def test_cli_prewarms_and_continues(cli: CodexCli, model: str | None) -> None:
    result = cli.exec("hi", model=model)
    assert (result.code, result.out) == (0, 'This is the simulator, not a model. You wrote: "hi"\n'), result.err
    prewarm, turn = [frame.json() for frame in cli.sim.websocket_frames]
    assert prewarm["generate"] is False
    assert turn["previous_response_id"].startswith("resp_")
    assert "generate" not in turn
    (socket,) = cli.sim.websockets
    assert socket.uses_deflate
    assert socket.request.headers["openai-beta"] == "responses_websockets=2026-02-06"
    assert_no_http(cli.sim)


@MODELS
def test_cli_sends_only_the_output_of_a_tool(cli: CodexCli, model: str | None) -> None:
    run_tool(cli, model)
    *_, first, second = [frame.json() for frame in cli.sim.websocket_frames]
    (output,) = second["input"]
    assert (output["type"], "simulated-42" in str(output)) == ("function_call_output", True)
    assert second["previous_response_id"] != first["previous_response_id"]
    assert "x-codex-turn-state" not in first["client_metadata"]
    assert second["client_metadata"]["x-codex-turn-state"].startswith("turn_")
    assert_no_http(cli.sim)


def run_tool(cli: CodexCli, model: str | None) -> None:
    cli.sim.script(Turn.call("exec_command", {"cmd": "echo simulated-$((40+2))"}), Turn.text("The command ran."))
    # The command comes from this test. Without this option the CLI starts a sandbox, which a container may not allow.
    result = cli.exec("run it", "--sandbox", "danger-full-access", model=model)
    assert (result.code, result.out) == (0, "The command ran.\n"), result.err


@MODELS
def test_cli_messages_have_the_recorded_shape(cli: CodexCli, model: str | None) -> None:
    """A turn with a tool call, and its continuation in another process, on another connection."""
    assert BINARY is not None
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    if RECORDED_VERSION not in version:
        pytest.skip(f"the recording is of Codex CLI {RECORDED_VERSION}, and this is {version.strip()}")
    run_tool(cli, model)
    result = cli.exec("and again?", "resume", "--last", model=model)
    assert result.code == 0, result.err
    recording = json.loads((RECORDINGS / f"codex_cli_{model or 'default_model'}.json").read_text(encoding="utf-8"))
    frames = clean_frames(cli.sim.websocket_frames)
    # Text, because the order of members is part of the shape.
    assert json.dumps(frames, indent=1) == json.dumps(recording, indent=1)


@pytest.mark.parametrize("fault", ["close:1011,5", "cut_after_events:5", "connection_limit", "connection_limit:5"])
def test_cli_sends_the_request_again(cli: CodexCli, fault: str) -> None:
    """After a failure, the CLI opens another WebSocket and sends the complete input."""
    cli.sim.script("unused")
    cli.sim.clear()
    cli.sim.fail(fault)
    result = cli.exec("Say hello", model="gpt-5.5")
    assert (result.code, result.out) == (0, "hello\n"), result.err
    frames: list[dict[str, Any]] = [frame.json() for frame in cli.sim.websocket_frames]
    assert [frame.connection for frame in cli.sim.websocket_frames][-1] > 1
    assert "previous_response_id" not in frames[-1]
    assert_no_http(cli.sim)


def test_cli_uses_http_after_a_rejected_upgrade(cli: CodexCli) -> None:
    cli.sim.fail("upgrade_required", times=None)
    result = cli.exec("Say hello", model="gpt-5.5")
    assert (result.code, result.out) == (0, "hello\n"), result.err
    assert cli.sim.websockets == []
    assert any(request.method == "POST" and request.path.endswith("/responses") for request in cli.sim.requests)


def test_cli_reports_an_exhausted_limit(cli: CodexCli) -> None:
    cli.sim.fail("usage_limit:plus,3600")
    result = cli.exec("hi", model="gpt-5.5")
    assert result.code == 1
    assert "You’ve hit your usage limit." in result.err  # noqa: RUF001  (the CLI writes this apostrophe)
    assert len(cli.sim.websocket_frames) == 2, "it is not sent again"
