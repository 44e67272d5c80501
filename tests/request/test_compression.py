"""Test the compression of request bodies and the fallback to uncompressed bodies."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
from support.sync_adapter import SyncAdapter

from codex_backend_sdk._json import encode_in_chunks
from codex_backend_sdk._request.compression import Compression
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

LONG_TEXT = "word " * 2000
COMPLETED = b'data: {"type":"response.completed","response":{"id":"resp_1","output":[]}}\n\n'


def encodings(sim: Simulator) -> list[str | None]:
    return [request.headers.get("content-encoding") for request in sim.requests]


def test_only_long_bodies_are_compressed(client: Any, sim: Simulator) -> None:
    client.responses.create(input=LONG_TEXT)
    client.responses.create(input="hi")
    assert encodings(sim) == ["zstd", None]
    assert sim.requests[0].json()["input"][0]["content"][0]["text"] == LONG_TEXT
    assert int(sim.requests[0].headers["content-length"]) < len(LONG_TEXT) / 4


@pytest.mark.parametrize("compress", [True, False])
def test_long_history_arrives_complete(new_client: Callable[..., Any], sim: Simulator, compress: bool) -> None:
    history = [{"role": "user", "content": [{"type": "input_text", "text": f"{n} {LONG_TEXT}"}]} for n in range(150)]
    new_client(compress_requests=compress).responses.create(input=history)
    assert encodings(sim) == ["zstd" if compress else None]
    assert [item["content"] for item in sim.requests[0].json()["input"]] == [item["content"] for item in history]


def test_compression_is_incremental() -> None:
    body = {"input": [{"role": "user", "content": LONG_TEXT}] * 2000}
    Compression().encode(encode_in_chunks(body))
    tracemalloc.start()
    content, _ = Compression().encode(encode_in_chunks(body))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(content) < 2**20
    assert peak < 2000 * len(LONG_TEXT) / 2


def test_compression_can_be_disabled(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client(compress_requests=False)
    client.responses.create(input=LONG_TEXT)
    client.with_options(timeout=9).responses.create(input=LONG_TEXT)
    assert encodings(sim) == [None, None]


@pytest.mark.parametrize("status", [400, 403, 415])
@pytest.mark.parametrize("stream", [False, True])
def test_compression_stops_after_a_rejection(client: Any, sim: Simulator, status: int, stream: bool) -> None:
    sim.script(Turn.error(status, {"detail": "Cannot read this."}), Turn.text("accepted"))
    response = client.responses.create(input=LONG_TEXT, stream=stream, timeout=9)
    text = list(response)[-1].response.output_text if stream else response.output_text
    assert text == "accepted"
    client.with_options(max_retries=1).responses.create(input=LONG_TEXT)
    client.responses.create(input=LONG_TEXT)
    assert encodings(sim) == ["zstd", None, None, None]
    assert sim.requests[0].body == sim.requests[1].body
    assert sim.requests[0].headers["authorization"] == sim.requests[1].headers["authorization"]


@pytest.mark.parametrize("status", [401, 415])
def test_transport_may_return_read_responses(new_client: Callable[..., Any], status: int) -> None:
    received_encodings = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        received_encodings.append(request.headers.get("content-encoding"))
        if len(received_encodings) == 1:
            return httpx2.Response(status, json={"detail": "No."})
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=COMPLETED)

    client_class = httpx2.AsyncClient if isinstance(new_client(), SyncAdapter) else httpx2.Client
    client = new_client(http_client=client_class(transport=httpx2.MockTransport(respond)))
    assert client.responses.create(input=LONG_TEXT).id == "resp_1"
    assert received_encodings == ["zstd", "zstd" if status == 401 else None]


def test_rejection_of_both_forms_keeps_compression(client: Any, sim: Simulator) -> None:
    sim.script(*[Turn.error(400, {"detail": "Bad."})] * 2)
    with pytest.raises(openai.BadRequestError, match="Bad"):
        client.responses.create(input=LONG_TEXT)
    client.responses.create(input=LONG_TEXT)
    assert encodings(sim) == ["zstd", None, "zstd"]


def test_fallback_is_tried_at_most_twice(client: Any, sim: Simulator) -> None:
    sim.script(*[Turn.error(400, {"detail": "Bad."})] * 5)
    for _ in range(3):
        with pytest.raises(openai.BadRequestError, match="Bad"):
            client.responses.create(input=LONG_TEXT)
    assert encodings(sim) == ["zstd", None, "zstd", None, "zstd"]


@pytest.mark.parametrize("status", [400, 429, 503])
def test_other_failure_of_the_fallback_is_ignored(client: Any, sim: Simulator, status: int) -> None:
    for _ in range(2):
        sim.script(Turn.error(415, {}), Turn.error(status, {"detail": "Bad."}))
        with pytest.raises(openai.APIStatusError, match="Bad"):
            client.responses.create(input=LONG_TEXT)
    sim.script(Turn.error(415, {}), Turn.text("accepted"))
    assert client.responses.create(input=LONG_TEXT).output_text == "accepted"


def test_accepted_body_ends_the_fallback(client: Any, sim: Simulator) -> None:
    client.responses.create(input=LONG_TEXT)
    sim.script(Turn.error(400, {"detail": "Bad."}))
    with pytest.raises(openai.BadRequestError):
        client.responses.create(input=LONG_TEXT)
    assert encodings(sim) == ["zstd", "zstd"]


def test_login_is_refreshed_before_the_fallback(client: Any, sim: Simulator) -> None:
    sim.script(Turn.error(401, {}), Turn.error(415, {}), Turn.text("accepted"))
    assert client.responses.create(input=LONG_TEXT).output_text == "accepted"
    assert encodings(sim) == ["zstd", None, "zstd", None]
