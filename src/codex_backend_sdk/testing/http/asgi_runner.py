"""Run an ASGI application on a local socket, in a thread with an event loop of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from .connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from .connection import Handshake

__all__ = ["Runner", "listen"]

_START_SECONDS = 10.0
# How long answers that are under way may go on after `stop`, before their connections are aborted.
_GRACE_SECONDS = 0.5
_STOP_SECONDS = 10.0


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small writes at once only on a socket that names its protocol; otherwise each answer is 40 ms late.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # On Windows this option would let two programs share the port.
        if sys.platform != "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(512)
    except OSError:
        found.close()
        raise
    return found


class _Server(uvicorn.Server):
    """uvicorn's server, which sleeps instead of polling and ends in bounded time."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # also keeps the Date header right
            try:
                await asyncio.wait_for(self._leave.wait(), 1.0)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in list(connections):
            connection.shutdown()
        if tasks:
            await asyncio.wait(list(tasks), timeout=_GRACE_SECONDS)
        for connection in list(connections):
            connection.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # lets the aborted transports close their sockets

    def leave(self) -> None:
        """Ask the server to end; called from another thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leave.set)


class Runner:
    """An application that is being served; `start` returns when it is reachable, `stop` when it is gone."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, handshake: Callable[[], Handshake] = lambda: "plain"
    ) -> None:
        # Logging and signals belong to the program that uses the simulator.
        config = uvicorn.Config(
            app,
            http=cast(Any, partial(Connection, handshake=handshake)),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        self._listener = listener
        self._server = _Server(config)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="codex-simulator", daemon=True)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()
        if not self._server.ready.wait(_START_SECONDS) or self._failure is not None:
            self.stop()
            raise RuntimeError("The simulator did not start") from self._failure

    def stop(self) -> None:
        """Stop serving: answers under way are cut after half a second."""
        self._server.leave()
        self._thread.join(_STOP_SECONDS)
        self._listener.close()
        if self._thread.is_alive():
            raise RuntimeError(f"The simulator's thread did not end within {_STOP_SECONDS:.0f} s")

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:  # handed over to the thread that starts it
            self._failure = error
        finally:
            self._server.ready.set()
