"""Cline's command line, with the local server as its provider for compatible servers."""

from __future__ import annotations

import json

import pytest
from node_clients import path_of_command
from samples import assert_poem_was_read

from codex_backend_sdk.testing import Turn

_NOT_OFFERED = "it is a command that prints events"
NOT_APPLICABLE = {
    ("structured", "sync"): _NOT_OFFERED,
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
# Without the last one, it leaves a process behind.
VARIABLES = {"CLINE_TELEMETRY_DISABLED": "1", "CLINE_NO_AUTO_UPDATE": "1", "CLINE_SESSION_BACKEND_MODE": "local"}


@pytest.fixture
def run(local_server):
    """Run a prompt and return the result."""
    provider, model = ["-P", "openai-compatible"], ["-m", "gpt-6.1-terra"]
    address = ["-b", local_server.base_url, "-k", local_server.key]
    local_server.run(path_of_command("cline"), "auth", "-p", provider[1], *model, *address, **VARIABLES)

    def run(prompt):
        printed = local_server.run(path_of_command("cline"), "--json", *provider, *model, prompt, **VARIABLES)
        return json.loads(printed.splitlines()[-1])

    return run


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_prompt_is_answered(run, local_server):
    result = run("Say hello")
    assert (result["finishReason"], result["text"]) == ("completed", "hello")
    assert result["usage"]["inputTokens"] > 0
    assert " POST /v1/chat/completions 200 " in local_server.log


@pytest.mark.covers("tool", "sync")
def test_tool_call_reads_a_file(run, sim, local_server):
    sim.script(Turn.call("read_files", {"files": [{"path": str(local_server.poem)}]}), "Done.")
    assert run("Read the poem.")["text"] == "Done."
    assert_poem_was_read(sim.model_requests[-1].body)
