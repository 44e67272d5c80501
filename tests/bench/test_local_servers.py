"""Parts of the measurements of local servers, without a time in any assertion."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bench.http_driver import Reading, characters_of, get_status, read_streams, stamps_of
from bench.local_servers import LocalServer

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
EVENTS = (
    b'data: {"type":"response.output_text.delta","delta":"abc"}\n\n'
    b'data: {"choices":[{"delta":{"content":"de"}}]}\n\ndata: [DONE]\n\n'
)
BODY = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (20, EVENTS[:20], len(EVENTS) - 20, EVENTS[20:])


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_characters_are_counted_however_the_bytes_arrive(size: int) -> None:
    data = HEAD + BODY
    parts = [Reading(0, data[start : start + size]) for start in range(0, len(data), size)]
    assert characters_of(parts) == len("abcde")


def test_characters_of_an_error_raise_with_its_text() -> None:
    with pytest.raises(ValueError, match="no such model"):
        characters_of([Reading(0, b"HTTP/1.1 404 Not Found\r\n\r\nno such model")])


@pytest.mark.parametrize("size", [5, 40, 500])
def test_stamp_is_read_once_when_it_is_complete(size: int) -> None:
    data = b'{"delta":" %020d"} {"content": " %020d"} {"text":" %020d"} {"delta":" %020d"}' % (11, 22, 99, 33)
    parts = [Reading(start, data[start : start + size]) for start in range(0, len(data), size)]
    assert [sent for sent, _ in stamps_of(parts)] == [11, 22, 33]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.wfile.write(HEAD)
        # The end of the body is a write of its own, and the connection stays open.
        for part in (BODY[:30], BODY[30:-5], BODY[-5:-2], BODY[-2:]):
            self.wfile.write(part)
            self.wfile.flush()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_streams_end_although_connections_stay_open(port: int) -> None:
    streams = read_streams(port, "chat", count=5)
    assert [characters_of(readings) for readings in streams] == [5] * 5


def test_status_is_that_of_the_server_or_none(port: int) -> None:
    assert get_status(port, "/v1/models") == 501
    assert get_status(1, "/v1/models") is None


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_figures_include_the_processes_of_a_launcher() -> None:
    child = "import sys; sum(range(10**6)); print('ready', flush=True); sys.stdin.read()"
    launcher = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", launcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        whole = LocalServer(0, process.pid, 0.0)
        (child_id,) = (each for each in whole._process_ids() if each != process.pid)
        part = LocalServer(0, child_id, 0.0)
        assert whole.cpu_seconds() > part.cpu_seconds() > 0
        assert whole.resident_mb() > part.resident_mb() > 1
        process.stdin.close()
    with pytest.raises((ProcessLookupError, FileNotFoundError)):
        whole.resident_mb()


def test_own_cpu_time_is_that_of_the_interpreter() -> None:
    if sys.platform != "linux":
        pytest.skip("reads the clock of another process")
    before = time.process_time()
    measured = LocalServer(0, os.getpid(), 0.0).cpu_seconds()
    assert before <= measured
