"""Test pings, timeouts, limits and the end of calls on WebSocket connections, on real sockets."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import openai
import pytest
from support.scripted_backend import ScriptedServer, Session, reply, response_events, wait_until

from codex_backend_sdk import (
    IdleTimeoutError,
    StreamInterruptedError,
    TotalTimeoutError,
    UnexpectedResponseError,
)
from codex_backend_sdk._websocket.connection import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Shorter than any timeout of the tests that must not pass.
FAST_PINGS = Timing(ping=0.05, pong=60)
IMPATIENT = Timing(ping=0.05, pong=2)
# Longer than any test may take, for what must not end a test.
NEVER = 100.0
CREATED, *REST = response_events("hello", "resp_1")
DELTA = REST[1]


@pytest.fixture
def pinging_client(new_client: Callable[..., Any]) -> Any:
    """A client that sends a ping after 0.05 seconds without a frame."""
    client = new_client(max_retries=0)
    client._websocket.timing = FAST_PINGS
    return client


def begin(session: Session) -> None:
    session.send(CREATED, *REST[:2])


def ask(client: Any, **options: Any) -> str:
    return str(client.responses.create(input="a", prompt_cache_key="k", **options).output_text)


def text_of_partial(error: StreamInterruptedError) -> str | None:
    return None if error.partial is None else error.partial.output_text


# --- pings -------------------------------------------------------------------------------------------------------


def test_idle_connection_sends_pings(pinging_client: Any, server: ScriptedServer) -> None:
    ask(pinging_client)
    (session,) = server.sessions
    wait_until(lambda: session.pings >= 3, "pings of an idle connection")
    assert ask(pinging_client) == "hello"
    assert server.sessions == [session]


def test_connection_sends_pings_during_a_response(pinging_client: Any, server: ScriptedServer) -> None:
    def turn(session: Session) -> None:
        for events in ([CREATED], REST):
            seen = session.pings
            wait_until(lambda: session.pings >= seen + 2, "pings during a response")  # noqa: B023
            session.send(*events)

    server.script(turn)
    assert ask(pinging_client) == "hello"


def test_ping_of_the_server_is_answered(pinging_client: Any, server: ScriptedServer) -> None:
    def turn(session: Session) -> None:
        session.ping(b"first")
        begin(session)
        wait_until(lambda: session.pongs == [b"first"], "a pong during a response")
        session.send(*REST[2:])

    server.script(turn)
    assert ask(pinging_client) == "hello"
    (session,) = server.sessions
    session.ping(b"idle")
    wait_until(lambda: session.pongs[-1] == b"idle", "a pong of an idle connection")


def test_idle_connection_to_a_dead_peer_is_closed(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    client = new_client(max_retries=0)
    client._websocket.timing = IMPATIENT
    ask(client)
    (session,) = server.sessions
    session.freeze()
    assert session.is_closed.wait(30)
    assert ask(client) == "hello"
    assert len(server.sessions) == 2


@pytest.mark.parametrize("sent", [[], [CREATED], [CREATED, *REST[:2]]], ids=["nothing", "created", "text"])
def test_dead_peer_ends_a_response(new_client: Callable[..., Any], server: ScriptedServer, sent: list[Any]) -> None:
    """Nothing arrives any more, not even the end of the connection."""

    def turn(session: Session) -> None:
        session.send(*sent)
        session.freeze()

    server.script(turn)
    client = new_client(max_retries=0, first_byte_timeout=NEVER, idle_timeout=NEVER)
    client._websocket.timing = IMPATIENT
    with pytest.raises(openai.APITimeoutError) as caught:
        ask(client)
    if sent:
        assert isinstance(caught.value, IdleTimeoutError)
        assert text_of_partial(caught.value) == ("hello" if len(sent) > 1 else "")
    assert server.sessions[0].is_closed.wait(30)


def test_pongs_do_not_hide_a_silent_response(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    def turn(session: Session) -> None:
        begin(session)
        session.is_closed.wait(NEVER)

    server.script(turn)
    client = new_client(max_retries=0, idle_timeout=0.5)
    client._websocket.timing = FAST_PINGS
    with pytest.raises(IdleTimeoutError) as caught:
        ask(client)
    assert text_of_partial(caught.value) == "hello"
    assert server.sessions[0].pings >= 1


def test_silence_before_the_response_ends_the_call(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    server.script(silent)
    client = new_client(max_retries=0, first_byte_timeout=0.5)
    with pytest.raises(openai.APITimeoutError):
        ask(client)
    assert server.sessions[0].is_closed.wait(30)


@pytest.mark.parametrize("event_type", ["keepalive", "response.heartbeat", "codex.rate_limits"])
def test_keepalive_messages_keep_a_response_alive(
    new_client: Callable[..., Any], server: ScriptedServer, event_type: str
) -> None:
    """The response takes longer than the timeout for silence."""
    idle_seconds = 2.0

    def turn(session: Session) -> None:
        begin(session)
        end = time.monotonic() + idle_seconds * 1.2
        while time.monotonic() < end:
            session.send({"type": event_type})
            time.sleep(0.02)
        session.send(*REST[2:])

    server.script(turn)
    assert ask(new_client(max_retries=0, idle_timeout=idle_seconds)) == "hello"


def test_old_connection_is_replaced(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    client = new_client(max_retries=0)
    client._websocket.timing = Timing(retire=0)
    for _ in range(3):
        assert ask(client) == "hello"
    assert len(server.sessions) == 3
    for session in server.sessions[:2]:
        assert session.is_closed.wait(30)
        assert session.close_code == 1000


# --- the deadline of a call --------------------------------------------------------------------------------------


def silent(session: Session) -> None:
    session.is_closed.wait(NEVER)


def silent_in_the_response(session: Session) -> None:
    begin(session)
    session.is_closed.wait(NEVER)


def endless(session: Session) -> None:
    session.send(CREATED)
    while not session.is_closed.wait(0.01):
        session.send({"type": "keepalive"})


def endless_before_the_response(session: Session) -> None:
    while not session.is_closed.wait(0.01):
        session.send({"type": "codex.rate_limits"})


@pytest.mark.parametrize(
    ("turn", "is_streamed"),
    [(silent, True), (silent_in_the_response, False), (endless, True), (endless_before_the_response, False)],
)
def test_total_timeout_ends_a_response(
    new_client: Callable[..., Any], server: ScriptedServer, turn: Callable[[Session], None], is_streamed: bool
) -> None:
    server.script(turn)
    client = new_client(max_retries=0, total_timeout=2.0)
    started = time.monotonic()
    with pytest.raises(TotalTimeoutError):
        list(client.responses.create(input="a", stream=True)) if is_streamed else ask(client)
    assert time.monotonic() - started < 30
    wait_until(lambda: server.sessions and server.sessions[0].is_closed.is_set(), "the end of the connection")


@pytest.mark.parametrize("transport", ["auto", "websocket"])
def test_total_timeout_ends_connecting(new_client: Callable[..., Any], full_port: int, transport: str) -> None:
    client = new_client(
        max_retries=0,
        total_timeout=1.0,
        base_url=f"http://127.0.0.1:{full_port}/backend-api/codex",
        transport=transport,
    )
    with pytest.raises(TotalTimeoutError):
        ask(client)


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_total_timeout_ends_the_upgrade(new_client: Callable[..., Any], mute_port: int) -> None:
    client = new_client(max_retries=0, total_timeout=1.0, base_url=f"http://127.0.0.1:{mute_port}/backend-api/codex")
    with pytest.raises(TotalTimeoutError):
        ask(client)


# --- sizes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_compressed", [True, False])
def test_event_above_the_limit_is_an_error(
    new_client: Callable[..., Any], server: ScriptedServer, is_compressed: bool
) -> None:
    server.is_compressed = is_compressed

    def turn(session: Session) -> None:
        begin(session)
        session.send({**DELTA, "delta": "x" * 20_000})

    server.script(turn)
    with pytest.raises(UnexpectedResponseError, match=r"10,000 bytes, the limit of `max_event_bytes`") as caught:
        ask(new_client(max_retries=0, max_event_bytes=10_000))
    partial = caught.value.partial
    assert partial is not None
    assert partial.output_text == "hello"
    assert server.sessions[0].is_closed.wait(30)
    assert server.sessions[0].close_code == 1009


def test_too_large_first_event_names_the_limit(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    client = new_client(max_event_bytes=10_000)
    for _ in range(3):  # not a failure of the transport, so the WebSocket is used again
        server.script(lambda session: session.send({**DELTA, "delta": "x" * 20_000}))
    for _ in range(3):
        with pytest.raises(UnexpectedResponseError, match=r"10,000 bytes, the limit of `max_event_bytes`"):
            ask(client)
    assert server.posts == []


@pytest.mark.parametrize("is_compressed", [True, False])
def test_large_messages_arrive_in_both_directions(
    new_client: Callable[..., Any], server: ScriptedServer, is_compressed: bool
) -> None:
    server.is_compressed = is_compressed
    text = "".join(random.Random(1).choices("abcdefgh \u00e4\u20ac", k=300_000))
    server.script(*[reply(text)] * 3)
    client = new_client(max_retries=0)
    for number in range(3):
        response = client.responses.create(input=text + str(number), prompt_cache_key="k")
        assert response.output_text == text
        assert server.messages[-1]["input"][0]["content"][0]["text"] == text + str(number)
    (session,) = server.sessions
    assert (session.bytes_received < 3 * len(text)) is is_compressed


def test_caller_that_does_not_read_stops_the_server(pinging_client: Any, server: ScriptedServer) -> None:
    """A connection buffers at most 1 MiB, then TCP stops the server. An unread pong does not mean a dead peer."""
    server.is_compressed = False
    count, size = 400, 50_000

    def turn(session: Session) -> None:
        session.send(CREATED)
        for _ in range(count):
            session.send({**DELTA, "delta": "x" * size})
        session.send(*REST[2:])

    server.script(turn)
    stream = pinging_client.responses.create(input="a", stream=True)
    events = iter(stream)
    next(events)
    connection = stream.response.extensions["codex_backend_sdk.websocket"].exchange.connection
    wait_until(lambda: buffered_bytes(connection) >= 1 << 20, "the buffer is full")
    for _ in range(5):
        sent = connection.bytes_sent
        wait_until(lambda: connection.bytes_sent > sent, "another ping")  # noqa: B023
    assert buffered_bytes(connection) < (1 << 20) + (1 << 18)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) == count
    assert set(map(len, deltas)) == {size}


def buffered_bytes(connection: Any) -> int:
    return sum(map(len, list(connection._messages)))


# --- leaving a response ------------------------------------------------------------------------------------------


def test_closed_stream_closes_its_connection(client: Any, server: ScriptedServer) -> None:
    server.script(silent_in_the_response)
    stream = client.responses.create(input="a", prompt_cache_key="k", stream=True)
    next(iter(stream))
    stream.close()
    assert server.sessions[0].is_closed.wait(30)
    assert ask(client) == "hello"
    assert len(server.sessions) == 2


def test_stream_closed_after_its_end_keeps_its_connection(client: Any, server: ScriptedServer) -> None:
    with client.responses.create(input="a", prompt_cache_key="k", stream=True) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
    assert ask(client) == "hello"
    assert len(server.sessions) == 1


def test_closed_client_closes_idle_connections(new_client: Callable[..., Any], server: ScriptedServer) -> None:
    client = new_client()
    for key in ("a", "b"):
        client.responses.create(input="a", prompt_cache_key=key)
    client.close()
    for session in server.sessions:
        assert session.is_closed.wait(30)
        assert session.close_code == 1000


@pytest.mark.parametrize("turn", [silent, silent_in_the_response])
@pytest.mark.parametrize("new_client", ["sync"], indirect=True)
def test_keyboard_interrupt_closes_the_connection(
    new_client: Callable[..., Any], server: ScriptedServer, turn: Callable[[Session], None]
) -> None:
    client = new_client()

    def press_and_stay(session: Session) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        turn(session)

    server.script(press_and_stay)
    with pytest.raises(KeyboardInterrupt):
        ask(client)
    assert server.sessions[0].is_closed.wait(30)
    assert ask(client) == "hello"
    assert len(server.messages) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("turn", [silent, silent_in_the_response])
def test_cancellation_closes_the_connection(
    server: ScriptedServer, new_async_client: Callable[..., Any], turn: Callable[[Session], None], backend: str
) -> None:
    is_reached = threading.Event()

    def stay(session: Session) -> None:
        is_reached.set()
        turn(session)

    server.script(stay)

    async def scenario() -> str:
        async with new_async_client() as client:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.responses.create(input="a", prompt_cache_key="k"))
                await anyio.to_thread.run_sync(is_reached.wait, 30)
                group.cancel_scope.cancel()
            return str((await client.responses.create(input="a", prompt_cache_key="k")).output_text)

    assert anyio.run(scenario, backend=backend) == "hello"
    assert server.sessions[0].is_closed.wait(30)
    assert len(server.sessions) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_each_event_loop_has_connections_of_its_own(
    server: ScriptedServer, new_async_client: Callable[..., Any], backend: str
) -> None:
    client = new_async_client()

    async def scenario() -> list[str]:
        try:
            return [(await client.responses.create(input="a", prompt_cache_key="k")).output_text for _ in range(2)]
        finally:
            await client._websocket.close()

    for _ in range(2):
        assert anyio.run(scenario, backend=backend) == ["hello", "hello"]
    assert [len(session.messages) for session in server.sessions] == [2, 2]
