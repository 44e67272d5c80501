"""How a client is made and copied: the arguments that are ours, beside the official ones."""

from __future__ import annotations

import math
import os
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast, get_args

import httpx2
import openai

from ._catalog import CatalogCache
from ._constants import BACKEND_URL, BACKEND_URL_ENV, DEFAULT_INSTRUCTIONS, DEFAULT_MODEL, DEFAULT_ORIGINATOR
from ._errors.retrying import SystemClock
from ._exceptions import LoginRequiredError
from ._request.argument_hints import ArgumentHints
from ._request.backend_url import Backend
from ._request.compression import Compression
from ._request.identity import printable
from ._request.timeouts import require_timeout
from ._routing.resolver import WorkspaceRouting
from ._upstream import close_when_forgotten
from ._urls import require_backend_url
from .auth._network import opened
from .auth.credentials import resolve_credentials
from .limits.tracker import LimitsTracker
from .types import Retries, Settings, Timeouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Self

    from .auth import CredentialSource, CredentialStore
    from .limits.limit_types import RateLimits
    from .types import Clock

__all__ = ["BaseCodexClient"]

_Policy = Literal["raise", "drop"]
_OnInterrupt = Literal["raise", "restart"]

# What stands in the place of an API key: other libraries read `client.api_key` and send it elsewhere.
_NO_API_KEY: Final = "the-login-is-not-an-api-key"
_KEY_IS_UNUSED: Final = "The `api_key` that was given is not used here."
# Upstream closes a connection that was idle for 5 s; many a tool call takes longer. Codex CLI: reqwest's default, 90 s.
# Of the idle ones 100 are kept, as upstream does: each is looked at whenever a call begins or ends.
_CONNECTIONS: Final = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=90)
# More cannot be waited for on every system.
_MOST_SECONDS: Final = 1e9
# Official ways to authenticate or to choose a host that the login takes the place of.
_REPLACED: Final = ("provider", "workload_identity", "data_residency")


class BaseCodexClient:
    """What both clients are told when they are made."""

    credentials: CredentialSource
    _codex: Settings
    _known_backend: Backend
    _http_client_class: ClassVar[type[httpx2.Client | httpx2.AsyncClient]]

    def __init__(
        self,
        *,
        credentials: CredentialSource | CredentialStore | None = None,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: _Policy = "raise",
        issuer: str | None = None,
        compress_requests: bool | Compression = True,
        workspace_routing: bool | WorkspaceRouting = True,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        on_interrupt: _OnInterrupt = "raise",
        retry_deadline: float | None = None,
        max_retry_after: float = 60.0,
        wait_for_limit: timedelta = timedelta(0),
        clock: Clock | None = None,
        on_limits: Callable[[RateLimits], object] | None = None,
        **official: Any,
    ) -> None:
        """Construct a client; nothing is read, opened or sent before the first call.

        `model` and `instructions` are used by calls that give none. `originator` names your program to the backend.
        `credentials` is where the login comes from (default: the Codex CLI's own file). `unsupported` says what
        happens to parameters that the backend refuses: "raise", or "drop" with a logged warning. `issuer` is the
        sign-in server. `compress_requests=False` sends long bodies in plain. `workspace_routing=False` never asks
        whether the account's workspace has a backend of its own.

        Limits are in seconds: `connect_timeout` and `first_byte_timeout` (until the answer begins) take the place of
        those in the official `timeout`; `idle_timeout` is for a silence inside of an answer, where any byte counts
        (300, or the official one if it is shorter); `total_timeout` is for a whole call with its attempts, waits and
        events. The official `timeout` of one call stands above the first three.

        A failed call is sent again up to `max_retries` times, as long as `retry_deadline` (seconds since the call
        began) allows, and unless the backend asks for a wait of more than `max_retry_after` seconds. An answer that
        breaks after events of it were handed out is raised, or asked for anew with `on_interrupt="restart"`.
        `wait_for_limit` is how long a call may wait for a used-up plan to be filled up again. `clock` is for tests.

        `on_limits` is called with the limits whenever an answer changes them, in the middle of the call that brings it:
        a plain function that returns soon.

        Everything else is the official client's.
        """
        _check("unsupported", unsupported, get_args(_Policy))
        _check("on_interrupt", on_interrupt, get_args(_OnInterrupt))
        self._codex = Settings(
            model=model or DEFAULT_MODEL,
            instructions=DEFAULT_INSTRUCTIONS if instructions is None else instructions,
            originator=printable(originator or DEFAULT_ORIGINATOR),
            unsupported=unsupported,
            retries=Retries(
                deadline=_seconds("retry_deadline", retry_deadline),
                max_retry_after=_seconds("max_retry_after", max_retry_after),
                wait_for_limit=_time_span("wait_for_limit", wait_for_limit),
                on_interrupt=on_interrupt,
            ),
            timeouts=Timeouts(
                connect=_seconds("connect_timeout", connect_timeout),
                first_byte=_seconds("first_byte_timeout", first_byte_timeout),
                idle=_seconds("idle_timeout", idle_timeout),
                total=_seconds("total_timeout", total_timeout),
            ),
        )
        self._clock = clock or SystemClock()
        self._limits = LimitsTracker(on_limits=on_limits, now=self._clock.now)
        # A copy is handed the objects, so that it knows what this client has learned.
        given = compress_requests
        self._compression = given if isinstance(given, Compression) else Compression(enabled=given)
        self._catalog = CatalogCache()
        known = workspace_routing
        if not isinstance(known, WorkspaceRouting):
            known = WorkspaceRouting(enabled=known, clock=self._clock.monotonic)
        self._routing = known
        self.credentials = resolve_credentials(credentials, issuer=issuer, originator=self._codex.originator)
        with ArgumentHints(BaseCodexClient.__init__, openai.OpenAI.__init__):
            super().__init__(**self._for_the_official(official))
        self._known_backend = Backend(self._official.base_url)
        # Upstream looks the platform up in a thread before the first request of every async copy; we do not send it.
        self.__dict__["_platform"] = "Unknown"

    def _for_the_official(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the official arguments as they are given to the official client: with our own defaults."""
        replaced = [name for name in _REPLACED if given.get(name) not in (None, openai.NOT_GIVEN)]
        if replaced:
            raise ValueError(f"`{replaced[0]}` cannot be used here: the ChatGPT login signs the requests.")
        require_timeout(given.get("timeout"))
        if not given.get("base_url"):
            from_environment = os.environ.get(BACKEND_URL_ENV)
            given["base_url"] = from_environment or BACKEND_URL
            if from_environment:
                require_backend_url(from_environment, what=BACKEND_URL_ENV)
        given["api_key"] = given.get("api_key") or _NO_API_KEY
        if given.get("http_client") is None:
            given["http_client"] = opened(self._http_client_class, limits=_CONNECTIONS)
            close_when_forgotten(given["http_client"])
        return given

    @contextmanager
    def _key_is_named(self) -> Iterator[None]:
        """Where a login is missing and an API key was given, say that the key is no help."""
        try:
            yield
        except LoginRequiredError as error:
            if self._official.api_key != _NO_API_KEY and _KEY_IS_UNUSED not in str(error):
                error.args = (f"{error} {_KEY_IS_UNUSED}",)
            raise

    @property
    def _official(self) -> openai.OpenAI:
        """This object, as type checkers may see it: the official class comes after this one."""
        return cast("openai.OpenAI", self)

    def copy(
        self,
        *,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: _Policy | None = None,
        credentials: CredentialSource | CredentialStore | None = None,
        issuer: str | None = None,
        compress_requests: bool | None = None,
        workspace_routing: bool | None = None,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        on_interrupt: _OnInterrupt | None = None,
        retry_deadline: float | None = None,
        max_retry_after: float | None = None,
        wait_for_limit: timedelta | None = None,
        clock: Clock | None = None,
        on_limits: Callable[[RateLimits], object] | None = None,
        _extra_kwargs: Mapping[str, Any] = {},
        **official: Any,
    ) -> Self:
        """Return a client with some arguments changed, which shares the connections and the login of this one."""
        told, retries, timeouts = self._codex, self._codex.retries, self._codex.timeouts
        ours = {
            "credentials": _or(credentials, self.credentials),
            "model": model or told.model,
            "instructions": _or(instructions, told.instructions),
            "originator": originator or told.originator,
            "unsupported": _or(unsupported, told.unsupported),
            "issuer": issuer,
            "compress_requests": _or(compress_requests, self._compression),
            "workspace_routing": _or(workspace_routing, self._routing),
            "connect_timeout": _or(connect_timeout, timeouts.connect),
            "first_byte_timeout": _or(first_byte_timeout, timeouts.first_byte),
            "idle_timeout": _or(idle_timeout, timeouts.idle),
            "total_timeout": _or(total_timeout, timeouts.total),
            "on_interrupt": _or(on_interrupt, retries.on_interrupt),
            "retry_deadline": _or(retry_deadline, retries.deadline),
            "max_retry_after": _or(max_retry_after, retries.max_retry_after),
            "wait_for_limit": _or(wait_for_limit, retries.wait_for_limit),
            "clock": _or(clock, self._clock),
        }
        with ArgumentHints(BaseCodexClient.copy, openai.OpenAI.copy):
            copied: Self = super().copy(_extra_kwargs={**ours, **_extra_kwargs}, **official)  # type: ignore[misc]
        copied._catalog = self._catalog
        is_same_login = copied.credentials is self.credentials
        copied._limits = (
            self._limits.with_callback(on_limits) if is_same_login else self._limits.for_other_login(on_limits)
        )
        return copied

    with_options = copy


def _check(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be {' or '.join(map(repr, allowed))}, not {value!r}.")


def _seconds(name: str, value: Any) -> Any:
    if value is None and name != "max_retry_after":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` must be a number of seconds (`math.inf`: no limit), not {value!r}.")
    if not (0 <= value <= _MOST_SECONDS or value == math.inf):  # nor a NaN
        raise ValueError(f"`{name}` must be 0 to {_MOST_SECONDS:g} seconds, or `math.inf` for no limit; not {value!r}.")
    return value


def _time_span(name: str, value: Any) -> timedelta:
    if not isinstance(value, timedelta):
        raise TypeError(f"`{name}` must be a timedelta, such as `timedelta(hours=6)`, not {value!r}.")
    return value


def _or(given: Any, kept: Any) -> Any:
    return kept if given is None else given
