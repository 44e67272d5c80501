"""AutoGen on this client, with its client for chat completions."""

from __future__ import annotations

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, StructuredMessage
from autogen_core.models import SystemMessage, UserMessage
from samples import EXTRACT, QUESTION, Person, assert_tool_call_with_effort

from codex_backend_sdk import UsageLimitError

_NO_SYNC = "the library has no sync calls"
NOT_APPLICABLE = {(feature, "sync"): _NO_SYNC for feature in ("plain", "stream", "tool", "structured")}
pytestmark = pytest.mark.anyio


def messages(text):
    return [SystemMessage(content="Be brief."), UserMessage(content=text, source="user")]


@pytest.mark.covers("tool", "async")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in " in recipe.printed
    assert_tool_call_with_effort(recipe.sent)


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_model_returns_text_and_types(recipe, sim):
    result = await recipe.model.create(messages("Say hello"))
    assert result.content == "hello"
    assert result.usage.completion_tokens > 0
    body = sim.model_requests[-1].body
    assert body["reasoning"]["effort"] == "low"
    assert [item["role"] for item in body["input"]] == ["developer", "user"]
    result = await recipe.model.create(messages(EXTRACT), json_output=Person)
    Person.model_validate_json(result.content)


@pytest.mark.covers("stream", "async")
@pytest.mark.covers("structured", "async")
async def test_stream_yields_text_and_types(recipe):
    *texts, result = [part async for part in recipe.model.create_stream(messages("Say hello there"))]
    assert "".join(texts) == result.content == "hello there"
    assert len(texts) > 1
    *_, result = [part async for part in recipe.model.create_stream(messages(EXTRACT), json_output=Person)]
    Person.model_validate_json(result.content)


@pytest.mark.covers("tool", "async")
@pytest.mark.parametrize("stream", [False, True])
async def test_agent_calls_the_tool_and_keeps_the_history(recipe, sim, stream):
    agent = AssistantAgent(
        "Forecaster", recipe.model, tools=[recipe.get_weather], max_tool_iterations=3, model_client_stream=stream
    )
    sim.clear()
    *events, result = [event async for event in agent.run_stream(task=QUESTION)]
    assert "sunny in" in result.messages[-1].content
    assert any(isinstance(event, ModelClientStreamingChunkEvent) for event in events) == stream
    assert_tool_call_with_effort([request.body for request in sim.model_requests])
    await agent.run(task="Say hello")
    assert "sunny in" in str(sim.model_requests[-1].body["input"])


@pytest.mark.covers("structured", "async")
async def test_agent_returns_an_object(recipe):
    agent = AssistantAgent("Reader", recipe.model, output_content_type=Person)
    message = (await agent.run(task=EXTRACT)).messages[-1]
    assert isinstance(message, StructuredMessage)
    assert isinstance(message.content, Person)


async def test_error_of_this_client_is_raised(recipe, sim):
    sim.fail("usage_limit:plus,3600")
    with pytest.raises(UsageLimitError):
        await recipe.model.create(messages("Say hello"))
