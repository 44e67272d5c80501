"""Microsoft Agent Framework on this client, with its clients for responses and for chat completions."""

from __future__ import annotations

import pytest
from agent_framework import Agent
from agent_framework.exceptions import ChatClientException
from agent_framework.openai import OpenAIChatClient, OpenAIChatCompletionClient
from samples import EXTRACT, MODEL, QUESTION, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk import AsyncOpenAI, UsageLimitError

_NO_SYNC = "the library has no sync calls"
NOT_APPLICABLE = {(feature, "sync"): _NO_SYNC for feature in ("plain", "stream", "tool", "structured")}
CLIENTS = {
    OpenAIChatClient: {"store": False, "reasoning": {"effort": "low"}},
    OpenAIChatCompletionClient: {"reasoning_effort": "low"},
}
pytestmark = pytest.mark.anyio


@pytest.fixture(params=list(CLIENTS))
def agent(request, sim):
    model = request.param(MODEL, async_client=AsyncOpenAI(max_retries=0))
    return Agent(model, "Be brief.", default_options=CLIENTS[request.param])


@pytest.mark.covers("tool", "async")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in " in recipe.printed
    assert_tool_call_with_effort(recipe.sent)


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_agent_returns_text_and_types(agent, sim):
    response = await agent.run("Say hello")
    assert response.text == "hello"
    assert response.usage_details["output_token_count"] > 0
    assert sim.model_requests[-1].body["reasoning"]["effort"] == "low"
    response = await agent.run(EXTRACT, options={"response_format": Person})
    assert isinstance(response.value, Person)


@pytest.mark.covers("stream", "async")
@pytest.mark.covers("structured", "async")
async def test_stream_yields_text_and_types(agent):
    contents = [part async for update in agent.run("Say hello there", stream=True) for part in update.contents]
    # A content that replaces the earlier ones repeats the whole text.
    texts = [part.text for part in contents if part.type == "text" and part.merge_mode != "replace"]
    assert "".join(texts) == "hello there"
    assert len(texts) > 1
    stream = agent.run(EXTRACT, stream=True, options={"response_format": Person})
    assert isinstance((await stream.get_final_response()).value, Person)


@pytest.mark.covers("tool", "async")
@pytest.mark.parametrize("stream", [False, True])
async def test_agent_calls_the_tool(agent, sim, stream):
    run = agent.run(QUESTION, stream=stream, tools=[get_weather])
    response = await (run.get_final_response() if stream else run)
    assert "sunny in" in response.text
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


async def test_session_sends_the_history(agent, sim):
    session = agent.create_session()
    await agent.run(QUESTION, session=session, tools=[get_weather])
    await agent.run("Say hello", session=session)
    items = sim.model_requests[-1].body["input"]
    assert QUESTION in str(items)
    assert "sunny in" in str(items)
    assert all("previous_response_id" not in request.body for request in sim.model_requests)


async def test_error_has_the_error_of_this_client_as_cause(agent, sim):
    sim.fail("usage_limit:plus,3600")
    with pytest.raises(ChatClientException) as raised:
        await agent.run("Say hello")
    assert isinstance(raised.value.__cause__, UsageLimitError)
