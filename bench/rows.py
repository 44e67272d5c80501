"""The table of rows: what is measured, of whom, and what is asked of the result.

A row has jobs, which take turns, and bars. A bar compares a figure of one job with that of another in the same run;
`at_most` and `at_least` are limits of the ratio, or of the figure itself where nothing is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.server import Answer

__all__ = ["ROWS", "SIZES", "Bar", "Job", "Row"]

# What clients that build official types the official way are given; it takes them as long as it takes the others.
_SLOW = frozenset({"openai", "login-with-chatgpt"})
_DELTAS, _SLOW_DELTAS = 20_000, 4_000
_TYPED = ("ours", "openai", "login-with-chatgpt")
_ORIGINALS = ("original-0.2.0", "original-0.5.9")
SIZES = (100, 1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Job:
    """One figure's source: a task, what it is given, and who does it. `rounds` limits the repeats of slow ones."""

    peer: str
    task: str
    given: dict[str, Any]
    rounds: int = 99
    name: str = ""
    at: int | None = None

    @property
    def label(self) -> str:
        """What the job is called in its row: its peer, unless one peer has several; `at` is a point of a curve."""
        name = self.name or self.peer
        return name if self.at is None else f"{name} {self.at}"


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit for the figure `metric` of the job `of`, divided by that of `by` unless that is None.

    With `flat`, what is limited is the largest cost of one item divided by the smallest, over the curve of `of`.
    """

    metric: str
    by: str | None
    at_most: float | None = None
    at_least: float | None = None
    of: str = "ours"
    says: str = ""
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `rounds` is how often its jobs take turns."""

    name: str
    title: str
    unit: str
    jobs: tuple[Job, ...]
    bars: tuple[Bar, ...]
    rounds: int = 5

    @property
    def metric(self) -> str:
        """The figure that the row is about."""
        return self.bars[0].metric


def _drained(kind: str, peers: tuple[str, ...], task: str = "drain", **given: Any) -> tuple[Job, ...]:
    return tuple(
        Job(peer, task, {"answer": Answer(kind, _SLOW_DELTAS if peer in _SLOW else _DELTAS), **given}) for peer in peers
    )


def _same(task: str, peers: tuple[str, ...], **given: Any) -> tuple[Job, ...]:
    return tuple(Job(peer, task, given) for peer in peers)


def _curve(peer: str, sizes: tuple[int, ...], *, name: str = "", rounds: int = 99, **given: Any) -> tuple[Job, ...]:
    # What 100 items add to a request is a fraction of the request, so the small ones are repeated the most.
    calls = {size: 1 if peer == "openai" else max(1, min(200, 30_000 // size)) for size in sizes}
    return tuple(Job(peer, "prepare", {"items": n, "calls": calls[n], **given}, rounds, name=name, at=n) for n in sizes)


_CPU = "cpu_us_per_event"
_EVERYONE = (*_TYPED, *_ORIGINALS, "floor")
_AT_ONCE = Answer("text", 20, chunk=0)
_THINKING = Answer("text", 20, chunk=0, delay_ms=300)
_COLD = Answer("codex", 20, chunk=0, delay_ms=300)
_IN_CHUNKS = Answer("text", 4_000, chunk=0)

ROWS = (
    Row(
        "text",
        "CPU per text-delta event, sync",
        "µs",
        _drained("text", _EVERYONE),
        (
            Bar(_CPU, "openai", at_most=1 / 20),
            Bar(_CPU, "floor", at_most=2),
            Bar(_CPU, "original-0.5.9", at_most=1, says="below"),
        ),
    ),
    Row(
        "text-async",
        "CPU per text-delta event, async",
        "µs",
        _drained("text", (*_TYPED, "floor"), "drain_async"),
        (Bar(_CPU, "openai", at_most=1 / 18),),
    ),
    Row(
        "arguments",
        "CPU per function-call-argument delta",
        "µs",
        _drained("arguments", ("ours", "openai", "floor")),
        (Bar(_CPU, "openai", at_most=1 / 18),),
    ),
    Row(
        "reasoning",
        "CPU per reasoning delta",
        "µs",
        _drained("reasoning", ("ours", "openai", "floor")),
        (Bar(_CPU, "openai", at_most=1 / 18),),
    ),
    Row(
        "chunked",
        "CPU per event, one event in each HTTP chunk",
        "µs",
        _same("drain", ("ours", "openai", "original-0.5.9", "floor"), answer=_IN_CHUNKS),
        (Bar(_CPU, "openai", at_most=1 / 8),),
    ),
    Row(
        "helper",
        "CPU per event, `.stream()` with its snapshots",
        "µs",
        _same("drain", ("ours", "openai"), answer=Answer("text", 4_000), how="helper_events"),
        (Bar(_CPU, "openai", at_most=1 / 10),),
        rounds=4,
    ),
    Row(
        "huge",
        "CPU of one 4 MB event",
        "ms",
        (
            Job("ours", "long_event", {"answer": Answer("huge", 1), "calls": 5}),
            Job("floor", "long_event", {"answer": Answer("huge", 1), "calls": 5}),
            Job("openai", "long_event", {"answer": Answer("huge", 1), "calls": 2}, rounds=2),
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
            *_curve("ours", (1, *SIZES), compress=False),
            *_curve("ours", (1, *SIZES), name="ours, compressed"),
            *_curve("openai", (1, 100, 1_000), rounds=2),
            *_curve("original-0.5.9", (1, 100, 1_000, 10_000), rounds=2),
            *_curve("floor", (1, *SIZES), rounds=2),
        ),
        (
            Bar("cpu_ms", None, at_most=1.2, of="ours, compressed", says="with compression, the default", flat=True),
            Bar("cpu_ms", None, at_most=1.2, says="without compression", flat=True),
        ),
    ),
    Row(
        "collect",
        "CPU of `create()` over 20,000 deltas; openai drains the stream",
        "ms",
        (
            Job("ours", "collect", {"answer": Answer("text", 20_000)}),
            Job("openai", "drain", {"answer": Answer("text", 20_000)}, rounds=2),
            *(Job(peer, "collect", {"answer": Answer("text", 20_000)}, rounds=3) for peer in _ORIGINALS),
        ),
        (Bar("cpu_ms", "openai", at_most=1 / 40),),
    ),
    Row(
        "memory",
        "peak memory of that `create()`, without the text",
        "MB",
        (Job("ours", "memory", {"answer": Answer("text", 20_000), "fresh": True}),),
        (Bar("peak_mb", None, at_most=2),),
        rounds=2,
    ),
    Row(
        "call",
        "CPU of a whole call with a history of 200 items",
        "ms",
        _same("drain", _EVERYONE, answer=_AT_ONCE, calls=4, items=200),
        (Bar("cpu_ms", "openai", at_most=1 / 15),),
    ),
    Row(
        "concurrent",
        "events per second, 200 async streams of 500 events",
        "events/s",
        (
            Job("ours", "concurrent", {"answer": Answer("text", 500), "streams": 200}),
            Job("floor", "concurrent", {"answer": Answer("text", 500), "streams": 200}),
            Job("openai", "concurrent", {"answer": Answer("text", 500), "streams": 200}, rounds=1),
            *(
                Job(peer, "concurrent", {"answer": Answer("text", 500), "streams": n}, rounds=rounds, at=n)
                for peer, rounds in (("ours", 3), ("openai", 1), ("floor", 3))
                for n in (1, 10, 50)
            ),
        ),
        (
            Bar("events_per_s", "openai", at_least=8),
            Bar("slowest_by_median", None, at_most=3, says="slowest stream's first event ÷ median"),
        ),
    ),
    Row(
        "first-event-300",
        "wall time to the first event, warm connection, server responds after 300 ms",
        "ms",
        _same("first_event", ("ours", "openai", "floor"), answer=_THINKING, calls=1),
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
            Bar("wall_ms", None, at_most=30, of="ours, lazily", says="`import codex_backend_sdk`, in ms"),
        ),
        rounds=15,
    ),
    Row(
        "cold",
        "wall time to the first event of a new process, server responds after 300 ms",
        "ms",
        tuple(Job(peer, "cold", {"answer": _COLD}) for peer in ("ours", "openai", "floor")),
        (
            Bar("wall_ms", "openai", at_most=1 / 2),
            Bar("text_ms", "openai", at_most=1 / 2, says="first text"),
            Bar("second_client_ms", None, at_most=2, says="constructing a second client, in ms"),
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
            Bar("imports_openai", None, at_most=0, says="openai imported"),
        ),
        rounds=7,
    ),
)
