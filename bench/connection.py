"""HTTP/1.1 or HTTP/2: what the connection costs this client. `python bench/connection.py` prints JSON, asserts nothing.

    python -m venv .cache/bench/connection
    .cache/bench/connection/bin/pip install "httpx2[http2]" trustme
    .cache/bench/connection/bin/python bench/connection.py

One server process speaks both over TLS, chosen by ALPN, and lets 100 streams share an HTTP/2 connection, as most do.
Both clients are httpx2's own, in one process, and take turns. CPU time is that of the client's process. "Away" is
behind a proxy that delays each packet by half of a round trip, and a new connection by a whole one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpx2
import trustme
from workloads import stream

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
EVENTS = 4_000
STREAMS = 200
ROUND_TRIP_SECONDS = 0.03
KINDS = {"http1": False, "http2": True}
LIMITS = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=None)
GONE = (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

# The server: the path is /DELTAS/CHUNK/PACE_MS, with 0 for one event in each chunk.


def chunks_of(path: str) -> tuple[list[bytes], float]:
    deltas, size, pace_ms = map(int, path.strip("/").split("/"))
    frames = stream("text", deltas).frames
    if size:
        body = b"".join(frames)
        frames = [body[start : start + size] for start in range(0, len(body), size)]
    pieces = (frame[start : start + 16_000] for frame in frames for start in range(0, len(frame), 16_000))
    return list(pieces), pace_ms / 1000


async def serve_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)  # the body: {}
        chunks, pace = chunks_of(head.split(b" ", 2)[1].decode())
        writer.write(HEAD)
        for chunk in chunks:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            await (asyncio.sleep(pace) if pace else writer.drain())
        writer.write(b"0\r\n\r\n")


async def serve_http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    state.initiate_connection()
    paths: dict[int, str] = {}
    window_moved = asyncio.Event()
    answers = set()

    async def answer(number: int) -> None:
        chunks, pace = chunks_of(paths.pop(number))
        state.send_headers(number, [(":status", "200"), ("content-type", "text/event-stream")])
        for chunk in chunks:
            while state.local_flow_control_window(number) < len(chunk):
                window_moved.clear()
                await window_moved.wait()
            state.send_data(number, chunk)
            writer.write(state.data_to_send())
            await (asyncio.sleep(pace) if pace else writer.drain())
        state.end_stream(number)
        writer.write(state.data_to_send())

    while True:
        writer.write(state.data_to_send())
        data = await reader.read(65536)
        if not data:
            return
        for event in state.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                paths[event.stream_id] = dict(event.headers)[b":path"].decode()
            elif isinstance(event, h2.events.DataReceived):
                state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                answers.add(task := asyncio.create_task(answer(event.stream_id)))
                task.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at: no log
        window_moved.set()


async def serve(certificate: str) -> None:
    """Serve near and far until standard input is closed; prints both ports."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_http2 = writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
        try:
            await (serve_http2 if is_http2 else serve_http1)(reader, writer)
        except h2.exceptions.ProtocolError as error:
            print(f"The server ends a connection: {error!r}", file=sys.stderr)
        except GONE:
            pass
        writer.close()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(ROUND_TRIP_SECONDS / 2, writer.write, data)
        loop.call_later(ROUND_TRIP_SECONDS / 2, writer.close)

    async def delay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(ROUND_TRIP_SECONDS)
        there, back = await asyncio.open_connection("127.0.0.1", near)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(carry(reader, back), carry(there, writer))

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context, backlog=512)
    near = server.sockets[0].getsockname()[1]
    proxy = await asyncio.start_server(delay, "127.0.0.1", 0, backlog=512)
    print(near, proxy.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


# The client: each returns the seconds to the first event, and the number of events.


def read(client: httpx2.Client, path: str) -> tuple[float, int]:
    began, first, events = time.perf_counter(), 0.0, 0
    with client.stream("POST", path, content=b"{}") as response:
        for chunk in response.iter_bytes():
            first = first or time.perf_counter() - began
            events += chunk.count(b"\n\n")
    return first, events


async def async_read(client: httpx2.AsyncClient, path: str) -> tuple[float, int]:
    began, first, events = time.perf_counter(), 0.0, 0
    async with client.stream("POST", path, content=b"{}") as response:
        async for chunk in response.aiter_bytes():
            first = first or time.perf_counter() - began
            events += chunk.count(b"\n\n")
    return first, events


class Peer:
    """One client; `together` reads so many streams at once and returns what each returned that was not lost."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None, address: str, context: ssl.SSLContext, http2: bool):
        self.loop = loop
        options: Any = {"base_url": address, "verify": context, "http2": http2, "limits": LIMITS, "timeout": 60}
        self.client: Any = httpx2.AsyncClient(**options) if loop else httpx2.Client(**options)

    def together(self, path: str, count: int = 1) -> list[tuple[float, int]]:
        if self.loop is None and count == 1:
            return [read(self.client, path)]
        if self.loop is None:
            with ThreadPoolExecutor(count) as pool:
                calls = [pool.submit(read, self.client, path) for _ in range(count)]
            failed = [call.exception() for call in calls]
            return [call.result() for call, error in zip(calls, failed, strict=True) if error is None]

        async def gather() -> list[Any]:
            return await asyncio.gather(*(async_read(self.client, path) for _ in range(count)), return_exceptions=True)

        return [each for each in self.loop.run_until_complete(gather()) if not isinstance(each, Exception)]

    def sends_at_once(self) -> bool:
        """Whether the connection's socket has TCP_NODELAY."""

        answer = self.client.post("/1/0/0", content=b"{}")
        response = self.loop.run_until_complete(answer) if self.loop else answer
        found = response.extensions["network_stream"].get_extra_info("socket")
        return bool(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def close(self) -> None:
        if self.loop:
            self.loop.run_until_complete(self.client.aclose())
        else:
            self.client.close()


Figures = dict[str, float]


def cpu(path: str) -> Callable[[Peer], Figures]:
    def measure(peer: Peer) -> Figures:
        began = time.process_time()
        [(_, events)] = peer.together(path)
        return {"cpu_us_per_event": (time.process_time() - began) / events * 1e6}

    return measure


def first_event(peer: Peer) -> Figures:
    return {"first_event_ms": statistics.median(peer.together("/1/0/0")[0][0] for _ in range(3)) * 1000}


def crowd(peer: Peer) -> Figures:
    began, began_cpu = time.perf_counter(), time.process_time()
    found = peer.together("/40/0/10", STREAMS)
    took, took_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    firsts = [first for first, _ in found]
    return {
        "wall_ms": took * 1000,
        "cpu_us_per_event": took_cpu / sum(events for _, events in found) * 1e6,
        "first_event_median_ms": statistics.median(firsts) * 1000,
        "first_event_slowest_ms": max(firsts) * 1000,
        "streams_lost": STREAMS - len(found),
    }


# name → measurement, rounds, far away, a new client each time
ROWS: dict[str, tuple[Callable[[Peer], Figures], int, bool, bool]] = {
    "4 KiB chunks": (cpu(f"/{EVENTS}/4096/0"), ROUNDS, False, False),
    "one event per chunk": (cpu(f"/{EVENTS}/0/0"), ROUNDS, False, False),
    "warm": (first_event, 3 * ROUNDS, False, False),
    "warm, 30 ms away": (first_event, ROUNDS, True, False),
    "cold, 30 ms away": (lambda peer: {"first_event_ms": peer.together("/1/0/0")[0][0] * 1000}, ROUNDS, True, True),
    f"{STREAMS} streams, warm": (crowd, 5, False, False),
    f"{STREAMS} streams, cold": (crowd, 5, False, True),
}


def run(
    make: Callable[[bool, bool], Peer], measure: Callable[[Peer], Figures], rounds: int, away: bool, is_cold: bool
) -> dict[str, Any]:
    found: dict[str, list[Figures]] = {kind: [] for kind in KINDS}
    kept = {kind: make(away, http2) for kind, http2 in KINDS.items()}
    if not is_cold:
        for peer in kept.values():
            measure(peer)
    for number in range(rounds):
        for kind in sorted(KINDS, reverse=bool(number % 2)):
            peer = make(away, KINDS[kind]) if is_cold else kept[kind]
            found[kind].append(measure(peer))
            if is_cold:
                peer.close()
    for peer in kept.values():
        peer.close()
    medians = {
        kind: {name: statistics.median(each[name] for each in figures) for name in figures[0]}
        for kind, figures in found.items()
    }
    for kind, figures in found.items():
        if "streams_lost" in medians[kind]:  # rare and sudden: the worst round tells, the median would hide it
            medians[kind]["streams_lost"] = max(each["streams_lost"] for each in figures)
    ratios = {name: round(medians["http2"][name] / value, 2) for name, value in medians["http1"].items() if value}
    rounded = {kind: {name: round(value, 2) for name, value in each.items()} for kind, each in medians.items()}
    return {**rounded, "http2 / http1": ratios}


def main() -> None:
    authority = trustme.CA()
    loop = asyncio.new_event_loop()
    report: dict[str, Any] = {}
    with tempfile.NamedTemporaryFile(suffix=".pem") as certificate:
        issued = authority.issue_cert("localhost")
        for blob in chain([issued.private_key_pem], issued.cert_chain_pems):
            certificate.write(blob.bytes())
        certificate.flush()
        server = subprocess.Popen(
            [sys.executable, __file__, certificate.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdout is not None
        near, far = server.stdout.readline().split()

        def maker(own_loop: asyncio.AbstractEventLoop | None) -> Callable[[bool, bool], Peer]:
            def make(away: bool, http2: bool) -> Peer:
                context = ssl.create_default_context()  # one each: httpcore2 writes the protocols into it
                authority.configure_trust(context)
                return Peer(own_loop, f"https://localhost:{far if away else near}", context, http2)

            return make

        for way, make in {"sync": maker(None), "async": maker(loop)}.items():
            report[way] = {name: run(make, *row) for name, row in ROWS.items()}
            peer = make(False, False)
            report[way]["TCP_NODELAY"] = peer.sends_at_once()
            peer.close()
        server.communicate()
    loop.close()
    print(json.dumps({"versions": {"httpx2": httpx2.__version__, "h2": h2.__version__}, **report}, indent=2))


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1])) if sys.argv[1:] else main()
