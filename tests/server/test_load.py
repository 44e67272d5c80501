"""Many clients at once, clients that do not read, and clients that vanish: all others are served, and nothing is left.

The backend continues its responses when the test says so. No assertion depends on time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from support.scripted_backend import wait_until

from .conftest import KEY
from .gated_backend import GatedBackend
from .model_calls import ROUTES, Route, open_connections

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

pytestmark = pytest.mark.timeout(240)
STREAMS = 200
both_routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


@pytest.fixture
def serve_gated(serve: Any, sim: Simulator) -> Callable[..., Any]:
    """Start a server whose backend is a gated one."""

    def start(backend: GatedBackend, **settings: Any) -> Any:
        client = sim.async_client(unsupported="drop", max_retries=0, base_url=backend.base_url)
        return serve(client=client, **settings)

    return start


def read_at_once(server: Any, route: Route, count: int, on_first_bytes: Callable[[int], None]) -> list[httpx2.Response]:
    """Read streams at once, and report how many have begun whenever another one does."""

    async def read_all() -> list[httpx2.Response]:
        begun = 0

        async def read(client: httpx2.AsyncClient) -> httpx2.Response:
            nonlocal begun
            body = route.body(stream=True)
            async with client.stream("POST", f"{server.base_url}{route.path}", json=body) as response:
                parts = []
                async for part in response.aiter_bytes():
                    if not parts:
                        begun += 1
                        on_first_bytes(begun)
                    parts.append(part)
            return httpx2.Response(response.status_code, content=b"".join(parts))

        limits = httpx2.Limits(max_connections=None)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(headers=headers, limits=limits, timeout=120, trust_env=False) as client:
            return await asyncio.gather(*(read(client) for _ in range(count)))

    return asyncio.run(read_all())


def assert_nothing_is_left(server: Any) -> None:
    """Wait until neither the server nor its client has a connection, a task or a slot of a request."""
    state = server._server.server_state
    wait_until(lambda: not state.connections, "connections of the server")
    wait_until(lambda: not state.tasks, "tasks of the server")
    wait_until(lambda: open_connections(server.client) == 0, "connections to the backend")
    slots = server.app.state.slots
    assert (slots.running, slots.waiting) == (0, 0)
    assert server.tracebacks == []


def connect(server: Any, route: Route, **members: Any) -> socket.socket:
    """Send a streamed request, and return its socket with a small buffer for what is received."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", server.port))
    body = json.dumps(route.body(stream=True, **members)).encode()
    head = f"POST /v1{route.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
    connection.sendall(f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    return connection


def read_to_end(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def open_sockets() -> int:
    """Return the number of sockets of this process, which runs the server, its clients and its backend."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this listing
            count += os.readlink(link).startswith("socket:")
    return count


@both_routes
def test_200_streams_run_at_once_and_are_complete(serve_gated: Any, route: Route) -> None:
    with GatedBackend() as backend:
        server = serve_gated(backend, concurrency=STREAMS)

        def continue_when_all_have_begun(begun: int) -> None:
            if begun == STREAMS:  # so no event was kept back, and none waited for another stream
                backend.open_gate()

        responses = read_at_once(server, route, STREAMS, continue_when_all_have_begun)
        assert [response.status_code for response in responses] == [200] * STREAMS
        assert {route.streamed_text(response) for response in responses} == {backend.text}
        assert backend.most_running == STREAMS
        assert_nothing_is_left(server)


@both_routes
def test_200_streams_share_few_slots_and_the_queue(serve_gated: Any, route: Route) -> None:
    with GatedBackend() as backend:
        server = serve_gated(backend, concurrency=3, queue_limit=STREAMS)
        backend.open_gate()
        responses = read_at_once(server, route, STREAMS, lambda _begun: None)
        assert {route.streamed_text(response) for response in responses} == {backend.text}
        assert backend.arrived == STREAMS
        assert backend.most_running <= 3
        assert_nothing_is_left(server)


def test_streams_beyond_the_queue_get_a_429(serve_gated: Any) -> None:
    route = ROUTES[0]
    with GatedBackend() as backend:
        server = serve_gated(backend, concurrency=2, queue_limit=3)
        waiting = [connect(server, route) for _ in range(5)]
        slots = server.app.state.slots
        wait_until(lambda: (slots.running, slots.waiting) == (2, 3))
        refused = [server.post(route.path, json=route.body(stream=True)) for _ in range(10)]
        assert {response.status_code for response in refused} == {429}
        backend.open_gate()
        assert all(b"response.completed" in read_to_end(connection) for connection in waiting)
        for connection in waiting:
            connection.close()
        assert backend.arrived == 5


@both_routes
def test_slow_readers_are_bounded_and_delay_none(serve_gated: Any, route: Route) -> None:
    with GatedBackend(events=1000, size=32_000) as backend:
        backend.open_gate()
        server = serve_gated(backend, concurrency=3)
        slow = [connect(server, route) for _ in range(2)]
        wait_until(lambda: backend.arrived == 2)
        fast = server.post(route.path, json=route.body(stream=True))
        assert route.streamed_text(fast) == backend.text
        wait_until(lambda: backend.running == 2, "the others have not ended")
        # What is written and not read is in the buffers of four sockets, and not in the memory of the server.
        assert max(backend.sent_bytes[:2]) < len(backend.text) * 3 / 4
        for connection in slow:
            assert read_to_end(connection).count(b"x" * 32_000) >= 1000
            connection.close()
        wait_until(lambda: backend.running == 0)
        assert backend.broken == 0


@both_routes
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_disconnected_clients_leave_nothing(serve_gated: Any, route: Route, is_reset: bool) -> None:
    count = 40
    with GatedBackend() as backend:
        server = serve_gated(backend, concurrency=count, queue_limit=count)
        clients = [connect(server, route) for _ in range(2 * count)]
        slots = server.app.state.slots
        wait_until(lambda: backend.arrived == count and slots.waiting == count)
        for client in clients:
            if is_reset:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        # Clients that waited may have had a slot for a moment, when others left theirs.
        wait_until(lambda: backend.running == 0, "responses of the backend")
        assert backend.broken == backend.arrived
        wait_until(lambda: (slots.running, slots.waiting) == (0, 0), "slots")
        wait_until(lambda: len(server.lines) == 2 * count, "log")
        assert_nothing_is_left(server)
        backend.open_gate()
        again = server.post(route.path, json=route.body(stream=True))
        assert route.streamed_text(again) == backend.text


@pytest.mark.skipif(sys.platform != "linux", reason="counts the sockets in /proc")
@both_routes
def test_file_descriptors_do_not_grow(serve_gated: Any, route: Route) -> None:
    with GatedBackend() as backend:
        server = serve_gated(backend, concurrency=50)
        backend.open_gate()
        read_at_once(server, route, 50, lambda _begun: None)
        assert_nothing_is_left(server)
        wait_until(lambda: backend.running == 0)
        before = open_sockets()
        for _ in range(2):
            read_at_once(server, route, 50, lambda _begun: None)
        assert_nothing_is_left(server)
        wait_until(lambda: open_sockets() <= before, "sockets")
