"""Test the start and the stop of the server, and connections that the client or the server closes early."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.testing import Simulator, Turn, WebSocketSettings


def port_of(sim: Simulator) -> int:
    return int(sim.url.rsplit(":", 1)[1])


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0


def test_start_and_stop_leave_no_thread_and_no_socket() -> None:
    threads, files = threading.active_count(), open_files()
    for _ in range(3):
        with Simulator() as sim, httpx2.Client(trust_env=False, verify=False) as http:
            assert http.get(sim.url).status_code == 404
    assert threading.active_count() == threads
    assert open_files() == files


def test_server_accepts_after_start_and_frees_the_port_on_stop() -> None:
    sim = Simulator().start()
    port = port_of(sim)
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    sim.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    sim.stop()


def test_stopped_simulator_can_start_again() -> None:
    sim = Simulator()
    for _ in range(2):
        with sim, httpx2.Client(trust_env=False, verify=False) as http:
            assert http.get(sim.url).status_code == 404


def test_stop_is_bounded_during_an_unfinished_request() -> None:
    before = threading.enumerate()  # simulators of other tests may be running
    sim = Simulator().start()
    with socket.create_connection(("127.0.0.1", port_of(sim)), timeout=5) as client:
        client.sendall(b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc")
        time.sleep(0.05)
        started = time.monotonic()
        sim.stop()
        assert time.monotonic() - started < 3
    assert "codex-simulator" not in [thread.name for thread in threading.enumerate() if thread not in before]


def test_stop_during_a_stream_is_quick_and_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with Simulator() as sim, sim.client() as client:
        sim.script(Turn.text("word " * 15_000))
        stream = client.responses.create(input="hi", stream=True)
        next(iter(stream))
        started = time.monotonic()
        sim.stop()
        assert time.monotonic() - started < 2
        stream.close()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name == "asyncio"] == []


def test_start_and_stop_take_milliseconds() -> None:
    # A test suite starts hundreds of simulators. The first start is not measured, because it imports modules.
    Simulator().start().stop()
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        with Simulator():
            pass
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[len(seconds) // 2] < 0.1


@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_rejected_upgrade_logs_no_hint(raw_client: Any, protocol: str, caplog: pytest.LogCaptureFixture) -> None:
    """The hint of uvicorn, to install a WebSocket library, would not help."""
    raw_client.sim.websocket = WebSocketSettings(is_enabled=False)
    headers = {**raw_client.headers, "connection": "Upgrade", "upgrade": protocol}
    assert raw_client.http.get(f"{raw_client.sim.base_url}/responses", headers=headers).status_code == 426
    assert [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")] == []


@pytest.mark.parametrize("words", [2_000, 15_000])
def test_nothing_is_written_to_a_disconnected_client(
    raw_client: Any, words: int, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio logs a warning for every write to a closed connection."""
    raw_client.sim.script(Turn.text("word " * words))
    url = f"{raw_client.sim.base_url}/responses"
    with raw_client.http.stream("POST", url, json=raw_client.body("hi"), headers=raw_client.headers) as response:
        next(response.iter_raw())
    assert raw_client.text("Say hello") == "hello"
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
