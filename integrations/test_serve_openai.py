"""openai's official client, with the address and the key of the local server."""

from __future__ import annotations

import pytest
from openai import AsyncOpenAI, OpenAI
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person, get_weather

CHAT_TOOL = {"type": "function", "function": {name: value for name, value in WEATHER.items() if name != "type"}}
HELLO = [{"role": "user", "content": "Say hello there"}]


@pytest.fixture
def client(local_server):
    with OpenAI(base_url=local_server.base_url, api_key=local_server.key, max_retries=0) as client:
        assert type(client).__module__.startswith("openai")
        yield client


@pytest.fixture
async def async_client(local_server):
    async with AsyncOpenAI(base_url=local_server.base_url, api_key=local_server.key, max_retries=0) as client:
        yield client


@pytest.mark.covers("plain", "sync")
def test_both_apis_return_text_and_name_changes(client, local_server):
    raw = client.responses.with_raw_response.create(model=MODEL, input="Say hello there", temperature=0)
    assert raw.parse().output_text == "hello there"
    assert raw.headers["x-codex-backend-changes"] == "dropped temperature"
    raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=HELLO, max_tokens=100)
    assert raw.parse().choices[0].message.content == "hello there"
    assert raw.headers["x-codex-backend-changes"] == "dropped max_tokens"
    assert MODEL in [model.id for model in client.models.list()]


@pytest.mark.covers("stream", "sync")
def test_both_apis_stream(client):
    with client.responses.stream(model=MODEL, input="Say hello there") as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        assert text == events.get_final_response().output_text == "hello there"
    with client.chat.completions.stream(model=MODEL, messages=HELLO, stream_options={"include_usage": True}) as events:
        text = "".join(event.delta for event in events if event.type == "content.delta")
        completion = events.get_final_completion()
    assert text == completion.choices[0].message.content == "hello there"
    assert completion.usage.completion_tokens_details.reasoning_tokens > 0


@pytest.mark.covers("tool", "sync")
@pytest.mark.parametrize("effort", ["low", "minimal"])
def test_both_apis_call_tools(client, sim, effort):
    items = [{"role": "user", "content": QUESTION}]
    first = client.responses.create(model=MODEL, input=items, tools=[WEATHER], reasoning={"effort": effort})
    (call,) = (item for item in first.output if item.type == "function_call")
    items += [*first.output, {"type": "function_call_output", "call_id": call.call_id, "output": get_weather("Paris")}]
    assert "sunny in Paris" in client.responses.create(model=MODEL, input=items, tools=[WEATHER]).output_text

    messages = [{"role": "user", "content": QUESTION}]
    options = {"model": MODEL, "tools": [CHAT_TOOL], "reasoning_effort": effort}
    message = client.chat.completions.create(messages=messages, **options).choices[0].message
    (call,) = message.tool_calls
    messages += [message, {"role": "tool", "tool_call_id": call.id, "content": get_weather("Paris")}]
    assert "sunny in Paris" in client.chat.completions.create(messages=messages, **options).choices[0].message.content
    efforts = [request.body.get("reasoning", {}).get("effort") for request in sim.model_requests]
    assert efforts == ["low", None, "low", "low"]


@pytest.mark.covers("structured", "sync")
def test_both_apis_parse_types(client):
    assert isinstance(client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person).output_parsed, Person)
    messages = [{"role": "user", "content": EXTRACT}]
    completion = client.chat.completions.parse(model=MODEL, messages=messages, response_format=Person)
    assert isinstance(completion.choices[0].message.parsed, Person)


def test_websocket_continues_a_response(client, sim):
    with client.responses.connect() as connection:
        answers = []
        for prompt in ("Say hello", "Say goodbye"):
            previous = {"previous_response_id": answers[-1].id} if answers else {}
            connection.response.create(model=MODEL, input=prompt, **previous)
            for event in connection:
                if event.type == "response.completed":
                    answers.append(event.response)
                    break
    assert [answer.output_text for answer in answers] == ["hello", "goodbye"]
    roles = [item.get("role") for item in sim.model_requests[1].body["input"] if item.get("type") != "reasoning"]
    assert roles == ["user", "assistant", "user"]


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
async def test_async_client_returns_text(async_client):
    assert (await async_client.responses.create(model=MODEL, input="Say hello there")).output_text == "hello there"
    completion = await async_client.chat.completions.create(model=MODEL, messages=HELLO)
    assert completion.choices[0].message.content == "hello there"


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_async_client_streams(async_client):
    stream = await async_client.responses.create(model=MODEL, input="Say hello there", stream=True)
    assert "".join([e.delta async for e in stream if e.type == "response.output_text.delta"]) == "hello there"
    chunks = await async_client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks]) == "hello there"


@pytest.mark.anyio
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_client_calls_tools_and_parses(async_client):
    response = await async_client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER])
    assert "function_call" in [item.type for item in response.output]
    messages = [{"role": "user", "content": QUESTION}]
    completion = await async_client.chat.completions.create(model=MODEL, messages=messages, tools=[CHAT_TOOL])
    assert completion.choices[0].message.tool_calls[0].function.name == "get_weather"
    parsed = await async_client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person)
    assert isinstance(parsed.output_parsed, Person)
