"""Test when the WebSocket is used, which connections are kept, and the thread that sends pings."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import threading
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from support.clocks import RecordingClock
from support.scripted_backend import wait_until

from codex_backend_sdk._websocket.connection import Timing
from codex_backend_sdk._websocket.pool import Availability, ConnectionPool, _Heartbeats

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

# --- when to use it ----------------------------------------------------------------------------------------------


def refuse(availability: Availability) -> None:
    availability.record_refusal("refused")


def refuse_for_good(availability: Availability) -> None:
    availability.record_refusal("426", for_good=True)


def lose(availability: Availability) -> None:
    availability.record_loss("lost")


def succeed(availability: Availability) -> None:
    availability.record_success()


# events → the seconds after them during which the WebSocket is not used
COOL_DOWNS: dict[str, tuple[list[Callable[[Availability], None]], float]] = {
    "new": ([], 0),
    "refused": ([refuse], 60),
    "refused twice": ([refuse] * 2, 120),
    "refused three times": ([refuse] * 3, 240),
    "refused often": ([refuse] * 7, 3600),
    "refused very often": ([refuse] * 50, 3600),
    "success after a refusal": ([refuse, succeed], 60),
    "refused after a success": ([refuse, refuse, succeed, refuse], 60),
    "lost": ([lose], 0),
    "lost twice": ([lose] * 2, 60),
    "lost three times": ([lose] * 3, 60),
    "lost four times": ([lose] * 4, 120),
    "lost, with a success between": ([lose, succeed, lose], 0),
    "lost after a refusal": ([refuse, lose], 60),
    "not supported": ([refuse_for_good], inf),
}


@pytest.mark.parametrize("case", COOL_DOWNS)
def test_failures_lead_to_a_cool_down(case: str) -> None:
    events, seconds = COOL_DOWNS[case]
    clock = RecordingClock()
    availability = Availability(monotonic=clock.monotonic)
    for event in events:
        event(availability)
    if seconds == 0:
        assert availability.is_available()
        return
    assert not availability.is_available()
    clock.advance(min(seconds, 1e12) - 1)
    assert not availability.is_available()
    clock.advance(1)
    assert availability.is_available() == (seconds < inf)


def test_reason_is_that_of_the_last_failure() -> None:
    availability = Availability(monotonic=RecordingClock().monotonic)
    assert availability.reason is None
    refuse(availability)
    assert availability.reason == "refused"
    refuse_for_good(availability)
    assert availability.reason == "426"
    succeed(availability)
    assert availability.reason is None


# --- the pool ----------------------------------------------------------------------------------------------------


class FakeConnection:
    """A connection without I/O, which can be a key of a weak reference."""

    def __init__(self, *key: Hashable, is_usable: bool = True) -> None:
        self.key = (None, *(key or ("k",)))
        self.timing = Timing(ping=0.05)
        self.is_closed = False
        self.beats = 0
        self._is_usable = is_usable

    def is_usable(self) -> bool:
        return self._is_usable

    def heartbeat(self) -> None:
        self.beats += 1


def new_pool(*connections: FakeConnection) -> ConnectionPool[Any]:
    pool: ConnectionPool[Any] = ConnectionPool()
    for connection in connections:
        assert pool.put(connection) == []  # type: ignore[arg-type]
    return pool


def test_connection_is_taken_by_its_key_once() -> None:
    first, other = FakeConnection("a"), FakeConnection("b")
    pool = new_pool(first, other)
    assert pool.take((None, "a")) == (first, [])
    assert pool.take((None, "a")) == (None, [])
    assert pool.take((None, "b")) == (other, [])


def test_latest_connection_of_a_key_is_taken_first() -> None:
    """It has the latest response as its baseline."""
    first, second = FakeConnection(), FakeConnection()
    pool = new_pool(first, second)
    assert [pool.take((None, "k"))[0], pool.take((None, "k"))[0]] == [second, first]


def test_unusable_connections_are_returned_for_closing() -> None:
    usable, *unusable = FakeConnection(), FakeConnection(is_usable=False), FakeConnection(is_usable=False)
    pool = new_pool(usable, *unusable)
    assert pool.take((None, "k")) == (usable, unusable[::-1])
    assert new_pool(*unusable).take((None, "k")) == (None, unusable[::-1])


def test_pool_drops_the_keys_unused_for_the_longest_time() -> None:
    connections = [FakeConnection(number) for number in range(100)]
    pool = new_pool(*connections)
    assert pool.take((None, 0))[0] is connections[0]
    assert pool.put(connections[0]) == []  # type: ignore[arg-type]
    assert pool.put(FakeConnection("new")) == [connections[1]]  # type: ignore[arg-type]
    assert pool.take((None, 0))[0] is connections[0]


def test_connections_of_an_ended_loop_are_dropped() -> None:
    ended, running = asyncio.new_event_loop(), asyncio.new_event_loop()
    connections = [FakeConnection(), FakeConnection()]
    for connection, loop in zip(connections, (ended, running), strict=True):
        connection.key = (loop, "k")
    pool = new_pool(*connections)
    ended.close()
    assert pool.take((None, "k")) == (None, [])
    assert pool.remove_all(ended) == []
    assert pool.remove_all(running) == connections[1:]
    running.close()


def test_connections_of_another_loop_are_kept() -> None:
    loop = asyncio.new_event_loop()
    connection = FakeConnection()
    connection.key = (loop, "k")
    pool = new_pool(connection)
    assert pool.remove_all(None) == []
    assert pool.take((loop, "k"))[0] is connection
    loop.close()


def test_matching_connections_are_removed() -> None:
    connections = [FakeConnection("client", number % 2) for number in range(4)]
    pool = new_pool(*connections)
    assert pool.remove_all(None, lambda key: key == (None, "client", 0)) == connections[::2]
    assert pool.remove_all(None) == connections[1::2]
    assert pool.remove_all(None) == []


# --- pings -------------------------------------------------------------------------------------------------------


def ping_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "codex-websocket-pings"}


def test_thread_beats_for_open_connections_and_ends() -> None:
    others = ping_threads()
    heartbeats = _Heartbeats()
    connections = [FakeConnection(), FakeConnection()]
    heartbeats.add(connections[0])  # type: ignore[arg-type]
    heartbeats.add(connections[1])  # type: ignore[arg-type]
    (thread,) = ping_threads() - others
    wait_until(lambda: all(connection.beats >= 2 for connection in connections))
    connections[0].is_closed = True
    del connections[1]  # a connection that was discarded without being closed
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()


def test_thread_starts_again_for_a_later_connection() -> None:
    heartbeats = _Heartbeats()
    for _ in range(2):
        others = ping_threads()
        connection = FakeConnection()
        heartbeats.add(connection)  # type: ignore[arg-type]
        (thread,) = ping_threads() - others
        wait_until(lambda: connection.beats)  # noqa: B023
        connection.is_closed = True
        thread.join(30)
        assert not thread.is_alive()


FORK = """
import json, os, sys, time
from codex_backend_sdk._websocket.connection import Timing
from codex_backend_sdk._websocket.pool import ConnectionPool, _Heartbeats

class Connection:
    key, timing, is_closed, beats = (None, "k"), Timing(ping=0.05), False, 0
    def is_usable(self):
        return True
    def heartbeat(self):
        self.beats += 1

def beats(connection):
    deadline = time.monotonic() + 30
    while not connection.beats and time.monotonic() < deadline:
        time.sleep(0.01)
    return connection.beats > 0

pool, heartbeats, connection = ConnectionPool(), _Heartbeats(), Connection()
pool.put(connection)
heartbeats.add(connection)
reader, writer = os.pipe()
if os.fork() == 0:
    count = connection.beats
    own = Connection()
    heartbeats.add(own)
    inherited = pool.take((None, "k"))[0]
    result = {"inherited": inherited is not None, "beats": beats(own), "parent": connection.beats > count}
    os.write(writer, json.dumps(result).encode())
    os._exit(0)
os.close(writer)
with open(reader) as file:
    child = json.load(file)
print(json.dumps({"child": child, "beats": beats(connection), "kept": pool.take((None, "k"))[0] is connection}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="os.fork is not available")
def test_forked_child_has_no_connections_of_its_parent() -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    output = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    assert json.loads(output) == {
        "child": {"inherited": False, "beats": True, "parent": False},
        "beats": True,
        "kept": True,
    }
