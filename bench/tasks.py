"""The tasks that are measured. They run in the process of the peer and return its figures, with units in the names.

CPU time is that of the whole process, including threads. Each task first runs once without measurement. It fails if a
client loses a part of the response, because its figures would mean nothing.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
import tracemalloc
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from bench.server import ResponseSpec, base_path
from bench.workloads import history, short_input, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bench.peers import Peer

__all__ = ["DELTA_TYPES", "TASKS", "PeerClients", "call_parameters"]

DELTA_TYPES: Final = frozenset(
    {
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
    }
)
_WARM_DELTAS: Final = 200
_Figures = dict[str, float]


class PeerClients:
    """The clients of one peer, which keep their connections between tasks, and one event loop."""

    def __init__(self, peer: Peer, server: str) -> None:
        self.peer = peer
        self.server = server
        self.client = cache(lambda spec: peer.client(server + base_path(spec)))
        self.async_client = cache(lambda spec: peer.async_client(server + base_path(spec)))
        self.mock_client = cache(lambda compress: peer.mock_client(compress))
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.runner.close()


@cache
def _characters(kind: str, deltas: int) -> int:
    return stream(kind, deltas).characters


def _check_length(characters: int, expected: int) -> None:
    if characters != expected:
        raise ValueError(f"The client returned {characters} of {expected} characters.")


def call_parameters(items: int = 0) -> dict[str, Any]:
    """Return the parameters of a call with a history of `items` items, or with a short input."""
    return {"model": "gpt-5.5", "instructions": "Be brief.", "input": history(items) if items else short_input()}


def _count(events: Iterator[Any], *, is_untyped: bool) -> tuple[int, int]:
    """Read a stream as a program does that prints the text. Return the number of events and of characters."""
    count = characters = 0
    if is_untyped:
        for event in events:
            count += 1
            if event["type"] in DELTA_TYPES:
                characters += len(event["delta"])
        return count, characters
    for event in events:
        count += 1
        if event.type in DELTA_TYPES:
            characters += len(event.delta)
    return count, characters


async def _count_async(events: AsyncIterator[Any], *, is_untyped: bool) -> tuple[int, int]:
    count = characters = 0
    async for event in events:
        count += 1
        if (event["type"] if is_untyped else event.type) in DELTA_TYPES:
            characters += len(event["delta"] if is_untyped else event.delta)
    return count, characters


def _cpu_milliseconds(action: Callable[[], object], count: int) -> float:
    """Return the CPU time of one action, as the mean of `count` of them."""
    gc.collect()
    start = time.process_time()
    for _ in range(count):
        action()
    return (time.process_time() - start) / count * 1e3


def drain(
    clients: PeerClients, response: list[Any], *, calls: int = 1, how: str = "events", items: int = 0
) -> _Figures:
    """Read all events of a streamed call. `how` is "events" or "helper_events"."""
    spec, parameters = ResponseSpec(*response), call_parameters(items)
    read = getattr(clients.peer, how)
    _count(read(clients.client(spec._replace(deltas=_WARM_DELTAS)), parameters), is_untyped=clients.peer.is_untyped)
    client, expected = clients.client(spec), _characters(spec.kind, spec.deltas)
    gc.collect()
    events = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        count, characters = _count(read(client, parameters), is_untyped=clients.peer.is_untyped)
        events += count
        _check_length(characters, expected)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us_per_event": cpu / events * 1e6, "cpu_ms": cpu / calls * 1e3, "wall_ms": wall / calls * 1e3}


def drain_async(clients: PeerClients, response: list[Any]) -> _Figures:
    """Read all events of a streamed call of the async client."""
    spec, parameters = ResponseSpec(*response), call_parameters()

    async def read(deltas: int) -> tuple[int, int]:
        client = clients.async_client(spec._replace(deltas=deltas))
        return await _count_async(
            await clients.peer.async_events(client, parameters), is_untyped=clients.peer.is_untyped
        )

    clients.runner.run(read(_WARM_DELTAS))
    gc.collect()
    cpu = time.process_time()
    events, characters = clients.runner.run(read(spec.deltas))
    cpu = time.process_time() - cpu
    _check_length(characters, _characters(spec.kind, spec.deltas))
    return {"cpu_us_per_event": cpu / events * 1e6}


def long_event(clients: PeerClients, response: list[Any], *, calls: int) -> _Figures:
    """Read a stream with one long event. A peer may have its own way to do that (the floor has)."""
    client, parameters = clients.client(ResponseSpec(*response)), call_parameters()
    read: Callable[..., Any] = getattr(clients.peer, "long_event", None) or (
        lambda client, parameters: _count(clients.peer.events(client, parameters), is_untyped=clients.peer.is_untyped)
    )
    read(client, parameters)
    return {"cpu_ms": _cpu_milliseconds(lambda: read(client, parameters), calls)}


def collect(clients: PeerClients, response: list[Any]) -> _Figures:
    """Make a call without `stream=True`."""
    spec, parameters = ResponseSpec(*response), call_parameters()
    clients.peer.collected_text(clients.client(spec._replace(deltas=_WARM_DELTAS)), parameters)
    client = clients.client(spec)
    gc.collect()
    cpu = time.process_time()
    text = clients.peer.collected_text(client, parameters)
    cpu = time.process_time() - cpu
    _check_length(len(text), _characters(spec.kind, spec.deltas))
    return {"cpu_ms": cpu * 1e3}


def prepare(clients: PeerClients, *, items: int, calls: int = 1, compress: bool = True) -> _Figures:
    """Make streamed calls up to the point where the request is ready to be written. A mock transport sends nothing."""
    client, parameters = clients.mock_client(compress), call_parameters(items)
    next(clients.peer.events(client, parameters), None)
    return {"cpu_ms": _cpu_milliseconds(lambda: next(clients.peer.events(client, parameters), None), calls)}


def first_event(clients: PeerClients, response: list[Any], *, calls: int) -> _Figures:
    """Measure the time to the first event on an open connection."""
    client, parameters = clients.client(ResponseSpec(*response)), call_parameters()
    seconds = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        events = clients.peer.events(client, parameters)
        next(events)
        seconds.append(time.perf_counter() - start)
        for _ in events:
            pass
    return {"wall_ms": statistics.median(seconds[1:]) * 1e3}


def concurrent(clients: PeerClients, response: list[Any], *, streams: int) -> _Figures:
    """Read many streams at once. The first event of each is timed from the common start."""
    spec, parameters = ResponseSpec(*response), call_parameters()
    first_events: list[float] = []

    async def read(deltas: int) -> tuple[int, int]:
        client = clients.async_client(spec._replace(deltas=deltas))
        start = time.perf_counter()
        events = await clients.peer.async_events(client, parameters)
        await anext(events)
        first_events.append(time.perf_counter() - start)
        return await _count_async(events, is_untyped=clients.peer.is_untyped)

    async def read_all(count: int, deltas: int) -> list[tuple[int, int]]:
        return await asyncio.gather(*(read(deltas) for _ in range(count)))

    clients.runner.run(read_all(2, _WARM_DELTAS))
    first_events.clear()
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    counts = clients.runner.run(read_all(streams, spec.deltas))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for _, characters in counts:
        _check_length(characters, _characters(spec.kind, spec.deltas))
    events = sum(count + 1 for count, _ in counts)
    return {
        "events_per_s": events / wall,
        "cpu_us_per_event": cpu / events * 1e6,
        "slowest_by_median": max(first_events) / statistics.median(first_events),
    }


def memory(clients: PeerClients, response: list[Any]) -> _Figures:
    """Measure the peak memory of a call without `stream=True`, not counting the text of the response."""
    spec, parameters = ResponseSpec(*response), call_parameters()
    clients.peer.collected_text(clients.client(spec._replace(deltas=_WARM_DELTAS)), parameters)
    client = clients.client(spec)
    gc.collect()
    resident = _max_resident()
    clients.peer.collected_text(client, parameters)
    grown = _max_resident() - resident
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    text = clients.peer.collected_text(client, parameters)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = len(text.encode())
    return {
        "peak_mb": (peak - before - size) / 1e6,
        "resident_mb": (grown - size) / 1e6,
        "text_mb": size / 1e6,
    }


def _max_resident() -> int:
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


TASKS: Final[dict[str, Callable[..., _Figures]]] = {
    task.__name__: task for task in (drain, drain_async, long_event, collect, prepare, first_event, concurrent, memory)
}
