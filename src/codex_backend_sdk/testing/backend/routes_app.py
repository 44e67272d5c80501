"""The routes of the Codex backend."""

from __future__ import annotations

import json
import logging
from types import NoneType
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from ..faults.fault_catalogue import PLACES
from ..http.delivery import Answer, each
from ..replies.schema import NoInstance
from ..turns import Turn
from .asked import Asked
from .model_catalogue import parse_version
from .refusal import Refusal, detail, invalid
from .stage import Stage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from starlette.requests import Request

    from ... import Routing
    from ..faults.schedule import Schedule
    from ..issuer.oauth_issuer import Issuer
    from ..issuer.token_mint import Ids
    from ..sim_account import Account
    from .meter import Meter
    from .model_catalogue import Catalogue
    from .rules import Rules
    from .stage import Captured

__all__ = ["Backend"]

_log = logging.getLogger(__name__)


class Backend:
    """Answers what the Codex backend answers, for whoever the issuer has signed in."""

    def __init__(
        self,
        *,
        account: Account,
        issuer: Issuer,
        catalogue: Catalogue,
        meter: Meter,
        rules: Rules,
        ids: Ids,
        clock: Callable[[], datetime],
        preamble: bool,
        schedule: Schedule[Turn],
        routing: Callable[[], Routing],
    ) -> None:
        self._account = account
        self._issuer = issuer
        self._catalogue = catalogue
        self._meter = meter
        self._rules = rules
        self._ids = ids
        self._clock = clock
        self._preamble = preamble
        self._schedule = schedule
        self._routing = routing

    def stage(
        self,
        *,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        body: dict[str, Any],
        captured: Captured | None = None,
    ) -> Stage:
        """Return what a turn has at hand when it answers this request."""
        return Stage(
            asked=Asked(body=body, headers=headers, account=self._account, catalogue=self._catalogue),
            ids=self._ids,
            meter=self._meter,
            now=self._clock(),
            request_id=scope["state"]["request_id"],
            preamble=self._preamble,
            path=scope["path"],
            port=scope["server"][1],
            captured=captured,
        )

    def routes(self) -> list[Route]:
        """Return the routes; every other path is a 404."""
        table: tuple[tuple[str, str, Callable[[Request], Answer | Awaitable[Answer]]], ...] = (
            ("GET", PLACES["models"], self._models),
            ("POST", PLACES["responses"], self._responses),
            ("GET", PLACES["responses"], self._no_websocket),
            ("GET", PLACES["usage"], self._usage),
            ("GET", PLACES["reset_credits"], self._reset_credits),
            ("POST", PLACES["consume"], self._consume),
            ("GET", PLACES["accounts"], self._accounts),
            ("GET", "/backend-api/wham/config/bundle", lambda request: Answer.json(200, {})),
        )
        return [Route(path, self._signed_in(handler), methods=[method]) for method, path, handler in table]

    def _signed_in(
        self, handler: Callable[[Request], Answer | Awaitable[Answer]]
    ) -> Callable[[Request], Awaitable[Answer]]:
        async def endpoint(request: Request) -> Answer:
            refusal = self._refuse_caller(request)
            if refusal is not None:
                return Answer.json(refusal.status, refusal.body)
            answer = handler(request)
            return answer if isinstance(answer, Answer) else await answer

        return endpoint

    def _refuse_caller(self, request: Request) -> Refusal | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        body = self._issuer.refuse_access(token if scheme.lower() == "bearer" else None)
        if body is not None:
            return Refusal(401, body)
        # Reported as refused; how the real refusal reads is not known, so these two sentences are our own.
        account_id = request.headers.get("chatgpt-account-id")
        if account_id is None:
            return detail("The header ChatGPT-Account-ID is required")
        if account_id != self._account.account_id:
            return detail("The header ChatGPT-Account-ID names another account than the token", status=403)
        return None

    def _models(self, request: Request) -> Answer:
        version = parse_version(request.query_params.get("client_version"))
        if version is None:
            return Answer.json(400, {"detail": "client_version has to be major.minor.patch"})
        etag = self._catalogue.etag
        headers = (("etag", etag),)
        if request.headers.get("if-none-match") == etag:
            return Answer(status=304, headers=headers, chunks=each([]))
        return Answer.json(200, self._catalogue.visible_to(version), headers)

    async def _responses(self, request: Request) -> Answer:
        body = _json_object(await request.body())
        if body is None:
            return Answer.json(400, {"detail": "The body has to be a JSON object"})
        stage = self.stage(scope=request.scope, headers=dict(request.headers), body=body)
        refusal = self._rules.refuse(stage.asked)
        if refusal is not None:
            return Answer.json(refusal.status, refusal.body)
        return self._play(stage, request.state.turn)

    def _play(self, stage: Stage, demanded: Turn | None) -> Answer:
        turn = demanded or self._schedule.take(PLACES["responses"]) or Turn.default()
        try:
            return turn.play(stage)
        except NoInstance as problem:
            text = f"The simulator cannot make a value for this schema: {problem}. Give a scripted Turn instead."
            refusal = invalid(text, param=None, code="invalid_json_schema")
            return Answer.json(refusal.status, refusal.body)
        except Exception as error:  # a turn may be the user's own function
            _log.exception("A scripted turn failed")
            return Answer.json(500, {"detail": f"The simulator's scripted turn failed: {error!r}"})

    def _no_websocket(self, request: Request) -> Answer:
        # 426 makes the Codex CLI use HTTP at once, for the rest of its session.
        return Answer.json(426, {"detail": "Upgrade Required"})

    def _usage(self, request: Request) -> Answer:
        return Answer.json(200, self._meter.limits.usage(self._account, self._clock()))

    def _reset_credits(self, request: Request) -> Answer:
        found = self._meter.credits()
        return Answer.json(404, {"detail": "Not Found"}) if found is None else Answer.json(200, found)

    async def _consume(self, request: Request) -> Answer:
        if self._meter.credits() is None:
            return Answer.json(404, {"detail": "Not Found"})
        body = _json_object(await request.body()) or {}
        if not isinstance(body.get("redeem_request_id"), str) or not isinstance(body.get("credit_id"), (str, NoneType)):
            return Answer.json(422, {"detail": "redeem_request_id has to be text, and so does credit_id"})
        return Answer.json(200, self._meter.consume(body, self._clock()))

    def _accounts(self, request: Request) -> Answer:
        account_id, routing = self._account.account_id, self._routing()
        entry = {
            "id": account_id,
            "plan_type": self._account.plan,
            # Another origin than one on this machine would send the Codex CLI there.
            "workspace_backend_origin": routing.origin or "NO_CONSTRAINT",
            "account_routing_override": routing.override or "NO_CONSTRAINT",
            "name": "Personal",
            "profile_picture_url": None,
            "structure": "personal",
        }
        answer = {"accounts": [entry], "account_ordering": [account_id], "default_account_id": account_id}
        return Answer.json(200, answer)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(body)
        if b"\\ud" in body or b"\\uD" in body:  # half a surrogate pair is no text, and could not be sent back
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
