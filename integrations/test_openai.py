"""openai's own helpers on this client: parse, stream and the tool runners."""

from __future__ import annotations

import warnings

import pytest
from openai.lib.responses_tool_runner import AsyncRegisteredFunction, AsyncResponsesToolRunner
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person, assert_tool_call_with_effort, get_weather

from codex_backend_sdk import AsyncOpenAI


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert recipe.printed.startswith("get_weather returned: sunny in ")
    assert_tool_call_with_effort(recipe.sent)


@pytest.mark.covers("plain", "sync")
def test_raw_response_is_parsed(recipe):
    raw = recipe.client.responses.with_raw_response.create(input="Say hello")
    assert raw.parse().output_text == "hello"


@pytest.mark.covers("structured", "sync")
def test_stream_helper_parses_the_text(recipe):
    with recipe.client.responses.stream(model=MODEL, input=EXTRACT, text_format=Person) as stream:
        stream.until_done()
        assert isinstance(stream.get_final_response().output_parsed, Person)


@pytest.mark.covers("stream", "sync")
def test_tool_runner_streams_without_warnings(recipe):
    events = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        response = recipe.runner.run(recipe.client, recipe.params, max_steps=4, stream=True, on_event=events.append)
    assert "sunny in" in response.output_text
    assert not [event.type for event in events if not event.type.startswith("response.")]


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_helpers_return_the_same(sim):
    async with AsyncOpenAI() as client:
        raw = await client.responses.with_raw_response.create(input="Say hello")
        assert raw.parse().output_text == "hello"
        assert isinstance((await client.responses.parse(input=EXTRACT, text_format=Person)).output_parsed, Person)


@pytest.mark.anyio
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.parametrize("stream", [False, True])
async def test_async_tool_runner_calls_the_tool(sim, stream):
    async def execute(arguments):
        return get_weather(**arguments)

    runner = AsyncResponsesToolRunner(functions=[AsyncRegisteredFunction(WEATHER, execute=execute)])
    async with AsyncOpenAI() as client:
        params = {"model": MODEL, "input": QUESTION, "reasoning": {"effort": "low"}}
        response = await runner.run(client, params, max_steps=4, stream=stream)
    assert "sunny in" in response.output_text
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


def test_chat_helpers_parse_and_stream(recipe):
    message = {"role": "user", "content": EXTRACT}
    chat = recipe.client.chat.completions
    completion = chat.parse(model=MODEL, messages=[message], response_format=Person, reasoning_effort="low")
    assert isinstance(completion.choices[0].message.parsed, Person)
    with chat.stream(model=MODEL, messages=[message], response_format=Person) as stream:
        stream.until_done()
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Person)
