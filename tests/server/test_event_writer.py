"""The writer of a stream: held events, one `send` for a batch, comments, and clients that do not read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall
from support.scripted_backend import wait_until

from codex_backend_sdk import StreamInterruptedError
from codex_backend_sdk.server.api_errors import ApiError
from codex_backend_sdk.server.dialects import ResponsesDialect
from codex_backend_sdk.server.event_writer import EventWriter, HttpSink, partial_output, until_disconnected
from codex_backend_sdk.server.request_log import RequestRecord

from .conftest import KEY
from .model_calls import open_connections

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

NEVER = 60.0
CREATED = {"type": "response.created", "response": {"id": "resp_1"}}
DELTA = {"type": "response.output_text.delta", "delta": "a"}


class Recorder:
    def record_model(self, name: str) -> None: ...

    def record_usage(self, *tokens: int) -> None: ...

    def record_output(self, output: list[Any]) -> None: ...


class Client:
    """The other end of `send`: it records messages, and blocks while `can_read` is not set."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.can_read = asyncio.Event()
        self.can_read.set()
        self.received = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        self.received.set()
        await self.can_read.wait()

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages if message["type"] == "http.response.body"]

    async def receives(self, body: bytes) -> None:
        with anyio.fail_after(30):
            while body not in self.bodies:
                self.received.clear()
                await self.received.wait()


def writer_for(client: Client, **options: Any) -> EventWriter:
    dialect = ResponsesDialect(Recorder(), new_id=lambda: "resp_new")
    defaults: dict[str, Any] = {"commit_seconds": NEVER, "keepalive_seconds": NEVER, "on_stalled": lambda: None}
    defaults["stalled_seconds"] = NEVER
    record = RequestRecord(method="POST", path="/", program="x")
    sink = HttpSink({"type": "http", "state": {"record": record}}, client.send, {})
    return EventWriter(sink, dialect, **{**defaults, **options})


def test_first_events_are_held_and_sent_together() -> None:
    async def run() -> None:
        client = Client()
        writer = writer_for(client)
        await writer.add([CREATED])
        assert client.messages == []
        await writer.add([DELTA, DELTA])
        assert [message["type"] for message in client.messages] == ["http.response.start", "http.response.body"]
        assert client.bodies[0].count(b"data: ") == 3
        await writer.add([DELTA] * 100)
        assert client.bodies[1].count(b"data: ") == 100
        await writer.add([])
        await writer.end()
        assert (len(client.bodies), client.messages[-1].get("more_body")) == (3, None)

    asyncio.run(run())


def test_failure_while_held_is_an_error_response() -> None:
    async def run() -> None:
        client = Client()
        writer = writer_for(client)
        await writer.add([CREATED])
        await writer.fail(ApiError(429, "x"))
        assert client.messages[0]["status"] == 429
        assert len(client.bodies) == 1

    asyncio.run(run())


def test_held_events_are_sent_at_the_end() -> None:
    async def run() -> None:
        client = Client()
        writer = writer_for(client)
        await writer.add([CREATED])
        await writer.end()
        assert client.messages[0]["status"] == 200
        assert b"response.created" in client.bodies[0]

    asyncio.run(run())


def test_silence_is_committed_and_commented() -> None:
    async def run() -> None:
        client = Client()
        writer = writer_for(client, commit_seconds=0.01, keepalive_seconds=0.01)
        await writer.add([CREATED])
        async with anyio.create_task_group() as group:
            group.start_soon(writer.keep_alive)
            await client.receives(b": keepalive\n")
            await writer.fail(ApiError(500, "x"))
            count = len(client.messages)
            await anyio.sleep(0.05)
            assert len(client.messages) == count  # no comment after the end
            group.cancel_scope.cancel()
        assert client.messages[0]["status"] == 200
        assert b"response.created" in client.bodies[0]
        assert b"response.failed" in client.bodies[-2]

    asyncio.run(run())


@pytest.mark.parametrize("is_held", [False, True], ids=["in an event", "in the head"])
def test_client_that_does_not_read_is_disconnected(is_held: bool) -> None:
    async def run() -> None:
        client, stalled = Client(), asyncio.Event()
        writer = writer_for(
            client, commit_seconds=0.0, keepalive_seconds=0.01, stalled_seconds=0.05, on_stalled=stalled.set
        )
        async with anyio.create_task_group() as group:
            if not is_held:
                await writer.add([DELTA])
            client.can_read.clear()
            group.start_soon(writer.keep_alive)
            with anyio.fail_after(30):
                await stalled.wait()
            group.cancel_scope.cancel()

    asyncio.run(run())


def test_stalled_call_frees_its_slot(serve: Any, sim: Simulator) -> None:
    backend = EndlessBackend()
    client = sim.async_client(base_url=backend.base_url, max_retries=0)
    server = serve(client=client, concurrency=1, keepalive_seconds=0.1, stalled_seconds=0.5)
    with open_slow_client(server) as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        wait_until(lambda: server.lines)
        assert server.lines[0].endswith("client does not read")
        assert server.app.state.slots.running == 0
    wait_until(lambda: open_connections(server.client) == 0)


class EndlessBackend:
    """A backend on 127.0.0.1 whose responses do not end. `sent_bytes` is what it could send so far."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/backend-api/codex"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection = self._listener.accept()[0]
            threading.Thread(target=self._respond, args=(connection,), daemon=True).start()

    def _respond(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if connection.recv(65536).startswith(b"GET"):  # the models
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            connection.sendall(_event(CREATED))
            part = _event({**DELTA, "output_index": 0, "content_index": 0, "delta": "x" * 1000}) * 20
            while True:
                connection.sendall(part)
                self.sent_bytes += len(part)

    def is_blocked(self) -> bool:
        """Return whether nothing could be sent for a second."""
        before = self.sent_bytes
        time.sleep(1)
        return before > 0 and self.sent_bytes == before


def _event(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def open_slow_client(server: Any) -> socket.socket:
    """Return the connection of a client that has sent a request, and does not read by itself."""
    body = b'{"model": "gpt-5.5", "input": "hi", "stream": true}'
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.sendall(head.encode() + body)
    return connection


def test_slow_reader_holds_the_backend_back(serve: Any, sim: Simulator) -> None:
    backend = EndlessBackend()
    server = serve(client=sim.async_client(base_url=backend.base_url, max_retries=0))
    with open_slow_client(server) as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        wait_until(backend.is_blocked)
        # The buffers of four sockets, and what one read of the client has.
        assert backend.sent_bytes < 30_000_000
        assert open_connections(server.client) == 1
    wait_until(lambda: open_connections(server.client) == 0)
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith("client left")


@pytest.mark.parametrize("has_ended", [False, True])
def test_disconnect_after_the_end_is_not_reported(has_ended: bool) -> None:
    """The response may end before the task that watches the connection begins."""

    async def run() -> list[str]:
        calls: list[str] = []

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        scope = anyio.CancelScope()
        if has_ended:
            scope.cancel()
        await until_disconnected(receive, scope, lambda: calls.append("left"))
        return calls

    assert asyncio.run(run()) == ([] if has_ended else ["left"])


def test_partial_output_of_wrong_types_is_not_warned_about() -> None:
    # A warning prints the value on standard error, and is an exception in programs that turn warnings into errors.
    item = ResponseFunctionToolCall.construct(type="function_call", call_id=[], name={}, arguments=3)
    error = StreamInterruptedError("m", request=httpx2.Request("POST", "https://x"))
    error.partial = Response.construct(id="resp_1", output=[item])
    assert partial_output(error) == {"id": "resp_1", "output": [item.to_dict(mode="python", warnings=False)]}
