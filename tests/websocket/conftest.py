"""Fixtures: a backend whose WebSocket follows a script, and clients of both kinds that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.clocks import RecordingClock
from support.scripted_backend import ScriptedServer
from support.sync_adapter import SyncAdapter

from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "the-access-token"


class FixedLogin:
    """Credentials that count refreshes. Each refresh returns another token."""

    def __init__(self) -> None:
        self.refreshes = 0

    def ready(self) -> Login:
        return Login(access_token=Secret(f"{TOKEN}-{self.refreshes}"), account_id="account", plan="plus")

    current = ready

    def refresh(self, rejected: Login) -> Login:
        self.refreshes += 1
        return self.ready()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as scripted_server:
        yield scripted_server


@pytest.fixture
def credentials() -> FixedLogin:
    return FixedLogin()


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


@pytest.fixture
def client_options(credentials: FixedLogin, clock: RecordingClock, server: ScriptedServer) -> dict[str, Any]:
    """Options for `transport="websocket"` with a clock that does not wait."""
    return {
        "base_url": server.base_url,
        "credentials": credentials,
        "clock": clock,
        "workspace_routing": False,
        "transport": "websocket",
    }


@pytest.fixture
def new_async_client(client_options: dict[str, Any]) -> Callable[..., AsyncOpenAI]:
    """Construct async clients, for tests with an event loop of their own."""
    return lambda **given: AsyncOpenAI(**{**client_options, **given})


@pytest.fixture(params=["sync", "async"])
def new_client(request: pytest.FixtureRequest, client_options: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Construct clients of both kinds."""
    if request.param == "sync":
        clients: list[OpenAI] = []

        def make_sync(**given: Any) -> Any:
            clients.append(OpenAI(**{**client_options, **given}))
            return clients[-1]

        yield make_sync
        for client in clients:
            client.close()
        return
    with start_blocking_portal() as portal:
        async_clients: list[AsyncOpenAI] = []

        def make_async(**given: Any) -> Any:
            async_clients.append(AsyncOpenAI(**{**client_options, **given}))
            return SyncAdapter(async_clients[-1], portal)

        yield make_async
        for async_client in async_clients:
            portal.call(async_client.close)


@pytest.fixture
def client(new_client: Callable[..., Any]) -> Any:
    return new_client()
