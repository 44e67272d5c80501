"""Events that come in a chunk each reach the client in few chunks, whatever the connection is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from support.tunnels import answering, proxy, tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

trustme = pytest.importorskip("trustme")

DELTAS = [f" word {number}" for number in range(40)]
EVENTS = [
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
    *({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": each} for each in DELTAS),
    {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}},
]
FRAMES = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS]
ANSWER = b"".join(
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        *(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in FRAMES),
        b"0\r\n\r\n",
    ]
)


@pytest.fixture(params=["plain", "TLS", "TLS through a proxy"])
def base_url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with answering(ANSWER) as port:
        if request.param == "plain":
            yield f"http://127.0.0.1:{port}/backend-api/codex"
            return
        with tls(authority.issue_cert("localhost"), port) as secure, proxy([]) as tunnel:
            if request.param == "TLS through a proxy":
                monkeypatch.setenv("HTTPS_PROXY", tunnel)
            yield f"{secure}/backend-api/codex"


def test_the_client_is_given_few_chunks(sim: Simulator, base_url: str) -> None:
    with sim.client(base_url=base_url) as client:
        for _ in range(2):
            with client.responses.with_streaming_response.create(input="hi", stream=True) as response:
                chunks = list(response.iter_bytes())
            assert b"".join(chunks) == b"".join(FRAMES)
            assert len(chunks) <= 3


def test_so_is_the_async_one(sim: Simulator, base_url: str) -> None:
    async def chunks_of_two_calls() -> list[list[bytes]]:
        async with sim.async_client(base_url=base_url) as client:
            read = []
            for _ in range(2):
                async with client.responses.with_streaming_response.create(input="hi", stream=True) as response:
                    read.append([chunk async for chunk in response.iter_bytes()])
            return read

    for chunks in anyio.run(chunks_of_two_calls):
        assert b"".join(chunks) == b"".join(FRAMES)
        assert len(chunks) <= 3


def test_the_answer_is_what_it_was(new_client: Callable[..., Any], base_url: str) -> None:
    client = new_client(base_url=base_url)
    events = list(client.responses.create(input="hi", stream=True))
    assert [event.delta for event in events if event.type == "response.output_text.delta"] == DELTAS
    assert client.responses.create(input="hi").output_text == "".join(DELTAS)


def test_a_client_of_the_caller_is_left_as_it_is(sim: Simulator) -> None:
    with (
        answering(ANSWER) as port,
        httpx2.Client() as own,
        sim.client(base_url=f"http://127.0.0.1:{port}/backend-api/codex", http_client=own) as client,
        client.responses.with_streaming_response.create(input="hi", stream=True) as response,
    ):
        assert len(list(response.iter_bytes())) == len(FRAMES)
