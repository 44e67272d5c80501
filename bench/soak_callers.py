"""The callers of a soak: each asks for a text of its own again and again, and notes how that ended."""

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

__all__ = ["RIGHT", "Outcomes", "call_async", "call_sync", "outcome_of"]

RIGHT: Final = "right answer"


class Outcomes:
    """How the calls ended, and how long they took; safe to use from any thread."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.seconds = array("d")
        self.defects: list[str] = []
        self._lock = threading.Lock()

    def note(self, outcome: str, seconds: float, *, is_defect: bool = False) -> None:
        """Count a call; a defect is kept in words, too."""
        with self._lock:
            self.counts[outcome.partition(":")[0]] += 1
            self.seconds.append(seconds)
            if is_defect and len(self.defects) < 20:
                self.defects.append(outcome)

    def percentile(self, share: float) -> float:
        """Return the time within which that share of the calls had ended, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def outcome_of(wanted: str, got: str | BaseException) -> tuple[str, bool]:
    """Return how a call ended, and whether that is a defect: a wrong text, or an error without a type."""
    if isinstance(got, str):
        return (RIGHT, False) if got == wanted else (f"WRONG TEXT: wanted {wanted!r}, got {got!r}", True)
    partial = getattr(got, "partial", None)
    arrived = "" if partial is None else partial.output_text
    if not wanted.startswith(arrived):
        return f"WRONG PART: wanted {wanted!r}, {type(got).__name__} has {arrived!r}", True
    if not isinstance(got, openai.OpenAIError):
        return f"UNTYPED ERROR: {got!r}", True
    return type(got).__name__, False


def _read(text: str, event: Any) -> str:
    """Return the text of a stream after this event; an answer that begins anew makes void what came before."""
    if event.type == "response.created":
        return ""
    return text + event.delta if event.type == "response.output_text.delta" else text


def _plain(client: Any, wanted: str) -> str:
    text: str = client.responses.create(input=f"Say {wanted}").output_text
    return text


def _streamed(client: Any, wanted: str) -> str:
    text = ""
    for event in client.responses.create(input=f"Say {wanted}", stream=True):
        text = _read(text, event)
    return text


def _helped(client: Any, wanted: str) -> str:
    with client.responses.stream(input=f"Say {wanted}") as stream:
        text: str = stream.get_final_response().output_text
    return text


async def _plain_async(client: Any, wanted: str) -> str:
    text: str = (await client.responses.create(input=f"Say {wanted}")).output_text
    return text


async def _streamed_async(client: Any, wanted: str) -> str:
    text = ""
    async for event in await client.responses.create(input=f"Say {wanted}", stream=True):
        text = _read(text, event)
    return text


async def _helped_async(client: Any, wanted: str) -> str:
    async with client.responses.stream(input=f"Say {wanted}") as stream:
        text: str = (await stream.get_final_response()).output_text
    return text


def _texts(name: str) -> Iterator[str]:
    """Yield texts that nobody else asks for, of different lengths."""
    for number in itertools.count():
        yield f"{name} asks for the number {number}" + " and more" * (number % 7)


def call_sync(clients: list[Any], name: str, outcomes: Outcomes, until: float) -> None:
    """Make calls until then."""
    ways: list[Callable[[Any, str], str]] = [_plain, _streamed, _helped]
    for client, way, wanted in zip(itertools.cycle(clients), itertools.cycle(ways), _texts(name), strict=False):
        begun = time.monotonic()
        if begun >= until:
            return
        try:
            got: str | BaseException = way(client, wanted)
        except Exception as error:
            got = error
        outcome, is_defect = outcome_of(wanted, got)
        outcomes.note(outcome, time.monotonic() - begun, is_defect=is_defect)


async def call_async(clients: list[Any], name: str, outcomes: Outcomes, until: float) -> None:
    """Make calls until then."""
    ways: list[Callable[[Any, str], Awaitable[str]]] = [_plain_async, _streamed_async, _helped_async]
    for client, way, wanted in zip(itertools.cycle(clients), itertools.cycle(ways), _texts(name), strict=False):
        begun = time.monotonic()
        if begun >= until:
            return
        try:
            got: str | BaseException = await way(client, wanted)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            got = error
        outcome, is_defect = outcome_of(wanted, got)
        outcomes.note(outcome, time.monotonic() - begun, is_defect=is_defect)
