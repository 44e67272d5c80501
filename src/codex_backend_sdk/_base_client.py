"""Base class of the sync and the async client: construction, copies, and every hook without I/O.

`BaseCodexClient` precedes the official class in the method resolution order, as the mixin of the official Azure client
does, and overrides the hooks listed in `_upstream.HOOKS`. The two clients in `_client` add the hooks that do I/O.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, cast

import httpx2
import openai
from openai.types.responses import CompactedResponse, Response

from ._catalog import CatalogCache
from ._connections import DeadlineExceededError, fork_generation
from ._constants import (
    BACKEND_URL,
    BACKEND_URL_ENV,
    DEFAULT_MAX_EVENT_BYTES,
    USAGE_HISTORY_ENV,
    WEBSOCKET_BETA_HEADERS,
)
from ._errors.advice import Interface, advise_error
from ._errors.classify import classify
from ._errors.exception_mapping import from_status, total_timeout_error
from ._errors.retrying import CallRetries, SharedLimit, SystemClock
from ._exceptions import LoginRequiredError
from ._options import (
    REPLACED_BY_LOGIN,
    ClientOptions,
    HttpClientT,
    KeyFunctionT,
    OfficialCopyOptions,
    OfficialOptions,
    add_options_to_signature,
    require_callback,
)
from ._request.argument_hints import ArgumentHints
from ._request.auth_flow import RequestSigner, login_headers, user_agent
from ._request.compression import Compression
from ._request.context import PreparedOptions, context_of_response, is_traced_call, placeholder_request
from ._request.cookies import CloudflareCookies, create_closed_jar, mark_callers_cookie
from ._request.instructions import InstructionsPlacement
from ._request.prepare import BackendURL, complete_for_login, use_instructions_parameter
from ._request.routes import Route
from ._request.timeouts import require_official_timeout, set_timeouts
from ._routing.resolver import WorkspaceRouting
from ._streaming.events import build_item, build_response
from ._upstream import set_default_headers
from ._urls import is_websocket_url, require_backend_url
from .auth._http import open_client
from .auth.credentials import resolve_credentials
from .limits.tracker import LimitsTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Self, Unpack

    from ._options import InstructionsForm, OnInterrupt, Transport, UnsupportedPolicy
    from ._request.context import RequestContext
    from ._upstream import FinalRequestOptions
    from .auth import CredentialSource, CredentialStore
    from .limits.limit_types import RateLimits
    from .limits.usage_history import UsageHistory
    from .types import Clock, Login, Retry

__all__ = ["BaseCodexClient"]

# Placeholder for the API key. It is never a token, because other libraries read `client.api_key` and send it elsewhere.
_NO_API_KEY: Final = "the-login-is-not-an-api-key"
# Timeout of the catalog request behind a "model not available" error.
_CATALOG_TIMEOUT_SECONDS: Final = 10.0
_NOT_COPYABLE: Final = (
    "{name} cannot be {verb}: it holds open connections and the login. Use `with_options()` for a client with other "
    "options, and construct a client in each process that needs one."
)
_KEY_IS_UNUSED: Final = "The `api_key` argument is not used by this client."
# Arguments whose default the official constructor reads from an environment variable. `webhook_secret` is not in the
# list: its variable is used, because it verifies the requests that a program receives.
_FROM_ENVIRONMENT: Final = ("admin_api_key", "organization", "project")
# openai closes a connection that was idle for 5 s, and many tool calls take longer. The Codex CLI uses reqwest's
# default, 90 s. As in openai, at most 100 idle connections stay open: the pool inspects all of them at every request.
_CONNECTION_LIMITS: Final = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=90)


class BaseCodexClient(Generic[HttpClientT, KeyFunctionT]):
    """Base class of the sync and the async client, without I/O."""

    credentials: CredentialSource
    _codex: ClientOptions
    _http_client_class: ClassVar[type[httpx2.Client | httpx2.AsyncClient]]

    def __init__(
        self,
        *,
        credentials: CredentialSource | CredentialStore | None = None,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: UnsupportedPolicy = "raise",
        issuer: str | None = None,
        compress_requests: bool | Compression = True,
        workspace_routing: bool | WorkspaceRouting = True,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        on_interrupt: OnInterrupt = "raise",
        retry_deadline: float | None = None,
        max_retry_after: float = 60.0,
        wait_for_limit: timedelta | None = None,
        max_event_bytes: float = DEFAULT_MAX_EVENT_BYTES,
        codex_events: bool = False,
        transport: Transport | None = None,
        prompt_cache: bool = True,
        instructions_as: InstructionsForm = "auto",
        clock: Clock | None = None,
        on_limits: Callable[[RateLimits], object] | None = None,
        on_retry: Callable[[Retry], object] | None = None,
        usage_history: bool | str | os.PathLike[str] | UsageHistory | None = None,
        **official: Unpack[OfficialOptions[HttpClientT, KeyFunctionT]],
    ) -> None:
        """Construct a client. The constructor does no I/O: the first call opens files and connections.

        Raises TypeError or ValueError for an invalid argument.

        Args:
            credentials: The source or the store of the login (default: the Codex CLI's store, `~/.codex/auth.json`).
            model: The default model of calls. `"auto"` is the first model that the catalog lists for the account; the
                first call requests the catalog.
            instructions: The default instructions of calls; `""` sends no instructions.
            originator: The name of your program, sent to the backend in the `originator` and `User-Agent` headers.
            unsupported: Policy for parameters that the backend rejects: `"raise"` an error before the request, or
                `"drop"` them with a logged warning.
            issuer: The URL of the OAuth issuer (default: `CODEX_ISSUER_URL`, else OpenAI's issuer).
            compress_requests: Whether to compress long request bodies with zstd.
            workspace_routing: Whether to request once which backend serves the workspace.
            connect_timeout: Seconds for connecting.
            first_byte_timeout: Seconds from the request to the beginning of the response.
            idle_timeout: Seconds within a response in which no data arrives (default: 300, or the official timeout if
                it is shorter).
            total_timeout: Seconds for a whole call, including its attempts, waits and events.
            on_interrupt: Policy for a stream that is interrupted after events were delivered: `"raise"` an error, or
                `"restart"` the stream.
            retry_deadline: Seconds after which a failed call is not sent again.
            max_retry_after: The longest wait, in seconds, that the backend may request before a retry.
            wait_for_limit: How long a call may wait for the reset of an exhausted limit (default: it does not wait).
            max_event_bytes: The largest event of a stream, in bytes (default: 64 MB). A larger event ends the call with
                an error, so that a response cannot use all memory.
            codex_events: Whether streams include the events that the public API does not have, such as
                `codex.rate_limits` and keepalives. The client reads the limits from them in any case.
            transport: How to send model requests: over `"http"`, over the backend's `"websocket"`, which receives only
                the new items of a history, or `"auto"`: conversations use the WebSocket if it is available, and other
                calls HTTP (default: `CODEX_TRANSPORT`, else `"auto"`).
            prompt_cache: Whether a call without `prompt_cache_key` gets one that is the same for all calls of a
                conversation, so that the backend finds the cached prompt.
            instructions_as: How instructions are sent: as the `"parameter"`, or as a `"message"` at the beginning of
                the input. `"auto"` uses a message for the models whose prompt cache misses the parameter.
            clock: Time, sleep and randomness for retries; for tests.
            on_limits: Function that is called with the usage limits when a response changes them. It runs during that
                call, so it must be synchronous and return quickly.
            on_retry: Function that is called before the client waits and sends a request again. The same
                conditions apply.
            usage_history: Whether to store the usage limits that responses report, or the path of the file (default:
                `CODEX_USAGE_HISTORY`, else off). `UsageHistory` describes what is stored.
            **official: Every other argument of the official client, such as `timeout`, `max_retries`, `http_client`,
                `base_url` (default: `CODEX_BASE_URL`, else the Codex backend) or `default_headers`.
        """
        self._codex = ClientOptions.from_arguments(
            model=model,
            instructions=instructions,
            originator=originator,
            unsupported=unsupported,
            connect_timeout=connect_timeout,
            first_byte_timeout=first_byte_timeout,
            idle_timeout=idle_timeout,
            total_timeout=total_timeout,
            on_interrupt=on_interrupt,
            retry_deadline=retry_deadline,
            max_retry_after=max_retry_after,
            wait_for_limit=wait_for_limit,
            max_event_bytes=max_event_bytes,
            codex_events=codex_events,
            transport=transport,
            prompt_cache=prompt_cache,
            instructions_as=instructions_as,
        )
        self._clock = clock or SystemClock()
        self._limits = LimitsTracker(on_limits=on_limits, now=self._clock.now, history=_resolve_history(usage_history))
        require_callback("on_retry", on_retry)
        self._on_retry = on_retry
        self._shared_limit = SharedLimit()
        self._shared_transport: dict[str, Any] = {}  # "websocket": the transport, after its first use
        # `copy()` passes these two objects on, so that a client and its copies share their state.
        self._compression = (
            compress_requests if isinstance(compress_requests, Compression) else Compression(enabled=compress_requests)
        )
        self._routing = (
            workspace_routing
            if isinstance(workspace_routing, WorkspaceRouting)
            else WorkspaceRouting(enabled=workspace_routing, clock=self._clock.monotonic)
        )
        self._catalog = CatalogCache()
        self._cookies = CloudflareCookies()
        self._instructions = InstructionsPlacement()
        self.credentials = resolve_credentials(credentials, issuer=issuer, originator=self._codex.originator)
        arguments = self._official_arguments(cast("dict[str, Any]", official))
        with ArgumentHints(BaseCodexClient.__init__, openai.OpenAI.__init__):
            super().__init__(**arguments)
        self._ignore_environment(arguments)
        self._backend_url = BackendURL(self._official.base_url)
        # Otherwise openai starts a thread to detect the platform before the first request of an async client. This
        # client does not send the platform.
        self.__dict__["_platform"] = "Unknown"

    def _official_arguments(self, official: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments for the official constructor, with our defaults."""
        for name in REPLACED_BY_LOGIN:
            if official.get(name) not in (None, openai.NOT_GIVEN):
                raise ValueError(
                    f"`{name}` cannot be used with this client, which signs requests with the ChatGPT login. "
                    "Remove the argument."
                )
        require_official_timeout(official.get("timeout"))
        if not official.get("base_url"):
            environment_url = os.environ.get(BACKEND_URL_ENV)
            if environment_url:
                require_backend_url(environment_url, name=BACKEND_URL_ENV)
            official["base_url"] = environment_url or BACKEND_URL
        official["api_key"] = official.get("api_key") or _NO_API_KEY
        if official.get("http_client") is None:
            official["http_client"] = open_client(
                self._http_client_class, limits=_CONNECTION_LIMITS, cookies=create_closed_jar()
            )
        return official

    def _ignore_environment(self, arguments: dict[str, Any]) -> None:
        """Replace the values that the official constructor read from `OPENAI_*` variables by the arguments.

        `OPENAI_CUSTOM_HEADERS` would send the headers of another service, such as its key or `Host`, to the backend.
        """
        set_default_headers(self._official, arguments.get("default_headers") or {})
        for name in _FROM_ENVIRONMENT:
            setattr(self, name, arguments.get(name))

    @property
    def _official(self) -> openai.OpenAI:
        """This object as an official client, for type checkers: subclasses also inherit from the official class."""
        return cast("openai.OpenAI", self)

    def copy(
        self,
        *,
        credentials: CredentialSource | CredentialStore | None = None,
        model: str | None = None,
        instructions: str | None = None,
        originator: str | None = None,
        unsupported: UnsupportedPolicy | None = None,
        issuer: str | None = None,
        compress_requests: bool | None = None,
        workspace_routing: bool | None = None,
        connect_timeout: float | None = None,
        first_byte_timeout: float | None = None,
        idle_timeout: float | None = None,
        total_timeout: float | None = None,
        on_interrupt: OnInterrupt | None = None,
        retry_deadline: float | None = None,
        max_retry_after: float | None = None,
        wait_for_limit: timedelta | None = None,
        max_event_bytes: float | None = None,
        codex_events: bool | None = None,
        transport: Transport | None = None,
        prompt_cache: bool | None = None,
        instructions_as: InstructionsForm | None = None,
        clock: Clock | None = None,
        on_limits: Callable[[RateLimits], object] | None = None,
        on_retry: Callable[[Retry], object] | None = None,
        usage_history: bool | str | os.PathLike[str] | UsageHistory | None = None,
        _extra_kwargs: Mapping[str, Any] = {},
        **official: Unpack[OfficialCopyOptions[HttpClientT, KeyFunctionT]],
    ) -> Self:
        """Return a client with some arguments changed. It shares the connections and the login of this client.

        The arguments are those of the constructor. None keeps the value of this client.
        """
        changes = {
            "credentials": credentials,
            "model": model or None,
            "instructions": instructions,
            "originator": originator or None,
            "unsupported": unsupported,
            "compress_requests": compress_requests,
            "workspace_routing": workspace_routing,
            "connect_timeout": connect_timeout,
            "first_byte_timeout": first_byte_timeout,
            "idle_timeout": idle_timeout,
            "total_timeout": total_timeout,
            "on_interrupt": on_interrupt,
            "retry_deadline": retry_deadline,
            "max_retry_after": max_retry_after,
            "wait_for_limit": wait_for_limit,
            "max_event_bytes": max_event_bytes,
            "codex_events": codex_events,
            "transport": transport,
            "prompt_cache": prompt_cache,
            "instructions_as": instructions_as,
            "clock": clock,
            "on_retry": on_retry,
            "usage_history": usage_history,
        }
        arguments = {
            **self._codex.as_arguments(),
            "credentials": self.credentials,
            "compress_requests": self._compression,
            "workspace_routing": self._routing,
            "clock": self._clock,
            "on_retry": self._on_retry,
            "usage_history": self._limits.history or False,
            "issuer": issuer,
            **{name: value for name, value in changes.items() if value is not None},
        }
        with ArgumentHints(BaseCodexClient.copy, openai.OpenAI.copy):
            copied: Self = super().copy(_extra_kwargs={**arguments, **_extra_kwargs}, **official)  # type: ignore[misc]
        copied._catalog = self._catalog
        copied._cookies = self._cookies
        copied._instructions = self._instructions
        has_same_login = copied.credentials is self.credentials
        if has_same_login:
            copied._shared_limit = self._shared_limit
            copied._shared_transport = self._shared_transport
        copied._limits = self._limits.for_copy(on_limits, copied._limits.history, has_same_login=has_same_login)
        return copied

    with_options = copy

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: object) -> Self:
        raise TypeError(_NOT_COPYABLE.format(name=type(self).__name__, verb="deep-copied"))

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(_NOT_COPYABLE.format(name=type(self).__name__, verb="pickled"))

    @contextmanager
    def _hint_at_unused_api_key(self) -> Iterator[None]:
        """Add to a LoginRequiredError that this client does not use the API key that the caller passed."""
        try:
            yield
        except LoginRequiredError as error:
            if self._official.api_key != _NO_API_KEY and _KEY_IS_UNUSED not in str(error):
                error.args = (f"{error} {_KEY_IS_UNUSED}",)
            raise

    # Identity: `RequestSigner` sets the headers that the official client would set from its API key and platform.

    @property
    def user_agent(self) -> str:
        """The name of the program, the name and version of this package, and the operating system."""
        return user_agent(self._codex.originator)

    def platform_headers(self) -> dict[str, str]:
        return {}

    @property
    def auth_headers(self) -> dict[str, str]:
        """The headers of the login, for code that opens a WebSocket to the backend itself; empty before it is loaded.

        Raises ValueError if a login must not be sent to `websocket_base_url`.
        """
        login = self.credentials.ready()
        if login is None:
            return {}
        websocket_url = self._official.websocket_base_url
        if websocket_url is not None:
            http_url = (
                str(websocket_url).replace("ws", "http", 1) if is_websocket_url(str(websocket_url)) else websocket_url
            )
            require_backend_url(str(http_url), name="websocket_base_url")
        self._checked_backend_url()
        return {**login_headers(login, self._codex.originator), **WEBSOCKET_BETA_HEADERS}

    def _auth_headers(self, security: object) -> dict[str, str]:
        return {}

    def _validate_headers(self, headers: object, custom_headers: object) -> None:
        return None

    def _idempotency_key(self) -> str:
        # openai generates a random key for every request, but sends it only in a header that the caller names.
        has_header = self._official._idempotency_header is not None
        return super()._idempotency_key() if has_header else ""  # type: ignore[misc]

    # Requests

    @cached_property
    def _signer(self) -> RequestSigner:
        return RequestSigner(self._codex.originator, self._cookies)

    def _build_request(self, options: FinalRequestOptions, *, retries_taken: int = 0) -> httpx2.Request:
        if not isinstance(options, PreparedOptions):
            return super()._build_request(options, retries_taken=retries_taken)  # type: ignore[misc,no-any-return]
        if is_traced_call(options):
            return placeholder_request(options.method, self._prepare_url(options.url))
        require_official_timeout(options.timeout)
        if options.context.body is not None:
            options = options.with_encoded_body()
        request: httpx2.Request = super()._build_request(options, retries_taken=options.retries_taken)  # type: ignore[misc]
        context: RequestContext = options.context
        has_call_timeout = not isinstance(options.timeout, openai.NotGiven)
        idle_timeout = set_timeouts(request, self._codex.timeouts, has_call_timeout=has_call_timeout)
        if "cookie" in request.headers and self._has_own_cookie(options):
            mark_callers_cookie(request)
        self._signer.sign(request, options.login)
        return context.attach(
            request,
            login=options.login,
            limits_tracker=self._limits,
            idle_timeout=idle_timeout,
            fork_generation=fork_generation(),
        )

    def _has_own_cookie(self, options: PreparedOptions) -> bool:
        """Return whether the caller set a `Cookie` header, for this call, this client or the HTTP client."""
        call_headers: Mapping[str, object] = {} if isinstance(options.headers, openai.NotGiven) else options.headers
        sources = (call_headers, self._official._custom_headers, self._official._client.headers)
        return any(name.lower() == "cookie" for headers in sources for name in headers)

    def _prepare_url(self, url: str) -> httpx2.URL:
        return self._checked_backend_url().url(url, join=super()._prepare_url)  # type: ignore[misc]

    def _checked_backend_url(self) -> BackendURL:
        """Return the URL of the backend. Validate it again after `client.base_url` was assigned."""
        if self._official.base_url is not self._backend_url.base_url:
            self._backend_url = BackendURL(self._official.base_url)
        return self._backend_url

    def _set_login(self, options: FinalRequestOptions, login: Login) -> FinalRequestOptions:
        if isinstance(options, PreparedOptions):
            options.login = login
            complete_for_login(options, login)
            self._routing.apply(options, login, backend=self._checked_backend_url().base_url_text)
        elif is_websocket_url(options.url):
            self._sign_handshake(options, login)
        else:
            options.follow_redirects = False  # a redirect would send the login to another host
        return options

    def _sign_handshake(self, options: FinalRequestOptions, login: Login) -> None:
        """Sign the handshake of `responses.connect()`, which openai's code sends, and route it to the workspace."""
        routed = PreparedOptions.from_options(options, None, url="/responses", headers={})
        if self._official.websocket_base_url is None:
            self._routing.apply(routed, login, backend=self._checked_backend_url().base_url_text)
            target = self._prepare_url(routed.url)
            scheme = "ws" if target.scheme == "http" else "wss"
            url = httpx2.URL(options.url).copy_with(scheme=scheme, host=target.host, port=target.port)
            options.url = str(url)
        own_headers: Mapping[str, Any] = {} if isinstance(options.headers, openai.NotGiven) else options.headers
        # openai's code merges the names without regard to case, and later ones win.
        options.headers = {
            **WEBSOCKET_BETA_HEADERS,
            **own_headers,
            **cast("dict[str, str]", routed.headers),
            "OpenAI-Organization": openai.Omit(),
            "OpenAI-Project": openai.Omit(),
            **self.auth_headers,
        }

    @contextmanager
    def _total_timeout(self, options: FinalRequestOptions) -> Iterator[float | None]:
        """Yield the request deadline, and raise TotalTimeoutError instead of DeadlineExceededError."""
        deadline = options.context.deadline if isinstance(options, PreparedOptions) else None
        try:
            yield deadline
        except DeadlineExceededError as error:
            raise total_timeout_error(httpx2.Request(options.method, self._prepare_url(options.url))) from error

    def _for_catalog(self, deadline: float | None) -> Self:
        """Return a copy of this client for the catalog request behind a "model not available" error."""
        seconds = _CATALOG_TIMEOUT_SECONDS
        if deadline is not None:
            seconds = max(min(seconds, deadline - time.monotonic()), 0.0)
        return self.copy(max_retries=0, timeout=seconds, total_timeout=seconds)

    def _moves_instructions(self, options: PreparedOptions, error: openai.APIError) -> bool:
        """Return whether to send a rejected call again, whose options now have the instructions as the parameter."""
        return use_instructions_parameter(options, self._instructions, error)

    def _call_retries(self, options: PreparedOptions) -> CallRetries:
        """Return the retries of one call, and set the request deadline in the context of `options`.

        They replace openai's retries, which send calls again when a limit is exhausted and have no deadline.
        """
        max_retries = options.get_max_retries(self._official.max_retries)
        if isinstance(max_retries, int) and max_retries >= 0:  # openai itself rejects other values
            options.max_retries = 0
        if options.idempotency_key is None and options.method.lower() != "get":
            options.idempotency_key = self._official._idempotency_key()
        request_name = f"{options.method.upper()} {options.url}"
        call_retries = CallRetries(
            request_name,
            self._codex,
            self._clock,
            max_retries=max_retries,
            shared_limit=self._shared_limit,
            on_retry=self._on_retry,
        )
        if call_retries.deadline is not None:
            options.context = replace(options.context, deadline=call_retries.deadline)
        return call_retries

    def _add_fallback_note(self, error: openai.APIError, options: PreparedOptions) -> None:
        """Add to the error of a call why its last attempt did not use the WebSocket, if that is so."""
        transport = self._shared_transport.get("websocket")
        if options.context.uses_websocket and transport is not None and transport.availability.reason is not None:
            error.add_note(f"The WebSocket was not used: {transport.availability.reason}.")

    # Responses

    def _process_response(self, *, options: FinalRequestOptions, retries_taken: int = 0, **rest: Any) -> Any:
        if is_traced_call(options):
            run_call, options.run_call = options.run_call, None
            return run_call(rest["cast_to"], options, stream=rest["stream"], stream_cls=rest["stream_cls"])
        if isinstance(options, PreparedOptions):
            retries_taken = options.retries_taken
        return super()._process_response(options=options, retries_taken=retries_taken, **rest)  # type: ignore[misc]

    def _process_response_data(self, *, data: Any, cast_to: Any, response: httpx2.Response) -> Any:
        context = context_of_response(response)
        if context is not None and context.route is Route.MODELS:
            self._catalog.put(
                data["data"],
                login=context.login,
                received_at=self._clock.monotonic(),
                etag=response.headers.get("etag"),
            )
        if cast_to is Response and not self._official._strict_response_validation:
            return build_response(data)
        processed = super()._process_response_data(data=data, cast_to=cast_to, response=response)  # type: ignore[misc]
        if cast_to is CompactedResponse and isinstance(data, dict):
            processed.output = [build_item(item) for item in data.get("output") or ()]
        return processed

    def _make_status_error(self, err_msg: str, *, body: Any, response: httpx2.Response) -> openai.APIStatusError:
        failure = classify(response.status_code, body, response.headers, now=self._clock.now())
        context = context_of_response(response)
        if failure.limit is not None and failure.limit.limits is not None and context is not None:
            self._limits.record_refusal(failure.limit.limits, account_id=context.account_id)
        make_official = super()._make_status_error  # type: ignore[misc]
        error = from_status(
            failure, response, official=lambda: make_official(failure.message, body=body, response=response)
        )
        if context is not None and context.chat is not None:
            advise_error(error, Interface.CHAT)
        return error

    def _record_headers(self, response: httpx2.Response, context: RequestContext) -> None:
        """Record what each response reports: cookies, the usage limits, and the version of the model catalog."""
        self._cookies.store(response)
        if context.turn is not None:
            context.turn.record_headers(response.headers)
        self._limits.record_headers(response.headers, account_id=context.account_id)
        self._catalog.report_etag(response.headers.get("x-models-etag"))  # Codex CLI: codex-api/src/sse/responses.rs

    def _cached_models(self, context: RequestContext) -> Sequence[Mapping[str, Any]] | None:
        return self._catalog.get_fresh(context.login, now=self._clock.monotonic())


def _resolve_history(value: bool | str | os.PathLike[str] | UsageHistory | None) -> UsageHistory | None:
    if value is False or (value is None and not os.environ.get(USAGE_HISTORY_ENV)):
        return None
    from .limits.usage_history import UsageHistory  # few programs use it

    return UsageHistory.from_argument(value)


add_options_to_signature(BaseCodexClient.__init__, OfficialOptions)
add_options_to_signature(BaseCodexClient.copy, OfficialCopyOptions)
