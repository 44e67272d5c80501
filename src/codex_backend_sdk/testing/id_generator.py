"""Generate the identifiers of the simulator; the same seed gives the same identifiers in the same order."""

from __future__ import annotations

import hashlib
import itertools

__all__ = ["IdGenerator"]


class IdGenerator:
    """A thread-safe source of unique identifiers. All parts of one `Simulator` share it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # `next` on a count is atomic under the interpreter's lock: two threads never get the same number.
        self._numbers = itertools.count(1)

    def new(self, prefix: str, length: int = 24) -> str:
        """Return `prefix_` followed by `length` hexadecimal digits."""
        digest = hashlib.sha256(f"{self._seed}:{next(self._numbers)}".encode()).hexdigest()
        return f"{prefix}_{digest[:length]}"
