"""The callers of a soak test. Each requests its own texts, one after another, and records the outcome of each call."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import openai

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

__all__ = ["CORRECT", "Outcomes", "call_async", "call_forked", "call_sync", "classify"]

CORRECT: Final = "correct response"


class Outcomes:
    """The outcomes and durations of the calls; safe to use from any thread."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds = array("d")
        self.defects: list[str] = []
        self._lock = threading.Lock()

    def record(self, outcome: str, seconds: float, *, is_defect: bool = False) -> None:
        """Count a call. The first 20 defects are also kept as text."""
        with self._lock:
            self.counts[outcome.partition(":")[0]] += 1
            self.seconds.append(seconds)
            if is_defect and len(self.defects) < 20:
                self.defects.append(outcome)

    def as_message(self) -> tuple[dict[str, int], list[float], list[str]]:
        """Return the outcomes in a form that can be sent to another process."""
        return dict(self.counts), list(self.seconds), self.defects

    def add(self, message: tuple[dict[str, int], list[float], list[str]]) -> None:
        """Add the outcomes of another process."""
        counts, seconds, defects = message
        with self._lock:
            self.counts.update(counts)
            self.seconds.extend(seconds)
            self.defects += defects

    def percentile(self, fraction: float) -> float:
        """Return the seconds within which this fraction of the calls ended."""
        ordered = sorted(self.seconds)
        return ordered[min(int(fraction * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def classify(expected: str, result: str | BaseException) -> tuple[str, bool]:
    """Return the outcome of a call, and whether it is a defect: a wrong text or an error of another library."""
    if isinstance(result, str):
        return (CORRECT, False) if result == expected else (f"WRONG TEXT: expected {expected!r}, got {result!r}", True)
    partial = getattr(result, "partial", None)
    received = "" if partial is None else partial.output_text
    if not expected.startswith(received):
        return f"WRONG PARTIAL TEXT: expected {expected!r}, {type(result).__name__} has {received!r}", True
    if not isinstance(result, openai.OpenAIError):
        return f"UNTYPED ERROR: {result!r}", True
    return type(result).__name__, False


def _append(text: str, event: Any) -> str:
    """Return the text after this event. A restarted response begins with `response.created` and replaces the text."""
    if event.type == "response.created":
        return ""
    return text + event.delta if event.type == "response.output_text.delta" else text


def _create(client: Any, expected: str) -> str:
    text: str = client.responses.create(input=f"Say {expected}").output_text
    return text


def _stream(client: Any, expected: str) -> str:
    text = ""
    for event in client.responses.create(input=f"Say {expected}", stream=True):
        text = _append(text, event)
    return text


def _stream_helper(client: Any, expected: str) -> str:
    with client.responses.stream(input=f"Say {expected}") as stream:
        text: str = stream.get_final_response().output_text
    return text


async def _create_async(client: Any, expected: str) -> str:
    text: str = (await client.responses.create(input=f"Say {expected}")).output_text
    return text


async def _stream_async(client: Any, expected: str) -> str:
    text = ""
    async for event in await client.responses.create(input=f"Say {expected}", stream=True):
        text = _append(text, event)
    return text


async def _stream_helper_async(client: Any, expected: str) -> str:
    async with client.responses.stream(input=f"Say {expected}") as stream:
        text: str = (await stream.get_final_response()).output_text
    return text


def _texts(name: str) -> Iterator[str]:
    """Yield texts of different lengths that no other caller requests."""
    for number in itertools.count():
        yield f"{name} requests number {number}" + " and more" * (number % 7)


def call_sync(clients: list[Any], name: str, outcomes: Outcomes, deadline: float) -> None:
    """Make calls until the monotonic clock reaches `deadline`."""
    methods: list[Callable[[Any, str], str]] = [_create, _stream, _stream_helper]
    for client, method, expected in zip(itertools.cycle(clients), itertools.cycle(methods), _texts(name), strict=False):
        start = time.monotonic()
        if start >= deadline:
            return
        try:
            result: str | BaseException = method(client, expected)
        except Exception as error:
            result = error
        outcome, is_defect = classify(expected, result)
        outcomes.record(outcome, time.monotonic() - start, is_defect=is_defect)


def call_forked(clients: list[Any], name: str, deadline: float, outcomes: Connection) -> None:
    """Make calls in a forked child, and send the outcomes to the parent."""
    own = Outcomes()
    call_sync(clients, name, own, deadline)
    outcomes.send(own.as_message())
    outcomes.close()


async def call_async(clients: list[Any], name: str, outcomes: Outcomes, deadline: float) -> None:
    """Make calls until the monotonic clock reaches `deadline`."""
    methods: list[Callable[[Any, str], Awaitable[str]]] = [_create_async, _stream_async, _stream_helper_async]
    for client, method, expected in zip(itertools.cycle(clients), itertools.cycle(methods), _texts(name), strict=False):
        start = time.monotonic()
        if start >= deadline:
            return
        try:
            result: str | BaseException = await method(client, expected)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            result = error
        outcome, is_defect = classify(expected, result)
        outcomes.record(outcome, time.monotonic() - start, is_defect=is_defect)
