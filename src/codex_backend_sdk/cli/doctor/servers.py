"""Which servers are meant, how they are asked, and what an error on the way means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..._constants import BACKEND_URL, BACKEND_URL_ENV, ISSUER_URL, ISSUER_URL_ENV

if TYPE_CHECKING:
    import httpx2

    from .result import Scene

__all__ = ["Unanswered", "ask", "backend_url", "issuer_url", "shown_url"]

# Words of the system, of OpenSSL and of httpx, and what helps. The first row whose word is in it counts.
_REMEDIES: Final = (
    (
        "certificate_verify_failed",
        "A proxy of your network may break TLS up: name its certificate in CODEX_CA_CERTIFICATE. "
        "Or the clock of this machine is wrong.",
    ),
    ("getaddrinfo", "Is this machine online? Behind a proxy set HTTPS_PROXY."),
    ("name or service", "Is this machine online? Behind a proxy set HTTPS_PROXY."),
    ("name resolution", "Is this machine online? Behind a proxy set HTTPS_PROXY."),
    ("nodename", "Is this machine online? Behind a proxy set HTTPS_PROXY."),
    ("407", "The proxy wants a name and a password: HTTPS_PROXY=http://name:password@host:port."),
    ("refused", "Nothing listens there: look at HTTPS_PROXY, CODEX_BASE_URL and CODEX_ISSUER_URL, and at a firewall."),
    ("timed out", "A firewall may swallow the connection; behind a proxy set HTTPS_PROXY."),
    ("timeout", "A firewall may swallow the connection; behind a proxy set HTTPS_PROXY."),
)
# Plain http is for this machine alone, and never goes through a proxy.
_NOT_RUNNING: Final = "Nothing listens there: is it running, and are CODEX_BASE_URL and CODEX_ISSUER_URL right?"


def backend_url(scene: Scene) -> str:
    """Return the backend's address."""
    return (scene.environment.get(BACKEND_URL_ENV) or BACKEND_URL).rstrip("/")


def issuer_url(scene: Scene) -> str:
    """Return the sign-in server's address."""
    return (scene.environment.get(ISSUER_URL_ENV) or ISSUER_URL).rstrip("/")


class Unanswered(Exception):
    """A server did not answer; the text says why, `remedy` what helps, if that is known.

    `is_told` is for what another check tells: the environment allows no connection at all.
    """

    def __init__(self, text: str, *, remedy: str | None = None, is_told: bool = False) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.is_told = is_told


def ask(url: str, scene: Scene) -> httpx2.Response:
    """Return what a server answers to a GET that nobody has signed."""
    import httpx2

    from ...auth._http import open_client

    try:
        http = open_client(httpx2.Client, timeout=scene.seconds)
    except ValueError:
        raise Unanswered("the settings of the network cannot be used", is_told=True) from None
    with http:
        try:
            return http.get(url, auth=httpx2.Auth())  # nor by ~/.netrc
        except (httpx2.HTTPError, OSError) as error:
            raise Unanswered(_cause(error), remedy=_remedy(error, url)) from None


def shown_url(url: str) -> str:
    """Return an address without what may be a secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    _, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'…@' if at else ''}{host}{parts.path}{'?…' if parts.query else ''}"


def _remedy(error: BaseException, url: str) -> str | None:
    words = f"{_cause(error)} {type(error).__name__}".lower()
    if "refused" in words and url.startswith("http:"):
        return _NOT_RUNNING
    return next((remedy for word, remedy in _REMEDIES if word in words), None)


def _cause(error: BaseException) -> str:
    """Return the words of what was the matter at first."""
    inner = error.__cause__ or error.__context__
    return _cause(inner) if inner is not None else (str(error) or type(error).__name__)
