"""What happens to which of the next requests; safe to use from any thread."""

from __future__ import annotations

import random
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Schedule"]

T = TypeVar("T")


@dataclass(slots=True)
class _Standing(Generic[T]):
    """What happens to every request, or to a part of them: one after the other, from the beginning again."""

    waiting: deque[T]
    probability: float

    def next(self, chance: float) -> T | None:
        if chance >= self.probability:
            return None
        self.waiting.rotate(-1)
        return self.waiting[-1]


class Schedule(Generic[T]):
    """What is due, by place: first what stands in its queue, then what always happens there."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything; the draws begin anew."""
        with self._lock:
            self._queues: dict[str, deque[T]] = {}
            self._standing: dict[str, _Standing[T]] = {}
            self._counts: dict[str, int] = {}
            self._random = random.Random(self._seed)

    def add(self, place: str, turns: Sequence[T]) -> None:
        """Let these happen to the next requests, one to each."""
        with self._lock:
            self._queues.setdefault(place, deque()).extend(turns)

    def stand(self, place: str, turns: Sequence[T], *, probability: float = 1.0) -> None:
        """Let these happen from now on, with that probability, beside what does already."""
        with self._lock:
            before = self._standing.get(place)
            self._standing[place] = _Standing(deque([*(before.waiting if before else ()), *turns]), probability)

    def take(self, place: str) -> T | None:
        """Return what happens to the request that has just arrived, or None."""
        with self._lock:
            queue, standing = self._queues.get(place), self._standing.get(place)
            if queue:
                return queue.popleft()
            return None if standing is None else standing.next(self._random.random())

    def is_within(self, key: str, times: int | None) -> bool:
        """Count one more time for the key; False once there were more than so many."""
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1
            return times is None or self._counts[key] <= times
