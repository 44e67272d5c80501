"""LlamaIndex on this client."""

from __future__ import annotations

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from samples import EXTRACT, QUESTION, Person, get_weather

TOOL = FunctionTool.from_defaults(get_weather)


@pytest.mark.covers("plain", "sync")
def test_recipe_prints_the_text(recipe):
    assert recipe.printed == "hello\n"


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(recipe):
    assert "".join(chunk.delta or "" for chunk in recipe.model.stream_complete("Say hello there")) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_tool_is_called_and_its_output_sent(recipe):
    assert "sunny in" in str(recipe.model.predict_and_call([TOOL], user_msg=QUESTION))


@pytest.mark.covers("structured", "sync")
def test_structured_model_returns_the_type(recipe):
    assert isinstance(recipe.model.as_structured_llm(Person).complete(EXTRACT).raw, Person)


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
async def test_async_model_returns_and_streams_text(recipe):
    assert (await recipe.model.acomplete("Say hello")).text == "hello"
    stream = await recipe.model.astream_chat([ChatMessage(content="Say hello there")])
    assert "".join([chunk.delta or "" async for chunk in stream]) == "hello there"


@pytest.mark.anyio
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_calls_tools_and_returns_types(recipe):
    from llama_index.core.agent.workflow import FunctionAgent

    agent = FunctionAgent(tools=[get_weather], llm=recipe.model)
    assert "sunny in" in str(await agent.run(QUESTION))
    assert isinstance((await recipe.model.as_structured_llm(Person).acomplete(EXTRACT)).raw, Person)
