"""What a peer does to be measured. Runs in the peer's own process; times are seconds.

`cpu` is the CPU time of the whole process, its threads included. Whatever is measured has run once before, unmeasured.
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

from bench.server import Answer, base_path
from bench.workloads import history, short_input, stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bench.peers import Peer

__all__ = ["DELTAS", "TASKS", "Bench", "parameters"]

DELTAS: Final = frozenset(
    {
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.reasoning_summary_text.delta",
    }
)
_WARM_DELTAS: Final = 200
_Figures = dict[str, float]


class Bench:
    """One peer with its clients, which keep their connections, and one event loop."""

    def __init__(self, peer: Peer, server: str) -> None:
        self.peer = peer
        self.server = server
        self.client = cache(lambda answer: peer.client(server + base_path(answer)))
        self.async_client = cache(lambda answer: peer.async_client(server + base_path(answer)))
        self.canned_client = cache(lambda compress: peer.canned_client(compress))
        self.runner = asyncio.Runner()

    def close(self) -> None:
        self.runner.close()


@cache
def _characters(kind: str, deltas: int) -> int:
    return stream(kind, deltas).characters


def _expect(characters: int, expected: int) -> None:
    """Do not compare with a client that loses a part of the answer."""
    if characters != expected:
        raise ValueError(f"Of {expected} characters {characters} arrived.")


def parameters(items: int = 0) -> dict[str, Any]:
    """Return the parameters of a call; `items` is the length of its history."""
    given = history(items) if items else short_input()
    return {"model": "gpt-5.5", "instructions": "Be brief.", "input": given}


def _count(events: Iterator[Any], *, untyped: bool) -> tuple[int, int]:
    """Read a stream as a program does that prints the text; return its events and characters."""
    count = characters = 0
    if untyped:
        for event in events:
            count += 1
            if event["type"] in DELTAS:
                characters += len(event["delta"])
        return count, characters
    for event in events:
        count += 1
        if event.type in DELTAS:
            characters += len(event.delta)
    return count, characters


async def _count_async(events: AsyncIterator[Any], *, untyped: bool) -> tuple[int, int]:
    count = characters = 0
    async for event in events:
        count += 1
        if (event["type"] if untyped else event.type) in DELTAS:
            characters += len(event["delta"] if untyped else event.delta)
    return count, characters


def drain(bench: Bench, answer: list[Any], *, calls: int = 1, how: str = "events", **params: int) -> _Figures:
    """Read every event of a streamed call; `how`: "events" or "helper_events"."""
    wanted, asked = Answer(*answer), parameters(**params)
    read = getattr(bench.peer, how)
    _count(read(bench.client(wanted._replace(deltas=_WARM_DELTAS)), asked), untyped=bench.peer.untyped)
    client, expected = bench.client(wanted), _characters(wanted.kind, wanted.deltas)
    gc.collect()
    events = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        count, characters = _count(read(client, asked), untyped=bench.peer.untyped)
        events += count
        _expect(characters, expected)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_us_per_event": cpu / events * 1e6, "cpu_ms": cpu / calls * 1e3, "wall_ms": wall / calls * 1e3}


def drain_async(bench: Bench, answer: list[Any]) -> _Figures:
    """Read every event of a streamed call of the async client."""
    wanted, asked = Answer(*answer), parameters()

    async def read(deltas: int) -> tuple[int, int]:
        client = bench.async_client(wanted._replace(deltas=deltas))
        return await _count_async(await bench.peer.async_events(client, asked), untyped=bench.peer.untyped)

    bench.runner.run(read(_WARM_DELTAS))
    gc.collect()
    cpu = time.process_time()
    events, characters = bench.runner.run(read(wanted.deltas))
    cpu = time.process_time() - cpu
    _expect(characters, _characters(wanted.kind, wanted.deltas))
    return {"cpu_us_per_event": cpu / events * 1e6}


def long_event(bench: Bench, answer: list[Any], *, calls: int) -> _Figures:
    """Read a stream that has one long event; the floor reads it whole and parses it once."""
    client, asked = bench.client(Answer(*answer)), parameters()
    read: Callable[..., Any] = getattr(bench.peer, "long_event", None) or (
        lambda client, asked: _count(bench.peer.events(client, asked), untyped=bench.peer.untyped)
    )
    read(client, asked)
    gc.collect()
    cpu = time.process_time()
    for _ in range(calls):
        read(client, asked)
    return {"cpu_ms": (time.process_time() - cpu) / calls * 1e3}


def collect(bench: Bench, answer: list[Any]) -> _Figures:
    """Make a call that wants no stream."""
    wanted, asked = Answer(*answer), parameters()
    bench.peer.collected_text(bench.client(wanted._replace(deltas=_WARM_DELTAS)), asked)
    client = bench.client(wanted)
    gc.collect()
    cpu = time.process_time()
    text = bench.peer.collected_text(client, asked)
    cpu = time.process_time() - cpu
    _expect(len(text), _characters(wanted.kind, wanted.deltas))
    return {"cpu_ms": cpu * 1e3}


def prepare(bench: Bench, *, items: int, calls: int = 1, compress: bool = True) -> _Figures:
    """Make streamed calls up to the point where the request would be written; nothing is sent.

    `compress` is of interest to those who do that.
    """
    client, asked = bench.canned_client(compress), parameters(items)
    next(bench.peer.events(client, asked), None)
    gc.collect()
    cpu = time.process_time()
    for _ in range(calls):
        next(bench.peer.events(client, asked), None)
    return {"cpu_ms": (time.process_time() - cpu) / calls * 1e3}


def first_event(bench: Bench, answer: list[Any], *, calls: int) -> _Figures:
    """Wait for the first event of calls on a connection that is open already."""
    client, asked = bench.client(Answer(*answer)), parameters()
    waited = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        events = bench.peer.events(client, asked)
        next(events)
        waited.append(time.perf_counter() - start)
        for _ in events:
            pass
    return {"wall_ms": statistics.median(waited[1:]) * 1e3}


def concurrent(bench: Bench, answer: list[Any], *, streams: int) -> _Figures:
    """Read many streams at once; when each had its first event is counted from the common start."""
    wanted, asked = Answer(*answer), parameters()
    firsts: list[float] = []

    async def read(deltas: int) -> tuple[int, int]:
        client = bench.async_client(wanted._replace(deltas=deltas))
        start = time.perf_counter()
        events = await bench.peer.async_events(client, asked)
        await anext(events)
        firsts.append(time.perf_counter() - start)
        return await _count_async(events, untyped=bench.peer.untyped)

    async def read_all(count: int, deltas: int) -> list[tuple[int, int]]:
        return await asyncio.gather(*(read(deltas) for _ in range(count)))

    bench.runner.run(read_all(2, _WARM_DELTAS))
    firsts.clear()
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    counts = bench.runner.run(read_all(streams, wanted.deltas))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for _, characters in counts:
        _expect(characters, _characters(wanted.kind, wanted.deltas))
    events = sum(count + 1 for count, _ in counts)
    return {
        "events_per_s": events / wall,
        "cpu_us_per_event": cpu / events * 1e6,
        "slowest_by_median": max(firsts) / statistics.median(firsts),
    }


def memory(bench: Bench, answer: list[Any]) -> _Figures:
    """Make a call that wants no stream, and note what it held at most, beside its text."""
    wanted, asked = Answer(*answer), parameters()
    bench.peer.collected_text(bench.client(wanted._replace(deltas=_WARM_DELTAS)), asked)
    client = bench.client(wanted)
    gc.collect()
    resident = _max_resident()
    bench.peer.collected_text(client, asked)
    grown = _max_resident() - resident
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    text = bench.peer.collected_text(client, asked)
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
