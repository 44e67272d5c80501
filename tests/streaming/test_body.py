"""A body is drained, so that the next call reuses the connection and needs no handshake."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import openai
import pytest

from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CREATED = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}}
COMPLETED = {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": []}}
RESPONSE = Turn.events([CREATED, COMPLETED])
# The end of the stream arrives separately, as over TLS and through a gateway.
ENDS_LATER = RESPONSE.stalled(2, 0.03)
NEVER_ENDS = RESPONSE.stalled(2)


class CountingProxy:
    """A TCP proxy before the simulator that counts the connections."""

    def __init__(self, sim: Simulator) -> None:
        self._target = ("127.0.0.1", urlsplit(sim.url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.count = 0
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/backend-api/codex"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.count += 1
                server = socket.create_connection(self._target)
                self._open += (client, server)
                for ends in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._carry, args=ends, daemon=True))
                    self._threads[-1].start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for end in self._open:
            end.close()


@pytest.fixture
def proxy(sim: Simulator) -> Iterator[CountingProxy]:
    door = CountingProxy(sim)
    yield door
    door.close()


@pytest.fixture
def client(proxy: CountingProxy, new_client: Callable[..., Any]) -> Any:
    return new_client(base_url=proxy.base_url)


def create(client: Any) -> None:
    client.responses.create(input="hi")


def stream_to_the_end(client: Any) -> None:
    list(client.responses.create(input="hi", stream=True))


def stop_at_the_last_event(client: Any) -> Any:
    """Return the stream, which is neither closed nor deleted."""
    stream = client.responses.create(input="hi", stream=True)
    for event in stream:
        if event.type == "response.completed":
            break
    return stream


def stop_and_close(client: Any) -> None:
    with client.responses.create(input="hi", stream=True) as stream:
        for event in stream:
            if event.type == "response.completed":
                break


def stream_with_helper(client: Any) -> None:
    with client.responses.stream(input="hi") as stream:
        stream.get_final_response()


def leave_helper(client: Any) -> None:
    with client.responses.stream(input="hi") as stream:
        for event in stream:
            if event.type == "response.completed":
                break


def use_raw_response(client: Any) -> None:
    client.responses.with_raw_response.create(input="hi").parse()


def use_streaming_response(client: Any) -> None:
    with client.responses.with_streaming_response.create(input="hi") as response:
        response.parse()


def fail(client: Any) -> None:
    with pytest.raises(openai.APIError):
        client.responses.create(input="hi")


def fail_in_the_stream(client: Any) -> None:
    with pytest.raises(openai.APIError):
        list(client.responses.create(input="hi", stream=True))


WHOLE = [
    create,
    stream_to_the_end,
    stream_with_helper,
    use_raw_response,
    use_streaming_response,
]
LEFT = [stop_at_the_last_event, stop_and_close, leave_helper]


@pytest.mark.parametrize("turn", [RESPONSE, ENDS_LATER], ids=["ends at once", "ends later"])
@pytest.mark.parametrize("call", [*WHOLE, *LEFT])
def test_connection_is_reused_after_a_response(
    sim: Simulator, client: Any, proxy: CountingProxy, call: Any, turn: Turn
) -> None:
    sim.script(turn, turn, turn)
    kept = [call(client) for _ in range(3)]
    assert proxy.count == 1
    del kept


@pytest.mark.parametrize("call", [fail, fail_in_the_stream])
@pytest.mark.parametrize(
    "turn",
    [
        pytest.param(Turn.detail_error("No."), id="400"),
        pytest.param(Turn.failed("server_error", "Internal error."), id="response.failed"),
        pytest.param(Turn.failed("usage_limit_reached", "…"), id="a usage limit in the stream"),
    ],
)
def test_connection_is_reused_after_an_error(
    sim: Simulator, client: Any, proxy: CountingProxy, call: Any, turn: Turn
) -> None:
    sim.script(turn, turn)
    call(client)
    call(client)
    create(client)
    assert proxy.count == 1


@pytest.mark.parametrize("call", WHOLE)
def test_connection_is_reused_after_a_refresh(sim: Simulator, client: Any, proxy: CountingProxy, call: Any) -> None:
    sim.script(Turn.unauthorized())
    call(client)
    create(client)
    assert [request.path.rpartition("/")[2] for request in sim.requests].count("token") == 1
    assert proxy.count == 1


def test_all_endpoints_share_the_connection(client: Any, proxy: CountingProxy) -> None:
    create(client)
    client.models.list()
    client.codex.usage()
    client.with_options(max_retries=1).responses.create(input="hi")
    assert proxy.count == 1


@pytest.mark.parametrize("call", [*WHOLE, *LEFT])
def test_stream_that_never_ends_is_given_up(sim: Simulator, client: Any, proxy: CountingProxy, call: Any) -> None:
    """Its connection is lost. Waiting longer would cost more than the handshake of the next call."""
    sim.script(NEVER_ENDS)
    began = time.monotonic()
    call(client)
    assert time.monotonic() - began < 5
    create(client)
    assert proxy.count == 2
