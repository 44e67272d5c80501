"""The way back from the browser: what it is told, and the server on loopback that tells it.

`Conversation` knows what to answer to which address and how the sign-in ends; it is not tied to the server, so that
an address can as well be pasted. Paths, answers and their order: Codex CLI login/src/server.rs.
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
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_HOST, CALLBACK_PATH
from .. import _oauth
from .._failures import CANCELLED, login_failed
from . import pages
from .ports import listener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...types import Login, Secret
    from .._deadline import Limit

__all__ = ["Answer", "Conversation", "bound", "serving"]

log = logging.getLogger("codex_backend_sdk.auth")

_BIND_ATTEMPTS: Final = 10
_BIND_PAUSE_SECONDS: Final = 0.2
_CONNECTION_SECONDS: Final = 30  # an idle connection is dropped after this time; it blocks nobody meanwhile
_SUCCESS_PAGE_SECONDS: Final = 3.0  # the browser fetches it at once, or never
_FAILURE_PAGE_SECONDS: Final = 0.3  # it waits for it already
_STOP_SECONDS: Final = 2.0
_STOP_BYTES: Final = 4096
_WAIT_SECONDS: Final = 0.2  # short enough for Ctrl-C on Windows, where a wait cannot be interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer to the browser; after one that `is_last` the server is not needed any more."""

    status: int
    body: str = ""
    content_type: str = "text/plain"
    location: str | None = None
    is_last: bool = False


class Conversation:
    """One sign-in. `answer()` may be called by many threads at once; the first conclusion stays."""

    def __init__(self, state: str, complete: Callable[[Secret], Login], limit: Limit) -> None:
        self._state = state
        self._complete = complete
        self._limit = limit
        self._guard = threading.Lock()  # for what follows; never held while something is waited for
        self._has_come_back = False
        self._login: Login | None = None
        self._error: Exception | None = None
        self._signed_in_at: float | None = None  # monotonic
        self._decided = threading.Event()
        self._over = threading.Event()
        self._routes: dict[str, Callable[[str], Answer]] = {
            CALLBACK_PATH: self._callback,
            "/success": self._success,
            "/cancel": self._cancel,
        }

    def answer(self, target: str) -> Answer:
        """Answer a GET of `target` (path and query). It may take as long as exchanging the code takes."""
        path, _, query = target.partition("?")
        return self._routes.get(path, _not_found)(query)

    @property
    def is_over(self) -> bool:
        """Tell whether it is decided how the sign-in ends."""
        return self._decided.is_set()

    def end(self) -> None:
        """Tell `wait()` that the browser has seen the last page."""
        self._over.set()

    def wait(self) -> Login:
        """Return the login, or raise why there is none; LoginFailedError once the limit is reached."""
        try:
            while not self._over.wait(_WAIT_SECONDS) and not self._is_enough():
                pass
        finally:  # an interrupt ends the sign-in, too
            self._give_up(CANCELLED, code="cancelled")
        if self._login is None:
            raise self._error or AssertionError("a conversation ended without an outcome")
        if self._limit.is_cancelled:  # whoever cancelled is not told of a login, but a stored one stays
            self._limit.check()
        return self._login

    def _is_enough(self) -> bool:
        """Tell whether the last page need not be waited for."""
        if self._signed_in_at is not None:
            is_late = time.monotonic() > self._signed_in_at + _SUCCESS_PAGE_SECONDS
            return is_late or self._limit.is_cancelled
        reached = self._limit.reached
        if reached is None:
            return False
        self._give_up(reached[0], code=reached[1])
        if self._has_come_back:  # a browser waits for the page that says so
            self._over.wait(_FAILURE_PAGE_SECONDS)
        return True

    def _callback(self, query: str) -> Answer:
        outcome = _oauth.check_callback(query, expected_state=self._state)
        if outcome.kind == "mismatch":
            return Answer(status=400, body=outcome.message or "")
        with self._guard:
            is_first, self._has_come_back = not self._has_come_back, True
        # A page that is loaded again gets the same answer: the code is good for one exchange only.
        if is_first:
            threading.Thread(target=self._decide, args=(outcome,), name="codex-sign-in-exchange", daemon=True).start()
        self._decided.wait()
        return self._page()

    def _decide(self, outcome: _oauth.CallbackOutcome) -> None:
        if outcome.code is None:
            self._settle(error=login_failed(outcome.message or "", code=outcome.error_code))
            return
        try:
            self._settle(self._complete(outcome.code))
        except Exception as error:  # `wait()` raises it
            self._settle(error=error)

    def _give_up(self, message: str, *, code: str) -> None:
        if not self.is_over:
            self._settle(error=login_failed(message, code=code))

    def _settle(self, login: Login | None = None, *, error: Exception | None = None) -> None:
        """Decide how the sign-in ends, once."""
        with self._guard:
            if self.is_over:
                return
            self._login, self._error = login, error
            if login is None:
                self._limit.stop()  # an exchange that still goes on is for nothing
            else:
                self._signed_in_at = time.monotonic()
            self._decided.set()

    def _page(self) -> Answer:
        if self._login is not None:
            # A redirect, so that the address with the code in it does not stay in the browser's history.
            return Answer(status=302, location="/success")
        # A LoginFailedError has a code; what else `complete` raises comes from the store.
        code = getattr(self._error, "code", None) or "persist_failed"
        return _html(pages.failure_page(str(self._error), code=code))

    def _success(self, query: str) -> Answer:
        return _not_found(query) if self._login is None else _html(pages.success_page())

    def _cancel(self, query: str) -> Answer:
        self._give_up(CANCELLED, code="cancelled")
        return Answer(status=200, body=CANCELLED, is_last=True)


def _html(page: str) -> Answer:
    return Answer(status=200, body=page, content_type="text/html", is_last=True)


def _not_found(query: str) -> Answer:
    return Answer(status=404, body="Not Found")


class _Server(socketserver.ThreadingTCPServer):
    """One thread a connection: browsers open spare connections and leave them idle."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    # On Windows this option would let two programs listen on the same port.
    allow_reuse_address = os.name != "nt"
    conversation: Conversation

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("A connection of the sign-in broke off.", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = _CONNECTION_SECONDS
    server: _Server

    def do_GET(self) -> None:
        answer = self.server.conversation.answer(self.path)
        try:
            self._write(answer)
        finally:
            if answer.is_last:
                self.server.conversation.end()

    def _write(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        if answer.location is not None:
            self.send_header("Location", answer.location)
        self.send_header("Content-Type", f"{answer.content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request line holds the authorization code."""

    def version_string(self) -> str:
        return "codex-backend-sdk"


@contextmanager
def bound(ports: Sequence[int], limit: Limit) -> Iterator[_Server]:
    """Listen on the first port that is free, or becomes free when asked for; LoginFailedError when none is in time."""
    for port in ports:
        server = _bind(port, limit)
        if server is not None:
            with server:
                yield server
            return
    taken = " and ".join(_with_holder(port) for port in ports)
    raise login_failed(
        f"The sign-in needs a port on {CALLBACK_HOST} to come back to, and {taken} cannot be used: another program "
        "listens there. End that program, or the other sign-in, and try again.",
        code="port_in_use",
    )


def _with_holder(port: int) -> str:
    holder = listener(port)
    return f"{port} (held by {holder})" if holder else str(port)


def _bind(port: int, limit: Limit) -> _Server | None:
    """Listen on a port. An older sign-in that still waits there is asked to stop, as the Codex CLI does."""
    for attempt in range(_BIND_ATTEMPTS):
        limit.check()
        try:
            return _Server((CALLBACK_HOST, port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                log.debug("Port %d cannot be used: %s", port, error)
                return None
        if attempt == 0:
            _ask_to_stop(port, limit)
        limit.pause(_BIND_PAUSE_SECONDS)
    return None


def _ask_to_stop(port: int, limit: Limit) -> None:
    """Ask for /cancel. Whatever listens there is unknown: it gets little time, however much it has to say."""
    limit = limit.shorter(_STOP_SECONDS)
    request = f"GET /cancel HTTP/1.1\r\nHost: {CALLBACK_HOST}:{port}\r\nConnection: close\r\n\r\n"
    with suppress(OSError), socket.create_connection((CALLBACK_HOST, port), timeout=_STOP_SECONDS) as other:
        other.sendall(request.encode())
        other.settimeout(_WAIT_SECONDS)
        while limit.reached is None:
            with suppress(TimeoutError):
                if not other.recv(_STOP_BYTES):
                    break


@contextmanager
def serving(server: _Server, conversation: Conversation) -> Iterator[None]:
    """Answer the browser meanwhile."""
    server.conversation = conversation
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="codex-sign-in", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
