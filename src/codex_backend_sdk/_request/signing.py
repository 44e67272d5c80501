"""The headers of a login: made once for it, put on every request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._exceptions import LoginRequiredError
from ..auth._auth_json import is_token

if TYPE_CHECKING:
    import httpx2

    from ..types import Login

__all__ = ["Signer"]


class Signer:
    """Signs the requests of one client. `originator` is the name of the program."""

    def __init__(self, originator: str) -> None:
        self._originator = originator
        self._made: tuple[Login | None, dict[str, str], tuple[str, ...]] = None, {}, ()

    def sign(self, request: httpx2.Request, login: Login) -> httpx2.Request:
        """Put the headers of the login on; they win over whatever the environment or the caller gave.

        They are put on the request itself: what stands in the options is shown by the traceback of whoever shows
        locals. LoginRequiredError when a part of the login fits into no header.
        """
        made_for, given, unwanted = self._made
        if made_for is not login:
            wanted = _headers(login, self._originator)
            given = {name: value for name, value in wanted.items() if value is not None}
            unwanted = tuple(name for name, value in wanted.items() if value is None)
            self._made = login, given, unwanted
        headers = request.headers
        for name, value in given.items():
            headers[name] = value
        for name in unwanted:
            if name in headers:
                del headers[name]
        return request


def _headers(login: Login, originator: str) -> dict[str, str | None]:
    """Return what each header is to be, None for one that must not be there.

    Without the region such a workspace is refused from elsewhere (401 "Workspace is not authorized in this region.",
    openai/codex#16951); the Codex CLI has it from its managed configuration. The others: Codex CLI,
    login/src/auth/default_client.rs.
    """
    _check(login)
    region = {} if login.residency is None else {"x-openai-internal-codex-residency": login.residency}
    return {
        "Authorization": f"Bearer {login.access_token.reveal()}",
        "ChatGPT-Account-ID": login.account_id,
        "X-OpenAI-Fedramp": "true" if login.is_fedramp else None,
        "originator": originator,
        "OpenAI-Organization": None,
        "OpenAI-Project": None,
        **region,
    }


def _check(login: Login) -> None:
    # No variable holds the token: a traceback that shows locals would show it.
    fits = {
        "access token": is_token(login.access_token.reveal()),
        "account id": login.account_id is None or is_token(login.account_id),
        "region": login.residency is None or is_token(login.residency),
    }
    for what, is_fitting in fits.items():
        if not is_fitting:
            raise LoginRequiredError(
                f"The {what} of this login is empty, or has a space, a line break or another character that no header "
                "takes. Nothing was sent. Where the login comes from has to give another one."
            )
