"""Fixtures for all tests: a simulator, and clients of both kinds that are logged in to it."""

from __future__ import annotations

import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.sync_adapter import SyncAdapter

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_configure() -> None:
    """Allow SIGINT in the programs that tests start, even if the tests run in the background of a shell.

    A shell starts a background job with SIGINT ignored, and child processes inherit ignored signals.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Iterator[int]:
    """Start two workers more than there are processors, because tests spend two thirds of their time waiting."""
    processors: int = yield
    return processors + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the tests with the longest timeouts first, so that no worker runs a slow test after the others are idle."""
    items.sort(key=_timeout_seconds, reverse=True)


def _timeout_seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return 0 if marker is None else marker.args[0]


@pytest.fixture(scope="session")
def session_sim() -> Iterator[Simulator]:
    """A simulator that all tests of a process share."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def sim(session_sim: Simulator) -> Simulator:
    """A simulator without recorded requests, script or faults."""
    session_sim.clear()
    return session_sim


@pytest.fixture(params=["sync", "async"])
def new_client(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Callable[..., Any]]:
    """Construct clients of both kinds, logged in to the simulator, with `max_retries=0`."""
    if request.param == "sync":
        clients: list[Any] = []

        def make_sync(**options: Any) -> Any:
            clients.append(sim.client(**{"max_retries": 0, **options}))
            return clients[-1]

        yield make_sync
        for thread in threading.enumerate():
            if thread.name == "codex-batch":  # a request that a batch abandoned may be connecting
                thread.join(timeout=0.2)
        for client in clients:
            client.close()
        return
    with start_blocking_portal() as portal:
        async_clients: list[Any] = []

        def make_async(**options: Any) -> Any:
            async_clients.append(sim.async_client(**{"max_retries": 0, **options}))
            return SyncAdapter(async_clients[-1], portal)

        yield make_async
        for client in async_clients:
            portal.call(client.close)


@pytest.fixture
def client(new_client: Callable[..., Any]) -> Any:
    return new_client()


@pytest.fixture
def bodies(sim: Simulator) -> Callable[[], list[dict[str, Any]]]:
    """The bodies of the response requests that the simulator has received."""
    return lambda: [request.json() for request in sim.requests if request.path.endswith("/responses")]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that accepts no connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        queue = [socket.socket() for _ in range(3)]
        for pending in queue:
            pending.setblocking(False)
            pending.connect_ex(listener.getsockname())
        time.sleep(0.1)
        yield listener.getsockname()[1]
        for pending in queue:
            pending.close()
