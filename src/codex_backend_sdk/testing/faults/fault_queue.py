"""Which turn or fault applies to the next request: scripted turns and faults by route, safe to use from any thread.

Each route has two sources, in this order:

1. a queue of turns, each of which applies to one request: `script()`, and `fail()` with a count;
2. turns that repeat until `clear()`, one after the other: `fail(times=None)`. With a probability a seeded generator
   draws whether they apply to a request.

`handshake` is a route as well; its entries name how a TLS handshake fails.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

from ..turns import Turn, as_turn
from .fault_catalog import ROUTES
from .fault_syntax import ParsedFault, parse_fault, route_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..http.asgi_server import HandshakeFailure
    from ..turns import TurnLike

    Entry = Turn | HandshakeFailure

__all__ = ["FaultQueue"]


@dataclass(slots=True)
class _Repeated:
    entries: deque[Entry]
    probability: float


class FaultQueue:
    """The scripted turns and faults of a simulator."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Remove all turns and faults, and restart the random draws from the seed."""
        with self._lock:
            self._queues: dict[str, deque[Entry]] = {}
            self._repeated: dict[str, _Repeated] = {}
            self._use_counts: dict[str, int] = {}
            self._random = random.Random(self._seed)

    def script(self, turns: Iterable[TurnLike]) -> None:
        """Queue turns for `POST /responses`. When one of them is invalid, none is added."""
        entries = [as_turn(turn) for turn in turns]
        with self._lock:
            self._queue(ROUTES["responses"]).extend(entries)

    def fail(
        self, faults: Iterable[str | Turn], *, times: int | None, route: str | None, probability: float | None
    ) -> None:
        """Queue faults, or repeat them with `times=None` or a probability.

        When one of them is invalid, none is added.
        """
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"probability must be between 0 and 1, not {probability}.")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, or None to repeat the fault until clear(); not {times}.")
        faults = list(faults)
        if not faults:
            raise ValueError("fail() needs a fault: a name, such as 'overloaded', or a Turn.")
        path = None if route is None else route_path(route)
        parsed = [_parse(fault) for fault in faults]
        with self._lock:
            for fault in parsed:
                # A failed handshake happens before the request has a route.
                fault_path = path if path is not None and isinstance(fault.turn, Turn) else fault.path
                count = None if probability is not None else fault.count or times
                if count is None:
                    self._repeat(fault_path, fault.turn, 1.0 if probability is None else probability)
                else:
                    self._queue(fault_path).extend(repeat(fault.turn, count))

    def take(self, path: str) -> Turn | None:
        """Return the turn for the request that has just arrived at this path; None for the default response."""
        entry = self._next(path)
        return entry if isinstance(entry, Turn) else None

    def next_handshake(self) -> HandshakeFailure:
        """Return how the next TLS handshake fails. The simulator has no TLS, so `plain` is the default."""
        entry = self._next(ROUTES["handshake"])
        return "plain" if entry is None or isinstance(entry, Turn) else entry

    def count_use(self, key: str, limit: int | None) -> bool:
        """Count one more use of the key; return whether it is still within the limit."""
        with self._lock:
            self._use_counts[key] = self._use_counts.get(key, 0) + 1
            return limit is None or self._use_counts[key] <= limit

    def _queue(self, path: str) -> deque[Entry]:
        return self._queues.setdefault(path, deque())

    def _repeat(self, path: str, entry: Entry, probability: float) -> None:
        repeated = self._repeated.setdefault(path, _Repeated(deque(), probability))
        repeated.entries.append(entry)
        repeated.probability = probability

    def _next(self, path: str) -> Entry | None:
        with self._lock:
            if queue := self._queues.get(path):
                return queue.popleft()
            repeated = self._repeated.get(path)
            if repeated is None or self._random.random() >= repeated.probability:
                return None
            repeated.entries.rotate(-1)
            return repeated.entries[-1]


def _parse(fault: str | Turn) -> ParsedFault:
    if isinstance(fault, Turn):
        return ParsedFault(fault, ROUTES["responses"], None, has_explicit_route=False)
    if isinstance(fault, str):
        return parse_fault(fault)
    raise TypeError(f"fail() takes the names of faults and Turns, not {fault!r:.80}.")
