"""Run the application on uvicorn. All settings of uvicorn are here, with the reasons where its defaults are wrong.

The server ends on SIGINT and SIGTERM: it accepts no more connections, lets requests continue for `grace_seconds`, and
then ends them with an error (`Slots.close`), which cancels them at the backend. Requests that have not ended shortly
after that, for example because their client does not read, are cancelled. A second Ctrl-C ends the requests at once.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import signal
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.applications import Starlette

    from .server_settings import ServerSettings
    from .slots import Slots

__all__ = ["LocalServer", "base_urls", "listen"]

_MAX_HEADER_BYTES: Final = 64 * 1024
_KEEP_ALIVE_SECONDS: Final = 75
_MIN_CONNECTIONS: Final = 1000
_TLS_HANDSHAKE_RECORD: Final = 0x16  # the first byte that a TLS client sends (RFC 8446, 5.1)
_BACKLOG: Final = 512
# The time to send the errors of `Slots.close`.
_FINAL_ERROR_SECONDS: Final = 2
_FINAL_ERROR_SECONDS_IF_FORCED: Final = 0.5


def listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Return a listening socket for each host, all with the same port. Port 0 selects a free one.

    Raises OSError with a message for the user.
    """
    sockets: list[socket.socket] = []
    try:
        for host in hosts:
            sockets.append(_listen(host, port))
            port = sockets[-1].getsockname()[1]
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # asyncio sets TCP_NODELAY only on a socket with an explicit protocol. Without it, events are delayed.
        listener = socket.socket(family, kind, protocol)
        try:
            if sys.platform == "win32":  # otherwise, another program could listen on the same port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        remedy = (
            "Another `codex-backend serve` may be running: use it, or choose another port with `--port`."
            if error.errno == errno.EADDRINUSE
            else "Check `--host`."
        )
        raise OSError(error.errno, f"Cannot listen on {host}:{port}: {error.strerror or error}. {remedy}") from error
    return listener


def base_urls(sockets: Sequence[socket.socket]) -> list[str]:
    """Return the base URL of each socket for a program of the OpenAI API."""
    addresses = [each.getsockname()[:2] for each in sockets]
    return [f"http://{f'[{host}]' if ':' in host else host}:{port}/v1" for host, port in addresses]


class LocalServer(uvicorn.Server):
    """A uvicorn server for the application.

    `echo` gets a line for the user. `on_ready` is called when the server accepts requests.
    """

    def __init__(
        self,
        app: Starlette,
        settings: ServerSettings,
        *,
        echo: Callable[[str], object],
        on_ready: Callable[[], object] | None = None,
    ) -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # the application reports its errors itself
        config = uvicorn.Config(
            app,
            http=_protocol_class(echo, settings.receive_seconds),
            ws=_WebSocketProtocol,
            loop="asyncio",  # `auto` depends on what is installed
            lifespan="off",
            log_config=None,
            access_log=False,  # `RequestLog` prints the requests, without the query
            server_header=False,
            date_header=True,  # clients compute the wait of `Retry-After` with it
            proxy_headers=False,  # a client must not choose its address or scheme
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,  # longer than clients keep idle connections, or they fail
            timeout_graceful_shutdown=math.ceil(settings.grace_seconds) + _FINAL_ERROR_SECONDS,
            limit_concurrency=max(_MIN_CONNECTIONS, 4 * (settings.concurrency + settings.queue_limit)),
            h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
            ws_max_size=settings.max_body_bytes,
            ws_per_message_deflate=False,  # it costs time, and saves nothing on loopback
            backlog=_BACKLOG,
        )
        super().__init__(config)
        self._echo = echo
        self._on_ready = on_ready
        self._grace_seconds = settings.grace_seconds
        self._slots: Slots = app.state.slots

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, and wait until the running requests have ended. uvicorn calls this method."""
        if self._slots.running:
            self._echo(_stopping(self._slots.running, self._grace_seconds))
        self._slots.close(self._grace_seconds)
        await super().shutdown(sockets)
        if self.force_exit and self.server_state.tasks:
            self._slots.close(0)
            await asyncio.wait(self.server_state.tasks, timeout=_FINAL_ERROR_SECONDS_IF_FORCED)
        for connection in self.server_state.connections:  # of clients that do not read a response or close a connection
            connection.transport.abort()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals as uvicorn does, but do not send them to the process again: the command ends normally."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _stopping(running: int, grace_seconds: float) -> str:
    requests = "1 request is running and has" if running == 1 else f"{running} requests are running and have"
    seconds = f"{grace_seconds:g} second{'' if grace_seconds == 1 else 's'}"
    return f"Stopping. {requests} up to {seconds}. Press Ctrl-C again to stop at once."


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """A WebSocket connection. When the server stops, the route closes it, after the response in flight."""

    def shutdown(self) -> None:
        """End the connection, unless its route does. uvicorn calls this method when it stops."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()


def _protocol_class(echo: Callable[[str], object], head_seconds: float) -> type[Any]:
    class Protocol(H11Protocol):
        """An HTTP connection that handles three cases that uvicorn does not handle.

        - A client that uses `https://` gets no readable error: the connection reports it in a line for the user.
        - uvicorn has no time limit for the head of a request: the connection closes if the head is incomplete after
          `head_seconds`.
        - The websockets library parses the handshake of a WebSocket again. If the library rejects it, for example
          because of a `Content-Length`, uvicorn sends no response: the connection sends a 400.
        """

        _has_read = False
        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
            """Begin a connection. asyncio calls this method."""
            super().connection_made(transport)
            self._limit_head()

        def data_received(self, data: bytes) -> None:
            """Process received bytes. asyncio calls this method."""
            if not self._has_read and data[0] == _TLS_HANDSHAKE_RECORD:
                echo("A client used https://. This server has no TLS: use http:// in its base URL.")
                self.transport.close()
                return
            self._has_read = True
            super().data_received(data)
            self._limit_head()

        def connection_lost(self, exc: Exception | None) -> None:
            """End a connection. asyncio calls this method."""
            self._stop_head_timer()
            super().connection_lost(exc)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            """Let uvicorn's WebSocket protocol take over the connection."""
            super().handle_websocket_upgrade(event)
            protocol: Any = self.transport.get_protocol()
            if not protocol.handshake_initiated:
                self.send_400_response(
                    "The WebSocket handshake is invalid. Send a GET request without a body and without long headers."
                )

        def _limit_head(self) -> None:
            """Start the timer of a head, unless it runs; stop it if the head is complete."""
            if self.conn.their_state is not h11.IDLE:
                self._stop_head_timer()
            elif self._head_timer is None:
                self._head_timer = self.loop.call_later(head_seconds, self.timeout_keep_alive_handler)

        def _stop_head_timer(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return Protocol
