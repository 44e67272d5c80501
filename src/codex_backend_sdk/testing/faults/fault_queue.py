"""Select the scripted turn or the fault for each request.

Each route has two sources. The first one that has an entry applies:

1. A queue of turns. Each entry applies to one request. `script()` and `fail()` with a count add entries.
2. A cycle of turns that repeats until `clear()`. `fail(times=None)` adds entries. If a probability is set, a seeded
   random generator decides for each request whether the next entry applies.

TLS handshakes use the pseudo-route `handshake`. Its entries are handshake failures instead of turns.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict, deque
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

    _Entry = Turn | HandshakeFailure

__all__ = ["FaultQueue"]


@dataclass(slots=True)
class _RepeatedFaults:
    """Faults that apply in turn to the requests of a route, each request with this probability."""

    entries: deque[_Entry]
    probability: float


class FaultQueue:
    """The scripted turns and faults of a simulator, by route. The class is thread-safe."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Remove all turns and faults, and restart the random draws from the seed."""
        with self._lock:
            self._queues: defaultdict[str, deque[_Entry]] = defaultdict(deque)
            self._repeated: dict[str, _RepeatedFaults] = {}
            self._header_uses: Counter[tuple[str, str]] = Counter()
            self._random = random.Random(self._seed)

    def script(self, turns: Iterable[TurnLike]) -> None:
        """Queue turns for `POST /responses`. If one of them is invalid, raise `TypeError` and queue none."""
        entries = [as_turn(turn) for turn in turns]
        with self._lock:
            self._queues[ROUTES["responses"]].extend(entries)

    def fail(
        self, faults: Iterable[str | Turn], *, times: int | None, route: str | None, probability: float | None
    ) -> None:
        """Queue each fault for `times` requests, or repeat the faults until `clear()`.

        Faults repeat if `times` is None or `probability` is given. `route` overrides the routes of the faults. Raises
        ValueError or TypeError if an argument or a fault is invalid; then no fault is queued.
        """
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"Invalid probability: {probability}. Pass a number from 0 to 1.")
        if times is not None and times < 1:
            raise ValueError(f"Invalid value of times: {times}. Pass 1 or more, or None to repeat the fault.")
        route_override = None if route is None else route_path(route)
        parsed_faults = [_parse(fault) for fault in faults]
        if not parsed_faults:
            raise ValueError("fail() has no faults. Pass a name, such as 'overloaded', or a Turn.")
        with self._lock:
            for fault in parsed_faults:
                # A TLS handshake precedes the request, so it has no other route.
                has_route = isinstance(fault.turn, Turn)
                path = route_override if route_override is not None and has_route else fault.path
                # A probability overrides all counts; a count in the name of the fault overrides `times`.
                count = None if probability is not None else fault.count or times
                if count is not None:
                    self._queues[path].extend(repeat(fault.turn, count))
                    continue
                repeated = self._repeated.setdefault(path, _RepeatedFaults(deque(), 1.0))
                repeated.entries.append(fault.turn)
                repeated.probability = 1.0 if probability is None else probability

    def next_turn(self, path: str) -> Turn | None:
        """Return the turn for the next request on this path, or None if the default response applies."""
        entry = self._next(path)
        return entry if isinstance(entry, Turn) else None

    def next_handshake_failure(self) -> HandshakeFailure:
        """Return the failure of the next TLS handshake: `plain` by default, because the simulator has no TLS."""
        entry = self._next(ROUTES["handshake"])
        return "plain" if entry is None or isinstance(entry, Turn) else entry

    def count_header_use(self, path: str, header: str, *, limit: int | None) -> bool:
        """Count a request with this `x-simulator-fault` header; return whether the fault still applies to it."""
        with self._lock:
            self._header_uses[path, header] += 1
            return limit is None or self._header_uses[path, header] <= limit

    def _next(self, path: str) -> _Entry | None:
        with self._lock:
            if queue := self._queues.get(path):
                return queue.popleft()
            repeated = self._repeated.get(path)
            if repeated is None or self._random.random() >= repeated.probability:
                return None
            repeated.entries.rotate(-1)  # move the first entry, which applies now, to the end
            return repeated.entries[-1]


def _parse(fault: str | Turn) -> ParsedFault:
    if isinstance(fault, Turn):
        return ParsedFault(fault, ROUTES["responses"], None, has_explicit_route=False)
    if isinstance(fault, str):
        return parse_fault(fault)
    raise TypeError(f"Invalid argument of fail(): {fault!r:.80}. Pass names of faults or Turns.")
