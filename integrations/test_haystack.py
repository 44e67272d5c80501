"""Haystack on this client, with its generators for responses and for chat completions."""

from __future__ import annotations

import pytest
from haystack import Pipeline
from haystack.components.agents import Agent
from haystack.components.generators.chat import OpenAIChatGenerator, OpenAIResponsesChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret
from samples import EXTRACT, MODEL, QUESTION, Person

from codex_backend_sdk import AsyncOpenAI, OpenAI

GENERATORS = {
    OpenAIResponsesChatGenerator: ({"reasoning": {"effort": "low"}}, "text_format"),
    OpenAIChatGenerator: ({"reasoning_effort": "low"}, "response_format"),
}


@pytest.fixture(params=list(GENERATORS))
def model(request, sim):
    settings, _ = GENERATORS[request.param]
    model = request.param(api_key=Secret.from_token("not used"), model=MODEL, generation_kwargs=settings)
    model.client, model.async_client = OpenAI(), AsyncOpenAI()
    return model


def user(text):
    return [ChatMessage.from_user(text)]


def structured(model):
    """Return the argument that asks for a person."""
    return {"generation_kwargs": {GENERATORS[type(model)][1]: Person}}


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in " in recipe.printed


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_model_returns_text_and_types(model, sim):
    assert model.run(user("Say hello"))["replies"][0].text == "hello"
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}
    Person.model_validate_json(model.run(user(EXTRACT), **structured(model))["replies"][0].text)


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(model):
    texts = []
    model.run(user("Say hello there"), streaming_callback=lambda chunk: texts.append(chunk.content))
    assert "".join(texts) == "hello there"


@pytest.mark.covers("tool", "sync")
@pytest.mark.parametrize("stream", [False, True])
def test_agent_in_a_pipeline_calls_the_tool(recipe, model, sim, stream):
    pipeline = Pipeline()
    callback = (lambda chunk: None) if stream else None
    agent = Agent(chat_generator=model, tools=[recipe.get_weather], streaming_callback=callback)
    pipeline.add_component("agent", agent)
    result = pipeline.run({"agent": {"messages": user(QUESTION)}})
    assert "sunny in" in result["agent"]["last_message"].text
    assert len(sim.requests) == 2


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_calls_do_the_same(recipe, model):
    assert (await model.run_async(user("Say hello")))["replies"][0].text == "hello"
    Person.model_validate_json((await model.run_async(user(EXTRACT), **structured(model)))["replies"][0].text)
    texts = []

    async def keep(chunk):
        texts.append(chunk.content)

    await model.run_async(user("Say hello there"), streaming_callback=keep)
    assert "".join(texts) == "hello there"
    agent = Agent(chat_generator=model, tools=[recipe.get_weather])
    assert "sunny in" in (await agent.run_async(messages=user(QUESTION)))["last_message"].text
