"""Look up the routing of a workspace, and cache it for a client and its copies.

The first model request of an account triggers a lookup and waits for it. Concurrent requests of the same account wait
for the same lookup (one lock per account; for tasks, one per account and event loop). A result is valid for a day. A
failed lookup never makes a call fail: the requests use the previous routing, or `base_url`, a warning is logged once,
and the next lookup follows after a minute. Only a login that cannot be refreshed ends the call, as it would without a
lookup.

The lookup bypasses the client's pipeline, which would retry it and count it as a call: the client passes a function
that signs and sends a single request. Wire source: Codex CLI, workspace_routing.rs; there a failed lookup ends the
turn.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from .._body_buffer import BodyBuffer, BodyTooLargeError
from .._connections import io_deadline
from .._redaction import redact
from .._request.context import PreparedOptions, RequestContext
from .._request.routes import Route
from .._threads import create_lock
from .._upstream import FinalRequestOptions, request_exceptions, timeout_exceptions
from .._urls import is_websocket_url
from ..types import Routing
from .workspace_parsing import RoutingProblem, apply_routing, needs_lookup, parse_routing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    import httpx2

    from ..auth import CredentialSource
    from ..types import Login

__all__ = ["ACCOUNTS_CHECK_PATH", "RoutedClient", "RoutingLookup", "WorkspaceRouting", "cached_routing"]

_log = logging.getLogger("codex_backend_sdk")

ACCOUNTS_CHECK_PATH: Final = "/wham/accounts/check"
# The CLI waits 15 s and then ends the turn. Here the call continues, so the timeout is shorter.
_LOOKUP_TIMEOUT_SECONDS: Final = 10.0
_MAX_BODY_BYTES: Final = 1_000_000
_RETRY_LOOKUP_AFTER_SECONDS: Final = 60.0
# Bounded, because a workspace may get a region while a program runs for months.
_VALID_SECONDS: Final = 24 * 3600.0
# Bounds the cache of a server that signs each request with the login of a different user.
_MAX_ACCOUNTS: Final = 1000

# Account endpoints always use the configured backend, and a request for models alone does not justify a lookup.
_ROUTES_WITH_LOOKUP: Final = frozenset({Route.RESPONSES, Route.COMPACT})
_UNCONSTRAINED: Final = Routing()


class _CachedRouting:
    """The cached routing of one account and backend. `routing` is None before the first successful lookup."""

    def __init__(self) -> None:
        self.routing: Routing | None = None
        self.next_lookup_at = float("-inf")
        self.has_warned = False
        self.lock = create_lock()  # held by the thread whose lookup is running

    def store(self, routing: Routing, *, now: float) -> None:
        self.routing, self.next_lookup_at, self.has_warned = routing, now + _VALID_SECONDS, False


class WorkspaceRouting:
    """The routing cache of a client and its copies.

    `clock` returns monotonic seconds. `timeout` is the longest time for one lookup request, in seconds.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
        timeout: float = _LOOKUP_TIMEOUT_SECONDS,
    ) -> None:
        self._enabled = enabled
        self.clock = clock
        self.timeout = timeout
        self._entries: dict[tuple[str, str], _CachedRouting] = {}
        self._lock = create_lock()

    def lookup_for(self, options: object, login: Login, *, backend: str) -> RoutingLookup | None:
        """Return the lookup to run before this request, or None if the routing is cached or not needed."""
        if not _is_model_request(options):
            return None
        entry = self._entry(login, backend)
        if entry is None or self.clock() < entry.next_lookup_at:
            return None
        return RoutingLookup(entry, login=login, backend=backend, clock=self.clock, timeout=self.timeout)

    def get(self, login: Login, *, backend: str) -> Routing | None:
        """Return the cached routing of a login, or None if it is not cached. Send no request."""
        entry = self._entry(login, backend)
        return _UNCONSTRAINED if entry is None else entry.routing

    def store(self, routing: Routing, login: Login, *, backend: str) -> None:
        """Store a routing that was not fetched by a lookup (`codex-backend doctor`)."""
        entry = self._entry(login, backend)
        if entry is not None:
            entry.store(routing, now=self.clock())

    def apply(self, options: PreparedOptions, login: Login, *, backend: str) -> None:
        """Apply the routing of the login to the URL and headers of a request."""
        routing = self.get(login, backend=backend)
        if routing is None or routing == _UNCONSTRAINED or options.url.startswith("/wham/"):
            return
        options.url, headers = apply_routing(routing, backend=backend, path=options.url)
        options.headers = {**(options.headers or {}), **headers}

    def _entry(self, login: Login, backend: str) -> _CachedRouting | None:
        """Return the cache entry of a login, or None if it needs no lookup."""
        if not self._enabled or not needs_lookup(login, backend=backend):
            return None
        key = (backend, login.account_id or "")
        with self._lock:
            if key not in self._entries and len(self._entries) >= _MAX_ACCOUNTS:
                del self._entries[next(iter(self._entries))]
            return self._entries.setdefault(key, _CachedRouting())


def _is_model_request(options: object) -> bool:
    """Return whether the options are those of a model request or of the handshake of a WebSocket for responses."""
    if isinstance(options, PreparedOptions):
        return options.context.route in _ROUTES_WITH_LOOKUP
    return is_websocket_url(getattr(options, "url", ""))


class RoutingLookup:
    """A lookup for one account, which concurrent calls share.

    `send` signs and sends one request, does not follow redirects, and returns the response before its body is read.
    `refresh` refreshes a login that the backend rejected. It is called at most once.
    """

    def __init__(
        self, entry: _CachedRouting, *, login: Login, backend: str, clock: Callable[[], float], timeout: float
    ) -> None:
        self._entry = entry
        self._login = login
        self._backend = backend
        self._clock = clock
        self._timeout = timeout

    def run(self, send: Callable[[PreparedOptions], httpx2.Response], refresh: Callable[[Login], Login]) -> Login:
        """Look up the routing, unless another thread already did. Return the login for the request."""
        login = self._login
        with self._entry.lock:
            if not self._is_due():
                return login
            try:
                status, body = self._fetch(send, login)
                if status == 401:
                    login = refresh(login)
                    status, body = self._fetch(send, login)
                self._store(status, body)
            except _lookup_exceptions() as error:
                self._record_failure(self._failure_reason(error))
        return login

    async def run_async(
        self,
        send: Callable[[PreparedOptions], Awaitable[httpx2.Response]],
        refresh: Callable[[Login], Awaitable[Login]],
    ) -> Login:
        """Look up the routing, unless another task already did. Return the login for the request."""
        login = self._login
        async with _task_lock(self._entry):
            if not self._is_due():
                return login
            try:
                status, body = await self._fetch_async(send, login)
                if status == 401:
                    login = await refresh(login)
                    status, body = await self._fetch_async(send, login)
                self._store(status, body)
            except _lookup_exceptions() as error:
                self._record_failure(self._failure_reason(error))
        return login

    def _fetch(self, send: Callable[[PreparedOptions], httpx2.Response], login: Login) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout
        response = send(self._options(login, deadline))
        with io_deadline(deadline):
            body = BodyBuffer(_MAX_BODY_BYTES)
            try:
                for chunk in response.iter_bytes():
                    body.add(chunk)
                    if time.monotonic() > deadline:
                        raise TimeoutError
            finally:
                response.close()
        return response.status_code, bytes(body)

    async def _fetch_async(
        self, send: Callable[[PreparedOptions], Awaitable[httpx2.Response]], login: Login
    ) -> tuple[int, bytes]:
        with anyio.fail_after(self._timeout):
            response = await send(self._options(login, None))
            body = BodyBuffer(_MAX_BODY_BYTES)
            try:
                async for chunk in response.aiter_bytes():
                    body.add(chunk)
            finally:
                await response.aclose()
        return response.status_code, bytes(body)

    def _options(self, login: Login, deadline: float | None) -> PreparedOptions:
        options = FinalRequestOptions.construct(method="get", url=ACCOUNTS_CHECK_PATH, timeout=self._timeout)
        prepared = PreparedOptions.from_options(options, RequestContext(route=Route.ACCOUNT, deadline=deadline))
        prepared.login = login
        return prepared

    def _is_due(self) -> bool:
        return self._clock() >= self._entry.next_lookup_at

    def _store(self, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            self._record_failure(f"the response has status {status}")
            return
        routing = parse_routing(body, account_id=self._login.account_id or "", backend=self._backend)
        if isinstance(routing, RoutingProblem):
            self._record_failure(routing.value)
            return
        self._entry.store(routing, now=self._clock())
        if routing != _UNCONSTRAINED:
            text = redact(str(routing), (self._login.access_token.reveal(),))
            _log.info("The requests of this workspace go to %s.", text)

    def _record_failure(self, reason: str) -> None:
        entry = self._entry
        entry.next_lookup_at = self._clock() + _RETRY_LOOKUP_AFTER_SECONDS
        _log.log(
            logging.DEBUG if entry.has_warned else logging.WARNING,
            "The routing lookup for this workspace (GET %s at %s) failed: %s. Its requests go to %s. The next lookup "
            "follows in a minute. Pass `workspace_routing=False` to turn lookups off.",
            ACCOUNTS_CHECK_PATH,
            self._backend,
            reason,
            "base_url" if entry.routing is None else "the same backend as before",
        )
        entry.has_warned = True

    def _failure_reason(self, error: Exception) -> str:
        if isinstance(error, BodyTooLargeError):
            return f"the response {error}"
        if isinstance(error, (TimeoutError, *timeout_exceptions())):
            return f"no complete response was received within {self._timeout:g} s"
        return f"the connection failed ({type(error).__name__})"


class RoutedClient(Protocol):
    """The attributes of a client that `cached_routing` reads."""

    credentials: CredentialSource
    _routing: WorkspaceRouting

    @property
    def base_url(self) -> httpx2.URL: ...


def cached_routing(client: RoutedClient) -> Routing | None:
    """Return the cached routing of the cached login, or None if either is missing. Send no request."""
    login = client.credentials.ready()
    return None if login is None else client._routing.get(login, backend=str(client.base_url))


def _lookup_exceptions() -> tuple[type[Exception], ...]:
    return (TimeoutError, BodyTooLargeError, *timeout_exceptions(), *request_exceptions())


_task_locks: Final[RunVar[MutableMapping[_CachedRouting, anyio.Lock]]] = RunVar("codex_backend_sdk_routing")


def _task_lock(entry: _CachedRouting) -> anyio.Lock:
    """Return the lock for an entry in this event loop: a task cannot wait for the lock of another loop."""
    try:
        locks = _task_locks.get()
    except LookupError:
        locks = WeakKeyDictionary()
        _task_locks.set(locks)
    return locks.setdefault(entry, anyio.Lock())
