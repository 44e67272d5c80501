"""Test that a response body is read to its end, so that the next call reuses the connection."""

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
# The end of the body arrives in a separate packet, as over TLS and through a gateway.
ENDS_LATER = RESPONSE.stalled(2, 0.03)
NEVER_ENDS = RESPONSE.stalled(2)


class CountingProxy:
    """A TCP proxy in front of the simulator that counts the connections."""

    def __init__(self, sim: Simulator) -> None:
        self._target = ("127.0.0.1", urlsplit(sim.url).port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
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
                self._sockets += (client, server)
                for sockets in ((client, server), (server, client)):
                    self._threads.append(threading.Thread(target=self._forward, args=sockets, daemon=True))
                    self._threads[-1].start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for opened in self._sockets:
            opened.close()


@pytest.fixture
def proxy(sim: Simulator) -> Iterator[CountingProxy]:
    counting_proxy = CountingProxy(sim)
    yield counting_proxy
    counting_proxy.close()


@pytest.fixture
def client(proxy: CountingProxy, new_client: Callable[..., Any]) -> Any:
    return new_client(base_url=proxy.base_url)


def create(client: Any) -> None:
    client.responses.create(input="hi")


def stream_to_the_end(client: Any) -> None:
    list(client.responses.create(input="hi", stream=True))


def stop_at_the_last_event(client: Any) -> Any:
    """Return the open stream, so that it stays referenced."""
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


def stop_helper_early(client: Any) -> None:
    with client.responses.stream(input="hi") as stream:
        for event in stream:
            if event.type == "response.completed":
                break


def use_raw_response(client: Any) -> None:
    client.responses.with_raw_response.create(input="hi").parse()


def use_streaming_response(client: Any) -> None:
    with client.responses.with_streaming_response.create(input="hi") as response:
        response.parse()


def call_with_error(client: Any) -> None:
    with pytest.raises(openai.APIError):
        client.responses.create(input="hi")


def stream_with_error(client: Any) -> None:
    with pytest.raises(openai.APIError):
        list(client.responses.create(input="hi", stream=True))


READ_TO_END = [
    create,
    stream_to_the_end,
    stream_with_helper,
    use_raw_response,
    use_streaming_response,
]
STOPPED_EARLY = [stop_at_the_last_event, stop_and_close, stop_helper_early]


@pytest.mark.parametrize("turn", [RESPONSE, ENDS_LATER], ids=["sockets at once", "ends later"])
@pytest.mark.parametrize("call", [*READ_TO_END, *STOPPED_EARLY])
def test_connection_is_reused_after_a_response(
    sim: Simulator, client: Any, proxy: CountingProxy, call: Any, turn: Turn
) -> None:
    sim.script(turn, turn, turn)
    streams = [call(client) for _ in range(3)]
    assert proxy.count == 1
    del streams  # keep the streams referenced until here


@pytest.mark.parametrize("call", [call_with_error, stream_with_error])
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


@pytest.mark.parametrize("call", READ_TO_END)
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


@pytest.mark.parametrize("call", [*READ_TO_END, *STOPPED_EARLY])
def test_stream_that_never_ends_is_abandoned(sim: Simulator, client: Any, proxy: CountingProxy, call: Any) -> None:
    """Its connection is not reused: waiting longer would take more time than the handshake of the next call."""
    sim.script(NEVER_ENDS)
    began = time.monotonic()
    call(client)
    assert time.monotonic() - began < 5
    create(client)
    assert proxy.count == 2
