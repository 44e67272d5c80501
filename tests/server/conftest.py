"""Fixtures: the local server on a socket of its own, with the simulator behind it.

`serve()` starts a server in a thread, with an event loop of its own, and returns a `RunningServer`. `server` is one
with the default settings.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest

from codex_backend_sdk.server.application import create_app
from codex_backend_sdk.server.http_server import LocalServer, base_urls, listen
from codex_backend_sdk.server.request_log import RequestLog
from codex_backend_sdk.server.server_settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette

    from codex_backend_sdk import AsyncOpenAI
    from codex_backend_sdk.testing import Simulator

KEY = "sk-codex-the-key-of-the-tests"
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


@dataclass
class RunningServer:
    """A running local server. `lines` are those of its log, `notices` its other lines for the user."""

    client: AsyncOpenAI
    settings: ServerSettings
    lines: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    base_url: str = ""
    app: Starlette | None = None
    _server: LocalServer | None = None
    _thread: threading.Thread | None = None
    _http: httpx2.Client | None = None

    @property
    def root(self) -> str:
        """The address without `/v1`."""
        return self.base_url.removesuffix("/v1")

    @property
    def port(self) -> int:
        return int(self.root.rpartition(":")[2])

    def start(self) -> None:
        sockets = listen(self.settings.hosts, self.settings.port)
        self.base_url = base_urls(sockets)[0]
        log = RequestLog(lambda line, is_problem: self.lines.append(line), key=self.settings.key)
        self.app = create_app(self.client, self.settings, log=log, print_traceback=self.tracebacks.append)
        ready = threading.Event()
        self._server = LocalServer(self.app, self.settings, echo=self.notices.append, on_ready=ready.set)
        server = self._server

        async def serve() -> None:
            await server.serve(sockets)
            await self.client.close()

        self._thread = threading.Thread(target=lambda: asyncio.run(serve()), name="local-server", daemon=True)
        self._thread.start()
        assert ready.wait(_START_SECONDS)
        self._http = httpx2.Client(base_url=self.base_url, headers={"authorization": f"Bearer {KEY}"}, timeout=30)

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send a request with the key. `path` begins with `/` and is below `/v1`; a whole URL is used as it is."""
        assert self._http is not None
        return self._http.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        return self.request("POST", path, **options)

    def openai_client(self, **options: Any) -> openai.OpenAI:
        """Return an official client for this server."""
        return openai.OpenAI(base_url=self.base_url, api_key=KEY, **{"max_retries": 0, **options})

    def stop(self) -> None:
        if self._http is not None:
            self._http.close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_SECONDS)
            assert not self._thread.is_alive()


@pytest.fixture
def serve(sim: Simulator) -> Iterator[Callable[..., RunningServer]]:
    """Start servers. Arguments are those of `ServerSettings`; `client` is by default one of the simulator."""
    servers: list[RunningServer] = []

    def start(*, client: AsyncOpenAI | None = None, **settings: Any) -> RunningServer:
        defaults = {"key": KEY, "port": 0, "grace_seconds": 1.0}
        server = RunningServer(
            client or sim.async_client(unsupported=settings.get("unsupported", "drop"), max_retries=0),
            ServerSettings(**{**defaults, **settings}),
        )
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., RunningServer]) -> RunningServer:
    return serve()
