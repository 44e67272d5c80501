"""opencode with the local server as a compatible provider, and as the address of its OpenAI provider."""

from __future__ import annotations

import json

import pytest
from node_clients import path_of_command
from samples import assert_poem_was_read

from codex_backend_sdk.testing import Turn

_NOT_OFFERED = "it is a command that prints whole answers as text"
NOT_APPLICABLE = {
    ("structured", "sync"): _NOT_OFFERED,
    **{(feature, "async"): _NOT_OFFERED for feature in ("plain", "stream", "tool", "structured")},
}
MODELS = pytest.mark.parametrize("model", ["codex/gpt-6.1-terra", "openai/gpt-5.5"])
VARIABLES = {f"OPENCODE_DISABLE_{name}": "1" for name in ("AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD")}


@pytest.fixture
def run(local_server):
    """Run a prompt with a model."""
    options = {"baseURL": local_server.base_url, "apiKey": local_server.key}
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "small_model": "codex/gpt-6.1-terra",
        "provider": {
            "codex": {
                "npm": "@ai-sdk/openai-compatible",
                "options": options,
                "models": {"gpt-6.1-terra": {"limit": {"context": 400_000, "output": 128_000}}},
            },
            "openai": {"options": options},
        },
    }
    local_server.write(".config/opencode/opencode.json", json.dumps(settings))

    def run(model, prompt, *options):
        return local_server.run(path_of_command("opencode"), "run", "--model", model, *options, prompt, **VARIABLES)

    return run


@MODELS
@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_prompt_and_title_are_answered(run, sim, local_server, model):
    sim.script("hello", "hello")
    assert run(model, "Say hello") == "hello"
    log = local_server.log
    path = "/v1/responses" if model.startswith("openai") else "/v1/chat/completions"
    assert f" POST {path} 200 opencode/" in log
    assert " 404 " not in log
    titles = [request for request in sim.model_requests if "tools" not in request.body]
    assert [request.body["model"] for request in titles] == ["gpt-6.1-terra"]


@MODELS
@pytest.mark.covers("tool", "sync")
def test_tool_call_reads_a_file(run, sim, local_server, model):
    sim.script(Turn.call("read", {"filePath": str(local_server.poem)}), "Done.")
    assert run(model, "Read the poem.", "--title", "test").endswith("Done.")
    first, second = (request.body for request in sim.model_requests)
    assert_poem_was_read(second)
    assert first["prompt_cache_key"] == second["prompt_cache_key"]
