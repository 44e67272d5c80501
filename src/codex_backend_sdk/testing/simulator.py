"""Simulate a Codex backend and its OAuth issuer on 127.0.0.1.

One ASGI application serves both. Two middleware layers wrap it: the outer one records requests, the inner one applies
faults. All state (tokens, limits, scripted turns, recorded requests) belongs to one `Simulator` object and may be
changed from any thread while it runs.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ..types import Routing
from .backend.backend_routes import BackendRoutes
from .backend.simulated_limits import AccountLimits, SimulatedLimits
from .backend.validation import RequestValidator
from .faults.fault_middleware import FaultMiddleware
from .faults.fault_queue import FaultQueue
from .http.asgi_server import ServerThread, listen
from .http.recording import MAX_LOG_BYTES, RecordedModelRequest, RecordedRequest, RecordingMiddleware, RequestLog
from .http.request_summary import RequestSummary
from .id_generator import IdGenerator
from .issuer.device_codes import DeviceCodes, DeviceLoginSettings
from .issuer.issuer_routes import IssuerRoutes
from .issuer.oauth_issuer import Approval, OAuthIssuer
from .model_catalog import ModelCatalog
from .replies.simulated_cache import PromptCache
from .simulated_account import SimulatedAccount, build_login_document, write_codex_home
from .websocket.settings import WebSocketSettings
from .websocket.websocket_log import RecordedFrame, RecordedWebSocket, WebSocketLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from .. import AsyncOpenAI, OpenAI
    from ..auth import Credentials
    from .turns import Turn, TurnLike

__all__ = ["Simulator"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """A local server that simulates the Codex backend and its OAuth issuer. Use it as a context manager.

        with Simulator() as sim, sim.client() as client:
            sim.script("Hello")
            assert client.responses.create(input="hi").output_text == "Hello"

    If no turn is scripted, the simulator generates a default response. It uses no model.

    - `host`, `port`: the address to listen on. Port 0 selects a free port.
    - `account`: the account that every login belongs to.
    - `approval`: the decision of the login pages. `auto` approves every login, `manual` shows two buttons, `deny`
      denies every login.
    - `access_token_lifetime`: how long an access token is valid. Refresh tokens do not expire.
    - `refresh_delay`: how long a token refresh takes. If a client disconnects during the delay, its refresh token stays
      valid. The attribute may be changed at any time.
    - `device_login`: the settings of the device code login.
    - `validation_rules`: enables or disables validation rules by name (`testing.backend.validation.RULES`).
    - `model_catalog`: the available models. The default has the models of Codex CLI 0.171.0; the plan of the
      account selects from them.
    - `limits`, `limit_after`: the initial values of the attributes.
    - `seed`: determines the identifiers, the tokens and the random choices of faults.
    - `clock`: returns the current time, as an aware datetime.
    - `routing`: the origin and the override that the backend reports for the account's workspace. The attribute may be
      changed at any time.
    - `accepts_logins_of`: another simulator. This one accepts its tokens and has the same account.
    - `account_id_required`: whether requests without the header `ChatGPT-Account-ID` are rejected. Reports of users
      differ; by default the account is that of the token.
    - `websocket`: whether and how the simulator accepts WebSockets. The attribute may be changed at any time; open
      connections use only the new `lifetime`.
    - `max_recorded_requests`: how many requests the attribute `requests` keeps, and how many messages
      `websocket_frames` keeps. Older ones are dropped.
    - `pace`: how many tokens a second responses stream, over HTTP and WebSockets. By default, they are sent at once.
      The attribute may be changed at any time.
    - `on_request`: called with a `RequestSummary` when the response to a request has ended, also for a message on a
      WebSocket. It is called in the thread of the server and must return quickly.

    Use two simulators to simulate a workspace whose requests go to a dedicated backend:

        with Simulator() as sim, Simulator(accepts_logins_of=sim) as dedicated:
            sim.routing = Routing(origin=dedicated.url, override="us")
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: SimulatedAccount | None = None,
        approval: Approval = "auto",
        access_token_lifetime: timedelta = timedelta(days=10),
        refresh_delay: timedelta = timedelta(0),
        device_login: DeviceLoginSettings | None = None,
        validation_rules: Mapping[str, bool] | None = None,
        model_catalog: ModelCatalog | None = None,
        limits: SimulatedLimits | None = None,
        limit_after: int | None = None,
        seed: int = 0,
        clock: Callable[[], datetime] = _utc_now,
        routing: Routing = Routing(),  # noqa: B008  (it is frozen)
        accepts_logins_of: Simulator | None = None,
        account_id_required: bool = False,
        websocket: WebSocketSettings = WebSocketSettings(),  # noqa: B008  (it is frozen)
        max_recorded_requests: int = 1000,
        pace: float | None = None,
        on_request: Callable[[RequestSummary], object] | None = None,
    ) -> None:
        self.account: SimulatedAccount = (
            (account or SimulatedAccount()) if accepts_logins_of is None else accepts_logins_of.account
        )
        self.refresh_delay = refresh_delay
        self.routing = routing
        self.websocket = websocket
        self._on_request = on_request
        self.pace = pace
        self._host, self._port = host, port
        self._approval: Approval = approval
        self._clock = clock
        self._ids = IdGenerator(seed)
        self._request_log: RequestLog[RecordedRequest] = RequestLog(max_recorded_requests)
        self._model_request_log: RequestLog[RecordedModelRequest] = RequestLog(max_recorded_requests)
        self._websocket_log = WebSocketLog(max_recorded_requests, max_bytes=MAX_LOG_BYTES)
        self._fault_queue = FaultQueue(seed)
        self._server: ServerThread | None = None
        self._url: str | None = None
        self._lifecycle_lock = threading.Lock()
        self._issuer = OAuthIssuer(
            account=self.account,
            ids=self._ids,
            clock=clock,
            get_url=lambda: self.url,
            access_token_lifetime=access_token_lifetime,
        )
        self._device_codes = DeviceCodes(
            self._issuer,
            settings=device_login or DeviceLoginSettings(),
            approval=approval,
            ids=self._ids,
            clock=clock,
            get_url=lambda: self.url,
        )
        self._account_limits = AccountLimits(limits or SimulatedLimits(), limit_after=limit_after, clock=clock)
        self._prompt_cache = PromptCache()
        self._backend = BackendRoutes(
            account=self.account,
            issuer=self._issuer if accepts_logins_of is None else accepts_logins_of._issuer,
            account_id_required=account_id_required,
            model_catalog=model_catalog or ModelCatalog.standard(),
            account_limits=self._account_limits,
            prompt_cache=self._prompt_cache,
            validator=RequestValidator(validation_rules),
            ids=self._ids,
            clock=clock,
            # pyright treats the field `respond`, which contains a function, as a method.
            next_turn=self._fault_queue.next_turn,  # pyright: ignore[reportArgumentType]
            get_routing=lambda: self.routing,
            record_model_request=self._model_request_log.append,
            websocket_log=self._websocket_log,
            get_websocket_settings=lambda: self.websocket,
            get_pace=lambda: self.pace,
            on_request=self._report_request,
        )

    # Starting and stopping

    def start(self) -> Self:
        """Start the server and return when it accepts connections. Raises `OSError` if the port is in use."""
        with self._lifecycle_lock:
            if self._server is not None:
                raise RuntimeError("The simulator is already running. Call `stop()` before you start it again.")
            listener = listen(self._host, self._port)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._url = f"http://{host}:{listener.getsockname()[1]}"
            server = ServerThread(
                self._app(), listener, next_handshake_failure=self._fault_queue.next_handshake_failure
            )
            server.start()
            self._server = server
        return self

    def stop(self) -> None:
        """Stop the server within a few seconds. Do nothing if it is not running."""
        with self._lifecycle_lock:
            server, self._server = self._server, None
            if server is not None:
                server.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _app(self) -> ASGIApp:
        issuer_routes = IssuerRoutes(
            self._issuer,
            self._device_codes,
            account=self.account,
            approval=self._approval,
            get_refresh_delay=lambda: self.refresh_delay,
        )
        app = Starlette(
            routes=[*issuer_routes.routes(), *self._backend.routes()],
            exception_handlers={HTTPException: _error_response},
        )
        with_faults = FaultMiddleware(app, queue=self._fault_queue, turn_context=self._backend.turn_context)
        return RecordingMiddleware(
            with_faults,
            log=self._request_log,
            new_request_id=lambda: self._ids.new("req"),
            clock=self._clock,
            on_request=self._report_request,
        )

    def _report_request(self, summary: RequestSummary) -> None:
        if self._on_request is not None:
            self._on_request(summary)

    # URLs

    @property
    def url(self) -> str:
        """The URL of the server, without a path. Raises `RuntimeError` before `start`."""
        if self._url is None:
            raise RuntimeError(
                "The simulator has no URL before it starts. Use `with Simulator() as sim:`, or call `start()`."
            )
        return self._url

    @property
    def issuer(self) -> str:
        """The URL of the OAuth issuer, for `CODEX_ISSUER_URL`."""
        return self.url

    @property
    def chatgpt_url(self) -> str:
        """The URL of the ChatGPT backend."""
        return f"{self.url}/backend-api"

    @property
    def base_url(self) -> str:
        """The URL of the Codex backend, for `base_url=` and `CODEX_BASE_URL`."""
        return f"{self.chatgpt_url}/codex"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make clients of this package use the simulator, in any process."""
        return {"CODEX_BASE_URL": self.base_url, "CODEX_ISSUER_URL": self.issuer}

    # Logins

    def login_document(self, *, expires_in: timedelta | None = None) -> dict[str, Any]:
        """Return the content of an `auth.json` for a new login to this simulator.

        `expires_in` overrides the lifetime of the access token. If it is negative, the token has already expired.
        """
        tokens = self._issuer.issue_login(lifetime=expires_in)
        return build_login_document(tokens, account=self.account, issuer=self.issuer, now=self._clock())

    def personal_access_token(self) -> str:
        """Return a new personal access token (`at-…`) of the account."""
        return self._issuer.issue_personal_access_token()

    def credentials(self) -> Credentials:
        """Return `Credentials` with a new login in memory."""
        from ..auth import Credentials, MemoryStore

        return Credentials(MemoryStore(self.login_document()), issuer=self.issuer)

    # These methods import the clients: a program that only serves the simulator does not load openai.

    def client(self, **options: Any) -> OpenAI:
        """Return a client that is logged in to this simulator. `options` are passed to `OpenAI`."""
        from .. import OpenAI

        return OpenAI(**self._client_options(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """Return an async client that is logged in to this simulator. `options` are passed to `AsyncOpenAI`."""
        from .. import AsyncOpenAI

        return AsyncOpenAI(**self._client_options(options))

    def _client_options(self, options: dict[str, Any]) -> dict[str, Any]:
        credentials = options.pop("credentials", None) or self.credentials()
        return {"base_url": self.base_url, "issuer": self.issuer, "credentials": credentials, **options}

    def write_codex_home(
        self,
        path: str | Path,
        *,
        model: str | None = None,
        expires_in: timedelta | None = None,
        supports_websockets: bool = False,
    ) -> Path:
        """Write an `auth.json` and a `config.toml` that make the real Codex CLI use this simulator; return the path.

        Run the CLI with `CODEX_HOME` set to this path. To make it refresh tokens at the simulator, also set
        `CODEX_REFRESH_TOKEN_URL_OVERRIDE`. `expires_in` overrides the lifetime of the access token, as in
        `login_document`. With `supports_websockets`, the CLI uses WebSockets for model requests. Files that a simulator
        wrote are replaced. Raises `FileExistsError` if the directory contains another login or configuration.
        """
        return write_codex_home(
            path,
            login_document=self.login_document(expires_in=expires_in),
            chatgpt_url=self.chatgpt_url,
            base_url=self.base_url,
            model=model,
            supports_websockets=supports_websockets,
        )

    @property
    def pace(self) -> float | None:
        """How many tokens a second responses stream, or None if they are sent at once."""
        return self._pace

    @pace.setter
    def pace(self, tokens_per_second: float | None) -> None:
        if tokens_per_second is not None and not tokens_per_second > 0:
            raise ValueError(f"Invalid pace: {tokens_per_second}. Pass the number of tokens a second, or None.")
        self._pace = tokens_per_second

    # Scripted turns, faults, recorded requests and limits

    def script(self, *turns: TurnLike) -> None:
        """Queue responses for the next model requests, in order.

        Each argument is a `Turn`, a string, or a list of events. A request that fails validation is rejected and leaves
        the queue unchanged. When the queue is empty, the simulator generates default responses again.
        """
        self._fault_queue.script(turns)

    def script_file(self, path: str | Path) -> None:
        """Queue the turns of a YAML or JSON file for the next model requests, in order (docs/testing.md).

        Raises `ValueError` if the file cannot be read or has an invalid turn. The message names the turn and its line.
        """
        from .script_file import read_script

        self._fault_queue.script(read_script(path))

    def fail(
        self, *faults: str | Turn, times: int | None = 1, route: str | None = None, probability: float | None = None
    ) -> None:
        """Make the next requests fail. Each fault is the name of a fault or a turn, and applies to one request.

            sim.fail("overloaded", "usage_limit:plus,60", "reset@token", Turn.text("Hello").byte_by_byte())

        - `times`: how many requests each fault applies to. A count in the name (`*2`) overrides it. With None, the
          faults repeat until `clear()`.
        - `route`: the route whose requests fail, by name or path. It overrides a route in the name (`@token`). Faults
          of model requests join the queue of `script`; each other route has its own queue.
        - `probability`: the share of requests that fail, from 0 to 1. A random generator that is seeded with `seed`
          selects them, until `clear()`. `times` is then ignored.

        Raises `ValueError` if a name is unknown or an argument is invalid.
        """
        self._fault_queue.fail(faults, times=times, route=route, probability=probability)

    @property
    def requests(self) -> list[RecordedRequest]:
        """The last recorded requests (`max_recorded_requests`), in the order of arrival.

        If their bodies are long, fewer are kept: together at most 128 MiB. The upgrade requests of WebSockets are among
        them; the messages of WebSockets are not.
        """
        return self._request_log.copy()

    @property
    def model_requests(self) -> list[RecordedModelRequest]:
        """The last model requests over HTTP and WebSockets, with their complete input, in the order of arrival.

        Their number and size are limited as those of `requests`.
        """
        return self._model_request_log.copy()

    @property
    def websockets(self) -> list[RecordedWebSocket]:
        """The WebSockets that the simulator accepted, in the order of arrival, with their byte counts."""
        return self._websocket_log.sockets()

    @property
    def websocket_frames(self) -> list[RecordedFrame]:
        """The last messages that clients sent on WebSockets (`max_recorded_requests`), in the order of arrival.

        If they are long, fewer are kept: together at most 128 MiB.
        """
        return self._websocket_log.frames()

    @property
    def limits(self) -> SimulatedLimits:
        """The usage limits that responses report. The attribute may be assigned at any time.

            sim.limits = SimulatedLimits(primary=SimulatedWindow(97, minutes=300), reset_credits=1)

        While a window of the plan is exhausted (100 %) and the account has no credits, the simulator rejects model
        requests as the backend does: until the window resets, a reset credit is consumed, or `clear` is called. The
        fault `usage_limit` rejects one request and exhausts its window. Turns and faults that are queued after it
        apply first, and then the simulator rejects requests.
        """
        return self._account_limits.current

    @limits.setter
    def limits(self, limits: SimulatedLimits) -> None:
        self._account_limits.current = limits

    @property
    def limit_after(self) -> int | None:
        """The number of model requests that use up the 5-hour window, or None. It may be assigned at any time.

            sim.limit_after = 100

        Each response uses an equal share of the window (`limits.primary`), and then the simulator rejects requests.
        The window resets five hours after the first request, on the simulator's `clock`. With None, requests do not
        change the limits.
        """
        return self._account_limits.limit_after

    @limit_after.setter
    def limit_after(self, count: int | None) -> None:
        self._account_limits.limit_after = count

    def clear(self) -> None:
        """Remove recorded requests and messages, scripted turns, faults and cached prompts; restore the initial limits.

        Logins stay valid, and WebSockets stay open.
        """
        self._request_log.clear()
        self._model_request_log.clear()
        self._websocket_log.clear()
        self._fault_queue.clear()
        self._prompt_cache.clear()
        self._account_limits.restore()


async def _error_response(request: Request, error: Exception) -> JSONResponse:
    """Respond to an unknown path as the backend does: `{"detail": "Not Found"}`."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)
