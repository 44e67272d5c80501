"""The tasks that are measured. They run in the process of the peer and return its figures, with units in the names.

CPU time is that of the whole process, including threads. Each task first runs once without measurement. It fails if a
client loses a part of the response, because its figures would mean nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.server import ResponseSpec, base_path
from bench.workloads import DELTA_TYPES, MODEL, history, short_input, stream, tool_output, user_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bench.peers import Peer

__all__ = ["AGENT_POINTS", "TASKS", "PeerClients", "call_parameters"]

# The turns for which the figures of an agent are plotted.
AGENT_POINTS: Final = (1, 2, 5, 10, 20, 50, 100, 200)
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
    return {"model": MODEL, "instructions": "Be brief.", "input": history(items) if items else short_input()}


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
    """Read all events of a streamed call. `how` is the method of the peer that returns them."""
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


def drain_chat(clients: PeerClients, response: list[Any]) -> _Figures:
    """Read all chunks of a streamed chat completion."""
    spec = ResponseSpec(*response)

    def read(deltas: int) -> tuple[int, int]:
        client, count, characters = clients.client(spec._replace(deltas=deltas)), 0, 0
        for chunk in clients.peer.chat_chunks(client, {"model": MODEL, "messages": short_input()}):
            count += 1
            characters += len(chunk.choices[0].delta.content or "")
        return count, characters

    read(_WARM_DELTAS)
    gc.collect()
    cpu = time.process_time()
    chunks, characters = read(spec.deltas)
    cpu = time.process_time() - cpu
    _check_length(characters, _characters(spec.kind, spec.deltas))
    return {"cpu_us_per_event": cpu / chunks * 1e6}


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


def agent(clients: PeerClients, *, turns: int, characters: int, way: str = "") -> _Figures:
    """Run an agent: in each turn, the model calls a tool, whose output has this many characters.

    `bytes_per_new_byte` divides the bytes that the server received, including the upgrade and the heads of requests, by
    those of the new items as JSON. `cpu_growth` divides the CPU time of the last tenth of the turns by that of the
    tenth that begins with turn 10. For the latter, another agent takes turns with the first one, so that a change in
    the load of the machine affects both. The figures for points of a curve have the number of the turn.
    """
    window = max(1, turns // 10)
    _AgentRun(clients, characters, way).take_turns(min(turns, 3))
    long, young = _AgentRun(clients, characters, way), _AgentRun(clients, characters, way)
    gc.collect()
    long.take_turns(turns - window)
    young.take_turns(min(9, turns - window))
    for _ in range(window):
        long.take_turns(1)
        young.take_turns(1)
    received = long.close()
    young.close()
    figures = {
        "bytes_per_new_byte": received[-1] / sum(long.new_bytes),
        "sent_mb": received[-1] / 1e6,
        "cpu_growth": sum(long.cpu[-window:]) / sum(young.cpu[-window:]),
        "cpu_ms": sum(long.cpu) / turns * 1e3,
        "wall_ms": sum(long.wall) / turns * 1e3,
    }
    for point in [number for number in AGENT_POINTS if number <= turns]:
        around = long.cpu[max(0, point - 1 - window // 2) : point + window // 2]
        figures[f"sent_kb_at_{point}"] = received[point - 1] / 1e3
        figures[f"new_kb_at_{point}"] = sum(long.new_bytes[:point]) / 1e3
        figures[f"cpu_ms_at_{point}"] = statistics.median(around) * 1e3
    return figures


class _AgentRun:
    """An agent, and for each of its turns the seconds of CPU and of wall time and the bytes of the new item."""

    def __init__(self, clients: PeerClients, characters: int, way: str) -> None:
        self.cpu: list[float] = []
        self.wall: list[float] = []
        self.new_bytes: list[int] = []
        self._clients = clients
        self._characters = characters
        self._spec = ResponseSpec("agent", 20, 0, 0, _new_session())
        self._expected = stream(self._spec.kind, self._spec.deltas)
        (self._agent,) = clients.peer.agents(clients.server + base_path(self._spec), way)
        self._call_id = ""

    def take_turns(self, count: int) -> None:
        for _ in range(count):
            number = len(self.cpu)
            item = tool_output(self._call_id, number, self._characters) if number else user_message("Fix the test.")
            wall, cpu = time.perf_counter(), time.process_time()
            turn = self._agent.turn([item])
            self.cpu.append(time.process_time() - cpu)
            self.wall.append(time.perf_counter() - wall)
            self.new_bytes.append(len(json.dumps(item, ensure_ascii=False, separators=(",", ":")).encode()))
            self._call_id = turn.call_id
            _check_length(turn.characters, self._expected.characters)

    def close(self) -> list[int]:
        """Return the bytes that the server received up to each turn."""
        self._agent.close()
        turns = len(self.cpu)
        return _received_bytes(self._clients, self._spec, turns, turns + (turns - 1) * self._expected.items)


def _new_session() -> int:
    return time.monotonic_ns() % 10**12 + 1


def _received_bytes(clients: PeerClients, spec: ResponseSpec, requests: int, known_items: int | None) -> list[int]:
    """Return the bytes that the server received up to each request. Raises ValueError for missing items.

    The server counts the items over the WebSocket only.
    """
    url = clients.server + base_path(spec) + "/received"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as response:
        received = json.load(response)
    if len(received["bytes_by_request"]) != requests or received["replays"]:
        raise ValueError(
            f"The server received {len(received['bytes_by_request'])} requests instead of {requests}, and "
            f"{received['replays']} of them sent a known history again."
        )
    if known_items is not None and received["known_items"] not in (0, known_items):
        raise ValueError(f"The server knows {received['known_items']} of {known_items} items.")
    result: list[int] = received["bytes_by_request"]
    return result


def conversations(clients: PeerClients, response: list[Any], *, count: int, turns: int, way: str = "") -> _Figures:
    """Run conversations side by side, each in a thread."""
    spec = ResponseSpec(*response)._replace(session=_new_session())
    inputs = [user_message(f"Tell me more about part {number}.") for number in range(turns)]

    def measure(spec: ResponseSpec, count: int) -> _Figures:
        agents = clients.peer.agents(clients.server + base_path(spec), way, count)

        def run(agent: Any) -> list[Any]:
            return [agent.turn([item]) for item in inputs]

        def run_all() -> list[list[Any]]:
            with ThreadPoolExecutor(count) as threads:
                return list(threads.map(run, agents))

        figures = _measure_conversations(run_all, spec)
        for agent in agents:
            agent.close()
        _received_bytes(clients, spec, count * turns, None)
        return figures

    measure(spec._replace(session=_new_session()), 2)
    return measure(spec, count)


def conversations_async(
    clients: PeerClients, response: list[Any], *, count: int, turns: int, way: str = ""
) -> _Figures:
    """Run conversations side by side, each in a task."""
    spec = ResponseSpec(*response)._replace(session=_new_session())
    inputs = [user_message(f"Tell me more about part {number}.") for number in range(turns)]

    def measure(spec: ResponseSpec, count: int) -> _Figures:
        agents = clients.runner.run(clients.peer.async_agents(clients.server + base_path(spec), way, count))

        async def run(agent: Any) -> list[Any]:
            return [await agent.turn([item]) for item in inputs]

        async def run_all() -> list[list[Any]]:
            return await asyncio.gather(*map(run, agents))

        async def close_all() -> None:
            for agent in agents:
                await agent.close()

        figures = _measure_conversations(lambda: clients.runner.run(run_all()), spec)
        clients.runner.run(close_all())
        _received_bytes(clients, spec, count * turns, None)
        return figures

    measure(spec._replace(session=_new_session()), 2)
    return measure(spec, count)


def _measure_conversations(run_all: Callable[[], list[list[Any]]], spec: ResponseSpec) -> _Figures:
    expected = stream(spec.kind, spec.deltas)
    gc.collect()
    resident = _max_resident()
    wall, cpu = time.perf_counter(), time.process_time()
    results = run_all()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    for turn in (turn for turns in results for turn in turns):
        _check_length(turn.characters, expected.characters)
    events = sum(turn.events for turns in results for turn in turns)
    return {
        "cpu_us_per_event": cpu / events * 1e6,
        "events_per_s": events / wall,
        "wall_ms": wall * 1e3,
        "resident_mb": (_max_resident() - resident) / 1e6,
        "resident_kb_each": (_max_resident() - resident) / 1e3 / len(results),
    }


def batch(clients: PeerClients, response: list[Any], *, lines: int, has_journal: bool = False) -> _Figures:
    """Send the lines of a batch with the sync client."""
    return _measure_batch(response, lines, has_journal, clients.client, clients.peer.batch)


def async_batch(clients: PeerClients, response: list[Any], *, lines: int, has_journal: bool = False) -> _Figures:
    """Send the lines of a batch with the async client."""

    def run(*arguments: Any) -> int:
        return clients.runner.run(clients.peer.async_batch(*arguments))

    return _measure_batch(response, lines, has_journal, clients.async_client, run)


def _measure_batch(
    response: list[Any], lines: int, has_journal: bool, client: Callable[[ResponseSpec], Any], run: Callable[..., int]
) -> _Figures:
    spec, parameters = ResponseSpec(*response), call_parameters()
    del parameters["input"]
    prompts = [f"Translate sentence {number}." for number in range(lines)]
    run(client(spec), prompts[:2], parameters, None)
    with tempfile.TemporaryDirectory() as folder:
        gc.collect()
        resident = _max_resident()
        wall, cpu = time.perf_counter(), time.process_time()
        characters = run(client(spec), prompts, parameters, Path(folder, "journal") if has_journal else None)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    _check_length(characters, lines * _characters(spec.kind, spec.deltas))
    return {
        "cpu_ms_per_line": cpu / lines * 1e3,
        "lines_per_s": lines / wall,
        "resident_mb": (_max_resident() - resident) / 1e6,
    }


def _max_resident() -> int:
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


TASKS: Final[dict[str, Callable[..., _Figures]]] = {
    task.__name__: task
    for task in (
        drain,
        drain_async,
        drain_chat,
        long_event,
        collect,
        prepare,
        first_event,
        concurrent,
        memory,
        agent,
        conversations,
        conversations_async,
        batch,
        async_batch,
    )
}
