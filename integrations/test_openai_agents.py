"""OpenAI Agents SDK on this client."""

from __future__ import annotations

import agents
import pytest
from samples import EXTRACT, QUESTION, Person
from support.websocket_server import websocket_server

NOT_APPLICABLE = {("stream", "sync"): "the library has only an async stream"}


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")


@pytest.mark.covers("plain", "sync")
def test_agent_returns_the_text(recipe, sim):
    agent = recipe.agent.clone(tools=[], instructions="Be short.")
    assert agents.Runner.run_sync(agent, "Say hello").final_output == "hello"
    assert sim.requests[-1].json()["instructions"] == "Be short."


@pytest.mark.covers("structured", "sync")
def test_output_type_is_parsed(recipe):
    agent = recipe.agent.clone(tools=[], output_type=Person)
    assert isinstance(agents.Runner.run_sync(agent, EXTRACT).final_output, Person)


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_run_returns_text_and_types(recipe):
    plain = await agents.Runner.run(recipe.agent.clone(tools=[]), "Say hello")
    assert plain.final_output == "hello"
    parsed = await agents.Runner.run(recipe.agent.clone(tools=[], output_type=Person), EXTRACT)
    assert isinstance(parsed.final_output, Person)


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_streamed_run_yields_deltas_and_calls_the_tool(recipe):
    run = agents.Runner.run_streamed(recipe.agent, QUESTION)
    raw = [event.data async for event in run.stream_events() if event.type == "raw_response_event"]
    text = "".join(event.delta for event in raw if event.type == "response.output_text.delta")
    assert text == run.final_output
    assert "sunny in" in text


@pytest.mark.anyio
async def test_websocket_model_is_logged_in(recipe):
    with websocket_server() as server:
        client = recipe.client.copy(base_url=server.base_url, workspace_routing=False)
        agent = recipe.agent.clone(
            tools=[],
            model=agents.OpenAIResponsesWSModel(model="gpt-6.1-terra", openai_client=client),
            model_settings=agents.ModelSettings(store=False),
        )
        assert (await agents.Runner.run(agent, "Say hello")).final_output == "hello"
    assert server.handshakes[0].headers["authorization"].startswith("Bearer ")
    assert server.messages[0]["store"] is False


@pytest.mark.anyio
async def test_session_sends_the_earlier_items(recipe, sim):
    session = agents.SQLiteSession("one")
    await agents.Runner.run(recipe.agent, QUESTION, session=session)
    await agents.Runner.run(recipe.agent.clone(tools=[]), "Say hello", session=session)
    assert [item["type"] for item in sim.requests[-1].json()["input"]].count("function_call_output") == 1


@pytest.mark.anyio
async def test_handoff_reaches_the_other_agent(recipe):
    last = recipe.agent.clone(name="Last", tools=[])
    first = recipe.agent.clone(name="First", tools=[], handoffs=[last])
    assert (await agents.Runner.run(first, "Say hello")).last_agent.name == "Last"


@pytest.mark.anyio
async def test_compaction_session_sends_the_items(recipe, sim):
    from agents.memory import OpenAIResponsesCompactionSession

    session = OpenAIResponsesCompactionSession(
        "one",
        underlying_session=agents.SQLiteSession("one"),
        client=recipe.client,
        model="gpt-6.1-terra",
        compaction_mode="input",
    )
    await agents.Runner.run(recipe.agent.clone(tools=[]), "Say hello", session=session)
    await session.run_compaction({"force": True})
    assert "compaction" in str(await session.get_items())
    await agents.Runner.run(recipe.agent.clone(tools=[]), "Say hello", session=session)
