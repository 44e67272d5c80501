"""Locks that a forked child finds free.

A child has no other thread than the one that forked: what another one had locked would stay so for ever. All that is
guarded here is changed by single assignments, so a child can go on with what it finds.
"""

from __future__ import annotations

import os
import threading
from typing import Final
from weakref import WeakSet

__all__ = ["Lock"]


class Lock:
    """A `threading.Lock`, and a new one in every child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _ALL.add(self)

    def acquire(self, *, timeout: float = -1) -> bool:
        """Wait for it, at most `timeout` seconds (-1: for ever); False when that was not enough."""
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        """Let the next one have it."""
        self._lock.release()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()


_ALL: Final[WeakSet[Lock]] = WeakSet()


def _free_all() -> None:
    for lock in list(_ALL):
        lock._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
