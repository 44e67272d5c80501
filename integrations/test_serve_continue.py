"""Continue's command line, with a model whose `apiBase` is the local server."""

from __future__ import annotations

import pytest
from node_clients import find_node, path_of_command
from samples import assert_poem_was_read

from codex_backend_sdk.testing import Turn

_NOT_OFFERED = "it is a command that prints whole answers as text"
NOT_APPLICABLE = {
    ("structured", "sync"): _NOT_OFFERED,
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
CONFIG = """
name: local
version: 1.0.0
schema: v1
models:
  - name: codex
    provider: openai
    model: gpt-6.1-terra
    apiBase: {base_url}
    apiKey: {key}
    roles: [chat, edit]
"""


@pytest.fixture
def run(local_server):
    """Run a prompt."""
    config = local_server.write("config.yaml", CONFIG.format(base_url=local_server.base_url, key=local_server.key))

    def run(prompt):
        command = [find_node(20), path_of_command("cn").resolve(), "--config", config, "--allow", "Read", "-p", prompt]
        return local_server.run(*command, CONTINUE_TELEMETRY_ENABLED="0")

    return run


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_prompt_is_answered(run, sim, local_server):
    sim.script("hello")
    assert run("Say hello") == "hello"
    assert " POST /v1/chat/completions 200 " in local_server.log


@pytest.mark.covers("tool", "sync")
def test_tool_call_reads_a_file(run, sim, local_server):
    sim.script(Turn.call("Read", {"filepath": str(local_server.poem)}), "Done.")
    assert run("Read the poem.").endswith("Done.")
    assert_poem_was_read(sim.model_requests[-1].body)
