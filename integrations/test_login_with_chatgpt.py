"""login-with-chatgpt on the simulator: openai's client on a transport of its own."""

from __future__ import annotations

import json
import time

import login_with_chatgpt
import pytest
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person, get_weather


@pytest.fixture
def store(official_sim):
    return new_store(official_sim, expires_at=time.time() + 3600)


def new_store(sim, expires_at):
    login = sim.login_document()["tokens"]
    tokens = {name: login[name] for name in ("access_token", "refresh_token", "id_token", "account_id")}
    store = login_with_chatgpt.MemoryTokenStore()
    store.save("default", login_with_chatgpt.TokenSet(**tokens, expires_at=expires_at))
    return store


def history_after(response):
    (call,) = (item for item in response.output if item.type == "function_call")
    output = get_weather(**json.loads(call.arguments))
    items = [item.model_dump(exclude_none=True) for item in response.output]
    answer = {"type": "function_call_output", "call_id": call.call_id, "output": output}
    return [{"role": "user", "content": QUESTION}, *items, answer]


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_client_returns_text_and_types(store):
    with login_with_chatgpt.OpenAI(store=store) as client:
        assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
        response = client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person)
        assert isinstance(response.output_parsed, Person)


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(store):
    with login_with_chatgpt.OpenAI(store=store) as client:
        events = client.responses.create(model=MODEL, input="Say hello there", stream=True)
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == "hello there"


@pytest.mark.covers("tool", "sync")
def test_tool_is_called_and_its_output_sent(store):
    with login_with_chatgpt.OpenAI(store=store) as client:
        history = history_after(client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER]))
        assert "sunny in" in client.responses.create(model=MODEL, input=history, tools=[WEATHER]).output_text


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_async_client_does_the_same(store):
    async with login_with_chatgpt.AsyncOpenAI(store=store) as client:
        assert (await client.responses.create(model=MODEL, input="Say hello")).output_text == "hello"
        response = await client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person)
        assert isinstance(response.output_parsed, Person)
        events = await client.responses.create(model=MODEL, input="Say hello there", stream=True)
        deltas = [event.delta async for event in events if event.type == "response.output_text.delta"]
        assert "".join(deltas) == "hello there"
        history = history_after(await client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER]))
        assert "sunny in" in (await client.responses.create(model=MODEL, input=history, tools=[WEATHER])).output_text


def test_expired_login_is_refreshed(official_sim):
    with login_with_chatgpt.OpenAI(store=new_store(official_sim, expires_at=time.time() - 60)) as client:
        assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
    assert official_sim.requests[0].path == "/oauth/token"
