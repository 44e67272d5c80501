"""Pydantic AI on this client: the provider for Codex, the one for OpenAI, and chat completions."""

from __future__ import annotations

import warnings

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_codex import OpenAICodexProvider
from samples import EXTRACT, MODEL, QUESTION, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk import AsyncOpenAI

MODELS = pytest.mark.parametrize("kind", ["codex", "openai", "chat"])
EFFORT = {"openai_reasoning_effort": "low"}


@pytest.fixture
def model_of(sim):
    """Return a model of this kind, on a client of its own."""

    def build(kind, name=MODEL):
        provider = (OpenAICodexProvider if kind == "codex" else OpenAIProvider)(openai_client=AsyncOpenAI())
        return (OpenAIChatModel if kind == "chat" else OpenAIResponsesModel)(name, provider=provider)

    return build


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")
    assert_tool_call_with_effort(recipe.sent)


@MODELS
@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_agent_returns_text_and_types(model_of, kind):
    model = model_of(kind)
    assert Agent(model).run_sync("Say hello").output == "hello"
    assert isinstance(Agent(model, output_type=Person).run_sync(EXTRACT).output, Person)


@MODELS
@pytest.mark.covers("stream", "sync")
def test_sync_stream_yields_the_text(model_of, kind):
    stream = Agent(model_of(kind)).run_stream_sync("Say hello")
    assert [*stream.stream_text()][-1] == "hello"


@MODELS
@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_agent_returns_text_types_and_calls_tools(model_of, sim, kind):
    model = model_of(kind)
    assert (await Agent(model).run("Say hello")).output == "hello"
    assert isinstance((await Agent(model, output_type=Person).run(EXTRACT)).output, Person)
    sim.clear()
    assert "sunny in" in (await Agent(model, tools=[get_weather], model_settings=EFFORT).run(QUESTION)).output
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


@MODELS
@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text_without_warnings(model_of, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        async with Agent(model_of(kind)).run_stream("Say hello") as stream:
            assert await stream.get_output() == "hello"


@MODELS
@pytest.mark.anyio
@pytest.mark.parametrize("name", ["gpt-6.1-sol", "gpt-5.5"])
async def test_history_with_a_tool_is_sent_again(model_of, sim, kind, name):
    """With a history, the provider for OpenAI sends `prompt_cache_options`, which the backend rejects."""
    agent = Agent(model_of(kind, name), tools=[get_weather], model_settings=EFFORT)
    first = await agent.run(QUESTION)
    assert "sunny in" in first.output
    assert (await agent.run("Say hello", message_history=first.all_messages())).output
    assert not any("prompt_cache_options" in request.body for request in sim.model_requests)
    assert "function_call_output" in str(sim.model_requests[-1].body["input"])


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["codex", "openai"])
async def test_reasoning_is_sent_with_the_history(model_of, sim, kind):
    agent = Agent(model_of(kind), tools=[get_weather], model_settings=EFFORT)
    await agent.run(QUESTION)
    items = [item for item in sim.model_requests[-1].body["input"] if item.get("type") == "reasoning"]
    assert items
    assert all(item["encrypted_content"] for item in items)
