"""The routes of signing in with a device code, and of asking whose personal access token it is."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Literal

from starlette.routing import Route

from ..http.delivery import Answer
from .issuer_pages import members, page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ..sim_account import Account
    from .device_codes import DeviceCodes
    from .oauth_issuer import Issuer

__all__ = ["DevicePages"]

_FORM = """<p>Type the code that your program shows, to be signed in there as {email}. No real account is involved.</p>
<form action="/codex/device">
<p><input name="user_code" value="{user_code}" placeholder="ABCD-12345" aria-label="Code" autofocus required></p>
<button name="decision" value="approve">Approve</button>
<button name="decision" value="deny">Deny</button>
</form>"""


class DevicePages:
    """Where codes are given out, typed in and asked about."""

    def __init__(self, codes: DeviceCodes, *, issuer: Issuer, account: Account) -> None:
        self._codes = codes
        self._issuer = issuer
        self._account = account

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/codex/device", self._page, methods=["GET"]),
            Route("/api/accounts/deviceauth/usercode", self._begin, methods=["POST"]),
            Route("/api/accounts/deviceauth/token", self._poll, methods=["POST"]),
            Route("/api/accounts/v1/user-auth-credential/whoami", self._whoami, methods=["GET"]),
        ]

    async def _begin(self, request: Request) -> Answer:
        given, _ = await members(request)
        status, body = self._codes.begin(given)
        return Answer.json(status, body)

    async def _poll(self, request: Request) -> Answer:
        given, _ = await members(request)
        status, body = self._codes.poll(given)
        return Answer.json(status, body, (("cache-control", "no-store"),))

    async def _page(self, request: Request) -> Response:
        query = request.query_params
        user_code = query.get("user_code", "")
        if "decision" not in query:
            return page(_FORM.format(email=html.escape(self._account.email), user_code=html.escape(user_code)))
        decision: Literal["approve", "deny"] = "approve" if query["decision"] == "approve" else "deny"
        if not self._codes.decide(user_code, decision):
            return page("<p>There is no such code, or it has expired.</p>", status=404)
        return page("<p>Done. Go back to your program.</p>")

    async def _whoami(self, request: Request) -> Answer:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        refused = self._issuer.refuse_access(token if scheme.lower() == "bearer" else None)
        if refused is not None:
            return Answer.json(401, refused)
        return Answer.json(
            200,
            {
                "email": self._account.email,
                "chatgpt_user_id": self._account.user_id,
                "chatgpt_account_id": self._account.account_id,
                "chatgpt_plan_type": self._account.plan,
                "chatgpt_account_is_fedramp": self._account.is_fedramp,
            },
        )
