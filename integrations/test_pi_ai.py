"""pi-ai, the client of the coding agent pi, on the simulator, over HTTP and WebSockets."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from node_clients import find_node, isolated_environment

from codex_backend_sdk.testing import Turn

_OTHER_LANGUAGE = "it is a library for Node.js, which the tests run as a program"
NOT_APPLICABLE = {
    ("structured", "sync"): _OTHER_LANGUAGE,
    **{(feature, "async"): _OTHER_LANGUAGE for feature in ("plain", "stream", "tool", "structured")},
}
TIMEOUT_SECONDS = 60


def run_session(sim, home, transport):
    """Run the session and return the results of its four requests."""
    node = find_node(22, 19)
    sim.script("hello", Turn.call("get_weather", {"city": "Paris"}))
    environment = isolated_environment(
        home,
        BASE_URL=sim.chatgpt_url,
        TOKEN=sim.login_document()["tokens"]["access_token"],
        NODE_MODULES=os.environ["INTEGRATION_NODE_MODULES"],
        TRANSPORT=transport,
    )
    command = [node, Path(__file__).with_name("pi_session.mjs")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
@pytest.mark.covers("tool", "sync")
@pytest.mark.parametrize("transport", ["sse", "websocket", "auto"])
def test_session_works_over_each_transport(sim, tmp_path, transport):
    results = run_session(sim, tmp_path, transport)
    assert [(result["stop"], result["error"]) for result in results] == [
        ("stop", None), ("toolUse", None), ("stop", None), ("stop", None)
    ]  # fmt: skip
    assert results[0]["text"] == "hello"
    assert results[2]["text"] == "get_weather returned: sunny in Paris"
    methods = [request.method for request in sim.requests if request.path.endswith("/responses")]
    assert methods == (["POST"] * 4 if transport == "sse" else ["GET"])
    frames = [frame.json() for frame in sim.websocket_frames]
    lengths = [len(frame["input"]) for frame in frames]
    if transport == "websocket":
        assert lengths == sorted(set(lengths)), "it sends the complete input each time"
    elif transport == "auto":
        assert lengths == [1, 1, 1, 1], "it sends new items only"
        assert ["previous_response_id" in frame for frame in frames] == [False, True, True, True]


@pytest.mark.parametrize("fault", ["connection_limit", "previous_response_not_found"])
def test_request_is_sent_again_on_a_websocket(sim, tmp_path, fault):
    sim.fail(fault)
    assert [result["error"] for result in run_session(sim, tmp_path, "auto")] == [None] * 4
    assert [request.method for request in sim.requests if request.path.endswith("/responses")] == ["GET", "GET"]


@pytest.mark.parametrize("fault", ["upgrade_required", "status:500@websocket", "close:1011"])
def test_session_falls_back_to_http(sim, tmp_path, fault):
    sim.fail(fault)
    assert [result["error"] for result in run_session(sim, tmp_path, "auto")] == [None] * 4
    assert {request.method for request in sim.requests if request.path.endswith("/responses")} == {"GET", "POST"}
