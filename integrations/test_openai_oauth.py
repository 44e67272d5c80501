"""openai-oauth, a local server of OpenAI's API, between openai's client and the simulator."""

from __future__ import annotations

import socket
import subprocess
from datetime import timedelta

import openai
import pytest
from node_clients import isolated_environment, path_of_command
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person

NOT_APPLICABLE = {(feature, "async"): "it is a server" for feature in ("plain", "stream", "tool", "structured")}


@pytest.fixture
def client(sim, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [path_of_command("openai-oauth"), "--no-open", "--port", str(port), "--codex-version", "0.171.0"]
    command += ["--base-url", sim.base_url, "--oauth-token-url", f"{sim.issuer}/oauth/token"]
    command += ["--oauth-file", tmp_path / "codex" / "auth.json"]
    with subprocess.Popen(
        command, env=isolated_environment(tmp_path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            # It prints this line when it accepts connections. If it ends without it, this reads to the end.
            ready = next((line for line in server.stdout if "endpoint ready" in line), None)
            assert ready is not None
            with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="not used", max_retries=0) as client:
                yield client
        finally:
            server.terminate()


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_responses_and_chat_return_the_text(client):
    assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
    prompt = [{"role": "user", "content": "Say hello"}]
    assert client.chat.completions.create(model=MODEL, messages=prompt).choices[0].message.content == "hello"
    assert isinstance(client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person).output_parsed, Person)


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(client):
    events = client.responses.create(model=MODEL, input="Say hello there", stream=True)
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "hello there"


@pytest.mark.covers("tool", "sync")
def test_tool_call_is_returned(client):
    (call,) = (
        item
        for item in client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER]).output
        if item.type == "function_call"
    )
    assert call.name == "get_weather"


def test_models_are_those_of_the_simulator(client):
    assert MODEL in [model.id for model in client.models.list()]


def test_expired_login_is_refreshed(client, sim, tmp_path):
    sim.write_codex_home(tmp_path / "codex", expires_in=-timedelta(minutes=1))
    assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
    assert "/oauth/token" in [request.path for request in sim.requests]
