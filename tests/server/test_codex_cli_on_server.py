"""The real Codex CLI with the local server as its provider, over HTTP and over the WebSocket that it tries first."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from support.codex_cli import BINARY, REQUIREMENTS, isolated_environment

from codex_backend_sdk.testing import Turn

from .conftest import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

pytestmark = [*REQUIREMENTS, pytest.mark.timeout(120)]

CONFIG = """
model = "gpt-5.5"
model_provider = "local"
[model_providers.local]
name = "local"
base_url = "{base_url}"
env_key = "LOCAL_KEY"
wire_api = "responses"
supports_websockets = {supports_websockets}
"""


@pytest.mark.parametrize("supports_websockets", [False, True], ids=["http", "websocket"])
def test_cli_runs_a_tool_on_the_server(
    server: Any, sim: Simulator, bodies: Any, tmp_path: Path, supports_websockets: bool
) -> None:
    sim.script(Turn.call("exec_command", {"cmd": "echo from the shell"}), "All done.")
    home, work = tmp_path / "codex", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    config = CONFIG.format(base_url=server.base_url, supports_websockets=str(supports_websockets).lower())
    (home / "config.toml").write_text(config)
    assert BINARY is not None
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    run = subprocess.run(
        [BINARY, "exec", *options, "Say hi"],
        cwd=work,
        env=isolated_environment(tmp_path, home, LOCAL_KEY=KEY),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stdout.strip()) == (0, "All done."), run.stderr
    assert [item["type"] for item in bodies()[1]["input"]][-2:] == ["function_call", "function_call_output"]
    assert len({body["prompt_cache_key"] for body in bodies()}) == 1
    methods = {line.split()[1] for line in server.lines if "/responses" in line}
    assert methods == ({"WS"} if supports_websockets else {"POST"})
