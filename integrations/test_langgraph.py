"""LangGraph with a model on this client."""

from __future__ import annotations

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from samples import EXTRACT, MODEL, QUESTION, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk.integrations.langchain import chat_model

EXTRACTION = {"messages": [("user", EXTRACT)]}
GREETING = {"messages": [("user", "Say hello there")]}
THREAD = {"configurable": {"thread_id": "another"}}


def graph_of(node, *, tools=()):
    """Return a graph with one node for the model, and one for the tools."""
    builder = StateGraph(MessagesState)
    builder.add_node("model", node)
    builder.add_edge(START, "model")
    if tools:
        builder.add_node("tools", ToolNode([*tools]))
        builder.add_conditional_edges("model", tools_condition)
        builder.add_edge("tools", "model")
    return builder.compile(checkpointer=InMemorySaver())


@pytest.fixture
def async_graph(sim):
    model = chat_model(MODEL, reasoning_effort="low").bind_tools([get_weather])

    async def call(state):
        return {"messages": [await model.ainvoke(state["messages"])]}

    return graph_of(call, tools=[get_weather])


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")
    assert_tool_call_with_effort(recipe.sent)


@pytest.mark.covers("plain", "sync")
def test_checkpoint_continues_the_conversation(recipe, sim):
    answer = recipe.graph.invoke({"messages": [("user", "Say hello")]}, recipe.thread)
    assert answer["messages"][-1].text
    types = [item["type"] for item in sim.model_requests[-1].body["input"] if "type" in item]
    assert types.count("function_call") == types.count("function_call_output") >= 1


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_tokens(recipe, sim):
    sim.script("hello there")
    chunks = recipe.graph.stream(GREETING, THREAD, stream_mode="messages")
    texts = [message.text for message, _ in chunks if message.text]
    assert "".join(texts) == "hello there"
    assert len(texts) > 1


@pytest.mark.covers("structured", "sync")
def test_node_returns_a_type(sim):
    model = chat_model(MODEL).with_structured_output(Person)
    graph = graph_of(lambda state: {"messages": [("assistant", model.invoke(state["messages"]).model_dump_json())]})
    assert Person.model_validate_json(graph.invoke(EXTRACTION, THREAD)["messages"][-1].text)


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("tool", "async")
async def test_async_graph_calls_the_tool(async_graph, sim):
    sim.script("hello there")
    assert (await async_graph.ainvoke(GREETING, THREAD))["messages"][-1].text == "hello there"
    sim.clear()
    answer = await async_graph.ainvoke({"messages": [("user", QUESTION)]}, {"configurable": {"thread_id": "2"}})
    assert "sunny in" in answer["messages"][-1].text
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_async_stream_yields_the_tokens(async_graph, sim):
    sim.script("hello there")
    chunks = async_graph.astream(GREETING, THREAD, stream_mode="messages")
    texts = [message.text async for message, _ in chunks if message.text]
    assert "".join(texts) == "hello there"
    assert len(texts) > 1


@pytest.mark.anyio
@pytest.mark.covers("structured", "async")
async def test_async_node_returns_a_type(sim):
    model = chat_model(MODEL).with_structured_output(Person)

    async def extract(state):
        return {"messages": [("assistant", (await model.ainvoke(state["messages"])).model_dump_json())]}

    answer = await graph_of(extract).ainvoke(EXTRACTION, THREAD)
    assert Person.model_validate_json(answer["messages"][-1].text)
