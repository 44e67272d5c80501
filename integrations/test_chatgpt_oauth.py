"""chatgpt-oauth on the simulator."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from chatgpt_oauth import AuthSession, ResponseRequest, TokenSet, create_client, create_memory_store
from samples import MODEL, QUESTION, WEATHER, get_weather

NOT_APPLICABLE = {
    **{(feature, "sync"): "the library is async" for feature in ("plain", "stream", "tool")},
    **{("structured", mode): "the library has no parameter for it" for mode in ("sync", "async")},
}
SUBJECT = "user"
pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(official_sim):
    async with new_client(official_sim, lifetime=3600) as client:
        yield client


class new_client:
    """A client that is logged in, as an async context manager. A negative `lifetime` is that of an expired login."""

    def __init__(self, sim, lifetime):
        login = sim.login_document()["tokens"]
        names = ("access_token", "refresh_token", "id_token", "account_id")
        tokens = {name: login[name] for name in names}
        self.token = TokenSet(**tokens, expires_at=int(time.time() + lifetime) * 1000, version=1)

    async def __aenter__(self):
        self.http = httpx.AsyncClient()
        store = create_memory_store()
        await store.compare_and_swap(SUBJECT, 0, self.token)
        return create_client(AuthSession(store=store, client=self.http), SUBJECT, client=self.http)

    async def __aexit__(self, *exc_info):
        await self.http.aclose()


def request(prompt, **arguments):
    return ResponseRequest(model=MODEL, input=prompt, instructions="Be brief.", **arguments)


@pytest.mark.covers("plain", "async")
async def test_client_returns_text_and_limits(client):
    assert (await client.respond(request("Say hello"))).output_text == "hello"
    assert client.last_rate_limits.primary.used_percent == 12


@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text(client):
    deltas = [event.delta async for event in client.stream(request("Say hello there")) if "text.delta" in event.type]
    assert "".join(deltas) == "hello there"


@pytest.mark.covers("tool", "async")
async def test_tool_is_called_and_its_output_sent(client):
    first = await client.respond(request(QUESTION, tools=[WEATHER]))
    items = [event.data["item"] for event in first.events if event.type == "response.output_item.done"]
    (call,) = (item for item in items if item["type"] == "function_call")
    output = get_weather(**json.loads(call["arguments"]))
    answer = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
    history = [{"role": "user", "content": QUESTION}, *items, answer]
    assert "sunny in" in (await client.respond(request(history, tools=[WEATHER]))).output_text


async def test_expired_login_is_refreshed(official_sim):
    async with new_client(official_sim, lifetime=-60) as client:
        assert (await client.respond(request("Say hello"))).output_text == "hello"
    assert official_sim.requests[0].path == "/oauth/token"
