"""The simulator: a Codex backend and its OAuth issuer on 127.0.0.1."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ..types import Routing
from .backend.limits_state import Limits
from .backend.meter import Meter
from .backend.model_catalogue import Catalogue
from .backend.routes_app import Backend
from .backend.rules import Rules
from .codex_home import auth_document, write_codex_home
from .faults.fault_middleware import Intervention
from .faults.program import Program
from .http.asgi_runner import Runner, listen
from .http.record import RecordedRequest, Recorder, Records
from .issuer.device_codes import DeviceCodes, DeviceSettings
from .issuer.device_pages import DevicePages
from .issuer.issuer_pages import Approval, IssuerPages
from .issuer.oauth_issuer import Issuer
from .issuer.token_mint import Ids
from .sim_account import Account

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from .. import AsyncOpenAI, OpenAI
    from ..auth import Credentials
    from .turns import Given, Turn

__all__ = ["Simulator"]


def _now() -> datetime:
    return datetime.now(UTC)


class Simulator:
    """A Codex backend and its OAuth issuer in one local server; use it as a context manager.

    It answers by itself, without a model, until a `script` says otherwise. `port=0` takes a free port. `approve`
    says what the pages for signing in do: `auto` approves without a person, `ask` shows buttons, `deny` refuses;
    `device` how it goes with a device code. `rules` switches refusals on and off by name (`testing.rules`). `clock`
    gives the present time, aware. A renewal of the login takes `refresh_delay`, which may be changed meanwhile; a
    client that is gone by then used up nothing. `routing` is what it says of where the account's requests go; it may be
    changed meanwhile, too. `workspace_of` makes it the own backend of the workspace of another simulator, whose account
    and logins it takes:

        sim, own = Simulator(account=Account(plan="enterprise")), Simulator(workspace_of=sim)
        sim.routing = Routing(origin=own.url, override="us")    # both are started
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        account: Account | None = None,
        approve: Approval = "auto",
        token_lifetime: timedelta = timedelta(days=10),
        refresh_lifetime: timedelta | None = None,
        refresh_delay: timedelta = timedelta(0),
        device: DeviceSettings | None = None,
        rules: Mapping[str, bool] | None = None,
        catalogue: Catalogue | None = None,
        limits: Limits | None = None,
        preamble: bool = True,
        seed: int = 0,
        clock: Callable[[], datetime] = _now,
        routing: Routing = Routing(),  # noqa: B008  (it is frozen)
        workspace_of: Simulator | None = None,
    ) -> None:
        self.account: Account = (account or Account()) if workspace_of is None else workspace_of.account
        self.refresh_delay = refresh_delay
        self.routing = routing
        self._host, self._port = host, port
        self._approve = approve
        self._clock = clock
        self._ids = Ids(seed)
        self._records = Records()
        self._program = Program(seed)
        self._runner: Runner | None = None
        self._url: str | None = None
        self._lifecycle = threading.Lock()
        self._issuer = Issuer(
            account=self.account,
            ids=self._ids,
            clock=clock,
            url=lambda: self.url,
            token_lifetime=token_lifetime,
            refresh_lifetime=refresh_lifetime,
        )
        self._device_codes = DeviceCodes(
            self._issuer,
            settings=device or DeviceSettings(),
            approve=approve,
            ids=self._ids,
            clock=clock,
            url=lambda: self.url,
        )
        self._meter = Meter(limits or Limits())
        self._backend = Backend(
            account=self.account,
            issuer=self._issuer if workspace_of is None else workspace_of._issuer,
            catalogue=catalogue or Catalogue.standard(),
            meter=self._meter,
            rules=Rules(rules),
            ids=self._ids,
            clock=clock,
            preamble=preamble,
            schedule=self._program.turns,
            routing=lambda: self.routing,
        )

    # Life

    def start(self) -> Self:
        """Start serving; returns when the server accepts connections."""
        with self._lifecycle:
            if self._runner is not None:
                raise RuntimeError("The simulator is running already")
            listener = listen(self._host, self._port)
            host = f"[{self._host}]" if ":" in self._host else self._host
            self._url = f"http://{host}:{listener.getsockname()[1]}"
            runner = Runner(self._app(), listener, handshake=self._program.handshake)
            runner.start()
            self._runner = runner
        return self

    def stop(self) -> None:
        """Stop serving, within seconds; a simulator that is not running stays so."""
        with self._lifecycle:
            runner, self._runner = self._runner, None
            if runner is not None:
                runner.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _app(self) -> ASGIApp:
        pages = IssuerPages(
            self._issuer, email=self.account.email, approve=self._approve, refresh_delay=lambda: self.refresh_delay
        )
        device_pages = DevicePages(self._device_codes, issuer=self._issuer, account=self.account)
        app = Starlette(
            routes=[*pages.routes(), *device_pages.routes(), *self._backend.routes()],
            exception_handlers={HTTPException: _as_json},
        )
        disturbed = Intervention(app, schedule=self._program.turns, stage=self._backend.stage)
        return Recorder(disturbed, records=self._records, ids=self._ids)

    # Addresses

    @property
    def url(self) -> str:
        """The server's address, without a path."""
        if self._url is None:
            raise RuntimeError(
                "The simulator has no address before it is started: `with Simulator() as sim:`, or `sim.start()`"
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
        """The variables that point this package, in any process, at the simulator."""
        return {"CODEX_BASE_URL": self.base_url, "CODEX_ISSUER_URL": self.issuer}

    # Being signed in

    def login_document(self, *, expires_in: timedelta | None = None) -> dict[str, Any]:
        """Return an `auth.json` document with tokens that this simulator accepts and can renew.

        `expires_in` may be negative, for a login whose access token has expired.
        """
        tokens = self._issuer.issue(lifetime=expires_in)
        return auth_document(tokens, account=self.account, issuer=self.issuer, now=self._clock())

    def personal_access_token(self) -> str:
        """Return a new personal access token (`at-…`) of the account."""
        return self._issuer.personal_access_token()

    def credentials(self) -> Credentials:
        """Return credentials that are signed in, in memory."""
        from ..auth import Credentials, MemoryStore

        return Credentials(MemoryStore(self.login_document()), issuer=self.issuer)

    def client(self, **options: Any) -> OpenAI:
        """Return a client that is signed in to this simulator; `options` as for `OpenAI`."""
        from .. import OpenAI

        return OpenAI(**self._client_options(options))

    def async_client(self, **options: Any) -> AsyncOpenAI:
        """Return an async client that is signed in to this simulator; `options` as for `AsyncOpenAI`."""
        from .. import AsyncOpenAI

        return AsyncOpenAI(**self._client_options(options))

    def _client_options(self, options: dict[str, Any]) -> dict[str, Any]:
        credentials = options.pop("credentials", None) or self.credentials()
        return {"base_url": self.base_url, "issuer": self.issuer, "credentials": credentials, **options}

    def write_codex_home(
        self, path: str | Path, *, model: str | None = None, expires_in: timedelta | None = None
    ) -> Path:
        """Write `auth.json` and `config.toml` with which the real Codex CLI runs on this simulator.

        Start it with `CODEX_HOME` set to the path, which is returned. An existing file is replaced. `expires_in` is
        as for `login_document`; the CLI renews at `CODEX_REFRESH_TOKEN_URL_OVERRIDE`.
        """
        return write_codex_home(
            path,
            auth=self.login_document(expires_in=expires_in),
            chatgpt_url=self.chatgpt_url,
            base_url=self.base_url,
            model=model,
        )

    # What it says and what it heard

    def script(self, *turns: Given) -> None:
        """Give the next answers of `POST /responses`, in order: turns, texts to say, or lists of events.

        A request that the backend would refuse is refused, and takes nothing from the script. After the last turn
        the simulator answers by itself again.
        """
        self._program.script(turns)

    def fail(
        self, *faults: str | Turn, times: int | None = 1, route: str | None = None, probability: float | None = None
    ) -> None:
        """Let the next requests fail, one with each fault: a name of `testing.faults`, or a turn.

            sim.fail("overloaded", "usage_limit:plus,60", "reset@token", Turn.text("Hello").byte_by_byte())

        Model answers fail in the order of the script; other places (`route`, or `@` in a name) have queues of their own.
        `times=None` lasts until `clear()`, and so does `probability`: that part of the requests, drawn by the seed.
        ValueError says which name or argument is wrong.
        """
        self._program.fail(faults, times=times, route=route, probability=probability)

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests so far, in the order in which they arrived; a copy."""
        return self._records.all()

    @property
    def limits(self) -> Limits:
        """The account's limits as answers tell them now; set others at any time.

            sim.limits = Limits(primary=Window(97, 300), reset_credits=1)

        They tell and do not refuse: a fault `usage_limit` refuses, and uses its window up here as well.
        """
        return self._meter.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self._meter.limits = limits

    def clear(self) -> None:
        """Forget the requests, the rest of the script, the faults, and what became of the limits."""
        self._records.clear()
        self._program.clear()
        self._meter.clear()


async def _as_json(request: Request, error: Exception) -> JSONResponse:
    """Answer what has no route, as the backend does: `{"detail": "Not Found"}`."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"detail": error.detail}, error.status_code)
