from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.blocking import Blocking

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def pytest_configure() -> None:
    """Allow SIGINT in the programs that tests start, even if the tests run in the background of a shell.

    A shell starts such a job with SIGINT ignored, and what is ignored stays so in every process below it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Iterator[int]:
    """Start two workers more than there are processors: tests wait for two thirds of their time."""
    processors: int = yield
    return processors + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the tests that may take minutes, so that none is left when the other workers are idle."""
    items.sort(key=_seconds_allowed, reverse=True)


def _seconds_allowed(item: pytest.Item) -> float:
    of_its_own = item.get_closest_marker("timeout")
    return 0 if of_its_own is None else of_its_own.args[0]


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """A simulator without recorded requests, script or faults."""
    running.clear()
    return running


@pytest.fixture(params=["sync", "async"])
def new_client(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Callable[..., Any]]:
    """Construct clients of both kinds, logged in to the simulator, with `max_retries=0`."""
    if request.param == "sync":
        clients: list[Any] = []

        def make(**options: Any) -> Any:
            clients.append(sim.client(**{"max_retries": 0, **options}))
            return clients[-1]

        yield make
        for client in clients:
            client.close()
        return
    with start_blocking_portal() as portal:
        opened: list[Any] = []

        def make_async(**options: Any) -> Any:
            opened.append(sim.async_client(**{"max_retries": 0, **options}))
            return Blocking(opened[-1], portal)

        yield make_async
        for client in opened:
            portal.call(client.close)


@pytest.fixture
def client(new_client: Callable[..., Any]) -> Any:
    return new_client()


@pytest.fixture
def bodies(sim: Simulator) -> Callable[[], list[dict[str, Any]]]:
    """The bodies of the response requests that the simulator has received."""
    return lambda: [r.json() for r in sim.requests if r.path.endswith("/responses")]
