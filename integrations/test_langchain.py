"""LangChain on this client: the helper `chat_model`, with both APIs."""

from __future__ import annotations

import pytest
from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.messages import SystemMessage
from langchain_openai import ChatOpenAI
from samples import EXTRACT, MODEL, QUESTION, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.integrations.langchain import chat_model
from codex_backend_sdk.testing import Turn

APIS = pytest.mark.parametrize("use_responses_api", [True, False])


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")
    assert_tool_call_with_effort(recipe.sent)


@APIS
@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_model_returns_text_and_types(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api)
    assert model.invoke("Say hello").text == "hello"
    for method in ("json_schema", "function_calling"):
        assert isinstance(model.with_structured_output(Person, method=method).invoke(EXTRACT), Person)


@APIS
@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api)
    chunks = [*model.stream("Say hello there")]
    assert "".join(chunk.text for chunk in chunks) == "hello there"
    assert sum(bool(chunk.text) for chunk in chunks) > 1


@APIS
@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_returns_text_and_types(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api)
    assert (await model.ainvoke("Say hello")).text == "hello"
    assert isinstance(await model.with_structured_output(Person).ainvoke(EXTRACT), Person)


@APIS
@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_async_stream_and_agent_work(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api, reasoning_effort="low")
    assert "".join([chunk.text async for chunk in model.astream("Say hello there")]) == "hello there"
    sim.clear()
    answer = await create_agent(model, [get_weather]).ainvoke({"messages": [("user", QUESTION)]})
    assert "sunny in" in answer["messages"][-1].text
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


@APIS
def test_system_messages_are_sent_to_the_backend(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api)
    model.invoke([SystemMessage("Be short."), ("user", "Say hello")])
    body = sim.model_requests[-1].body
    assert "Be short." in str(body)
    assert "system" not in [item.get("role") for item in body["input"]]


@APIS
@pytest.mark.parametrize(("given", "sent"), [({}, False), ({"strict": True}, True)])
def test_tools_are_strict_only_on_request(sim, use_responses_api, given, sent):
    """langchain-ai/langchain#35837: without the helper, an effort makes the tools strict."""
    model = chat_model(MODEL, use_responses_api=use_responses_api, reasoning_effort="low")
    assert model.bind_tools([get_weather], **given).invoke(QUESTION).tool_calls
    assert [tool["strict"] for tool in sim.model_requests[-1].body["tools"]] == [sent]


def test_optional_argument_stays_optional_in_an_agent(sim):
    def get_forecast(city: str, days: int = 3) -> str:
        """Return the forecast."""
        return f"sunny in {city} for {days} days"

    sim.script(Turn.call("get_forecast", {"city": "Paris"}), "It is sunny.")
    agent = create_agent(chat_model(MODEL, reasoning_effort="low"), [get_forecast])
    messages = agent.invoke({"messages": [("user", QUESTION)]})["messages"]
    assert messages[-2].text == "sunny in Paris for 3 days"
    (tool,) = sim.model_requests[0].body["tools"]
    assert tool["parameters"]["required"] == ["city"]
    assert tool["strict"] is False


@APIS
def test_usage_is_reported(sim, use_responses_api):
    model = chat_model(MODEL, use_responses_api=use_responses_api)
    assert model.invoke("Say hello").usage_metadata["input_tokens"] > 0
    usage = [chunk.usage_metadata for chunk in model.stream("Say hello") if chunk.usage_metadata]
    assert sum(each["output_tokens"] for each in usage) > 0


@pytest.mark.parametrize("copies", [lambda model: model.model_copy(), lambda model: model.bind(stop=None)])
def test_copies_keep_the_clients(sim, copies):
    assert copies(chat_model(MODEL)).invoke("Say hello").text == "hello"


@pytest.mark.anyio
async def test_given_clients_are_used(sim):
    client, async_client = OpenAI(unsupported="drop"), AsyncOpenAI(unsupported="drop")
    model = chat_model(MODEL, client=client, async_client=async_client, temperature=0.5)
    assert model.root_client is client
    assert model.root_async_client is async_client
    assert model.invoke("Say hello").text == (await model.ainvoke("Say hello")).text == "hello"
    assert not any("temperature" in request.body for request in sim.model_requests)


def test_init_chat_model_takes_the_clients(sim):
    client, async_client = OpenAI(), AsyncOpenAI()
    model = init_chat_model(
        MODEL,
        model_provider="openai",
        use_responses_api=True,
        api_key="not used",
        root_client=client,
        client=client.chat.completions,
        root_async_client=async_client,
        async_client=async_client.chat.completions,
    )
    assert model.invoke("Say hello").text == "hello"


def test_one_client_alone_goes_to_the_platform(sim, foreign_hosts):
    """It is the reason for the helper. If it fails, the helper is not needed any more."""
    model = ChatOpenAI(model=MODEL, api_key="sk", use_responses_api=True, root_client=OpenAI(), max_retries=0)
    with pytest.raises(Exception, match="Connection error"):
        model.invoke("Say hello")
    assert foreign_hosts == {"api.openai.com"}
    foreign_hosts.clear()
