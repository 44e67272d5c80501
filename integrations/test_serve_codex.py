"""The Codex CLI with a provider whose base URL is the local server, over HTTP and its WebSocket."""

from __future__ import annotations

import pytest
from node_clients import path_of_command
from samples import assert_poem_was_read

from codex_backend_sdk.testing import Turn

_NOT_OFFERED = "it is a command that prints whole answers"
NOT_APPLICABLE = {
    ("structured", "sync"): _NOT_OFFERED,
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
CONFIG = """
model = "{model}"
model_provider = "local"
[model_providers.local]
name = "local"
base_url = "{base_url}"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
supports_websockets = {supports_websockets}
"""
OPTIONS = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]


@pytest.fixture(params=["http", "websocket"])
def run(request, local_server):
    """Run a prompt with a model, and check that the CLI used the transport."""
    is_websocket = request.param == "websocket"

    def run(model, prompt):
        values = {"model": model, "supports_websockets": str(is_websocket).lower()}
        config = local_server.write("codex/config.toml", CONFIG.format(base_url=local_server.base_url, **values))
        answer = local_server.run(path_of_command("codex"), "exec", *OPTIONS, prompt, CODEX_HOME=str(config.parent))
        lines = [line for line in local_server.log.splitlines() if "/v1/responses" in line]
        assert {line.split()[1] for line in lines} == {"WS" if is_websocket else "POST"}
        return answer

    return run


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
@pytest.mark.parametrize("model", ["gpt-6.1-terra", "gpt-5.5"])
def test_prompt_is_answered(run, sim, model):
    assert run(model, "Say hello") == "hello"
    assert "instructions" not in sim.model_requests[0].body


@pytest.mark.covers("tool", "sync")
def test_command_is_run(run, sim):
    sim.script(Turn.call("exec_command", {"cmd": "cat poem.txt"}), "Done.")
    assert run("gpt-5.5", "Read the poem.") == "Done."
    assert_poem_was_read(sim.model_requests[-1].body)
