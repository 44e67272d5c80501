"""The simulator: a Codex backend and its OAuth issuer on 127.0.0.1.

One ASGI application serves both, behind two layers: the recording of requests is outermost, then come faults, then the
routes. All state (tokens, limits, scripted turns, recorded requests) belongs to one `Simulator` object and may be
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
from .backend.backend_routes import BACKEND_PATHS, BackendRoutes
from .backend.simulated_limits import AccountLimits, SimulatedLimits
from .backend.validation import RequestValidator
from .faults.fault_middleware import FaultMiddleware
from .faults.fault_queue import FaultQueue
from .http.asgi_server import ServerThread, listen
from .http.recording import RecordedRequest, RecordingMiddleware
from .id_generator import IdGenerator
from .issuer.device_codes import DeviceCodes, DeviceLoginSettings
from .issuer.issuer_routes import IssuerRoutes
from .issuer.oauth_issuer import Approval, OAuthIssuer
from .model_catalog import ModelCatalog
from .simulated_account import SimulatedAccount, auth_document, write_codex_home

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

    Without scripted turns it generates default responses; no model is involved.

    - `host`, `port`: where to listen; port 0 takes a free port.
    - `account`: the account that every login belongs to.
    - `approval`: what the login pages do: `auto` approves every login, `manual` shows two buttons, `deny` refuses.
    - `access_token_lifetime`: how long an access token is valid. Refresh tokens do not expire.
    - `refresh_delay`: how long a token refresh takes. A client that disconnects earlier has not used its refresh token.
      The attribute may be changed at any time.
    - `device_login`: how the login with a device code behaves.
    - `validation_rules`: turns checks of model requests on or off by name (`testing.backend.validation.RULES`).
    - `model_catalog`: the available models; by default those of a recent Codex CLI.
    - `limits`: the initial usage limits, see the attribute `limits`.
    - `seed`: determines the identifiers, the tokens and the random choices of faults.
    - `clock`: returns the present time, as an aware datetime.
    - `routing`: the origin and override that the backend reports for the account's workspace. The attribute may be
      changed at any time.
    - `accepts_logins_of`: another simulator, with which this one shares the account and its logins.

    Two simulators that share a login simulate a workspace with its own backend:

        with Simulator() as sim, Simulator(accepts_logins_of=sim) as workspace:
            sim.routing = Routing(origin=workspace.url, override="us")
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
        seed: int = 0,
        clock: Callable[[], datetime] = _utc_now,
        routing: Routing = Routing(),  # noqa: B008  (it is frozen)
        accepts_logins_of: Simulator | None = None,
    ) -> None:
        self.account: SimulatedAccount = (
            (account or SimulatedAccount()) if accepts_logins_of is None else accepts_logins_of.account
        )
        self.refresh_delay = refresh_delay
        self.routing = routing
        self._host, self._port = host, port
        self._approval: Approval = approval
        self._clock = clock
        self._ids = IdGenerator(seed)
        # The server thread appends, other threads copy and clear: each is one atomic operation of a list.
        self._requests: list[RecordedRequest] = []
        self._fault_queue = FaultQueue(seed)
        self._server: ServerThread | None = None
        self._url: str | None = None
        self._lifecycle_lock = threading.Lock()
        self._issuer = OAuthIssuer(
            account=self.account,
            ids=self._ids,
            clock=clock,
            url=lambda: self.url,
            access_token_lifetime=access_token_lifetime,
        )
        self._device_codes = DeviceCodes(
            self._issuer,
            settings=device_login or DeviceLoginSettings(),
            approval=approval,
            ids=self._ids,
            clock=clock,
            url=lambda: self.url,
        )
        self._account_limits = AccountLimits(limits or SimulatedLimits())
        self._backend = BackendRoutes(
            account=self.account,
            issuer=self._issuer if accepts_logins_of is None else accepts_logins_of._issuer,
            model_catalog=model_catalog or ModelCatalog.standard(),
            account_limits=self._account_limits,
            validator=RequestValidator(validation_rules),
            ids=self._ids,
            clock=clock,
            # pyright takes the field `respond`, which holds a function, for a method.
            next_turn=lambda: self._fault_queue.take(BACKEND_PATHS["responses"]),  # pyright: ignore[reportArgumentType]
            routing=lambda: self.routing,
        )

    # Starting and stopping

    def start(self) -> Self:
        """Start the server; return when it accepts connections. Raises `OSError` if the port is in use."""
        with self._lifecycle_lock:
            if self._server is not None:
                raise RuntimeError("The simulator is already running.")
            listener = listen(self._host, self._port)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._url = f"http://{host}:{listener.getsockname()[1]}"
            server = ServerThread(self._app(), listener, handshake=self._fault_queue.next_handshake)
            server.start()
            self._server = server
        return self

    def stop(self) -> None:
        """Stop the server within seconds. Does nothing if it is not running."""
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
            refresh_delay=lambda: self.refresh_delay,
        )
        app = Starlette(
            routes=[*issuer_routes.routes(), *self._backend.routes()],
            exception_handlers={HTTPException: _http_error},
        )
        with_faults = FaultMiddleware(app, queue=self._fault_queue, turn_context=self._backend.turn_context)
        return RecordingMiddleware(with_faults, log=self._requests, new_request_id=lambda: self._ids.new("req"))

    # Addresses

    @property
    def url(self) -> str:
        """The address of the server, without a path. Raises `RuntimeError` before `start`."""
        if self._url is None:
            raise RuntimeError(
                "The simulator has no address before it starts. Use `with Simulator() as sim:`, or call `start()`."
            )
        return self._url

    @property
    def issuer(self) -> str:
        """The address of the OAuth issuer, for `CODEX_ISSUER_URL`."""
        return self.url

    @property
    def chatgpt_url(self) -> str:
        """The address of the ChatGPT backend."""
        return f"{self.url}/backend-api"

    @property
    def base_url(self) -> str:
        """The address of the Codex backend, for `base_url=` and `CODEX_BASE_URL`."""
        return f"{self.chatgpt_url}/codex"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make this package, in any process, use the simulator."""
        return {"CODEX_BASE_URL": self.base_url, "CODEX_ISSUER_URL": self.issuer}

    # Logins

    def login_document(self, *, expires_in: timedelta | None = None) -> dict[str, Any]:
        """Return the content of an `auth.json` for a new login to this simulator.

        `expires_in` overrides the lifetime of the access token. A negative value gives an expired one.
        """
        tokens = self._issuer.issue(lifetime=expires_in)
        return auth_document(tokens, account=self.account, issuer=self.issuer, now=self._clock())

    def personal_access_token(self) -> str:
        """Return a new personal access token (`at-…`) of the account."""
        return self._issuer.personal_access_token()

    def credentials(self) -> Credentials:
        """Return `Credentials` with a new login in memory."""
        from ..auth import Credentials, MemoryStore

        return Credentials(MemoryStore(self.login_document()), issuer=self.issuer)

    # The clients are imported late: a program that only serves does not load openai.

    def client(self, **options: Any) -> OpenAI:
        """Return a client that is logged in to this simulator; `options` are those of `OpenAI`."""
        from .. import OpenAI

        return OpenAI(**self._client_options(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """Return an async client that is logged in to this simulator; `options` are those of `AsyncOpenAI`."""
        from .. import AsyncOpenAI

        return AsyncOpenAI(**self._client_options(options))

    def _client_options(self, options: dict[str, Any]) -> dict[str, Any]:
        credentials = options.pop("credentials", None) or self.credentials()
        return {"base_url": self.base_url, "issuer": self.issuer, "credentials": credentials, **options}

    def write_codex_home(
        self, path: str | Path, *, model: str | None = None, expires_in: timedelta | None = None
    ) -> Path:
        """Write an `auth.json` and a `config.toml` with which the real Codex CLI uses this simulator; return the path.

        Run the CLI with `CODEX_HOME` set to this path, and with `CODEX_REFRESH_TOKEN_URL_OVERRIDE` if it should refresh
        its tokens here. `expires_in` is that of `login_document`. Files that a simulator wrote are replaced; raises
        FileExistsError if the directory has another login or configuration.
        """
        return write_codex_home(
            path,
            auth=self.login_document(expires_in=expires_in),
            chatgpt_url=self.chatgpt_url,
            base_url=self.base_url,
            model=model,
        )

    # Behavior and records

    def script(self, *turns: TurnLike) -> None:
        """Queue responses for the next model requests, in order.

        Each argument is a `Turn`, a text, or a list of events. A request that fails validation is rejected and leaves
        the queue unchanged. When the queue is empty, the simulator generates default responses again.
        """
        self._fault_queue.script(turns)

    def fail(
        self, *faults: str | Turn, times: int | None = 1, route: str | None = None, probability: float | None = None
    ) -> None:
        """Make the next requests fail, one with each fault: the name of a fault, or a turn.

            sim.fail("overloaded", "usage_limit:plus,60", "reset@token", Turn.text("Hello").byte_by_byte())

        Faults of model requests join the queue of `script`. Each other route (`route`, or `@` in a name) has its own
        queue. `times=None` repeats the faults until `clear()`. With `probability`, requests fail at random until
        `clear()`, drawn with the seed. Raises `ValueError` for an unknown name or an invalid argument.
        """
        self._fault_queue.fail(faults, times=times, route=route, probability=probability)

    @property
    def requests(self) -> list[RecordedRequest]:
        """A copy of the list of recorded requests, in the order of arrival."""
        return list(self._requests)

    @property
    def limits(self) -> SimulatedLimits:
        """The usage limits that responses report. May be assigned at any time.

            sim.limits = SimulatedLimits(primary=SimulatedWindow(97, minutes=300), reset_credits=1)

        They only change what responses report and never reject a request. A fault `usage_limit` rejects one request,
        and the limits report the exhausted window from then on.
        """
        return self._account_limits.limits

    @limits.setter
    def limits(self, limits: SimulatedLimits) -> None:
        self._account_limits.limits = limits

    def clear(self) -> None:
        """Remove recorded requests, scripted turns and faults, and restore the initial limits. Logins stay valid."""
        self._requests.clear()
        self._fault_queue.clear()
        self._account_limits.restore()


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Respond to an unknown path as the backend does: `{"detail": "Not Found"}`."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)
