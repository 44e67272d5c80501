"""Pydantic AI on this client, with the provider for Codex and with the one for OpenAI."""

from __future__ import annotations

import warnings

import pytest
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from samples import EXTRACT, QUESTION, Person, get_weather

from codex_backend_sdk import AsyncOpenAI


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_agent_returns_text_and_types(recipe):
    assert Agent(recipe.model).run_sync("Say hello").output == "hello"
    assert isinstance(Agent(recipe.model, output_type=Person).run_sync(EXTRACT).output, Person)


@pytest.mark.covers("stream", "sync")
def test_sync_stream_yields_the_text(recipe):
    stream = Agent(recipe.model).run_stream_sync("Say hello")
    assert [*stream.stream_text()][-1] == "hello"


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_agent_returns_text_types_and_calls_tools(recipe):
    assert (await Agent(recipe.model).run("Say hello")).output == "hello"
    assert isinstance((await Agent(recipe.model, output_type=Person).run(EXTRACT)).output, Person)
    assert "sunny in" in (await recipe.agent.run(QUESTION)).output


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text_without_warnings(recipe):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        async with Agent(recipe.model).run_stream("Say hello") as stream:
            assert await stream.get_output() == "hello"


@pytest.mark.anyio
async def test_provider_for_openai_sends_a_history(sim):
    """It sends `prompt_cache_options` with a history. The backend rejects them, and the client omits them."""
    model = OpenAIResponsesModel("gpt-6.1-sol", provider=OpenAIProvider(openai_client=AsyncOpenAI()))
    agent = Agent(model, tools=[get_weather])
    first = await agent.run(QUESTION)
    assert "sunny in" in first.output
    assert (await agent.run("Say hello", message_history=first.all_messages())).output
    assert not any("prompt_cache_options" in request.json() for request in sim.requests)
