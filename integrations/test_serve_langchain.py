"""LangChain's `ChatOpenAI`, with the address and the key of the local server."""

from __future__ import annotations

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from samples import EXTRACT, MODEL, QUESTION, Person, get_weather

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[True, False], ids=["responses", "chat"])
def model(request, local_server):
    address = {"base_url": local_server.base_url, "api_key": local_server.key}
    return ChatOpenAI(model=MODEL, use_responses_api=request.param, reasoning_effort="low", max_retries=0, **address)


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
@pytest.mark.covers("structured", "sync")
def test_model_returns_text_and_types(model):
    assert model.invoke("Say hello there").text == "hello there"
    assert "".join(chunk.text for chunk in model.stream("Say hello there")) == "hello there"
    assert isinstance(model.with_structured_output(Person).invoke(EXTRACT), Person)


@pytest.mark.covers("tool", "sync")
def test_model_calls_a_tool_with_effort(model, sim):
    caller = model.bind_tools([get_weather])
    messages = [HumanMessage(QUESTION), caller.invoke(QUESTION)]
    (call,) = messages[-1].tool_calls
    messages.append(ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]))
    assert "sunny in " in caller.invoke(messages).text
    assert [request.body["reasoning"]["effort"] for request in sim.model_requests] == ["low", "low"]


@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_calls_work(model):
    assert (await model.ainvoke("Say hello there")).text == "hello there"
    assert "".join([chunk.text async for chunk in model.astream("Say hello there")]) == "hello there"
    assert (await model.bind_tools([get_weather]).ainvoke(QUESTION)).tool_calls
    assert isinstance(await model.with_structured_output(Person).ainvoke(EXTRACT), Person)
