"""litellm's provider `chatgpt/` on the simulator."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from samples import EXTRACT, QUESTION, WEATHER, Person

# litellm downloads a list of prices when it is imported.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

MODEL = "chatgpt/gpt-6.1-sol"
TOOL = {"type": "function", "function": {name: WEATHER[name] for name in ("name", "description", "parameters")}}


@pytest.fixture(autouse=True)
def login(official_sim, tmp_path, monkeypatch):
    monkeypatch.setenv("CHATGPT_API_BASE", official_sim.base_url)
    monkeypatch.setenv("CHATGPT_TOKEN_DIR", str(tmp_path))
    write_login(official_sim, tmp_path)
    litellm.in_memory_llm_clients_cache.flush_cache()
    return tmp_path


def write_login(sim, folder, **options):
    (folder / "auth.json").write_text(json.dumps(sim.login_document(**options)["tokens"]))


def ask(prompt):
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}


def conversation(completion, message):
    """Return the messages that follow a tool call."""
    (call,) = message.tool_calls
    city = json.loads(call.function.arguments)["city"]
    output = {"role": "tool", "tool_call_id": call.id, "content": f"sunny in {city}"}
    return [*completion["messages"], message.model_dump(), output]


@pytest.mark.covers("plain", "sync")
def test_completion_returns_the_text():
    assert litellm.completion(**ask("Say hello")).choices[0].message.content == "hello"
    assert litellm.responses(model=MODEL, input="Say hello").output[-1].content[0].text == "hello"


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text():
    chunks = litellm.completion(**ask("Say hello there"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_tool_is_called_and_its_output_sent():
    question = ask(QUESTION)
    message = litellm.completion(**question, tools=[TOOL]).choices[0].message
    messages = conversation(question, message)
    assert "sunny in" in litellm.completion(model=MODEL, messages=messages, tools=[TOOL]).choices[0].message.content


@pytest.mark.covers("structured", "sync")
def test_structured_response_matches_the_type():
    completion = litellm.completion(**ask(EXTRACT), response_format=Person)
    Person.model_validate_json(completion.choices[0].message.content)


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_completion_returns_text_and_types():
    assert (await litellm.acompletion(**ask("Say hello"))).choices[0].message.content == "hello"
    completion = await litellm.acompletion(**ask(EXTRACT), response_format=Person)
    Person.model_validate_json(completion.choices[0].message.content)


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_async_stream_and_tool_call_work():
    chunks = await litellm.acompletion(**ask("Say hello there"), stream=True)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in chunks]) == "hello there"
    question = ask(QUESTION)
    message = (await litellm.acompletion(**question, tools=[TOOL])).choices[0].message
    answer = await litellm.acompletion(model=MODEL, messages=conversation(question, message), tools=[TOOL])
    assert "sunny in" in answer.choices[0].message.content


def test_expired_login_is_refreshed(official_sim, login):
    write_login(official_sim, login, expires_in=-timedelta(minutes=1))
    assert litellm.completion(**ask("Say hello")).choices[0].message.content == "hello"
    assert official_sim.requests[0].path == "/oauth/token"
