"""The routes of the OAuth issuer."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

import anyio
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..http.delivery import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from starlette.requests import Request

    from .oauth_issuer import Issuer

__all__ = ["Approval", "IssuerPages", "members", "page"]

# auto: the authorize page approves without a person. ask: it shows two buttons. deny: it refuses.
Approval = Literal["auto", "ask", "deny"]

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
# The code exchange is a form, the renewal JSON (Codex CLI: login/src/server.rs, login/src/auth/manager.rs); the
# standard's form (RFC 6749, 6) is accepted for a renewal too.
_ENCODINGS = {"authorization_code": {_FORM}, "refresh_token": {_JSON, _FORM}}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Codex simulator</title>
<style>
body {{ font: 18px system-ui; max-width: 32em; margin: 4em auto; }}
button {{ font: inherit; padding: .4em 1em; }}
</style>
<h1>Sign in to the simulator</h1>
{content}
</html>
"""
_QUESTION = """<p>A program on this machine (<b>{originator}</b>) asks to be signed in as {email}.
No real account is involved.</p>
<form action="/oauth/authorize/decide">
{fields}
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>"""


class IssuerPages:
    """The issuer's pages and endpoints."""

    def __init__(
        self, issuer: Issuer, *, email: str, approve: Approval, refresh_delay: Callable[[], timedelta]
    ) -> None:
        self._issuer = issuer
        self._refresh_delay = refresh_delay
        self._email = email
        self._approve = approve

    def routes(self) -> list[Route]:
        """Return the issuer's routes."""
        return [
            Route("/oauth/authorize", self._authorize, methods=["GET"]),
            Route("/oauth/authorize/decide", self._decide, methods=["GET"]),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/oauth/revoke", self._revoke, methods=["POST"]),
        ]

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        problem = self._issuer.refuse_authorization(query)
        if problem is not None:
            return page(f"<p>{html.escape(problem)}</p>", status=400)
        if self._approve == "ask":
            return page(_question(query, self._email))
        return self._redirect(query, approved=self._approve == "auto")

    async def _decide(self, request: Request) -> Response:
        query = dict(request.query_params)
        decision = query.pop("decision", None)
        problem = self._issuer.refuse_authorization(query)
        if problem is not None:
            return page(f"<p>{html.escape(problem)}</p>", status=400)
        return self._redirect(query, approved=decision == "approve")

    def _redirect(self, query: Mapping[str, str], *, approved: bool) -> Response:
        target = self._issuer.approve(query) if approved else self._issuer.deny(query)
        return RedirectResponse(target, status_code=302)

    async def _token(self, request: Request) -> Answer:
        given, encoding = await members(request)
        wanted = _ENCODINGS.get(str(given.get("grant_type")), {_FORM})
        if encoding not in wanted:
            text = f"This grant has to be sent as {' or '.join(sorted(wanted))}."
            return Answer.json(400, {"error": "invalid_request", "error_description": text})
        if given.get("grant_type") == "refresh_token":
            delay = self._refresh_delay().total_seconds()
            if delay > 0 and await _is_gone_within(delay, request):
                return Answer.json(499, {})  # nobody reads it, and the refresh token is not used up
        status, body = self._issuer.grant(given)
        return Answer.json(status, body, (("cache-control", "no-store"),))

    async def _revoke(self, request: Request) -> Answer:
        given, _ = await members(request)
        self._issuer.revoke(str(given.get("token")))
        return Answer.json(200, {})


async def _is_gone_within(seconds: float, request: Request) -> bool:
    """Wait so long for the client to give up; True as soon as it does."""
    with anyio.move_on_after(seconds):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return True
    return False


async def members(request: Request) -> tuple[dict[str, Any], str]:
    """Return the members of a form or of a JSON object, and the media type."""
    encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    text = (await request.body()).decode("utf-8", "replace")
    if encoding == _JSON:
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        return (given if isinstance(given, dict) else {}), encoding
    return dict(parse_qsl(text, keep_blank_values=True)), encoding


def page(content: str, *, status: int = 200) -> HTMLResponse:
    """Return a page of the issuer; `content` is HTML."""
    return HTMLResponse(_PAGE.format(content=content), status_code=status)


def _question(query: Mapping[str, str], email: str) -> str:
    fields = "\n".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in query.items()
    )
    originator = html.escape(query.get("originator", "unnamed"))
    return _QUESTION.format(originator=originator, email=html.escape(email), fields=fields)
