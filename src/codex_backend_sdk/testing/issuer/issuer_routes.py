"""Handle the HTTP requests of the OAuth issuer.

The routes are the authorization endpoint, the token endpoint, token revocation, device codes, and the account of an
access token. The paths and the content types are from the Codex CLI (login/src/server.rs,
login/src/device_code_auth.rs, login/src/auth/manager.rs).
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from ..http.asgi_server import wait_for_disconnect
from ..http.delivery import SimulatedResponse
from ..http.request_json import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from starlette.requests import Request

    from ..simulated_account import SimulatedAccount
    from .device_codes import DeviceCodes
    from .oauth_issuer import Approval, OAuthIssuer

__all__ = ["IssuerRoutes"]

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
# The CLI sends the code exchange as a form and the refresh as JSON. RFC 6749, 6 also requires a form for the refresh.
_CONTENT_TYPES = {"authorization_code": {_FORM}, "refresh_token": {_JSON, _FORM}}
_NO_STORE = (("cache-control", "no-store"),)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Codex simulator</title>
<style>
body {{ font: 18px system-ui; max-width: 32em; margin: 4em auto; }}
button {{ font: inherit; padding: .4em 1em; }}
</style>
<h1>Log in to the simulator</h1>
{content}
</html>
"""
_CONSENT_FORM = """<p>A program on this machine (<b>{originator}</b>) requests a login as {email}.
This is a simulated account.</p>
<form action="/oauth/authorize/decide">
{fields}
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>"""
_DEVICE_FORM = """<p>Enter the code that your program displays, to log it in as {email}.
This is a simulated account.</p>
<form action="/codex/device">
<p><input name="user_code" value="{user_code}" placeholder="ABCD-12345" aria-label="Code" autofocus required></p>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>"""


class IssuerRoutes:
    """The routes of the issuer. `get_refresh_delay` is called for each refresh."""

    def __init__(
        self,
        issuer: OAuthIssuer,
        device_codes: DeviceCodes,
        *,
        account: SimulatedAccount,
        approval: Approval,
        get_refresh_delay: Callable[[], timedelta],
    ) -> None:
        self._issuer = issuer
        self._device_codes = device_codes
        self._account = account
        self._approval = approval
        self._get_refresh_delay = get_refresh_delay

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/oauth/authorize", self._authorize, methods=["GET"]),
            Route("/oauth/authorize/decide", self._decide, methods=["GET"]),
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/oauth/revoke", self._revoke, methods=["POST"]),
            Route("/codex/device", self._device_page, methods=["GET"]),
            Route("/api/accounts/deviceauth/usercode", self._create_device_code, methods=["POST"]),
            Route("/api/accounts/deviceauth/token", self._poll_device_code, methods=["POST"]),
            Route("/api/accounts/v1/user-auth-credential/whoami", self._whoami, methods=["GET"]),
        ]

    # The browser login

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        error = self._issuer.authorization_error(query)
        if error is not None:
            return _page(f"<p>{html.escape(error)}</p>", status=400)
        if self._approval == "manual":
            return _page(_consent_form(query, self._account.email))
        return self._redirect(query, is_approved=self._approval == "auto")

    async def _decide(self, request: Request) -> Response:
        query = dict(request.query_params)
        decision = query.pop("decision", None)
        error = self._issuer.authorization_error(query)
        if error is not None:
            return _page(f"<p>{html.escape(error)}</p>", status=400)
        return self._redirect(query, is_approved=decision == "approve")

    def _redirect(self, query: Mapping[str, str], *, is_approved: bool) -> Response:
        url = self._issuer.approve(query) if is_approved else self._issuer.deny(query)
        return RedirectResponse(url, status_code=302)

    # Tokens

    async def _token(self, request: Request) -> SimulatedResponse:
        parameters, content_type = await _parameters(request)
        grant_type = parameters.get("grant_type")
        accepted_types = _CONTENT_TYPES.get(str(grant_type), {_FORM})
        if content_type not in accepted_types:
            description = f"The content type of this grant must be {' or '.join(sorted(accepted_types))}."
            return SimulatedResponse.json(400, {"error": "invalid_request", "error_description": description})
        if grant_type == "refresh_token":
            delay_seconds = self._get_refresh_delay().total_seconds()
            # If the client disconnects during the delay, its refresh token stays valid and it receives no response.
            if delay_seconds > 0 and await wait_for_disconnect(request.receive, delay_seconds):
                return SimulatedResponse.json(499, {})
        status, body = self._issuer.handle_token_request(parameters)
        return SimulatedResponse.json(status, body, _NO_STORE)

    async def _revoke(self, request: Request) -> SimulatedResponse:
        parameters, _ = await _parameters(request)
        self._issuer.revoke(str(parameters.get("token")))
        return SimulatedResponse.json(200, {})

    async def _whoami(self, request: Request) -> SimulatedResponse:
        error_body = self._issuer.check_access(request.headers.get("authorization"))
        if error_body is not None:
            return SimulatedResponse.json(401, error_body)
        return SimulatedResponse.json(
            200,
            {
                "email": self._account.email,
                "chatgpt_user_id": self._account.user_id,
                "chatgpt_account_id": self._account.account_id,
                "chatgpt_plan_type": self._account.plan,
                "chatgpt_account_is_fedramp": self._account.is_fedramp,
            },
        )

    # Device codes

    async def _create_device_code(self, request: Request) -> SimulatedResponse:
        parameters, _ = await _parameters(request)
        status, body = self._device_codes.create(parameters)
        return SimulatedResponse.json(status, body)

    async def _poll_device_code(self, request: Request) -> SimulatedResponse:
        parameters, _ = await _parameters(request)
        status, body = self._device_codes.poll(parameters)
        return SimulatedResponse.json(status, body, _NO_STORE)

    async def _device_page(self, request: Request) -> Response:
        query = request.query_params
        user_code = query.get("user_code", "")
        if "decision" not in query:
            form = _DEVICE_FORM.format(email=html.escape(self._account.email), user_code=html.escape(user_code))
            return _page(form)
        decision: Literal["approve", "deny"] = "approve" if query["decision"] == "approve" else "deny"
        if not self._device_codes.decide(user_code, decision):
            return _page(
                "<p>This code is unknown or has expired. Run the login again to get a new code.</p>", status=404
            )
        return _page("<p>The decision was recorded. Return to your program.</p>")


async def _parameters(request: Request) -> tuple[dict[str, Any], str]:
    """Return the parameters of a form or a JSON object, and the content type. Invalid JSON gets a response of 400."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if content_type == _JSON:
        return parse_json_object(body), content_type
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)), content_type


def _page(content: str, *, status: int = 200) -> HTMLResponse:
    """Return an HTML page. `content` must already be escaped."""
    return HTMLResponse(_PAGE.format(content=content), status_code=status)


def _consent_form(query: Mapping[str, str], email: str) -> str:
    fields = "\n".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in query.items()
    )
    originator = html.escape(query.get("originator", "unnamed"))
    return _CONSENT_FORM.format(originator=originator, email=html.escape(email), fields=fields)
