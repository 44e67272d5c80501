"""Sign one attempt, and handle the two responses after which the request is sent again.

`auth_flow` is a generator without I/O, used by the sync and the async client. It yields a request for the client to
send, or a `RefreshLogin` for the client to refresh the login, and it receives the response or the new login. Before the
client sends again, it discards the earlier response. The generator returns the final response.

    401                 refresh the login, single-flight for all threads and processes, and send again, once
    zstd body rejected  send the same body uncompressed, and record the result (`Compression`)

The flow is not an `httpx2.Auth`, because openai also accepts clients of the legacy `httpx`, which rejects that class.
"""

from __future__ import annotations

import platform
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .._coerce import sanitize_header_value
from .._exceptions import LoginRequiredError
from .._version import __version__
from ..auth._auth_json import is_header_safe
from .compression import uncompressed
from .cookies import CloudflareCookies

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2

    from ..types import Login
    from .compression import Compression
    from .context import RequestContext

__all__ = ["RefreshLogin", "RequestSigner", "auth_flow", "login_headers", "user_agent"]


class RefreshLogin(NamedTuple):
    """The request of `auth_flow` to refresh the login that the backend rejected."""

    rejected: Login


def auth_flow(
    request: httpx2.Request, context: RequestContext, *, signer: RequestSigner, compression: Compression
) -> Generator[httpx2.Request | RefreshLogin, httpx2.Response | Login, httpx2.Response]:
    """Yield the steps of one attempt, beginning with the signed request. Return the final response."""
    response: Any = yield request
    if response.status_code == 401 and context.login is not None:
        login: Any = yield RefreshLogin(context.login)
        response = yield signer.sign(request, login)
    if context.uses_websocket:
        request = response.request  # another request, if the WebSocket was not available
    if compression.should_retry_uncompressed(request, response):
        rejected_status = response.status_code
        response = yield uncompressed(request)
        compression.record_fallback(response, rejected_status=rejected_status)
    return response  # type: ignore[no-any-return]


class _LoginHeaders(NamedTuple):
    login: Login | None
    values: dict[str, str]
    unwanted_names: tuple[str, ...]


class RequestSigner:
    """Signer for the requests of one client: it sets the headers that identify the login and the program."""

    def __init__(self, originator: str, cookies: CloudflareCookies | None = None) -> None:
        self._originator = originator
        self._cookies = CloudflareCookies() if cookies is None else cookies
        # The headers of the last login, because composing them takes longer than setting them.
        self._cached = _LoginHeaders(None, {}, ())

    def sign(self, request: httpx2.Request, login: Login) -> httpx2.Request:
        """Set the headers of the login. They replace headers set by the caller or by environment variables.

        The headers are set on the request and not passed through openai's options, because crash reporters that record
        local variables would show the options. Raises LoginRequiredError if a value is not valid in a header.
        """
        cached_login, values, unwanted_names = self._cached
        if cached_login is not login:
            headers = _headers(login, self._originator)
            values = {name: value for name, value in headers.items() if value is not None}
            unwanted_names = tuple(name for name, value in headers.items() if value is None)
            self._cached = _LoginHeaders(login, values, unwanted_names)
        # Not cached, so that no attribute has the plain token.
        request.headers["Authorization"] = f"Bearer {login.access_token.reveal()}"
        for name, value in values.items():
            request.headers[name] = value
        for name in unwanted_names:
            if name in request.headers:
                del request.headers[name]
        self._cookies.sign(request, login)
        return request


def login_headers(login: Login, originator: str) -> dict[str, str]:
    """Return the headers of a login, with its token, for a handshake that openai's code or another library sends.

    Raises LoginRequiredError as `RequestSigner.sign` does.
    """
    headers = {name: value for name, value in _headers(login, originator).items() if value is not None}
    return {"Authorization": f"Bearer {login.access_token.reveal()}", **headers}


def _headers(login: Login, originator: str) -> dict[str, str | None]:
    """Return the value of each header; None removes the header.

    The names are those of the Codex CLI (login/src/auth/default_client.rs). Without the residency header the backend
    rejects some workspaces with 401 "Workspace is not authorized in this region." (openai/codex#16951). The Codex CLI
    reads the region from its managed configuration, and this client reads it from the access token.
    """
    _require_header_values(login)
    region = {} if login.residency is None else {"x-openai-internal-codex-residency": login.residency}
    return {
        "ChatGPT-Account-ID": login.account_id,
        "X-OpenAI-Fedramp": "true" if login.is_fedramp else None,
        "originator": originator,
        "OpenAI-Organization": None,
        "OpenAI-Project": None,
        **region,
    }


def _require_header_values(login: Login) -> None:
    # Do not assign the token to a local variable: a traceback that records locals would show it.
    is_valid = {
        "access token": is_header_safe(login.access_token.reveal()),
        "account id": login.account_id is None or is_header_safe(login.account_id),
        "region": login.residency is None or is_header_safe(login.residency),
    }
    for part, is_part_valid in is_valid.items():
        if not is_part_valid:
            raise LoginRequiredError(
                f"The {part} of this login is empty or contains a space, a line break or another character that is "
                "invalid in an HTTP header. Nothing was sent. "
                "Run `codex-backend login`, or correct the credential source."
            )


@lru_cache
def user_agent(originator: str) -> str:
    """Return the program's name, this package's name and version, and the system."""
    return sanitize_header_value(f"{originator} codex-backend-sdk/{__version__} ({_system()})")


@cache
def _system() -> str:
    return f"{platform.system()} {platform.release()}; {platform.machine()}"
