"""Authenticate one attempt: sign the request, and react to the two responses that another request can fix.

`auth_flow` is a generator without I/O that the sync and the async client both drive. It yields a request for the driver
to send, or a `RefreshLogin` for the driver to carry out, and receives the response or the new login. Before a driver
takes a second step it discards the response that caused it. The return value is the response that counts.

    401                       refresh the login, single-flight for all threads and processes, and send again, once
    zstd body not understood  send the same body uncompressed, and remember the outcome (`Compression`)

This is not an `httpx2.Auth`: openai accepts clients of the legacy `httpx`, which would reject one.
"""

from __future__ import annotations

import platform
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .._coerce import as_header_text
from .._exceptions import LoginRequiredError
from .._version import __version__
from ..auth._auth_json import is_token
from .compression import uncompressed

if TYPE_CHECKING:
    from collections.abc import Generator

    import httpx2

    from ..types import Login
    from .compression import Compression
    from .context import RequestContext

__all__ = ["RefreshLogin", "RequestSigner", "auth_flow", "user_agent"]


class RefreshLogin(NamedTuple):
    """A step of the flow: refresh the login that the backend rejected."""

    rejected: Login


def auth_flow(
    request: httpx2.Request, context: RequestContext, *, signer: RequestSigner, compression: Compression
) -> Generator[httpx2.Request | RefreshLogin, httpx2.Response | Login, httpx2.Response]:
    """Yield the steps of one attempt, beginning with a signed request; return the final response."""
    response: Any = yield request
    if response.status_code == 401 and context.login is not None:
        login: Any = yield RefreshLogin(context.login)
        response = yield signer.sign(request, login)
    if compression.is_in_doubt(request, response):
        rejected_status = response.status_code
        response = yield uncompressed(request)
        compression.learn(response, rejected_status=rejected_status)
    return response  # type: ignore[no-any-return]


class RequestSigner:
    """Set the headers that identify the login and the program, on every request of one client."""

    def __init__(self, originator: str) -> None:
        self._originator = originator
        # The headers of the last login: to set, and to remove. Composing them costs more than setting them.
        self._cached: tuple[Login | None, dict[str, str], tuple[str, ...]] = None, {}, ()

    def sign(self, request: httpx2.Request, login: Login) -> httpx2.Request:
        """Set the headers of the login; they replace what the environment or the caller gave.

        The headers are set on the request and not passed through openai's options, because crash reporters that record
        local variables would show the options. LoginRequiredError if a part of the login does not fit into a header.
        """
        cached_for, present, absent = self._cached
        if cached_for is not login:
            headers = _headers(login, self._originator)
            present = {name: value for name, value in headers.items() if value is not None}
            absent = tuple(name for name, value in headers.items() if value is None)
            self._cached = login, present, absent
        for name, value in present.items():
            request.headers[name] = value
        for name in absent:
            if name in request.headers:
                del request.headers[name]
        return request


def _headers(login: Login, originator: str) -> dict[str, str | None]:
    """Return the value of each header, None for one that must not be sent.

    Names: Codex CLI, login/src/auth/default_client.rs. The residency header: the backend rejects some workspaces without
    it (401 "Workspace is not authorized in this region.", openai/codex#16951); the Codex CLI reads the region from its
    managed configuration, this client from the access token.
    """
    _require_as_header_text(login)
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


def _require_as_header_text(login: Login) -> None:
    # The token is never held in a local variable: a traceback that records locals would show it.
    is_valid = {
        "access token": is_token(login.access_token.reveal()),
        "account id": login.account_id is None or is_token(login.account_id),
        "region": login.residency is None or is_token(login.residency),
    }
    for part, is_part_valid in is_valid.items():
        if not is_part_valid:
            raise LoginRequiredError(
                f"The {part} of this login is empty or contains a space, a line break or another character that an HTTP "
                "header cannot hold. Nothing was sent. Log in again, or correct the credential source."
            )


@lru_cache
def user_agent(originator: str) -> str:
    """Return the program's name, this package's name and version, and the system."""
    return as_header_text(f"{originator} codex-backend-sdk/{__version__} ({_system()})")


@cache
def _system() -> str:
    return f"{platform.system()} {platform.release()}; {platform.machine()}"
