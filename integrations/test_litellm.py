"""litellm on this client, with the provider `codex/` of this package, in a program and in litellm's proxy."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time

import openai
import pytest
from samples import EXTRACT, QUESTION, WEATHER, Person

# litellm downloads a list of prices when it is imported, and again later.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

from codex_backend_sdk.integrations.litellm import CodexLLM

MODEL = "codex/gpt-6.1-terra"
TOOL = {"type": "function", "function": {name: WEATHER[name] for name in ("name", "description", "parameters")}}
MODES = ["sync", "async"]


@pytest.fixture(autouse=True)
def handler(sim, monkeypatch):
    handler = CodexLLM()
    monkeypatch.setattr(litellm, "custom_provider_map", [{"provider": "codex", "custom_handler": handler}])
    return handler


async def complete(mode, prompt, **options):
    """Return the completion in either mode: for streams, the chunks."""
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    if mode == "sync":
        completion = litellm.completion(model=MODEL, messages=messages, **options)
        return list(completion) if options.get("stream") else completion
    completion = await litellm.acompletion(model=MODEL, messages=messages, **options)
    return [chunk async for chunk in completion] if options.get("stream") else completion


def in_both_modes(*features):
    """Run a test in both modes. It covers the features in its mode."""

    def decorate(test):
        cells = [[pytest.mark.covers(feature, mode) for feature in features] for mode in MODES]
        parameters = [pytest.param(mode, marks=marks) for mode, marks in zip(MODES, cells, strict=True)]
        return pytest.mark.anyio(pytest.mark.parametrize("mode", parameters)(test))

    return decorate


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe, sim):
    assert recipe.printed.startswith("get_weather {")


@in_both_modes("plain")
async def test_completion_returns_text_and_usage(mode, sim):
    completion = await complete(mode, "Say hello", temperature=1, max_retries=2)
    assert completion.choices[0].message.content == "hello"
    assert completion.usage.completion_tokens_details.reasoning_tokens > 0
    assert len(sim.requests) == 1


@in_both_modes("stream")
async def test_stream_yields_text_and_usage(mode, sim):
    chunks = await complete(mode, "Say hello there", stream=True, stream_options={"include_usage": True})
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hello there"
    assert chunks[-1].usage.completion_tokens_details.reasoning_tokens > 0


@in_both_modes("tool")
@pytest.mark.parametrize("stream", [False, True])
async def test_tool_is_called_and_its_output_sent(mode, sim, stream):
    options = {"tools": [TOOL], "reasoning_effort": "low", "allowed_openai_params": ["reasoning_effort"]}
    completion = await complete(mode, QUESTION, stream=stream, **options)
    message = (litellm.stream_chunk_builder(completion) if stream else completion).choices[0].message
    (call,) = message.tool_calls
    output = f"sunny in {json.loads(call.function.arguments)['city']}"
    history = [{"role": "user", "content": QUESTION}, message.model_dump()]
    history.append({"role": "tool", "tool_call_id": call.id, "content": output})
    assert output in (await complete(mode, history, **options)).choices[0].message.content
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}
    assert "reasoning" in {item["type"] for item in sim.requests[-1].json()["input"]} or stream


@in_both_modes("structured")
async def test_structured_response_matches_the_type(mode, sim):
    completion = await complete(mode, EXTRACT, response_format=Person)
    Person.model_validate_json(completion.choices[0].message.content)


@in_both_modes()
@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("usage_limit:plus,3600", litellm.RateLimitError),
        ("context_length_exceeded", litellm.BadRequestError),
        ("unauthorized", litellm.AuthenticationError),
    ],
)
async def test_errors_are_those_of_litellm(mode, sim, fault, error_class):
    sim.fail(fault, times=3)
    with pytest.raises(error_class):
        await complete(mode, "Say hello")


@pytest.fixture
def proxy(sim, tmp_path):
    """The URL of litellm's proxy, with a configuration that names the handler of this package."""
    pytest.importorskip("fastapi", reason="the extra `proxy` requires rich<14, which this package does not allow")
    config = tmp_path / "config.yaml"
    handler = "codex_backend_sdk.integrations.litellm.handler"
    config.write_text(
        f"model_list:\n  - model_name: codex\n    litellm_params: {{model: {MODEL}}}\n"
        f"litellm_settings:\n  custom_provider_map: [{{provider: codex, custom_handler: {handler}}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = {**os.environ, "LITELLM_MASTER_KEY": "sk-test"}
    command = [os.path.join(os.path.dirname(sys.executable), "litellm"), "--config", str(config)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"]
    with (
        (tmp_path / "proxy.log").open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        try:
            wait_for_port(port, process)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()


def wait_for_port(port, process):
    end = time.monotonic() + 100
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.2)
    pytest.fail("The proxy did not start.")


def test_proxy_serves_the_model(proxy):
    messages = [{"role": "user", "content": "Say hello there"}]
    with openai.OpenAI(base_url=proxy, api_key="sk-test") as client:
        completion = client.chat.completions.create(model="codex", messages=messages)
        assert completion.choices[0].message.content == "hello there"
        chunks = client.chat.completions.create(model="codex", messages=messages, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "hello there"
        completion = client.chat.completions.create(
            model="codex", messages=[{"role": "user", "content": QUESTION}], tools=[TOOL]
        )
        assert completion.choices[0].message.tool_calls[0].function.name == "get_weather"
