"""The outcome of a browser login: a state machine that maps requests of the browser to responses.

`LoginCallback` is independent of the server, so that a pasted URL and a request are handled alike. Any web page can
make the browser send a request here, so only a request that knows a secret of this login changes its state: the `state`
of the authorize URL for the callback, and the token of the redirect for the success page. `cancel()` is for the server,
which knows where a request comes from. Wire source (paths, responses, order): Codex CLI, login/src/server.rs.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ..._constants import CALLBACK_PATH
from ..._threads import start_in_thread
from .. import _auth_errors
from .._oauth import AuthorizationResponse, parse_authorization_response
from . import pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...types import Login, Secret
    from .._deadline import LoginDeadline

__all__ = ["CallbackResponse", "LoginCallback"]

# How long `wait` waits after the login for the browser to load the last page.
_SUCCESS_PAGE_SECONDS: Final = 3.0
_FAILURE_PAGE_SECONDS: Final = 0.3  # shorter, because the browser is already waiting for this page
_POLL_SECONDS: Final = 0.2  # short, because on Windows Ctrl-C does not interrupt a wait
_SUCCESS_PATH: Final = "/success"


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
        self._success_query = secrets.token_urlsafe(16)
        self._routes: dict[str, Callable[[str], CallbackResponse]] = {
            CALLBACK_PATH: self._handle_callback,
            _SUCCESS_PATH: self._handle_success,
        }

    def respond(self, target: str) -> CallbackResponse:
        """Return the response to a GET request for `target` (path and query). May wait for the code exchange."""
        path, _, query = target.partition("?")
        return self._routes.get(path, _not_found)(query)

    def cancel(self) -> CallbackResponse:
        """Cancel the login, and return the response to the program that requested it."""
        self._fail(_auth_errors.CANCELLED_MESSAGE, code="cancelled")
        return CallbackResponse(status=200, body=_auth_errors.CANCELLED_MESSAGE, is_last=True)

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
            return CallbackResponse(status=302, location=f"{_SUCCESS_PATH}?{self._success_query}")
        # LoginFailedError has a code. The store raises the other exceptions of `complete`.
        code = getattr(self._error, "code", None) or "persist_failed"
        return _html_page(pages.failure_page(str(self._error), code=code))

    def _handle_success(self, query: str) -> CallbackResponse:
        # Without its token, a web page that loads this path would close the server before the browser has the page.
        is_redirected = hmac.compare_digest(query.encode(), self._success_query.encode())
        if self._login is None or not is_redirected:
            return _not_found(query)
        return _html_page(pages.success_page())

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
