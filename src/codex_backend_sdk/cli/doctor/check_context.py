"""Provide the shared context of the checks, and send their HTTP requests.

The checks are read-only, so they use the stored login and never refresh it. If a request fails, the functions here
raise CheckAbortedError with the result to report, and the check stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ..._constants import BACKEND_URL, BACKEND_URL_ENV, ISSUER_URL, ISSUER_URL_ENV
from .report import CheckResult, error_result, note, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import httpx2

    from ... import OpenAI
    from ...types import Login
    from ..login import ResolvedLogin

__all__ = ["LOG_IN", "CheckAbortedError", "CheckContext", "call_backend", "get_without_login"]

_T = TypeVar("_T")

LOG_IN: Final = "Run `codex-backend login`, or `codex-backend login --device` without a browser."
_CHECK_CONNECTION: Final = "Check the network connection. Behind a proxy, set HTTPS_PROXY."
_CHECK_FIREWALL: Final = "Check whether a firewall drops the connection. Behind a proxy, set HTTPS_PROXY."
# Maps a substring of a lower-case error message of the system, OpenSSL or httpx2 to its remedy. The first match
# applies.
_REMEDIES: Final = {
    "certificate_verify_failed": "Behind a TLS-inspecting proxy, set CODEX_CA_CERTIFICATE to the PEM file of its CA.",
    "getaddrinfo": _CHECK_CONNECTION,
    "name or service": _CHECK_CONNECTION,
    "name resolution": _CHECK_CONNECTION,
    "nodename": _CHECK_CONNECTION,
    "407 proxy": "The proxy requires credentials. Set HTTPS_PROXY=http://user:password@host:port.",
    "refused": "Nothing listens there. Check HTTPS_PROXY, CODEX_BASE_URL, CODEX_ISSUER_URL and the firewall.",
    "timeout": _CHECK_FIREWALL,
    "timed out": _CHECK_FIREWALL,
}


class CheckAbortedError(Exception):
    """A check cannot continue. `result` is the line to report."""

    def __init__(self, result: CheckResult) -> None:
        super().__init__(result.message)
        self.result = result


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """The shared input of the checks, and the results of earlier checks that later ones use.

    `timeout_seconds` is the timeout of a request.
    """

    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    timeout_seconds: float
    resolved_login: ResolvedLogin | None = None
    is_backend_reachable: bool = False
    _client: OpenAI | None = None

    @property
    def backend_url(self) -> str:
        """The URL of the backend, not validated."""
        return (self.environment.get(BACKEND_URL_ENV) or BACKEND_URL).rstrip("/")

    @property
    def issuer_url(self) -> str:
        """The URL of the issuer, not validated."""
        return (self.environment.get(ISSUER_URL_ENV) or ISSUER_URL).rstrip("/")

    def client(self) -> OpenAI:
        """Return the client that all checks share. Later checks reuse its cached model catalog and routing.

        Raises ValueError if the network or backend settings are invalid.
        """
        from ... import OpenAI

        if self._client is None:
            credentials = _FixedLogin(self.resolved_login)
            self._client = OpenAI(credentials=credentials, max_retries=0, timeout=self.timeout_seconds)
        return self._client

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()


class _FixedLogin:
    """A credential source that never refreshes its login."""

    def __init__(self, resolved_login: ResolvedLogin | None) -> None:
        self._resolved_login = resolved_login

    def ready(self) -> Login | None:
        return None if self._resolved_login is None else self._resolved_login.login

    def current(self) -> Login:
        raise CheckAbortedError(note("Not checked: not logged in."))

    def refresh(self, rejected: Login) -> Login:
        message = "The backend rejects the access token (401)."
        if self._resolved_login is not None and self._resolved_login.is_refreshable:
            remedy = "Call the backend again, which refreshes the token. If that fails, run `codex-backend login`."
            raise CheckAbortedError(warning(message, remedy))
        raise CheckAbortedError(error_result(message, LOG_IN))


def get_without_login(url: str, context: CheckContext) -> httpx2.Response:
    """Send a GET request without a login. Return the response with any status."""
    import httpx2

    from ...auth._http import open_client

    try:
        http = open_client(httpx2.Client, timeout=context.timeout_seconds)
    except ValueError:
        raise CheckAbortedError(note("Not checked: the network settings are invalid.")) from None
    with http:
        try:
            return http.get(url, auth=httpx2.Auth())  # an empty Auth prevents httpx2 from using ~/.netrc
        except (httpx2.HTTPError, OSError) as error:
            # The root cause has the message of the operating system.
            root_cause: BaseException = error
            while (cause := root_cause.__cause__ or root_cause.__context__) is not None:
                root_cause = cause
            reason = str(root_cause) or type(root_cause).__name__
            error_text = f"{reason} {type(error).__name__}".lower()
            remedy = next((remedy for text, remedy in _REMEDIES.items() if text in error_text), _CHECK_CONNECTION)
            raise CheckAbortedError(error_result(f"{url} is not reachable: {reason}.", remedy)) from None


def call_backend(
    context: CheckContext,
    request: Callable[[OpenAI], _T],
    *,
    on_error: Callable[[str], CheckResult] = error_result,
) -> _T:
    """Call `request` with the client and return its result. `on_error` converts the text of an error to a CheckResult.

    A problem that another check already reports (no login, no connection) is reported as a note.
    """
    import openai

    login = context.resolved_login.login if context.resolved_login is not None else None
    if not context.is_backend_reachable:
        raise CheckAbortedError(note("Not checked: the backend is not reachable."))
    if login is None:
        raise CheckAbortedError(note("Not checked: there is no valid login."))
    if login.expires_at is not None and login.expires_at <= context.clock():
        raise CheckAbortedError(note("Not checked: the access token has expired. The next call tries to refresh it."))
    try:
        return request(context.client())
    except openai.APIConnectionError as error:
        raise CheckAbortedError(note(f"No response: {error}")) from None
    except openai.OpenAIError as error:
        raise CheckAbortedError(on_error(" ".join(str(error).removeprefix("Error code: ").split()))) from None
