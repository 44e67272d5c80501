"""Keep the open connections of a client, and decide when to use HTTP instead of the WebSocket.

A connection belongs to one key: backend, account, and conversation or prompt cache key. At most one response is in
flight on it: a second call with the same key opens another connection.

`Availability` is the policy for failures, in the order of the table:

    the status of the upgrade is 426     HTTP for good
    the upgrade fails in another way     HTTP for a minute, and twice as long after each further failure, up to an hour
    a connection is lost                 another connection; the second loss in a row counts as a failed upgrade
    a message is too large               HTTP for this request; not counted
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from math import inf
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from .._pools import has_ended, running_loop
from .._threads import create_lock, reset_in_child
from .connection import AsyncConnection, BaseConnection, Connection, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Availability", "ConnectionPool", "keep_alive", "keep_alive_async"]

_ConnectionT = TypeVar("_ConnectionT", bound=BaseConnection)

_FIRST_COOL_DOWN_SECONDS: Final = 60.0
_MAX_COOL_DOWN_SECONDS: Final = 3600.0
# Two losses in a row, because a single one is normal: a server that restarts, or a network that changes.
_TOLERATED_LOSSES: Final = 1
_MAX_IDLE_CONNECTIONS: Final = 100


class Availability:
    """Whether the WebSocket of a backend may be used. A client and its copies share one object.

    Attributes:
        reason: Why the WebSocket is not used at present, or None.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.reason: str | None = None
        self._monotonic = monotonic
        self._unavailable_until = 0.0
        self._cool_down = _FIRST_COOL_DOWN_SECONDS
        self._losses = 0

    def is_available(self) -> bool:
        """Return whether to try the WebSocket."""
        return self._monotonic() >= self._unavailable_until

    def record_refusal(self, reason: str, *, for_good: bool = False) -> None:
        """Record that the upgrade failed."""
        self.reason = reason
        self._losses = 0
        self._unavailable_until = inf if for_good else self._monotonic() + self._cool_down
        self._cool_down = min(2 * self._cool_down, _MAX_COOL_DOWN_SECONDS)

    def record_loss(self, reason: str) -> None:
        """Record that a connection was lost during a response."""
        self._losses += 1
        if self._losses > _TOLERATED_LOSSES:
            self.record_refusal(reason)

    def record_success(self) -> None:
        """Record that a response was received."""
        self.reason = None
        self._losses = 0
        self._cool_down = _FIRST_COOL_DOWN_SECONDS


class ConnectionPool(Generic[_ConnectionT]):
    """The idle connections of a client, by key.

    A key is a tuple. It begins with the event loop of async connections, which no other loop can close, or None, and
    ends with the conversation.
    """

    def __init__(self) -> None:
        self._lock = create_lock()
        self._idle: dict[Key, list[_ConnectionT]] = {}
        reset_in_child(self, ConnectionPool._forget)

    def take(self, key: Key) -> tuple[_ConnectionT | None, list[_ConnectionT]]:
        """Remove and return a usable connection with this key, or None, and the connections to close."""
        unusable: list[_ConnectionT] = []
        with self._lock:
            for other in [other for other in self._idle if has_ended(other[0])]:
                del self._idle[other]  # the connections cannot be closed in another loop
            connections = self._idle.get(key, [])
            while connections:
                connection = connections.pop()
                if connection.is_usable():
                    return connection, unusable
                unusable.append(connection)
            self._idle.pop(key, None)
        return None, unusable

    def put(self, connection: _ConnectionT) -> list[_ConnectionT]:
        """Keep a connection for the next call. Return the connections to close: those unused for the longest time."""
        with self._lock:
            # A key that is used moves to the end, so that the oldest keys come first.
            self._idle[connection.key] = [*self._idle.pop(connection.key, []), connection]
            surplus: list[_ConnectionT] = []
            keys = [key for key in self._idle if key[0] == connection.key[0]]
            while sum(len(self._idle[key]) for key in keys) > _MAX_IDLE_CONNECTIONS:
                surplus += self._idle.pop(keys.pop(0))
            return surplus

    def remove_all(self, owner: Hashable, matches: Callable[[Key], bool] = lambda key: True) -> list[_ConnectionT]:
        """Remove and return the idle connections of an event loop, or of no loop, whose key matches."""
        with self._lock:
            keys = [key for key in self._idle if key[0] == owner and matches(key)]
            return [connection for key in keys for connection in self._idle.pop(key)]

    def _forget(self) -> None:
        self._idle = {}


# --- pings -------------------------------------------------------------------------------------------------------


class _Heartbeats:
    """A thread that calls `heartbeat()` of all open sync connections. It ends when there are none."""

    def __init__(self) -> None:
        self._lock = create_lock()
        self._connections: list[weakref.ref[Connection]] = []
        self._is_running = False
        reset_in_child(self, _Heartbeats._forget)

    def add(self, connection: Connection) -> None:
        with self._lock:
            self._connections.append(weakref.ref(connection))
            if self._is_running:
                return
            self._is_running = True
        threading.Thread(target=self._run, name="codex-websocket-pings", daemon=True).start()

    def _run(self) -> None:
        interval = 1.0
        while True:
            time.sleep(interval)
            with self._lock:
                alive = [(reference, reference()) for reference in self._connections]
                self._connections = [
                    reference for reference, connection in alive if connection is not None and not connection.is_closed
                ]
                if not self._connections:
                    self._is_running = False
                    return
            for _, connection in alive:
                if connection is not None and not connection.is_closed:
                    connection.heartbeat()
            intervals = [connection.timing.ping for _, connection in alive if connection is not None]
            del alive
            connection = None
            interval = min(intervals, default=1.0) / 5

    def _forget(self) -> None:
        self._connections, self._is_running = [], False


_heartbeats: Final = _Heartbeats()


def keep_alive(connection: Connection) -> None:
    """Send pings on a sync connection until it is closed or discarded."""
    _heartbeats.add(connection)


def keep_alive_async(connection: AsyncConnection) -> None:
    """Send pings on an async connection until it is closed or discarded.

    Only asyncio has timers outside a task. With trio, pings are sent while a response is read.
    """
    loop = running_loop()
    if isinstance(loop, asyncio.AbstractEventLoop):
        _schedule(loop, weakref.ref(connection), connection.timing.ping / 2)


_heartbeat_tasks: Final[set[asyncio.Task[None]]] = set()


def _schedule(loop: asyncio.AbstractEventLoop, reference: weakref.ref[AsyncConnection], seconds: float) -> None:
    def beat() -> None:
        connection = reference()
        if connection is None or connection.is_closed:
            return
        task = loop.create_task(connection.heartbeat())
        _heartbeat_tasks.add(task)  # a loop keeps only weak references to its tasks
        task.add_done_callback(_heartbeat_tasks.discard)
        _schedule(loop, reference, seconds)

    loop.call_later(seconds, beat)
