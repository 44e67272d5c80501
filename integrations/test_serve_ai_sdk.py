"""The AI SDK for JavaScript, with two providers of the local server."""

from __future__ import annotations

import json

import pytest
from node_clients import NO_SYNC_CALLS, copy_script, find_node

NOT_APPLICABLE = NO_SYNC_CALLS


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
def test_each_provider_uses_the_server(local_server, sim):
    results = json.loads(local_server.run(find_node(20), copy_script("serve_ai_sdk.mjs")))
    assert len(results) == 3, "responses, chat completions, and the provider for compatible servers"
    for result in results:
        assert result["plain"] == result["stream"] == "hello there"
        assert result["tokens"] > 0
        assert (result["steps"], result["tool"][:32]) == (2, "get_weather returned: sunny in s")
        assert sorted(result["structured"]) == ["age", "name"]
    # Chat completions do not send reasoning back: the server adds it.
    inputs = [[item.get("type") for item in request.body["input"]] for request in sim.model_requests]
    assert [types.count("reasoning") for types in inputs if "function_call_output" in types] == [1, 1, 1]
    efforts = [request.body.get("reasoning", {}).get("effort") for request in sim.model_requests]
    assert efforts == [None, "low", None, None, None] * 3
    assert " /v1/responses 200 " in local_server.log
    assert " /v1/chat/completions 200 " in local_server.log
