"""Receive the callback of a browser login on a loopback port, and pass its requests to a `LoginCallback`.

Every program of this machine and every web page in its browser can connect to the port, so the server

- responds to requests for its own address only: a page whose host name was rebound to 127.0.0.1 sends another `Host`;
- cancels the login for programs only, which send none of the headers that a browser adds (`_BROWSER_HEADERS`);
- keeps 16 connections at most. A new one replaces the oldest one that has sent no complete request;
- ends every connection when the login ends, also one that is silent or sends a byte now and then.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_HOST
from .. import _auth_errors
from .login_callback import CallbackResponse, LoginCallback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import Message

    from .._deadline import LoginDeadline

__all__ = ["bind_callback_server", "serve_callback"]

log = logging.getLogger("codex_backend_sdk.auth")

_BIND_ATTEMPTS: Final = 10
_BIND_PAUSE_SECONDS: Final = 0.2
_MAX_CONNECTIONS: Final = 16
_IDLE_CONNECTION_SECONDS: Final = 30
# How long a response that is being written when the login ends may take.
_LAST_RESPONSE_SECONDS: Final = 1.0
_CANCEL_PATH: Final = "/cancel"
_CANCEL_REQUEST_SECONDS: Final = 2.0
_CANCEL_RESPONSE_BYTES: Final = 4096
_POLL_SECONDS: Final = 0.2  # short, because on Windows Ctrl-C does not interrupt a wait

# A browser adds one of these to each request, whatever page made it. Another program that needs the port sends `Host`
# and `Connection` only (Codex CLI: login/src/server.rs, send_cancel_request).
_BROWSER_HEADERS: Final = (
    "Origin",
    "Referer",
    "Accept-Language",
    "Sec-Fetch-Site",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Dest",
    "Sec-Fetch-User",
)
_RESPONSE_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Connection": "close",
}


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection and the thread that serves it. `has_request` is True once a complete request has arrived."""

    socket: socket.socket
    thread: threading.Thread = field(default_factory=threading.Thread)
    has_request: bool = False

    def end(self) -> None:
        """End the connection from any thread. Its own thread then closes the socket."""
        with suppress(OSError):  # the client may have ended it
            self.socket.shutdown(socket.SHUT_RDWR)

    def join(self, timeout_seconds: float | None = None) -> None:
        """Wait until its thread has ended."""
        self.thread.join(timeout_seconds)


class _CallbackServer(socketserver.TCPServer):
    """A server with one thread for each connection, because browsers open spare connections and leave them idle."""

    request_queue_size = 64
    # On Windows this option would let two programs listen on the same port.
    allow_reuse_address = os.name != "nt"
    callback: LoginCallback

    def __init__(self, port: int) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._connections: dict[socket.socket, _Connection] = {}  # the oldest first
        super().__init__((CALLBACK_HOST, port), _CallbackHandler)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Serve a new connection in a thread of its own. `serve_forever` calls this method."""
        assert isinstance(request, socket.socket)  # a TCP server has no datagrams
        if not self._make_room():
            self.shutdown_request(request)
            return
        connection = _Connection(request)
        connection.thread = threading.Thread(
            target=self._serve, args=(connection, client_address), name="codex-login-connection", daemon=True
        )
        with self._lock:
            self._connections[request] = connection
        connection.thread.start()

    def _make_room(self) -> bool:
        """End the oldest connection without a request if there are too many. Return whether a new one fits."""
        with self._lock:
            if len(self._connections) < _MAX_CONNECTIONS:
                return True
            oldest = next((each for each in self._connections.values() if not each.has_request), None)
            if oldest is None:
                return False
            del self._connections[oldest.socket]
        oldest.end()
        oldest.join(_LAST_RESPONSE_SECONDS)
        return True

    def _serve(self, connection: _Connection, client_address: object) -> None:
        try:
            self.finish_request(connection.socket, client_address)
        except Exception:  # the client may close the connection at any time
            log.debug("A connection to the callback server failed.", exc_info=True)
        finally:
            self.shutdown_request(connection.socket)
            with self._lock:
                self._connections.pop(connection.socket, None)

    def accept_request(self, request: socket.socket) -> bool:
        """Keep a connection until its response is sent. Return False if it has already been replaced."""
        with self._lock:
            connection = self._connections.get(request)
            if connection is not None:
                connection.has_request = True
            return connection is not None

    def end_connections(self) -> None:
        """End every connection and wait for its thread. Call this after `shutdown`."""
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            if not connection.has_request:
                connection.end()
        for connection in connections:
            connection.join(_LAST_RESPONSE_SECONDS)
            connection.end()
            connection.join()


class _CallbackHandler(BaseHTTPRequestHandler):
    timeout = _IDLE_CONNECTION_SECONDS
    server: _CallbackServer  # pyright: ignore[reportIncompatibleVariableOverride]  # the server that makes the handler
    connection: socket.socket

    def do_GET(self) -> None:
        if not self.server.accept_request(self.connection):
            return
        response = self._respond()
        try:
            self._write(response)
        finally:
            if response.is_last:
                self.server.callback.finish()

    def _respond(self) -> CallbackResponse:
        if not _is_own_host(self.headers, self.server.server_address[1]):
            return CallbackResponse(status=400, body="Invalid Host")
        if self.path.partition("?")[0] != _CANCEL_PATH:
            return self.server.callback.respond(self.path)
        if any(name in self.headers for name in _BROWSER_HEADERS):
            return CallbackResponse(status=403, body="A web page cannot cancel the login")
        return self.server.callback.cancel()

    def _reject_method(self) -> None:
        self._write(CallbackResponse(status=405, body="Method Not Allowed"))

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _reject_method

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond to a request that cannot be parsed. The base class calls this method."""
        self.close_connection = True
        self._write(CallbackResponse(status=code, body=HTTPStatus(code).phrase))

    def _write(self, response: CallbackResponse) -> None:
        body = response.body.encode()
        headers = {
            "Content-Type": f"{response.content_type}; charset=utf-8",
            "Content-Length": str(len(body)),
            **({} if response.location is None else {"Location": response.location}),
            **({"Allow": "GET"} if response.status == HTTPStatus.METHOD_NOT_ALLOWED else {}),
            **_RESPONSE_HEADERS,
        }
        # The base class omits the headers for a request line without a version, and adds its own name to others.
        head = f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.wfile.write(head.encode("ascii") + b"\r\n" + (b"" if self.command == "HEAD" else body))
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request line contains the authorization code."""


def _is_own_host(headers: Message, port: int) -> bool:
    """Return whether the only `Host` header is the address of this server (RFC 9112, 3.2)."""
    hosts = [str(host).strip().lower() for host in headers.get_all("Host", [])]
    return hosts in ([f"{CALLBACK_HOST}:{port}"], [f"localhost:{port}"])


@contextmanager
def bind_callback_server(ports: Sequence[int], deadline: LoginDeadline) -> Iterator[_CallbackServer]:
    """Listen on the first free port. Raises LoginFailedError if all ports are in use.

    If another login is waiting on a port, cancel it first.
    """
    for port in ports:
        server = _bind(port, deadline)
        if server is not None:
            with server:
                yield server
            return
    port_list = " and ".join(str(port) for port in ports)
    raise _auth_errors.LoginFailedError(
        f"The login needs one of the ports {port_list} on {CALLBACK_HOST} for its callback, and other programs use "
        "them. Stop those programs, or log in with a device code: call client.authenticate_device_code() or run "
        "`codex-backend login --device`.",
        code="port_in_use",
    )


def _bind(port: int, deadline: LoginDeadline) -> _CallbackServer | None:
    for attempt in range(_BIND_ATTEMPTS):
        deadline.check()
        try:
            return _CallbackServer(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                log.debug("Port %d cannot be used: %s", port, error)
                return None
        if attempt == 0:
            _cancel_other_login(port, deadline)
        deadline.sleep(_BIND_PAUSE_SECONDS)
    return None


def _cancel_other_login(port: int, deadline: LoginDeadline) -> None:
    """Send GET /cancel, as the Codex CLI does. Wait briefly for the response, because any program may use the port."""
    deadline = deadline.with_timeout(_CANCEL_REQUEST_SECONDS)
    request = f"GET {_CANCEL_PATH} HTTP/1.1\r\nHost: {CALLBACK_HOST}:{port}\r\nConnection: close\r\n\r\n"
    with suppress(OSError), socket.create_connection((CALLBACK_HOST, port), timeout=_CANCEL_REQUEST_SECONDS) as other:
        other.sendall(request.encode())
        other.settimeout(_POLL_SECONDS)
        while deadline.remaining_seconds and not deadline.is_cancelled:
            with suppress(TimeoutError):
                if not other.recv(_CANCEL_RESPONSE_BYTES):
                    break


@contextmanager
def serve_callback(server: _CallbackServer, callback: LoginCallback) -> Iterator[None]:
    """Serve requests in a thread while the block runs. Afterwards no thread and no connection is left."""
    server.callback = callback
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="codex-login-server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        callback.cancel()  # if the block raised an error: a request waits for the outcome
        server.shutdown()
        thread.join()
        server.end_connections()
