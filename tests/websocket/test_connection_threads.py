"""Test that a connection which two threads read loses nothing: the caller of `receive()`, and the one that pings."""

from __future__ import annotations

import threading
from typing import Any

import httpx2

from codex_backend_sdk._websocket.connection import Connection, ConnectionLostError, Timing

MESSAGES_PER_READ = 200


def frame(text: bytes) -> bytes:
    return bytes((0x81, len(text))) + text


class NumberedMessages:
    """A network stream with `reads` times 200 numbered messages, then the end of the connection."""

    def __init__(self, reads: int) -> None:
        self._reads = reads
        self._count = 0

    def get_extra_info(self, _name: str) -> bool:
        return self._count < self._reads

    def read(self, _max_bytes: int, _timeout: float | None = None) -> bytes:
        if self._count == self._reads:
            return b""
        start = self._count * MESSAGES_PER_READ
        self._count += 1
        return b"".join(frame(b"%d" % number) for number in range(start, start + MESSAGES_PER_READ))

    def write(self, _data: bytes, _timeout: float | None = None) -> None:
        pass

    def close(self) -> None:
        pass


def connection_with(stream: Any) -> Connection:
    response = httpx2.Response(101, extensions={"network_stream": stream})
    return Connection(response, key="key", max_event_bytes=1 << 20, timing=Timing())


def read_all(connection: Connection) -> list[int]:
    numbers: list[int] = []
    try:
        while True:
            numbers += map(int, connection.receive(timeout_seconds=10))
    except ConnectionLostError:
        return numbers


class PausingBytes(bytes):
    """Received data whose decoding pauses in the middle of it."""

    paused = threading.Event()
    resumed = threading.Event()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int) and index > len(self) // 2 and not self.paused.is_set():
            self.paused.set()
            assert self.resumed.wait(30)
        return super().__getitem__(index)


def test_heartbeat_and_receive_read_each_message_once() -> None:
    """The heartbeat is decoding messages when another thread calls `receive()`."""

    class Pausing(NumberedMessages):
        def read(self, _max_bytes: int, _timeout: float | None = None) -> bytes:
            return PausingBytes(super().read(_max_bytes, _timeout))

    connection = connection_with(Pausing(3))
    numbers: list[int] = []
    heartbeat = threading.Thread(target=connection.heartbeat, daemon=True)
    reader = threading.Thread(target=lambda: numbers.extend(read_all(connection)), daemon=True)
    heartbeat.start()
    assert PausingBytes.paused.wait(30)
    reader.start()
    reader.join(0.2)  # it should wait for the heartbeat
    PausingBytes.resumed.set()
    for thread in (heartbeat, reader):
        thread.join(30)
    assert numbers == list(range(3 * MESSAGES_PER_READ))


def test_messages_precede_the_error_that_heartbeat_found() -> None:
    class Ended(NumberedMessages):
        def get_extra_info(self, _name: str) -> bool:
            return True  # as a closed socket

    connection = connection_with(Ended(2))
    connection.heartbeat()
    assert read_all(connection) == list(range(2 * MESSAGES_PER_READ))
