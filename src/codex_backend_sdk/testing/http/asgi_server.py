"""Serve an ASGI application on a loopback socket, in a background thread with its own event loop.

The server is uvicorn with three changes for test suites:

- Start and stop take milliseconds. The server waits for an event instead of polling ten times a second.
- Stopping takes a bounded time: after half a second, the server aborts the connections of responses in progress.
- An application can access the connection of its request (`CONNECTION_EXTENSION` in the ASGI scope). It can write raw
  bytes, close the connection in the middle of a response, reset it, and take it over for another protocol.

The server supports plain HTTP only. A TLS handshake fails, and a test can select the failure.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive

__all__ = [
    "CONNECTION_EXTENSION",
    "HANDSHAKE_FAILURES",
    "ControlledConnection",
    "HandshakeFailure",
    "ProtocolReceiver",
    "ServerThread",
    "listen",
    "wait_for_disconnect",
]

_START_TIMEOUT_SECONDS = 10.0
_STOP_TIMEOUT_SECONDS = 10.0
# The time for which responses in progress may continue after `stop`, before their connections are aborted.
_GRACE_SECONDS = 0.5

# The key in `scope["extensions"]` under which an application finds the connection of its request.
CONNECTION_EXTENSION = "codex_simulator.connection"

# The response to a TLS handshake: a plain HTTP response, a TLS alert, a closed connection, a reset connection, or no
# data.
HandshakeFailure = Literal["plain", "alert", "closed", "reset", "silent"]
HANDSHAKE_FAILURES: tuple[HandshakeFailure, ...] = get_args(HandshakeFailure)

_TLS_HANDSHAKE_RECORD = 0x16  # the first byte that a TLS client sends (RFC 8446, 5.1)
_HANDSHAKE_RESPONSES: dict[HandshakeFailure, bytes] = {
    "plain": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "alert": bytes((0x15, 3, 3, 0, 2, 2, 40)),  # fatal, handshake_failure (RFC 8446, 6)
}
# The value of SO_LINGER for a linger time of 0. Closing such a socket sends RST instead of FIN.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Port 0 selects a free port. Raises `OSError` if the address is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on a socket with an explicit protocol. Without it, each response is delayed by 40
    # ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # On Windows, SO_REUSEADDR would let two programs listen on the same port.
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


async def wait_for_disconnect(receive: Receive, timeout_seconds: float | None = None) -> bool:
    """Wait until the client disconnects, for `timeout_seconds` at most. Return whether it disconnected."""
    with anyio.move_on_after(timeout_seconds):
        while (await receive())["type"] != "http.disconnect":
            pass
        return True
    return False


class ProtocolReceiver(Protocol):
    """The receiver of the bytes of a connection after an upgrade."""

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        ...

    def connection_lost(self) -> None:
        """Process the end of the connection."""
        ...

    def shut_down(self) -> None:
        """End the connection because the server stops."""
        ...


class ControlledConnection(H11Protocol):
    """A server connection on which an application can send raw bytes and end the connection during a response.

    `next_handshake_failure` is called when a client starts a TLS handshake, and returns the failure of this handshake.
    """

    def __init__(self, *args: Any, next_handshake_failure: Callable[[], HandshakeFailure], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_handshake = next_handshake_failure
        self._is_first_read = True
        self._ignores_input = False
        self._is_paused = False
        self._receiver: ProtocolReceiver | None = None
        wrapped_app = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[CONNECTION_EXTENSION] = self
            await wrapped_app(scope, receive, send)

        self.app = app

    def data_received(self, data: bytes) -> None:
        """Process received bytes. asyncio calls this method."""
        if self._receiver is not None:
            self._receiver.data_received(data)
            return
        if self._is_first_read and data[0] == _TLS_HANDSHAKE_RECORD:
            self._ignores_input = True
            failure = self._next_handshake()
            self.write(_HANDSHAKE_RESPONSES.get(failure, b""))
            if failure != "silent":
                self.end(reset=failure == "reset")
        self._is_first_read = False
        if not self._ignores_input:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Process the end of the connection. asyncio calls this method."""
        super().connection_lost(exc)
        if self._receiver is not None:
            self._receiver.connection_lost()

    def switch_protocol(self, receiver: ProtocolReceiver) -> None:
        """Pass all further bytes to `receiver`, after the response to an upgrade request was written."""
        self._receiver = receiver
        self.flow.resume_reading()
        early_data, _ = self.conn.trailing_data
        if early_data:
            receiver.data_received(early_data)

    def _unsupported_upgrade_warning(self) -> None:
        """Log nothing: uvicorn passes the upgrade request to the application, which accepts or rejects it.

        Afterwards uvicorn stops reading. Resume it, to notice a client that disconnects before the response.
        """
        self.loop.call_soon(self.flow.resume_reading)

    def shutdown(self) -> None:
        """End the connection because the server stops. `_FastStoppingServer` calls this method."""
        if self._receiver is not None:
            self._receiver.shut_down()
        # A paused response would use up the grace period without sending a byte.
        elif self._is_paused:
            self.transport.abort()
        else:
            super().shutdown()

    def write(self, data: bytes) -> None:
        """Send raw bytes, unless the connection is closing."""
        if data and not self.is_closing():
            self.transport.write(data)

    def is_closing(self) -> bool:
        """Return whether either side has closed the connection."""
        return self.transport.is_closing()

    def is_flushed(self) -> bool:
        """Return whether all bytes were passed to the operating system, or the connection is closing."""
        return self.is_closing() or self.transport.get_write_buffer_size() == 0

    def end(self, *, reset: bool) -> None:
        """End the connection without completing the HTTP response.

        Close it after the write buffer is sent, or with `reset`, reset it immediately and discard the buffer.
        """
        if not reset:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        if not self.is_closing() and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def write_eof(self) -> None:
        """Send FIN after the write buffer. The client can still send bytes."""
        if not self.is_closing():
            self.transport.write_eof()

    def end_if_open(self) -> None:
        """Close the connection if neither side has closed it."""
        if not self.is_closing():
            self.end(reset=False)

    async def pause(self, seconds: float | None, receive: Receive) -> bool:
        """Pause for `seconds`, or without a limit if it is None. Return True as soon as the client disconnects."""
        self._is_paused = True
        try:
            return await wait_for_disconnect(receive, seconds)
        finally:
            self._is_paused = False


class _FastStoppingServer(uvicorn.Server):
    """A uvicorn server that waits for an event instead of polling, and that stops within a bounded time."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            try:
                await asyncio.wait_for(self._stop_requested.wait(), 1.0)
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
        await asyncio.sleep(0)  # run the event loop once: aborted transports then close their sockets

    def request_stop(self) -> None:
        """Request the server to stop, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop_requested.set)


class ServerThread:
    """A thread that serves `app` on a listening socket."""

    def __init__(
        self, app: ASGIApp, listener: socket.socket, *, next_handshake_failure: Callable[[], HandshakeFailure]
    ) -> None:
        # Disable logging, signal handlers and the lifespan protocol: they belong to the program that uses the
        # simulator.
        config = uvicorn.Config(
            app,
            http=cast(Any, partial(ControlledConnection, next_handshake_failure=next_handshake_failure)),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,  # `RecordingMiddleware` sends the time of the simulator's clock
        )
        self._listener = listener
        self._server = _FastStoppingServer(config)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="codex-simulator", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until the server accepts requests."""
        self._thread.start()
        if not self._server.ready.wait(_START_TIMEOUT_SECONDS) or self._failure is not None:
            self.stop()
            raise RuntimeError(
                f"The simulator's server did not start within {_START_TIMEOUT_SECONDS:.0f} s. Start it again."
            ) from self._failure

    def stop(self) -> None:
        """Stop the server, close the socket and join the thread."""
        self._server.request_stop()
        self._thread.join(_STOP_TIMEOUT_SECONDS)
        self._listener.close()
        if self._thread.is_alive():
            raise RuntimeError(
                f"The simulator's thread did not stop within {_STOP_TIMEOUT_SECONDS:.0f} s. "
                "Make sure that no scripted turn blocks."
            )

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:  # `start` raises an error in the caller's thread
            self._failure = error
        finally:
            self._server.ready.set()
