"""Receive the callback of a browser login: a state machine, and a loopback server that passes requests to it.

`LoginCallback` maps paths to responses and determines the outcome of the login. It is independent of the server, so
that a pasted URL and a request are handled alike. Wire source (paths, responses, order): Codex CLI,
login/src/server.rs.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_HOST, CALLBACK_PATH
from ..._threads import start_in_thread
from .. import _auth_errors
from .._oauth import AuthorizationResponse, parse_authorization_response
from . import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...types import Login, Secret
    from .._deadline import LoginDeadline

__all__ = ["CallbackResponse", "LoginCallback", "bind_callback_server", "serve_callback"]

log = logging.getLogger("codex_backend_sdk.auth")

_BIND_ATTEMPTS: Final = 10
_BIND_PAUSE_SECONDS: Final = 0.2
_IDLE_CONNECTION_SECONDS: Final = 30
# How long the server waits after the login for the browser to load the last page.
_SUCCESS_PAGE_SECONDS: Final = 3.0
_FAILURE_PAGE_SECONDS: Final = 0.3  # shorter, because the browser is already waiting for this page
_CANCEL_REQUEST_SECONDS: Final = 2.0
_CANCEL_RESPONSE_BYTES: Final = 4096
_POLL_SECONDS: Final = 0.2  # short, because on Windows Ctrl-C does not interrupt a wait


# --- the state machine -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CallbackResponse:
    """An HTTP response for the browser. The server can stop after a response with `is_last=True`."""

    status: int
    body: str = ""
    content_type: str = "text/plain"
    location: str | None = None
    is_last: bool = False


class LoginCallback:
    """The outcome of one login. `respond()` is thread-safe; the first outcome is final.

    `complete` exchanges the code and stores the tokens. It runs at most once, in a separate thread: a code is valid for
    one exchange, and a browser may load the callback again.
    """

    def __init__(self, state: str, complete: Callable[[Secret], Login], deadline: LoginDeadline) -> None:
        self._state = state
        self._complete = complete
        self._deadline = deadline
        self._lock = threading.Lock()  # guards the fields below; not held while waiting
        self._was_called = False
        self._login: Login | None = None
        self._error: Exception | None = None
        self._logged_in_at: float | None = None  # time.monotonic()
        self._decided = threading.Event()
        self._finished = threading.Event()
        self._routes: dict[str, Callable[[str], CallbackResponse]] = {
            CALLBACK_PATH: self._handle_callback,
            "/success": self._handle_success,
            "/cancel": self._handle_cancel,
        }

    def respond(self, target: str) -> CallbackResponse:
        """Return the response to a GET request for `target` (path and query). May wait for the code exchange."""
        path, _, query = target.partition("?")
        return self._routes.get(path, _not_found)(query)

    @property
    def has_outcome(self) -> bool:
        """True if the login has an outcome."""
        return self._decided.is_set()

    def finish(self) -> None:
        """Make `wait()` return, because the browser has received the last page."""
        self._finished.set()

    def wait(self) -> Login:
        """Wait for the outcome and return the login, or raise its error. Raises LoginFailedError at the deadline."""
        try:
            while not self._finished.wait(_POLL_SECONDS) and not self._should_stop_waiting():
                pass
        finally:  # also after Ctrl-C: an exchange that still runs must not store tokens
            self._fail(_auth_errors.CANCELLED_MESSAGE, code="cancelled")
        if self._login is None:
            raise self._error or AssertionError("the login ended without an outcome")
        if self._deadline.is_cancelled:  # raise even if the login was stored; the stored login is kept
            self._deadline.check()
        return self._login

    def _should_stop_waiting(self) -> bool:
        if self._logged_in_at is not None:
            is_late = time.monotonic() > self._logged_in_at + _SUCCESS_PAGE_SECONDS
            return is_late or self._deadline.is_cancelled
        error = self._deadline.expiry_error
        if error is None:
            return False
        self._set_outcome(error=error)
        if self._was_called:  # a browser waits for the page with the failure
            self._finished.wait(_FAILURE_PAGE_SECONDS)
        return True

    def _handle_callback(self, query: str) -> CallbackResponse:
        response = parse_authorization_response(query, expected_state=self._state)
        if response is None:
            return CallbackResponse(status=400, body="State mismatch")
        with self._lock:
            is_first, self._was_called = not self._was_called, True
        if is_first:
            # Not in this thread: the browser may close its connection while the exchange runs.
            start_in_thread(partial(self._complete_login, response), name="codex-login-exchange", daemon=True)
        self._decided.wait()
        if self._login is not None:
            # A redirect removes the URL with the code from the browser's history.
            return CallbackResponse(status=302, location="/success")
        # LoginFailedError has a code. The store raises the other exceptions of `complete`.
        code = getattr(self._error, "code", None) or "persist_failed"
        return _html_page(pages.failure_page(str(self._error), code=code))

    def _handle_success(self, query: str) -> CallbackResponse:
        return _not_found(query) if self._login is None else _html_page(pages.success_page())

    def _handle_cancel(self, query: str) -> CallbackResponse:
        self._fail(_auth_errors.CANCELLED_MESSAGE, code="cancelled")
        return CallbackResponse(status=200, body=_auth_errors.CANCELLED_MESSAGE, is_last=True)

    def _complete_login(self, response: AuthorizationResponse) -> None:
        if response.code is None:
            self._fail(response.error_message or "", code=response.error_code)
            return
        try:
            self._set_outcome(self._complete(response.code))
        except Exception as error:  # `wait()` raises it
            self._set_outcome(error=error)

    def _fail(self, message: str, *, code: str | None) -> None:
        if not self.has_outcome:  # creating the error imports `openai`, so check first
            self._set_outcome(error=_auth_errors.LoginFailedError(message, code=code))

    def _set_outcome(self, login: Login | None = None, *, error: Exception | None = None) -> None:
        with self._lock:
            if self.has_outcome:
                return
            self._login, self._error = login, error
            if login is None:
                self._deadline.cancel()  # an exchange that still runs must not store tokens
            else:
                self._logged_in_at = time.monotonic()
            self._decided.set()


def _html_page(page: str) -> CallbackResponse:
    return CallbackResponse(status=200, body=page, content_type="text/html", is_last=True)


def _not_found(query: str) -> CallbackResponse:
    return CallbackResponse(status=404, body="Not Found")


# --- the server --------------------------------------------------------------------------------------------------


class _CallbackServer(socketserver.ThreadingTCPServer):
    """A server with one thread for each connection, because browsers open spare connections and leave them idle."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    # On Windows this option would let two programs listen on the same port.
    allow_reuse_address = os.name != "nt"
    callback: LoginCallback

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("A connection to the callback server failed.", exc_info=True)


class _CallbackHandler(BaseHTTPRequestHandler):
    timeout = _IDLE_CONNECTION_SECONDS
    server: _CallbackServer  # pyright: ignore[reportIncompatibleVariableOverride]  # the server that makes the handler

    def do_GET(self) -> None:
        response = self.server.callback.respond(self.path)
        try:
            self._write(response)
        finally:
            if response.is_last:
                self.server.callback.finish()

    def _write(self, response: CallbackResponse) -> None:
        body = response.body.encode()
        self.send_response(response.status)
        if response.location is not None:
            self.send_header("Location", response.location)
        self.send_header("Content-Type", f"{response.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request line contains the authorization code."""

    def version_string(self) -> str:
        return "codex-backend-sdk"


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
            return _CallbackServer((CALLBACK_HOST, port), _CallbackHandler)
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
    request = f"GET /cancel HTTP/1.1\r\nHost: {CALLBACK_HOST}:{port}\r\nConnection: close\r\n\r\n"
    with suppress(OSError), socket.create_connection((CALLBACK_HOST, port), timeout=_CANCEL_REQUEST_SECONDS) as other:
        other.sendall(request.encode())
        other.settimeout(_POLL_SECONDS)
        while deadline.remaining_seconds and not deadline.is_cancelled:
            with suppress(TimeoutError):
                if not other.recv(_CANCEL_RESPONSE_BYTES):
                    break


@contextmanager
def serve_callback(server: _CallbackServer, callback: LoginCallback) -> Iterator[None]:
    """Serve requests in a thread while the block runs."""
    server.callback = callback
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="codex-login-server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
