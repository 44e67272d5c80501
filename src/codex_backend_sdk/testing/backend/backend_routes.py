"""Handle the requests of the Codex backend: models, model responses, usage, reset credits and workspaces.

Every route first checks the access token and the account header. A model request is a `POST` or a message on a
WebSocket. It is validated, and the next scripted turn (or the default turn) creates the response; only its delivery
differs (`http.delivery` and `websocket.socket_delivery`). `faults.fault_middleware` handles the faults of other routes
before a request reaches this module.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, timedelta
from email.utils import format_datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from ..http.delivery import SimulatedResponse
from ..http.recording import RecordedModelRequest
from ..http.request_json import parse_json_object
from ..http.request_summary import RequestSummary, summarize_response
from ..http.stream_transforms import paced
from ..model_catalog import parse_version
from ..parsed_request import ParsedRequest
from ..replies.json_values import UnsupportedSchemaError
from ..replies.simulated_cache import measure_prompt
from ..websocket.socket_connection import Handshake
from ..websocket.upgrade import WebSocketUpgrade
from .simulated_limits import AccountLimits
from .turn_context import RouteResponse, TurnContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from ...types import Routing
    from ..id_generator import IdGenerator
    from ..issuer.oauth_issuer import OAuthIssuer
    from ..model_catalog import ModelCatalog
    from ..replies.simulated_cache import PromptCache
    from ..simulated_account import SimulatedAccount
    from ..websocket.responses_session import MessageHandler, ModelMessage
    from ..websocket.settings import WebSocketSettings
    from ..websocket.websocket_log import WebSocketLog
    from .turn_context import Responder
    from .validation import RequestValidator

    # Both are ASGI applications.
    Reply = SimulatedResponse | WebSocketUpgrade
    Handler = Callable[[Request], Reply | Awaitable[Reply]]

__all__ = ["BACKEND_PATHS", "WEBSOCKET_ROUTE", "BackendRoutes"]

# Short route names and their paths. A fault may name any other route by its path.
BACKEND_PATHS: Final = {
    "responses": "/backend-api/codex/responses",
    "models": "/backend-api/codex/models",
    "usage": "/backend-api/wham/usage",
    "reset_credits": "/backend-api/wham/rate-limit-reset-credits",
    "consume": "/backend-api/wham/rate-limit-reset-credits/consume",
    "accounts": "/backend-api/wham/accounts/check",
}

# The upgrade requests, which have the path of the model requests. It is the name of a queue of faults, not a path.
WEBSOCKET_ROUTE: Final = "websocket"

_logger = logging.getLogger(__name__)


class BackendRoutes:
    """The routes of the backend.

    `issuer` checks access tokens. `next_turn` returns the next scripted turn for a path or for `WEBSOCKET_ROUTE`, or
    None if no turn is scripted.
    """

    def __init__(
        self,
        *,
        account: SimulatedAccount,
        issuer: OAuthIssuer,
        account_id_required: bool,
        model_catalog: ModelCatalog,
        account_limits: AccountLimits,
        prompt_cache: PromptCache,
        validator: RequestValidator,
        ids: IdGenerator,
        clock: Callable[[], datetime],
        next_turn: Callable[[str], Responder | None],
        get_routing: Callable[[], Routing],
        record_model_request: Callable[[RecordedModelRequest], None],
        websocket_log: WebSocketLog,
        get_websocket_settings: Callable[[], WebSocketSettings],
        get_pace: Callable[[], float | None],
        on_request: Callable[[RequestSummary], None],
    ) -> None:
        self._account = account
        self._issuer = issuer
        self._account_id_required = account_id_required
        self._model_catalog = model_catalog
        self._account_limits = account_limits
        self._prompt_cache = prompt_cache
        self._validator = validator
        self._ids = ids
        self._clock = clock
        self._next_turn = next_turn
        self._get_routing = get_routing
        self._record = record_model_request
        self._websocket_log = websocket_log
        self._get_websocket_settings = get_websocket_settings
        self._get_pace = get_pace
        self._on_request = on_request

    def turn_context(
        self,
        *,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        body: dict[str, Any],
        route_response: RouteResponse | None = None,
        message: ModelMessage | None = None,
    ) -> TurnContext:
        """Return the context for a turn that responds to this request.

        `route_response` is the response of the route's own handler, for a turn that modifies it. `message` is the
        message on a WebSocket, if the request is one.
        """
        return TurnContext(
            request=ParsedRequest(
                body=body,
                headers=headers,
                account=self._account,
                model_catalog=self._model_catalog,
                previous_response_id=None if message is None else message.previous_response_id,
            ),
            ids=self._ids,
            account_limits=self._account_limits,
            prompt_cache=self._prompt_cache,
            now=self._clock(),
            request_id=scope["state"]["request_id"],
            path=scope["path"],
            port=scope["server"][1],
            route_response=route_response,
            is_websocket=message is not None,
        )

    def routes(self) -> list[Route]:
        """Return the routes. The application responds with 404 to any other path."""
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", BACKEND_PATHS["models"], self._models),
            ("POST", BACKEND_PATHS["responses"], self._responses),
            ("GET", BACKEND_PATHS["responses"], self._open_websocket),
            ("GET", BACKEND_PATHS["usage"], self._usage),
            ("GET", BACKEND_PATHS["reset_credits"], self._reset_credits),
            ("POST", BACKEND_PATHS["consume"], self._consume_reset_credit),
            ("GET", BACKEND_PATHS["accounts"], self._workspaces),
            ("GET", "/backend-api/wham/config/bundle", lambda request: SimulatedResponse.json(200, {})),
        )
        return [Route(path, self._authenticated(handler), methods=[method]) for method, path, handler in table]

    def _authenticated(self, handler: Handler) -> Callable[[Request], Awaitable[Reply]]:
        async def endpoint(request: Request) -> Reply:
            error_response = self._check_authentication(request)
            if error_response is not None:
                return error_response
            response = handler(request)
            return response if isinstance(response, (SimulatedResponse, WebSocketUpgrade)) else await response

        return endpoint

    def _check_authentication(self, request: Request) -> SimulatedResponse | None:
        """Return the error response for an invalid access token or account header, or None."""
        error_body = self._issuer.check_access(request.headers.get("authorization"))
        if error_body is not None:
            return SimulatedResponse.json(401, error_body)
        # Users report that the real backend rejects both errors. Its messages are not recorded; these are invented.
        account_id = request.headers.get("chatgpt-account-id")
        if account_id is None and self._account_id_required:
            return SimulatedResponse.json(400, {"detail": "The header ChatGPT-Account-ID is required"})
        # Without the header, the backend takes the account from the token, which belongs to the simulator's account.
        if account_id not in (None, self._account.account_id):
            detail = "The header ChatGPT-Account-ID does not match the account of the token"
            return SimulatedResponse.json(403, {"detail": detail})
        return None

    def _models(self, request: Request) -> SimulatedResponse:
        version = parse_version(request.query_params.get("client_version"))
        if version is None:
            return SimulatedResponse.json(400, {"detail": "client_version must be major.minor.patch"})
        etag = self._model_catalog.etag
        headers = (("etag", etag),)
        if request.headers.get("if-none-match") == etag:
            return SimulatedResponse(status=304, headers=headers)
        return SimulatedResponse.json(200, self._model_catalog.visible_to(version, plan=self._account.plan), headers)

    async def _responses(self, request: Request) -> SimulatedResponse:
        data = await request.body()
        body, headers = parse_json_object(data), dict(request.headers)
        self._record(RecordedModelRequest(transport="http", plain_bytes=len(data), headers=headers, body=body))
        context = self.turn_context(scope=request.scope, headers=headers, body=body)
        # `request.state.turn` is the fault that the request header selects, or None.
        response = self._respond_to_model_request(context, request.state.turn)
        request.state.model, request.state.response = context.request.model, summarize_response(response)
        return response

    def _respond_to_model_request(
        self, context: TurnContext, turn: Responder | None = None, *, generates: bool = True
    ) -> SimulatedResponse:
        response, pace = self._model_response(context, turn, generates=generates), self._get_pace()
        # The modifications of a scripted turn follow, so that it may cut or throttle the paced response.
        return response if pace is None else replace(response, transforms=(paced(pace), *response.transforms))

    def _model_response(self, context: TurnContext, turn: Responder | None, *, generates: bool) -> SimulatedResponse:
        # Validate before a turn is selected, so that an invalid request does not use up a scripted turn.
        error_response = self._validator.check(context.request)
        if error_response is not None:
            return error_response
        if not generates:
            return context.prewarm_response()
        if turn is not None:
            # A fault of a request header concerns this request only: other tests may use the same simulator.
            limits = AccountLimits(self._account_limits.current, clock=self._clock)
            return _respond(turn, replace(context, account_limits=limits))
        exhausted = self._account_limits.find_exhausted(context.request.model, context.now)
        if exhausted is not None and not exhausted.is_from_fault:
            return context.limit_response(exhausted)
        prompt = measure_prompt(context.request)
        context = replace(context, prompt=prompt)
        entry = context.request.catalog_entry
        window = None if entry is None else entry.members.get("context_window")
        if window is not None and prompt.tokens > window:
            return context.overflow_response()
        turn = self._next_turn(BACKEND_PATHS["responses"])
        if turn is None and exhausted is not None:
            return context.limit_response(exhausted)
        return _respond(turn, context)

    def _open_websocket(self, request: Request) -> Reply:
        settings = self._get_websocket_settings()
        if request.headers.get("upgrade", "").lower() != "websocket" or not settings.is_enabled:
            # After a 426, the Codex CLI uses HTTP for the rest of its session.
            return SimulatedResponse.json(426, {"detail": "Upgrade Required"})
        turn = request.state.turn or self._next_turn(WEBSOCKET_ROUTE)
        request.state.upgrade_status = 101
        response = SimulatedResponse(status=101, headers=tuple(self._upgrade_headers(request, settings).items()))
        if turn is not None:
            context = self.turn_context(
                scope=request.scope,
                headers=dict(request.headers),
                body={},
                route_response=RouteResponse(response.status, response.headers, b""),
            )
            response = _respond(turn, context)
        handshake = Handshake(request.url.path, request.headers.items(), settings, dict(response.headers))
        if handshake.rejection is not None:
            return SimulatedResponse.json(handshake.rejection.status_code, {"detail": "Invalid WebSocket upgrade"})
        if response.status != 101:
            return response
        return WebSocketUpgrade(
            response=response,
            handshake=handshake,
            handle=self._message_handler(request),
            log=self._websocket_log,
            clock=self._clock,
            get_settings=self._get_websocket_settings,
            on_response=self._report_message,
        )

    def _report_message(self, model: str, response: SimulatedResponse, seconds: float) -> None:
        """Report a message on a WebSocket, after its response was delivered."""
        summary = RequestSummary(
            time=self._clock() - timedelta(seconds=seconds),
            method="WS",
            path=BACKEND_PATHS["responses"],
            status=response.status,
            seconds=seconds,
            model=model,
            response=summarize_response(response),
        )
        self._on_request(summary)

    def _upgrade_headers(self, request: Request, settings: WebSocketSettings) -> dict[str, str]:
        # Codex CLI: codex-api/src/endpoint/responses_websocket.rs
        headers = {
            "date": format_datetime(self._clock().astimezone(UTC), usegmt=True),
            "x-request-id": request.state.request_id,
            "x-models-etag": self._model_catalog.etag,
        }
        if settings.max_message_bytes is not None:
            headers["x-codex-websocket-max-message-bytes"] = str(settings.max_message_bytes)
        return headers

    def _message_handler(self, request: Request) -> MessageHandler:
        """Return the function that responds to the model requests on the WebSocket of this upgrade request."""

        def handle(message: ModelMessage) -> SimulatedResponse:
            headers = {**request.headers, **message.headers}
            size = message.plain_bytes
            self._record(
                RecordedModelRequest(transport="websocket", plain_bytes=size, headers=headers, body=message.body)
            )
            context = self.turn_context(
                scope={**request.scope, "state": {"request_id": self._ids.new("req")}},
                headers=headers,
                body=message.body,
                message=message,
            )
            response = self._respond_to_model_request(context, generates=message.generates)
            # An `error` event contains the headers. Over HTTP, `RecordingMiddleware` adds this one.
            return replace(response, headers=(*response.headers, ("x-request-id", context.request_id)))

        return handle

    def _usage(self, request: Request) -> SimulatedResponse:
        return SimulatedResponse.json(200, self._account_limits.current.usage(self._account, self._clock()))

    def _reset_credits(self, request: Request) -> SimulatedResponse:
        body = self._account_limits.reset_credits()
        return _not_found() if body is None else SimulatedResponse.json(200, body)

    async def _consume_reset_credit(self, request: Request) -> SimulatedResponse:
        if self._account_limits.reset_credits() is None:
            return _not_found()
        body = parse_json_object(await request.body())
        if not isinstance(body.get("redeem_request_id"), str) or not isinstance(body.get("credit_id"), (str, NoneType)):
            detail = "redeem_request_id must be a string, and credit_id must be a string or null"
            return SimulatedResponse.json(422, {"detail": detail})
        return SimulatedResponse.json(200, self._account_limits.consume_reset_credit(body, self._clock()))

    def _workspaces(self, request: Request) -> SimulatedResponse:
        account_id, routing = self._account.account_id, self._get_routing()
        entry = {
            "id": account_id,
            "plan_type": self._account.plan,
            # The Codex CLI sends its requests to this origin. By default it must use the simulator's own URL.
            "workspace_backend_origin": routing.origin or "NO_CONSTRAINT",
            "account_routing_override": routing.override or "NO_CONSTRAINT",
            "name": "Personal",
            "profile_picture_url": None,
            "structure": "personal",
        }
        body = {"accounts": [entry], "account_ordering": [account_id], "default_account_id": account_id}
        return SimulatedResponse.json(200, body)


def _respond(turn: Responder | None, context: TurnContext) -> SimulatedResponse:
    try:
        return context.default_response() if turn is None else turn.respond(context)
    except UnsupportedSchemaError as error:
        message = f"The simulator cannot generate a value for this schema: {error}. Script a Turn for this request."
        error_object = {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_json_schema",
        }
        return SimulatedResponse.json(400, {"error": error_object})
    except Exception as error:  # a turn may be a function supplied by the test, which can raise anything
        _logger.exception("A scripted turn raised an exception")
        return SimulatedResponse.json(500, {"detail": f"The simulator's scripted turn failed: {error!r}"})


def _not_found() -> SimulatedResponse:
    return SimulatedResponse.json(404, {"detail": "Not Found"})
