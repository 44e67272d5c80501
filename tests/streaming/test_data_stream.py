"""Test the stream of JSON data that the local server reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

from codex_backend_sdk._streaming.streams import AsyncDataStream
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_backend_sdk import AsyncOpenAI

PATHS = ["/responses", "/chat/completions"]

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def async_client(sim: Simulator) -> AsyncIterator[AsyncOpenAI]:
    async with sim.async_client(unsupported="drop", max_retries=1) as client:
        yield client


async def open_stream(client: AsyncOpenAI, path: str) -> AsyncDataStream:
    body = {"model": "gpt-5.5", "input": "hi", "temperature": 0.5}
    return await client.post(path, cast_to=object, body=body, stream=True, stream_cls=AsyncDataStream)


@pytest.mark.parametrize("path", PATHS)
async def test_data_stream_yields_lists_of_json(async_client: AsyncOpenAI, sim: Simulator, path: str) -> None:
    sim.script("one two three")
    stream = await open_stream(async_client, path)
    batches = [batch async for batch in stream]
    assert all(isinstance(batch, list) and batch for batch in batches)
    assert all(isinstance(data, dict) for batch in batches for data in batch)
    assert stream.dropped_parameters == ("temperature",)


async def test_data_stream_has_all_members(async_client: AsyncOpenAI, sim: Simulator) -> None:
    sim.script(Turn.text("one two three"))
    events = [event async for batch in await open_stream(async_client, "/responses") for event in batch]
    deltas = [event for event in events if event["type"] == "response.output_text.delta"]
    assert all({"item_id", "sequence_number", "output_index", "content_index"} <= delta.keys() for delta in deltas)
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "one two three"


@pytest.mark.parametrize("path", PATHS)
async def test_data_stream_yields_before_it_raises(async_client: AsyncOpenAI, sim: Simulator, path: str) -> None:
    sim.script(Turn.text("one two three").garbage(8))
    received: list[Any] = []
    stream = await open_stream(async_client, path)

    async def read() -> None:
        async for batch in stream:
            received.extend(batch)

    with pytest.raises(openai.APIError):
        await read()
    assert len(received) >= 3


@pytest.mark.parametrize("path", PATHS)
async def test_data_stream_is_restarted_before_output(async_client: AsyncOpenAI, sim: Simulator, path: str) -> None:
    sim.script(Turn.raw(200, {"content-type": "text/event-stream"}, b"", then="cut"), "complete")
    stream = await open_stream(async_client, path)
    assert len([data async for batch in stream for data in batch]) >= 3
    assert stream.restarts == 1
