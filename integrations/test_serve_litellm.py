"""litellm's proxy in front of the local server, with openai's client before it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import openai
import pytest
from node_clients import isolated_environment
from samples import EXTRACT, QUESTION, WEATHER, Person

START_SECONDS = 90
TOOL = {"type": "function", "function": {name: value for name, value in WEATHER.items() if name != "type"}}
NOT_APPLICABLE = {(feature, "async"): "it is a server" for feature in ("plain", "stream", "tool", "structured")}


@pytest.fixture
def client(local_server, tmp_path):
    config = local_server.write(
        "litellm.yaml",
        "model_list:\n  - model_name: codex\n    litellm_params:\n      model: openai/gpt-6.1-terra\n"
        f"      api_base: {local_server.base_url}\n      api_key: {local_server.key}\n"
        "general_settings: {master_key: sk-test}\n",
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [Path(os.environ["INTEGRATION_SEPARATE_PYTHON"]).with_name("litellm"), "--config", config]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    environment = isolated_environment(local_server.home, LITELLM_LOCAL_MODEL_COST_MAP="True")
    log_file = tmp_path / "proxy.log"
    with (
        log_file.open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            end = time.monotonic() + START_SECONDS
            while not is_open(port):
                assert process.poll() is None, log_file.read_text()
                assert time.monotonic() < end, log_file.read_text()
                time.sleep(0.2)
            yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-test", max_retries=0)
        finally:
            process.terminate()


def is_open(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
@pytest.mark.covers("tool", "sync")
@pytest.mark.covers("structured", "sync")
def test_proxy_forwards_both_apis(client, local_server):
    def ask(prompt, **options):
        messages = [{"role": "user", "content": prompt}]
        return client.chat.completions.create(model="codex", messages=messages, **options)

    assert ask("Say hello there").choices[0].message.content == "hello there"
    chunks = ask("Say hello there", stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hello there"
    assert ask(QUESTION, tools=[TOOL]).choices[0].message.tool_calls[0].function.name == "get_weather"
    assert client.responses.create(model="codex", input="Say hello there").output_text == "hello there"
    schema = {"name": "person", "schema": Person.model_json_schema() | {"additionalProperties": False}}
    answer = ask(EXTRACT, response_format={"type": "json_schema", "json_schema": schema | {"strict": True}})
    Person.model_validate_json(answer.choices[0].message.content)
    assert " /v1/responses 200 litellm/" in local_server.log
    assert " /v1/chat/completions 200 " in local_server.log
