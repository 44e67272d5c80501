"""Locks that a forked child finds free.

A child has no other thread than the one that forked: what another one had locked would stay so for ever. All that is
guarded here is changed by single assignments, so a child can go on with what it finds.
"""

from __future__ import annotations

import os
import threading
from typing import Final
from weakref import WeakSet

__all__ = ["new_lock"]


def new_lock() -> threading.Lock:
    """Return a lock; it is free in every child.

    It is a plain one: Ctrl-C in the `__enter__` of a class of ours could leave it locked, with nobody to release it.
    """
    lock = threading.Lock()
    _ALL.add(lock)
    return lock


_ALL: Final[WeakSet[threading.Lock]] = WeakSet()


def _free_all() -> None:
    for lock in list(_ALL):
        lock._at_fork_reinit()  # type: ignore[attr-defined]  # what threading and logging do with theirs


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free_all)
