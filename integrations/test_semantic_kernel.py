"""Semantic Kernel on this client: its service for chat completions and its agent for responses."""

from __future__ import annotations

import pytest
from samples import EXTRACT, MODEL, QUESTION, Person
from semantic_kernel.agents import OpenAIResponsesAgent
from semantic_kernel.connectors.ai.open_ai import OpenAIChatCompletion, OpenAIChatPromptExecutionSettings
from semantic_kernel.contents import ChatHistory

from codex_backend_sdk import AsyncOpenAI

_NO_SYNC = "the library has no sync calls"
NOT_APPLICABLE = {(feature, "sync"): _NO_SYNC for feature in ("plain", "stream", "tool", "structured")}


@pytest.fixture
def model(sim):
    return OpenAIChatCompletion(ai_model_id=MODEL, async_client=AsyncOpenAI())


def history(text):
    history = ChatHistory(system_message="Be brief.")
    history.add_user_message(text)
    return history


def settings(**values):
    return OpenAIChatPromptExecutionSettings(**values)


@pytest.mark.covers("tool", "async")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in " in recipe.printed


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_model_returns_text_and_types(model, sim):
    assert str(await model.get_chat_message_content(history("Say hello"), settings(reasoning_effort="low"))) == "hello"
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}
    assert [item["role"] for item in sim.requests[-1].json()["input"]] == ["developer", "user"]
    content = await model.get_chat_message_content(history(EXTRACT), settings(response_format=Person))
    Person.model_validate_json(str(content))


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text(model):
    chunks = [
        str(chunk) async for chunk in model.get_streaming_chat_message_content(history("Say hello there"), settings())
    ]
    assert "".join(chunks) == "hello there"
    assert len(chunks) > 1


@pytest.mark.anyio
@pytest.mark.covers("tool", "async")
async def test_streamed_agent_calls_the_tool(recipe, sim):
    agent = recipe.agent
    texts = [str(each.content) async for each in agent.invoke_stream(QUESTION)]
    assert "sunny in" in "".join(texts)
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_responses_agent_calls_the_tool(recipe, stream):
    client = AsyncOpenAI(unsupported="drop")
    agent = OpenAIResponsesAgent(
        ai_model_id=MODEL, client=client, name="Forecaster", plugins=[recipe.Weather()], store_enabled=False
    )
    if stream:
        text = "".join([str(each.content) async for each in agent.invoke_stream(QUESTION)])
    else:
        text = str(await agent.get_response(QUESTION, reasoning={"effort": "low"}))
    assert "sunny in" in text
