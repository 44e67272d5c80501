"""LlamaIndex on this client: its classes for responses and for chat completions."""

from __future__ import annotations

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI as ChatModel
from llama_index.llms.openai import OpenAIResponses
from samples import EXTRACT, QUESTION, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk import AsyncOpenAI, OpenAI

TOOL = FunctionTool.from_defaults(get_weather)
KINDS = pytest.mark.parametrize("kind", ["responses", "chat"])
# LlamaIndex sends an effort only to models that it knows.
KNOWN_MODEL = "gpt-6.1-sol"


@pytest.fixture
def model_of(sim):
    """Return a model of this kind, on clients of its own."""

    def build(kind, name=KNOWN_MODEL, *, unsupported="raise", **settings):
        clients = {
            "openai_client": OpenAI(unsupported=unsupported),
            "async_openai_client": AsyncOpenAI(unsupported=unsupported),
        }
        if kind == "responses":
            return OpenAIResponses(name, reasoning_options={"effort": "low"}, **settings, **clients)
        return ChatModel(name, reasoning_effort="low", **settings, **clients)

    return build


def bodies(sim):
    return [request.body for request in sim.model_requests]


def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")
    assert_tool_call_with_effort(recipe.sent)


@KINDS
@pytest.mark.covers("plain", "sync")
def test_model_returns_the_text(model_of, kind):
    assert model_of(kind).complete("Say hello").text == "hello"


@KINDS
@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(model_of, kind):
    chunks = [chunk.delta or "" for chunk in model_of(kind).stream_complete("Say hello there")]
    assert "".join(chunks) == "hello there"
    assert sum(bool(chunk) for chunk in chunks) > 1


@KINDS
@pytest.mark.covers("tool", "sync")
def test_tool_is_called_with_effort(model_of, sim, kind):
    assert "sunny in" in str(model_of(kind).predict_and_call([TOOL], user_msg=QUESTION))
    assert bodies(sim)[0]["reasoning"]["effort"] == "low"


@KINDS
@pytest.mark.covers("structured", "sync")
def test_structured_model_returns_the_type(model_of, kind):
    assert isinstance(model_of(kind).as_structured_llm(Person).complete(EXTRACT).raw, Person)


@KINDS
@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
async def test_async_model_returns_and_streams_text(model_of, kind):
    model = model_of(kind)
    assert (await model.acomplete("Say hello")).text == "hello"
    stream = await model.astream_chat([ChatMessage(content="Say hello there")])
    assert "".join([chunk.delta or "" async for chunk in stream]) == "hello there"


@KINDS
@pytest.mark.anyio
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_calls_tools_and_returns_types(model_of, sim, kind):
    model = model_of(kind)
    assert isinstance((await model.as_structured_llm(Person).acomplete(EXTRACT)).raw, Person)
    sim.clear()
    assert "sunny in" in str(await FunctionAgent(tools=[get_weather], llm=model).run(QUESTION))
    assert_tool_call_with_effort(bodies(sim))


def test_unknown_model_works_with_drop(model_of, sim):
    """LlamaIndex sends a temperature to it, which the backend rejects. Its class for chat completions refuses it."""
    kwargs = {"reasoning": {"effort": "low"}}
    model = model_of("responses", "gpt-6.1-terra", unsupported="drop", context_window=272_000, additional_kwargs=kwargs)
    assert model.complete("Say hello").text == "hello"
    assert "temperature" not in bodies(sim)[-1]
    assert bodies(sim)[-1]["reasoning"]["effort"] == "low"
    with pytest.raises(ValueError, match="Unknown model"):
        model_of("chat", "gpt-6.1-terra").complete("Say hello")
