"""HTTP clients whose connection pool belongs to one process and, in async code, to one event loop.

A forked child must not use the pool of its parent: a thread that does not exist in the child may hold its lock, and its
connections are in use. A second event loop cannot use the connections of the first. Both get a new pool with the same
options. httpx2 reads the attributes `_transport` and `_mounts` for each request and when it closes, so these are
properties here, which return the pool to use. A test checks this.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import openai

from ._threads import create_lock, reset_in_child
from ._upstream import AsyncHttpxClientWrapper, SyncHttpxClientWrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import httpx2

__all__ = ["AsyncPooledClient", "PooledClient", "has_ended", "running_loop"]


class _Pool(NamedTuple):
    """The transports of an HTTP client: the default one, and those for some URLs, such as proxies."""

    transport: Any
    mounts: dict[Any, Any]


class _Pools:
    """The pools of one HTTP client. The first owner gets `first`; `open_client` opens a client with another pool."""

    def __init__(self, first: _Pool, open_client: Callable[[], httpx2.Client | httpx2.AsyncClient]) -> None:
        self._unused: list[_Pool] = [first]
        self._open_client = open_client
        self._lock = create_lock()
        self._by_owner: dict[Hashable, _Pool] = {}
        reset_in_child(self, _Pools._forget)

    def get(self, owner: Hashable) -> _Pool:
        """Return the pool of this owner, or open one. Drop the pools of event loops that have ended."""
        pool = self._by_owner.get(owner)
        if pool is not None:
            return pool
        with self._lock:
            for other in [other for other in self._by_owner if has_ended(other)]:
                del self._by_owner[other]
            if owner not in self._by_owner:
                self._by_owner[owner] = self._unused.pop() if self._unused else self._open()
            return self._by_owner[owner]

    def _open(self) -> _Pool:
        client = self._open_client()
        return _Pool(client._transport, client._mounts)

    def close(self) -> None:
        """Close the pools of a sync client."""
        for pool in (*self._by_owner.values(), *self._unused):
            for transport in (pool.transport, *pool.mounts.values()):
                if transport is not None:
                    transport.close()

    def _forget(self) -> None:
        self._by_owner, self._unused = {}, []


def _pool_attribute(name: str) -> Any:
    """Return a property for an attribute of the pool. The constructor of the HTTP client sets the first value."""
    field = name.lstrip("_")

    def get(client: PooledClient | AsyncPooledClient) -> Any:
        pools: _Pools | None = vars(client).get("_pools")
        return vars(client)[name] if pools is None else getattr(pools.get(client._owner()), field)

    def set_first(client: PooledClient | AsyncPooledClient, value: Any) -> None:
        vars(client)[name] = value

    return property(get, set_first)


class PooledClient(SyncHttpxClientWrapper):
    """openai's sync HTTP client, with a new pool in a forked child."""

    _transport = _pool_attribute("_transport")
    _mounts = _pool_attribute("_mounts")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools = _take_first_pool(self, partial(openai.DefaultHttpxClient, **options))
        # openai's `__del__` also closes the connections, but may run after the finalizers of the sockets, which then
        # warn. The callback of a weak reference runs before them.
        weakref.finalize(self, self._pools.close).atexit = False

    def _owner(self) -> None:
        """The pool belongs to the process."""


class AsyncPooledClient(AsyncHttpxClientWrapper):
    """openai's async HTTP client, with a new pool in each event loop and in a forked child."""

    _transport = _pool_attribute("_transport")
    _mounts = _pool_attribute("_mounts")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._pools = _take_first_pool(self, partial(openai.DefaultAsyncHttpxClient, **options))

    def _owner(self) -> Hashable:
        return running_loop()


def _take_first_pool(
    client: PooledClient | AsyncPooledClient, open_client: Callable[[], httpx2.Client | httpx2.AsyncClient]
) -> _Pools:
    attributes = vars(client)
    return _Pools(_Pool(attributes.pop("_transport"), attributes.pop("_mounts")), open_client)


def running_loop() -> Hashable:
    """Return the event loop of asyncio or the token of trio's, or None outside an event loop."""
    # Check trio first, because it can run as a guest of asyncio's loop.
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            return cast("Hashable", trio.lowlevel.current_trio_token())
        except RuntimeError:
            pass
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def has_ended(owner: Any) -> bool:
    """Return whether this event loop, or trio token, belongs to a loop that has ended. None never ends."""
    if owner is None:
        return False
    if isinstance(owner, asyncio.AbstractEventLoop):
        return owner.is_closed()
    try:
        owner.run_sync_soon(int)  # trio's token raises an error if its loop has ended
    except RuntimeError:
        return True
    return False
