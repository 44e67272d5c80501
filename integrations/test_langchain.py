"""LangChain on this client."""

from __future__ import annotations

import pytest
from samples import EXTRACT, QUESTION, Person


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_model_returns_text_and_types(recipe):
    assert recipe.model.invoke("Say hello").text == "hello"
    assert isinstance(recipe.model.with_structured_output(Person).invoke(EXTRACT), Person)


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(recipe):
    assert "".join(chunk.text for chunk in recipe.model.stream("Say hello there")) == "hello there"


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_returns_text_and_types(recipe):
    assert (await recipe.model.ainvoke("Say hello")).text == "hello"
    assert isinstance(await recipe.model.with_structured_output(Person).ainvoke(EXTRACT), Person)


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_async_stream_and_agent_work(recipe):
    assert "".join([chunk.text async for chunk in recipe.model.astream("Say hello there")]) == "hello there"
    answer = await recipe.agent.ainvoke({"messages": [("user", QUESTION)]})
    assert "sunny in" in answer["messages"][-1].text
