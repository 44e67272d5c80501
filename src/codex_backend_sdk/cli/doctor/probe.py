"""What the checks share: the settings, the login, and requests to the issuer and the backend.

`doctor` changes nothing, so it uses the login as it is stored: it never refreshes it, and a 401 is a result. A probe
that gets no value raises ProbeError with the line for the report, which ends the check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from ..._constants import BACKEND_URL, BACKEND_URL_ENV, ISSUER_URL, ISSUER_URL_ENV
from .report import CheckResult, broken, note, warning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import httpx2

    from ... import OpenAI
    from ...types import Login
    from ..login import ResolvedLogin

__all__ = ["LOG_IN", "CheckContext", "ProbeError", "get", "query", "redacted_url"]

_T = TypeVar("_T")

LOG_IN: Final = "Run `codex-backend login`, or `codex-backend login --device` without a browser."
_CHECK_CONNECTION: Final = "Check the network connection. Behind a proxy, set HTTPS_PROXY."
# Words in the errors of the system, OpenSSL and httpx2, with the remedy. The first match counts.
_REMEDIES: Final = {
    "certificate_verify_failed": "Behind a TLS-inspecting proxy, set CODEX_CA_CERTIFICATE to the PEM file of its CA.",
    "getaddrinfo": _CHECK_CONNECTION,
    "name or service": _CHECK_CONNECTION,
    "name resolution": _CHECK_CONNECTION,
    "nodename": _CHECK_CONNECTION,
    "407": "The proxy requires credentials: HTTPS_PROXY=http://user:password@host:port.",
    "refused": "Nothing listens there. Check HTTPS_PROXY, CODEX_BASE_URL, CODEX_ISSUER_URL and the firewall.",
    "time": "A firewall may drop the connection. Behind a proxy, set HTTPS_PROXY.",
}


class ProbeError(Exception):
    """A probe got no value; `result` is what the report shows instead."""

    def __init__(self, result: CheckResult) -> None:
        super().__init__(result.what)
        self.result = result


@dataclass(slots=True, kw_only=True)
class CheckContext:
    """The input of all checks, and what earlier checks found. `timeout_seconds` bounds one request."""

    environment: Mapping[str, str]
    clock: Callable[[], datetime]
    timeout_seconds: float
    resolved: ResolvedLogin | None = None
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
        """Return the client of all checks; it keeps the model catalog and the routing.

        Raises ValueError for settings of the network or the backend that cannot be used.
        """
        from ... import OpenAI

        if self._client is None:
            self._client = OpenAI(credentials=_FixedLogin(self.resolved), max_retries=0, timeout=self.timeout_seconds)
        return self._client

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()


class _FixedLogin:
    """A source of credentials that never refreshes."""

    def __init__(self, resolved: ResolvedLogin | None) -> None:
        self._resolved = resolved

    def ready(self) -> Login | None:
        return None if self._resolved is None else self._resolved.login

    def current(self) -> Login:
        raise ProbeError(note("Not checked: not logged in."))

    def refresh(self, rejected: Login) -> Login:
        what = "The backend rejects the access token (401)."
        if self._resolved is not None and self._resolved.is_renewable:
            raise ProbeError(warning(what, f"The next call refreshes it. If that does not help: {LOG_IN}"))
        raise ProbeError(broken(what, LOG_IN))


def redacted_url(url: str) -> str:
    """Return a URL without credentials and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    _, has_user, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'…@' if has_user else ''}{host}{parts.path}{'?…' if parts.query else ''}"


def get(url: str, context: CheckContext) -> httpx2.Response:
    """Send a GET request without a login, and return the response whatever its status is."""
    import httpx2

    from ...auth._http import open_client

    try:
        http = open_client(httpx2.Client, timeout=context.timeout_seconds)
    except ValueError:
        raise ProbeError(note("Not checked: the network settings are invalid.")) from None
    with http:
        try:
            return http.get(url, auth=httpx2.Auth())  # an empty Auth keeps httpx2 from using ~/.netrc
        except (httpx2.HTTPError, OSError) as error:
            cause: BaseException = error  # the first error of the chain: the system's, not httpx2's
            while (inner := cause.__cause__ or cause.__context__) is not None:
                cause = inner
            reason = str(cause) or type(cause).__name__
            words = f"{reason} {type(error).__name__}".lower()
            remedy = next((remedy for word, remedy in _REMEDIES.items() if word in words), None)
            raise ProbeError(broken(f"{url} is not reachable: {reason}.", remedy)) from None


def query(context: CheckContext, fetch: Callable[[OpenAI], _T], *, failed: Callable[[str], CheckResult] = broken) -> _T:
    """Return what `fetch` gets from the backend with the login. `failed` makes the result for an error response.

    Problems that another check has reported (no login, no connection) become notes.
    """
    import openai

    login = context.resolved.login if context.resolved is not None else None
    if not context.is_backend_reachable:
        raise ProbeError(note("Not checked: the backend is not reachable."))
    if login is None:
        raise ProbeError(note("Not checked: there is no usable login."))
    if login.expires_at is not None and login.expires_at <= context.clock():
        raise ProbeError(note("Not checked: the access token has expired. The next call refreshes it if it can."))
    try:
        return fetch(context.client())
    except openai.APIConnectionError as error:
        raise ProbeError(note(f"No response: {error}")) from None
    except openai.OpenAIError as error:
        raise ProbeError(failed(" ".join(str(error).removeprefix("Error code: ").split()))) from None
