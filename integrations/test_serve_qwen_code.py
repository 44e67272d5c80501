"""Qwen Code, a coding agent, with the local server as its provider of type `openai`."""

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


@pytest.fixture
def run(local_server):
    """Run a prompt."""

    def run(prompt):
        options = ["--auth-type", "openai", "--model", "gpt-6.1-terra", "--prompt", prompt]
        return local_server.run(find_node(22), path_of_command("qwen").resolve(), *options)

    return run


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_prompt_is_answered(run, sim, local_server):
    sim.script("hello")
    assert run("Say hello") == "hello"
    assert " POST /v1/chat/completions 200 QwenCode/" in local_server.log


@pytest.mark.covers("tool", "sync")
def test_tool_call_reads_a_file(run, sim, local_server):
    sim.script(Turn.call("read_file", {"file_path": str(local_server.poem)}), "Done.")
    assert run("Read the poem.").endswith("Done.")
    assert_poem_was_read(sim.model_requests[-1].body)
