"""The table of benchmark rows: what is measured, for which clients, and the goal for the result.

A row has jobs, which run in turn, and bars. A bar divides a metric of one job by that of another in the same run.
`at_most` and `at_least` limit the ratio, or the metric itself if the bar has nothing to compare with.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import Any

from bench.environments import NPM_PEERS
from bench.server import ResponseSpec

__all__ = ["HISTORY_SIZES", "ROWS", "Bar", "Job", "Row", "Shown"]

# Clients that build official types the official way get shorter streams, so that their jobs take as long as the others.
_SLOW = frozenset({"openai", "login-with-chatgpt"})
_DELTAS, _SLOW_DELTAS = 20_000, 4_000
_TYPED = ("ours", "openai", "login-with-chatgpt")
_ORIGINALS = ("original-0.2.0", "original-0.5.9")
HISTORY_SIZES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Job:
    """A task (see bench/tasks.py) with its arguments, for one peer. `rounds` limits how often a slow job runs."""

    peer: str
    task: str
    arguments: dict[str, Any]
    rounds: int = 99
    name: str = ""
    point: int | None = None

    @property
    def label(self) -> str:
        """The name of the job in its row: its peer, unless that has several jobs; then the point of its curve."""
        name = self.name or self.peer
        return name if self.point is None else f"{name} {self.point}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for a metric of the job `job`, divided by that of the job `compared_with` unless that is None.

    With `is_flat`, the bar limits the largest cost per item divided by the smallest, over all points of the curve.
    """

    metric: str
    compared_with: str | None
    at_most: float | None = None
    at_least: float | None = None
    job: str = "ours"
    note: str = ""
    is_flat: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """Another metric of a row, which the table shows in a line of its own."""

    metric: str
    title: str
    unit: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; each of its jobs runs once in each of the `rounds`."""

    name: str
    title: str
    unit: str
    jobs: tuple[Job, ...]
    bars: tuple[Bar, ...]
    rounds: int = 5
    also: tuple[Shown, ...] = ()

    @property
    def metric(self) -> str:
        """The metric that the table shows."""
        return self.bars[0].metric


def _stream_jobs(kind: str, peers: tuple[str, ...], task: str = "drain") -> tuple[Job, ...]:
    return tuple(
        Job(peer, task, {"response": ResponseSpec(kind, _SLOW_DELTAS if peer in _SLOW else _DELTAS)}) for peer in peers
    )


def _same_job(task: str, peers: tuple[str, ...], **arguments: Any) -> tuple[Job, ...]:
    return tuple(Job(peer, task, arguments) for peer in peers)


def _curve(peer: str, sizes: tuple[int, ...], *, name: str = "", rounds: int = 99, **arguments: Any) -> tuple[Job, ...]:
    # 100 items add only a fraction of the cost of a request, so small histories need the most repetitions.
    calls = {size: 1 if peer == "openai" else max(1, min(200, 30_000 // size)) for size in sizes}
    return tuple(
        Job(peer, "prepare", {"items": n, "calls": calls[n], **arguments}, rounds, name=name, point=n) for n in sizes
    )


def _agent(peer: str, way: str = "", name: str = "", rounds: int = 3) -> Job:
    return Job(peer, "agent", {"turns": 200, "characters": 2_000, "way": way}, rounds, name)


def _conversations(peer: str, kind: str, name: str = "", rounds: int = 99) -> Job:
    arguments = {"response": ResponseSpec("text", 500), "count": 100, "turns": 2, "new_process": True}
    return Job(peer, f"conversations{kind}", {**arguments, "way": "websocket"}, rounds, name)


def _batch(peer: str, task: str, name: str = "", rounds: int = 99, **arguments: Any) -> Job:
    return Job(
        peer,
        task,
        {"response": ResponseSpec("text", 20), "lines": 1_000, "new_process": True, **arguments},
        rounds,
        name,
    )


# The Codex CLI is a binary from npm. Its job is left out where it is not installed.
_CODEX_CLI = os.environ.get("CODEX_BINARY") or shutil.which("codex")
_CODEX_CLI_JOBS = (
    (Job("ours", "command", {"program": _CODEX_CLI, "arguments": ["--help"]}, name="codex"),) if _CODEX_CLI else ()
)

# The local servers. openai-oauth is an npm package, which is left out where npm is not installed, as the title says.
_SERVERS = ("ours", *NPM_PEERS, "litellm")
_WITHOUT = "" if NPM_PEERS else " (without openai-oauth: npm is not installed)"
_SERVER_DELTAS = {"ours": 20_000, "openai-oauth": 20_000, "litellm": 2_000}


def _serve(peer: str, task: str, kind: str = "text", *, rounds: int = 99, point: int | None = None, **more: Any) -> Job:
    """Return a job for a local server. litellm gets fewer events, so that its jobs take as long as the others."""
    deltas, chunk, delay_ms = more.pop("deltas", _SERVER_DELTAS[peer]), more.pop("chunk", 4096), more.pop("delay_ms", 0)
    response = ResponseSpec(kind, deltas, chunk, delay_ms)
    return Job(peer, task, {"response": response, **more}, rounds, point=point)


def _server_bars(metric: str, *bars: Bar, **limit: Any) -> tuple[Bar, ...]:
    """Return bars of this package, and one beside each of the other servers."""
    return (*bars, *(Bar(metric, peer, **limit) for peer in _SERVERS[1:]))


_CPU = "cpu_us_per_event"
_ALL_PEERS = (*_TYPED, *_ORIGINALS, "floor")
_WARM = ResponseSpec("text", 20, chunk=0)
_THINKING = ResponseSpec("text", 20, chunk=0, delay_ms=300)
_COLD = ResponseSpec("codex", 20, chunk=0, delay_ms=300)

ROWS = (
    Row(
        "text",
        "CPU per text-delta event, sync",
        "µs",
        _stream_jobs("text", _ALL_PEERS),
        (
            Bar(_CPU, "openai", at_most=1 / 20),
            Bar(_CPU, "floor", at_most=2),
            Bar(_CPU, "original-0.5.9", at_most=1, note="below"),
        ),
    ),
    Row(
        "text-async",
        "CPU per text-delta event, async",
        "µs",
        _stream_jobs("text", (*_TYPED, "floor"), "drain_async"),
        (Bar(_CPU, "openai", at_most=1 / 20),),
    ),
    Row(
        "chat",
        "CPU per chunk of a chat completion; openai reads a stream of the public API",
        "µs",
        (
            Job("ours", "drain_chat", {"response": ResponseSpec("text", _DELTAS)}),
            Job("openai", "drain_chat", {"response": ResponseSpec("chat", _SLOW_DELTAS)}),
        ),
        (Bar(_CPU, "openai", at_most=1 / 8),),
    ),
    Row(
        "websocket",
        "CPU per text-delta event over the WebSocket, sync",
        "µs",
        (
            Job("ours", "drain", {"response": ResponseSpec("text", _DELTAS), "how": "websocket_events"}),
            Job("ours", "drain", {"response": ResponseSpec("text", _DELTAS)}, name="ours, SSE"),
            Job(
                "ours",
                "drain",
                {"response": ResponseSpec("text", _DELTAS), "how": "conversation_events"},
                name="ours, conversation",
            ),
            Job("openai", "drain", {"response": ResponseSpec("text", _SLOW_DELTAS), "how": "websocket_events"}),
        ),
        (Bar(_CPU, "ours, SSE", at_most=1.5), Bar(_CPU, "openai", at_most=1 / 8)),
    ),
    Row(
        "arguments",
        "CPU per function-call-argument delta",
        "µs",
        _stream_jobs("arguments", ("ours", "openai", "floor")),
        (Bar(_CPU, "openai", at_most=1 / 18),),
    ),
    Row(
        "reasoning",
        "CPU per reasoning delta",
        "µs",
        _stream_jobs("reasoning", ("ours", "openai", "floor")),
        (Bar(_CPU, "openai", at_most=1 / 18),),
    ),
    Row(
        "helper",
        "CPU per event, `.stream()` with its snapshots",
        "µs",
        _same_job("drain", ("ours", "openai"), response=ResponseSpec("text", 4_000), how="helper_events"),
        (Bar(_CPU, "openai", at_most=1 / 10),),
        rounds=4,
    ),
    Row(
        "huge",
        "CPU of one 4 MB event",
        "ms",
        (
            Job("ours", "long_event", {"response": ResponseSpec("huge", 1), "calls": 5}),
            Job("floor", "long_event", {"response": ResponseSpec("huge", 1), "calls": 5}),
            Job("openai", "long_event", {"response": ResponseSpec("huge", 1), "calls": 2}, rounds=2),
        ),
        (Bar("cpu_ms", "floor", at_most=2),),
        rounds=7,
    ),
    Row(
        "history",
        "CPU to prepare a request with 10,000 items",
        "ms",
        (
            Job("ours", "prepare", {"items": 10_000, "calls": 3, "compress": False}),
            Job("ours", "prepare", {"items": 10_000, "calls": 2}, name="ours, compressed"),
            Job("floor", "prepare", {"items": 10_000, "calls": 3}),
            Job("openai", "prepare", {"items": 10_000}, rounds=1),
            *(Job(peer, "prepare", {"items": 10_000, "calls": 2}) for peer in _ORIGINALS),
        ),
        (Bar("cpu_ms", "openai", at_most=1 / 100), Bar("cpu_ms", "floor", at_most=4)),
    ),
    Row(
        "scale",
        "CPU per item of the history, from 100 to 100,000 items",
        "µs an item",
        (
            *_curve("ours", (1, *HISTORY_SIZES), compress=False),
            *_curve("ours", (1, *HISTORY_SIZES), name="ours, compressed"),
            *_curve("openai", (1, 100, 1_000), rounds=2),
            *_curve("original-0.5.9", (1, 100, 1_000, 10_000), rounds=2),
            *_curve("floor", (1, *HISTORY_SIZES), rounds=2),
        ),
        (
            Bar(
                "cpu_ms", None, at_most=1.2, job="ours, compressed", note="with compression, the default", is_flat=True
            ),
            Bar("cpu_ms", None, at_most=1.2, note="without compression", is_flat=True),
        ),
    ),
    Row(
        "collect",
        "CPU of `create()` over 20,000 deltas; openai reads the stream",
        "ms",
        (
            Job("ours", "collect", {"response": ResponseSpec("text", 20_000)}),
            Job("openai", "drain", {"response": ResponseSpec("text", 20_000)}, rounds=2),
            *(Job(peer, "collect", {"response": ResponseSpec("text", 20_000)}, rounds=3) for peer in _ORIGINALS),
        ),
        (Bar("cpu_ms", "openai", at_most=1 / 35),),
    ),
    Row(
        "memory",
        "peak memory of that `create()`, not counting the text",
        "MB",
        (Job("ours", "memory", {"response": ResponseSpec("text", 20_000), "new_process": True}),),
        (Bar("peak_mb", None, at_most=2),),
        rounds=2,
    ),
    Row(
        "call",
        "CPU of a whole call with a history of 200 items",
        "ms",
        _same_job("drain", _ALL_PEERS, response=_WARM, calls=4, items=200),
        (Bar("cpu_ms", "openai", at_most=1 / 15),),
    ),
    Row(
        "agent",
        "bytes sent by an agent of 200 turns, in bytes of its new items",
        "times",
        (
            _agent("ours", "websocket", rounds=5),
            _agent("ours", "uncompressed", "ours, HTTP"),
            _agent("ours", "zstd", "ours, HTTP + zstd"),
            _agent("openai"),
            _agent("original-0.5.9"),
            _agent("gpt-codex-client"),
        ),
        (
            Bar("bytes_per_new_byte", None, at_most=1.3, note="times the new items"),
            Bar("cpu_growth", None, at_most=1.2, note="CPU of turns 181 to 200, in that of turns 10 to 29"),
        ),
        also=(
            Shown("cpu_growth", "CPU of its turns 181 to 200, in that of its turns 10 to 29", "times"),
            Shown("cpu_ms", "CPU per turn of that agent", "ms"),
            Shown("wall_ms", "wall time per turn of that agent", "ms"),
            Shown("sent_mb", "bytes sent by that agent", "MB"),
        ),
    ),
    Row(
        "conversations",
        "CPU per event, 100 conversations side by side, in threads",
        "µs",
        (
            _conversations("ours", ""),
            _conversations("ours", "_async", "ours, async"),
            _conversations("openai", "", rounds=1),
            _conversations("openai", "_async", "openai, async", rounds=1),
        ),
        (
            Bar(_CPU, "openai", at_most=1 / 3),
            Bar(_CPU, "openai, async", at_most=1 / 3, job="ours, async"),
            Bar("resident_kb_each", "openai", at_most=1, note="memory per conversation"),
        ),
        rounds=3,
        also=(
            Shown("events_per_s", "events per second of those conversations", "events/s"),
            Shown("resident_kb_each", "memory per conversation", "kB"),
        ),
    ),
    Row(
        "batch",
        "CPU per line of a batch of 1,000 lines, 16 at a time; openai uses `asyncio.gather`",
        "ms",
        (
            _batch("ours", "batch"),
            _batch("ours", "batch", "ours, journal", has_journal=True),
            _batch("ours", "async_batch", "ours, async"),
            _batch("ours", "async_batch", "ours, async, journal", has_journal=True),
            _batch("openai", "async_batch", rounds=2),
        ),
        (
            Bar("cpu_ms_per_line", "openai", at_most=2 / 3),
            Bar("cpu_ms_per_line", "openai", at_most=2 / 3, job="ours, async, journal"),
            Bar("resident_mb", None, at_most=10, job="ours, journal", note="MB of memory"),
        ),
        rounds=3,
        also=(
            Shown("lines_per_s", "lines per second of that batch", "lines/s"),
            Shown("resident_mb", "memory of that batch", "MB"),
        ),
    ),
    Row(
        "concurrent",
        "events per second, 200 async streams of 500 events",
        "events/s",
        (
            Job("ours", "concurrent", {"response": ResponseSpec("text", 500), "streams": 200}),
            Job("floor", "concurrent", {"response": ResponseSpec("text", 500), "streams": 200}),
            Job("openai", "concurrent", {"response": ResponseSpec("text", 500), "streams": 200}, rounds=1),
            *(
                Job(peer, "concurrent", {"response": ResponseSpec("text", 500), "streams": n}, rounds=rounds, point=n)
                for peer, rounds in (("ours", 3), ("openai", 1), ("floor", 3))
                for n in (1, 10, 50)
            ),
        ),
        (
            Bar("events_per_s", "openai", at_least=6),
            Bar("slowest_by_median", None, at_most=3, note="first event of the slowest stream ÷ median"),
        ),
    ),
    Row(
        "first-event-300",
        "wall time to the first event, warm connection, server responds after 300 ms",
        "ms",
        _same_job("first_event", ("ours", "openai", "floor"), response=_THINKING, calls=1),
        (Bar("wall_ms", "floor", at_most=1.15),),
        rounds=5,
    ),
    Row(
        "import",
        "wall time of `from codex_backend_sdk import OpenAI`",
        "ms",
        (
            Job("ours", "import", {"code": "from codex_backend_sdk import OpenAI"}),
            Job("ours", "import", {"code": "import openai"}, name="openai"),
            Job("login-with-chatgpt", "import", {"code": "from login_with_chatgpt import OpenAI"}, rounds=3),
            *(Job(p, "import", {"code": "from codex_backend_sdk import OpenAI"}, rounds=3) for p in _ORIGINALS),
            Job("ours", "import", {"code": "import codex_backend_sdk"}, name="ours, lazily", rounds=3),
        ),
        (
            Bar("wall_ms", "openai", at_most=1.1),
            Bar("wall_ms", None, at_most=30, job="ours, lazily", note="`import codex_backend_sdk` alone, in ms"),
        ),
        rounds=15,
    ),
    Row(
        "cold",
        "wall time to the first event of a new process, server responds after 300 ms",
        "ms",
        tuple(Job(peer, "cold", {"response": _COLD}) for peer in ("ours", "openai", "floor")),
        (
            Bar("wall_ms", "openai", at_most=1 / 2),
            Bar("text_ms", "openai", at_most=1 / 2, note="first text"),
            Bar("second_client_ms", None, at_most=2, note="constructing a second client, in ms"),
        ),
        rounds=5,
    ),
    Row(
        "status",
        "wall time of `codex-backend status`",
        "ms",
        (Job("ours", "command", {"arguments": ["status"]}), Job("ours", "command", {}, name="interpreter")),
        (
            Bar("wall_ms", None, at_most=150),
            Bar("imports_openai", None, at_most=0, note="imports openai"),
        ),
        rounds=7,
    ),
    Row(
        "help",
        "wall time of `codex-backend --help`",
        "ms",
        (
            Job("ours", "command", {"arguments": ["--help"]}),
            Job("llm", "command", {"program": "llm", "arguments": ["--help"]}),
            *_CODEX_CLI_JOBS,
        ),
        (Bar("wall_ms", None, at_most=150), Bar("wall_ms", "llm", at_most=1 / 2)),
        rounds=7,
    ),
    Row(
        "serve",
        "CPU of a local server per event of a response; openai-oauth forwards the bytes without reading them"
        + _WITHOUT,
        "µs",
        tuple(_serve(peer, "serve_streams") for peer in _SERVERS),
        _server_bars(_CPU, Bar(_CPU, None, at_most=10), at_most=1),
    ),
    Row(
        "serve-chat",
        "CPU of a local server per event, as chat completion" + _WITHOUT,
        "µs",
        tuple(_serve(peer, "serve_streams", route="chat") for peer in _SERVERS),
        _server_bars(_CPU, Bar(_CPU, None, at_most=10), at_most=1),
    ),
    Row(
        "serve-latency",
        "time that a local server adds to an event" + _WITHOUT,
        "ms",
        tuple(_serve(peer, "serve_latency", "stamped", deltas=200, chunk=0, delay_ms=2, calls=3) for peer in _SERVERS),
        _server_bars("added_ms", Bar("added_ms", None, at_most=2), at_most=1),
        rounds=3,
        also=(
            Shown("first_ms", "time that it adds to the first text of a request", "ms"),
            Shown(_CPU, "CPU of the server per event, each in a network packet of its own", "µs"),
        ),
    ),
    Row(
        "serve-concurrent",
        "events per second through a local server, 200 streams" + _WITHOUT,
        "events/s",
        tuple(
            _serve(
                peer, "serve_streams", deltas=20 if peer == "litellm" else 500, streams=streams, rounds=2, point=point
            )
            for streams, point in ((200, None), (50, 50))
            for peer in _SERVERS
        ),
        (
            *_server_bars("events_per_s", at_least=1),
            Bar("resident_mb", None, at_most=150, note="MB of memory"),
        ),
        rounds=3,
        also=(
            Shown(_CPU, "CPU of the server per event of those streams", "µs"),
            Shown("resident_mb", "memory of the server after those streams", "MB"),
        ),
    ),
    Row(
        "serve-start",
        "time from the start of a local server to its first list of models" + _WITHOUT,
        "ms",
        tuple(
            _serve(peer, "serve_start", deltas=20, chunk=0, rounds=2 if peer == "litellm" else 99, new_process=True)
            for peer in _SERVERS
        ),
        _server_bars("wall_ms", Bar("wall_ms", None, at_most=1500), at_most=1),
        rounds=5,
        also=(Shown("resident_mb", "memory of the server after one response", "MB"),),
    ),
)
