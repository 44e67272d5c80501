"""gpt-codex-client on the simulator, over HTTP and WebSockets."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from gpt_codex_client import AsyncCodexClient, AuthError, CodexClient, CodexError
from samples import EXTRACT, MODEL, QUESTION, WEATHER, Person, get_weather


@pytest.fixture
def options(official_sim, tmp_path):
    return {"token_path": tmp_path / "codex" / "auth.json", "no_browser": True, "max_retries": 0}


def history_after(response):
    items = [item if isinstance(item, dict) else item.model_dump() for item in response.output]
    (call,) = (item for item in items if item["type"] == "function_call")
    output = get_weather(**json.loads(call["arguments"]))
    answer = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
    return [{"role": "user", "content": QUESTION}, *items, answer]


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_client_returns_text_and_types(options):
    with CodexClient(**options) as client:
        assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
        assert isinstance(client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person).parsed, Person)


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(options):
    with CodexClient(**options) as client, client.responses.create(model=MODEL, input="Say hi", stream=True) as stream:
        events = [event.data for event in stream if event.type == "response.output_text.delta"]
    assert "".join(event["delta"] for event in events) == "hi"


@pytest.mark.covers("tool", "sync")
def test_tool_is_called_and_its_output_sent(options):
    with CodexClient(**options) as client:
        history = history_after(client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER]))
        assert "sunny in" in client.responses.create(model=MODEL, input=history, tools=[WEATHER]).output_text


def assert_incremental(sim):
    """The session was on one WebSocket, and continued its responses."""
    assert len(sim.websockets) == 1
    frames = [frame.json() for frame in sim.websocket_frames]
    assert [len(frame["input"]) for frame in frames] == [1, 1, 1]
    assert ["previous_response_id" in frame for frame in frames] == [False, True, True]
    assert [request.method for request in sim.requests if request.path.endswith("/responses")] == ["GET"]


@pytest.mark.parametrize("transport", ["websocket", "auto"])
def test_session_continues_on_a_websocket(options, sim, transport):
    session = {"model": MODEL, "tools": [WEATHER], "transport": transport, "session_id": "s1"}
    with CodexClient(**options, base_url=sim.base_url) as client:
        history = history_after(client.responses.create(input=[{"role": "user", "content": QUESTION}], **session))
        answer = client.responses.create(input=history, **session)
        assert "sunny in" in answer.output_text
        history += [item if isinstance(item, dict) else item.model_dump() for item in answer.output]
        last = client.responses.create(input=[*history, {"role": "user", "content": "Say goodbye"}], **session)
        assert last.output
    assert_incremental(sim)


@pytest.mark.parametrize("fault", ["cut_after_events:2", "close:1011,2", "connection_limit"])
def test_failed_websocket_is_an_error(options, sim, fault):
    """It retries no failure of a WebSocket."""
    sim.fail(fault)
    with CodexClient(**options, base_url=sim.base_url) as client, pytest.raises(CodexError):
        client.responses.create(model=MODEL, input="Say hello", transport="websocket")
    assert len(sim.websocket_frames) == 1


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
async def test_async_client_does_the_same(options):
    async with AsyncCodexClient(**options) as client:
        assert (await client.responses.create(model=MODEL, input="Say hello")).output_text == "hello"
        assert isinstance((await client.responses.parse(model=MODEL, input=EXTRACT, text_format=Person)).parsed, Person)
        async with await client.responses.create(model=MODEL, input="Say hi", stream=True) as stream:
            events = [event.data async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(event["delta"] for event in events) == "hi"
        history = history_after(await client.responses.create(model=MODEL, input=QUESTION, tools=[WEATHER]))
        assert "sunny in" in (await client.responses.create(model=MODEL, input=history, tools=[WEATHER])).output_text


@pytest.mark.xfail(raises=AuthError, reason="it does not notice that a login of the Codex CLI expired")
def test_expired_login_is_refreshed(official_sim, options, tmp_path):
    official_sim.write_codex_home(tmp_path / "codex", expires_in=-timedelta(minutes=1))
    with CodexClient(**options) as client:
        assert client.responses.create(model=MODEL, input="Say hello").output_text == "hello"
    assert official_sim.requests[0].path == "/oauth/token"
