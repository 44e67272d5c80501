"""The tasks that measure a local server. They run in the process of the benchmark, beside that of the server.

Each first runs once without measurement, and fails if a part of a response is missing.
"""

from __future__ import annotations

import statistics
import time
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from bench.http_driver import Reading, characters_of, read_streams, stamps_of
from bench.server import ResponseSpec, base_path
from bench.workloads import stream

if TYPE_CHECKING:
    from bench.local_servers import LocalServer

__all__ = ["SERVER_TASKS", "Target"]

_WARM_DELTAS = 200
_Figures = dict[str, float]


class Target(NamedTuple):
    """A local server, and its upstream, whose responses for it are those of `session`."""

    server: LocalServer
    upstream: str
    session: int

    def select(self, spec: ResponseSpec) -> None:
        """Make the upstream send this response from now on."""
        url = self.upstream + base_path(spec._replace(session=self.session)) + "/select"
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url).close()


def _check(spec: ResponseSpec, streams: list[list[Reading]]) -> None:
    expected = stream(spec.kind, spec.deltas).characters
    for readings in streams:
        characters = characters_of(readings)
        if characters != expected:
            raise ValueError(f"The local server sent {characters} of {expected} characters.")


def serve_streams(target: Target, response: list[Any], *, route: str = "responses", streams: int = 1) -> _Figures:
    """Read streams at once. The CPU time is that of the server, for each event of the upstream."""
    spec = ResponseSpec(*response)
    target.select(spec._replace(deltas=min(spec.deltas, _WARM_DELTAS)))
    read_streams(target.server.port, route, count=min(streams, 4))
    target.select(spec)
    wall, cpu = time.perf_counter(), target.server.cpu_seconds()
    readings = read_streams(target.server.port, route, count=streams)
    cpu, wall = target.server.cpu_seconds() - cpu, time.perf_counter() - wall
    _check(spec, readings)
    events = streams * len(stream(spec.kind, spec.deltas).frames)
    return {
        "cpu_us_per_event": cpu / events * 1e6,
        "events_per_s": events / wall,
        "resident_mb": target.server.resident_mb(),
    }


def serve_latency(target: Target, response: list[Any], *, route: str = "responses", calls: int = 3) -> _Figures:
    """Measure the time from the sending of an event by the upstream until it is read, on both sides of the server.

    `added_ms` is the difference of the medians of all deltas but the first, whose predecessors are held, `first_ms` the
    time from a request to its first delta, less that of the upstream itself. The CPU time is that of the server for an
    event that arrives alone.
    """
    spec = ResponseSpec(*response)
    upstream_port = urlsplit(target.upstream).port
    assert upstream_port is not None
    base = base_path(spec._replace(session=target.session)).rstrip("/")
    target.select(spec)
    read_streams(target.server.port, route)
    passed, direct = _Latencies(), _Latencies()
    cpu = -target.server.cpu_seconds()
    for _ in range(calls):
        direct.add(spec, upstream_port, "responses", base)
        passed.add(spec, target.server.port, route)
    cpu += target.server.cpu_seconds()
    return {
        "added_ms": passed.event_ms - direct.event_ms,
        "first_ms": passed.first_ms - direct.first_ms,
        "cpu_us_per_event": cpu / (calls * len(stream(spec.kind, spec.deltas).frames)) * 1e6,
    }


class _Latencies:
    def __init__(self) -> None:
        self._events: list[float] = []
        self._firsts: list[float] = []

    def add(self, spec: ResponseSpec, port: int, route: str, base: str = "") -> None:
        start = time.monotonic_ns()
        (readings,) = read_streams(port, route, base=base)
        _check(spec, [readings])
        stamps = stamps_of(readings)
        if len(stamps) != spec.deltas:
            raise ValueError(f"The local server sent {len(stamps)} of {spec.deltas} times.")
        self._firsts.append((stamps[0][1] - start) / 1e6)
        self._events += [(read - sent) / 1e6 for sent, read in stamps[1:]]

    @property
    def event_ms(self) -> float:
        return statistics.median(self._events)

    @property
    def first_ms(self) -> float:
        return statistics.median(self._firsts)


def serve_start(target: Target, response: list[Any]) -> _Figures:
    """Measure the start of a new server, and its memory after a call."""
    target.select(ResponseSpec(*response))
    _check(ResponseSpec(*response), read_streams(target.server.port, "responses"))
    return {"wall_ms": target.server.start_ms, "resident_mb": target.server.resident_mb()}


SERVER_TASKS = {task.__name__: task for task in (serve_streams, serve_latency, serve_start)}
