"""Where the requests of a workspace go: asked once, remembered for a client and its copies.

The first model request of an account waits for the answer; calls that come meanwhile wait for the same one. A question
that fails lets them go on, with one warning, and is put again after a pause.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import RunVar

from .._request.context import RequestContext
from .._request.routes import Route
from .._threads import create_lock
from .._upstream import FinalRequestOptions, PreparedOptions, request_exceptions, timeout_exceptions
from ..types import Routing
from .workspace_parsing import Unusable, is_asked, read_routing, routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    import httpx2

    from ..types import Login

__all__ = ["ACCOUNTS", "Question", "WorkspaceRouting", "known_routing"]

_log = logging.getLogger("codex_backend_sdk")

ACCOUNTS: Final = "/wham/accounts/check"
# Codex CLI: 15 s, after which a turn fails; here the call goes on, and it has waited for nothing else yet.
_LIMIT_SECONDS: Final = 10.0
_MOST_BYTES: Final = 1 << 20
_PAUSE_SECONDS: Final = 60.0
# A workspace may be given a region while a program runs for months.
_GOOD_FOR_SECONDS: Final = 24 * 3600.0
_MOST_ACCOUNTS: Final = 1000  # of a server that signs each request with the login of another person

_HELD: Final = frozenset({Route.RESPONSES, Route.COMPACT})
_STAYS: Final = Routing()


class _Known:
    """What is known of one account at one backend."""

    def __init__(self) -> None:
        self.routing: Routing | None = None
        self.asked_again_at = float("-inf")
        self.has_warned = False
        self.lock = create_lock()  # held while somebody asks


class WorkspaceRouting:
    """What a client and its copies know. `clock` counts seconds; `limit`, in seconds, is for one answer."""

    def __init__(
        self, *, enabled: bool = True, clock: Callable[[], float] = time.monotonic, limit: float = _LIMIT_SECONDS
    ) -> None:
        self._enabled = enabled
        self.clock = clock
        self.limit = limit
        self._accounts: dict[tuple[str, str], _Known] = {}
        self._lock = create_lock()

    def question(self, client: Any, options: object, login: Login, *, backend: str) -> Question | None:
        """Return the question that has to be answered before this request is sent, None when there is none."""
        if not isinstance(options, PreparedOptions) or options.context.route not in _HELD:
            return None
        known = self._known(login, backend)
        if known is None or self.clock() < known.asked_again_at:
            return None
        return Question(known, of=self, client=client, login=login, backend=backend)

    def known(self, login: Login, *, backend: str) -> Routing | None:
        """Return where the requests of a login go, None when that is not known."""
        known = self._known(login, backend)
        return _STAYS if known is None else known.routing

    def keep(self, routing: Routing, login: Login, *, backend: str) -> None:
        """Remember where the requests of a login go: somebody has asked."""
        known = self._known(login, backend)
        if known is not None:
            known.routing, known.asked_again_at = routing, self.clock() + _GOOD_FOR_SECONDS

    def lead(self, options: PreparedOptions, login: Login, *, backend: str) -> None:
        """Let a request go where it has to; what the account is asked stays with the configured backend."""
        routing = self.known(login, backend=backend)
        if routing is None or routing == _STAYS or options.url.startswith("/wham/"):
            return
        options.url, headers = routed(routing, backend=backend, path=options.url)
        options.headers = {**(options.headers or {}), **headers}

    def _known(self, login: Login, backend: str) -> _Known | None:
        """Return what is kept for a login, None for one that need not be asked about."""
        if not self._enabled or not is_asked(login, backend=backend):
            return None
        key = (backend, login.account_id or "")
        with self._lock:
            if key not in self._accounts and len(self._accounts) >= _MOST_ACCOUNTS:
                del self._accounts[next(iter(self._accounts))]
            return self._accounts.setdefault(key, _Known())


class Question:
    """The question for one account, however many calls put it. A 401 is for the login to mend, once."""

    def __init__(self, known: _Known, *, of: WorkspaceRouting, client: Any, login: Login, backend: str) -> None:
        self._known = known
        self._client = client
        self._login = login
        self._backend = backend
        self._clock = of.clock
        self._limit = of.limit

    def ask(self, renew: Callable[[Login], Login]) -> Login:
        """Ask, unless another thread has; return the login to go on with, which is a renewed one after a 401."""
        login = self._login
        with self._known.lock:
            if self._is_settled():
                return login
            try:
                status, body = self._fetch(login)
                if status == 401:
                    login = renew(login)
                    status, body = self._fetch(login)
                self._learn(status, body)
            except _failures() as error:
                self._go_on(self._in_words(error))
        return login

    async def ask_async(self, renew: Callable[[Login], Awaitable[Login]]) -> Login:
        """Ask, unless another task has; return the login to go on with, which is a renewed one after a 401."""
        login = self._login
        async with _task_lock(self._known):
            if self._is_settled():
                return login
            try:
                status, body = await self._fetch_async(login)
                if status == 401:
                    login = await renew(login)
                    status, body = await self._fetch_async(login)
                self._learn(status, body)
            except _failures() as error:
                self._go_on(self._in_words(error))
        return login

    def _fetch(self, login: Login) -> tuple[int, bytes]:
        ends = time.monotonic() + self._limit
        response = self._client._client.send(self._request(login), stream=True, follow_redirects=False)
        body = bytearray()
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > _MOST_BYTES:  # what is no whole answer has no entry
                    break
                if time.monotonic() > ends:
                    raise TimeoutError
        finally:
            response.close()
        return response.status_code, bytes(body)

    async def _fetch_async(self, login: Login) -> tuple[int, bytes]:
        with anyio.fail_after(self._limit):
            response = await self._client._client.send(self._request(login), stream=True, follow_redirects=False)
            body = bytearray()
            try:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES:
                        break
            finally:
                await response.aclose()
        return response.status_code, bytes(body)

    def _request(self, login: Login) -> httpx2.Request:
        asked = FinalRequestOptions.construct(method="get", url=ACCOUNTS, timeout=self._limit)
        options = PreparedOptions.of(asked, RequestContext(route=Route.ACCOUNT))
        options.login = login
        request: httpx2.Request = self._client._build_request(options)
        return request

    def _is_settled(self) -> bool:
        return self._clock() < self._known.asked_again_at

    def _learn(self, status: int, body: bytes) -> None:
        if not 200 <= status < 300:
            self._go_on(f"it answered with status {status}")
            return
        account_id = self._login.account_id or ""
        found = read_routing(body, account_id=account_id, backend=self._backend)
        if isinstance(found, Unusable):
            self._go_on(found.value)
            return
        self._known.routing = found
        self._known.asked_again_at = self._clock() + _GOOD_FOR_SECONDS
        self._known.has_warned = False
        if found != _STAYS:
            _log.info("The requests of this workspace go to %s.", found)

    def _go_on(self, why: str) -> None:
        """Let the calls go on with what was known before, and ask again later."""
        self._known.asked_again_at = self._clock() + _PAUSE_SECONDS
        _log.log(
            logging.DEBUG if self._known.has_warned else logging.WARNING,
            "The backend was asked where this workspace's requests go, and %s. They go %s; it is asked again after a "
            "minute. `workspace_routing=False` never asks.",
            why,
            "to base_url" if self._known.routing is None else "where they went before",
        )
        self._known.has_warned = True

    def _in_words(self, error: Exception) -> str:
        if isinstance(error, (TimeoutError, *timeout_exceptions())):
            return f"the answer did not end within {self._limit:g} s"
        return f"could not be reached ({type(error).__name__})"


def known_routing(client: Any) -> Routing | None:
    """Return what a client knows of the login that it has in memory."""
    login = client.credentials.ready()
    return None if login is None else client._routing.known(login, backend=str(client.base_url))


def _failures() -> tuple[type[Exception], ...]:
    return (TimeoutError, *timeout_exceptions(), *request_exceptions())


_locks: Final[RunVar[MutableMapping[_Known, anyio.Lock]]] = RunVar("codex_backend_sdk_routing")


def _task_lock(known: _Known) -> anyio.Lock:
    """Return the lock of this event loop: one of another loop cannot be waited for."""
    try:
        locks = _locks.get()
    except LookupError:
        locks = WeakKeyDictionary()
        _locks.set(locks)
    return locks.setdefault(known, anyio.Lock())
