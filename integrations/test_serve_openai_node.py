"""openai's official client for Node.js, with the variables of the local server."""

from __future__ import annotations

import json

import pytest
from node_clients import NO_SYNC_CALLS, copy_script, find_node

NOT_APPLICABLE = NO_SYNC_CALLS


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
def test_client_uses_both_apis_and_the_websocket(local_server):
    results = json.loads(local_server.run(find_node(20), copy_script("serve_openai.mjs")))
    assert results["plain"] == results["stream"] == ["hello there"] * 2
    assert results["websocket"] == "hello there"
    assert results["usage"] > 0
    assert ["get_weather returned: sunny in " in text for text in results["tool"]] == [True, True]
    assert [sorted(each) for each in results["structured"]] == [["age", "name"]] * 2
    assert "gpt-6.1-terra" in results["models"]
    assert " WS   /v1/responses 200 OpenAI/JS gpt-6.1-terra" in local_server.log
