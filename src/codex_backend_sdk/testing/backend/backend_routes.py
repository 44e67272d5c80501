"""The Codex backend over HTTP: models, model responses, usage, reset credits and workspaces.

Every route first checks the access token and the account header. A model request is then validated, and the next
scripted turn (or the default one) builds the response. Faults on other routes are handled before this module, by
`faults.fault_middleware`.
"""

from __future__ import annotations

import json
import logging
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Route

from ..http.delivery import SimulatedResponse, as_chunks
from ..model_catalog import parse_version
from ..parsed_request import ParsedRequest
from ..replies.json_values import UnsupportedSchemaError
from .turn_context import TurnContext

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from ...types import Routing
    from ..id_generator import IdGenerator
    from ..issuer.oauth_issuer import OAuthIssuer
    from ..model_catalog import ModelCatalog
    from ..simulated_account import SimulatedAccount
    from .simulated_limits import AccountLimits
    from .turn_context import CapturedResponse, Responder
    from .validation import RequestValidator

    Handler = Callable[[Request], SimulatedResponse | Awaitable[SimulatedResponse]]

__all__ = ["BACKEND_PATHS", "BackendRoutes"]

# The paths that a fault may name.
BACKEND_PATHS: Final = {
    "responses": "/backend-api/codex/responses",
    "models": "/backend-api/codex/models",
    "usage": "/backend-api/wham/usage",
    "reset_credits": "/backend-api/wham/rate-limit-reset-credits",
    "consume": "/backend-api/wham/rate-limit-reset-credits/consume",
    "accounts": "/backend-api/wham/accounts/check",
}

_log = logging.getLogger(__name__)


class BackendRoutes:
    """The routes of the backend; `issuer` checks access tokens, `next_turn` returns the next scripted turn, if any."""

    def __init__(
        self,
        *,
        account: SimulatedAccount,
        issuer: OAuthIssuer,
        model_catalog: ModelCatalog,
        account_limits: AccountLimits,
        validator: RequestValidator,
        ids: IdGenerator,
        clock: Callable[[], datetime],
        next_turn: Callable[[], Responder | None],
        routing: Callable[[], Routing],
    ) -> None:
        self._account = account
        self._issuer = issuer
        self._model_catalog = model_catalog
        self._account_limits = account_limits
        self._validator = validator
        self._ids = ids
        self._clock = clock
        self._next_turn = next_turn
        self._routing = routing

    def turn_context(
        self,
        *,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        body: dict[str, Any],
        captured: CapturedResponse | None = None,
    ) -> TurnContext:
        """Return the context for a turn that responds to this request."""
        return TurnContext(
            request=ParsedRequest(body=body, headers=headers, account=self._account, model_catalog=self._model_catalog),
            ids=self._ids,
            account_limits=self._account_limits,
            now=self._clock(),
            request_id=scope["state"]["request_id"],
            path=scope["path"],
            port=scope["server"][1],
            captured=captured,
        )

    def routes(self) -> list[Route]:
        """Return the routes; the application answers any other path with 404."""
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", BACKEND_PATHS["models"], self._models),
            ("POST", BACKEND_PATHS["responses"], self._responses),
            ("GET", BACKEND_PATHS["responses"], self._reject_websocket),
            ("GET", BACKEND_PATHS["usage"], self._usage),
            ("GET", BACKEND_PATHS["reset_credits"], self._reset_credits),
            ("POST", BACKEND_PATHS["consume"], self._consume_reset_credit),
            ("GET", BACKEND_PATHS["accounts"], self._workspaces),
            ("GET", "/backend-api/wham/config/bundle", lambda request: SimulatedResponse.json(200, {})),
        )
        return [Route(path, self._authenticated(handler), methods=[method]) for method, path, handler in table]

    def _authenticated(self, handler: Handler) -> Callable[[Request], Awaitable[SimulatedResponse]]:
        async def endpoint(request: Request) -> SimulatedResponse:
            rejection = self._reject_caller(request)
            if rejection is not None:
                return rejection
            response = handler(request)
            return response if isinstance(response, SimulatedResponse) else await response

        return endpoint

    def _reject_caller(self, request: Request) -> SimulatedResponse | None:
        body = self._issuer.access_error(request.headers.get("authorization"))
        if body is not None:
            return SimulatedResponse.json(401, body)
        # The real backend is reported to reject both; its texts are not recorded, so these are ours.
        account_id = request.headers.get("chatgpt-account-id")
        if account_id is None:
            return SimulatedResponse.json(400, {"detail": "The header ChatGPT-Account-ID is required"})
        if account_id != self._account.account_id:
            text = "The header ChatGPT-Account-ID names another account than the token"
            return SimulatedResponse.json(403, {"detail": text})
        return None

    def _models(self, request: Request) -> SimulatedResponse:
        version = parse_version(request.query_params.get("client_version"))
        if version is None:
            return SimulatedResponse.json(400, {"detail": "client_version has to be major.minor.patch"})
        etag = self._model_catalog.etag
        headers = (("etag", etag),)
        if request.headers.get("if-none-match") == etag:
            return SimulatedResponse(status=304, headers=headers, chunks=as_chunks([]))
        return SimulatedResponse.json(200, self._model_catalog.visible_to(version), headers)

    async def _responses(self, request: Request) -> SimulatedResponse:
        body = _json_object(await request.body())
        if body is None:
            return SimulatedResponse.json(400, {"detail": "The body has to be a JSON object"})
        context = self.turn_context(scope=request.scope, headers=dict(request.headers), body=body)
        # An invalid request is rejected before the script, so that it does not use up a scripted turn.
        rejection = self._validator.check(context.request)
        if rejection is not None:
            return rejection
        # `request.state.turn` is the fault that a header of this request selects.
        return _respond(request.state.turn or self._next_turn(), context)

    def _reject_websocket(self, request: Request) -> SimulatedResponse:
        # 426 makes the Codex CLI switch to HTTP at once, for the rest of its session.
        return SimulatedResponse.json(426, {"detail": "Upgrade Required"})

    def _usage(self, request: Request) -> SimulatedResponse:
        return SimulatedResponse.json(200, self._account_limits.limits.usage(self._account, self._clock()))

    def _reset_credits(self, request: Request) -> SimulatedResponse:
        body = self._account_limits.credits()
        return _not_found() if body is None else SimulatedResponse.json(200, body)

    async def _consume_reset_credit(self, request: Request) -> SimulatedResponse:
        if self._account_limits.credits() is None:
            return _not_found()
        body = _json_object(await request.body()) or {}
        if not isinstance(body.get("redeem_request_id"), str) or not isinstance(body.get("credit_id"), (str, NoneType)):
            text = "redeem_request_id has to be text, and so does credit_id"
            return SimulatedResponse.json(422, {"detail": text})
        return SimulatedResponse.json(200, self._account_limits.consume(body, self._clock()))

    def _workspaces(self, request: Request) -> SimulatedResponse:
        account_id, routing = self._account.account_id, self._routing()
        entry = {
            "id": account_id,
            "plan_type": self._account.plan,
            # The Codex CLI sends its requests to this origin, so by default there must be none.
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
    except UnsupportedSchemaError as problem:
        text = f"The simulator cannot make a value for this schema: {problem}. Use a scripted Turn instead."
        error = {"message": text, "type": "invalid_request_error", "param": None, "code": "invalid_json_schema"}
        return SimulatedResponse.json(400, {"error": error})
    except Exception as error:  # a turn may be a function of the test, with a bug of its own
        _log.exception("A scripted turn raised an exception")
        return SimulatedResponse.json(500, {"detail": f"The simulator's scripted turn failed: {error!r}"})


def _not_found() -> SimulatedResponse:
    return SimulatedResponse.json(404, {"detail": "Not Found"})


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
        # A lone surrogate is valid JSON but not valid text: the response could not be encoded.
        if b"\\ud" in body or b"\\uD" in body:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
