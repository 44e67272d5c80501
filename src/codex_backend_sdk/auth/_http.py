"""Open HTTP clients with the right certificates, proxies and timeouts, and send requests to the issuer.

Requests to the issuer contain tokens. Two rules protect them. A request is sent to the issuer's host only: no redirect
is followed, and no other credentials are added. This module raises no error of httpx, because the local variables in
its traceback include the request.

This module imports httpx2. The other modules of `auth` import it with their first request, so that a program that only
reads a stored login does not need it.
"""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import wait
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl
from urllib.request import getproxies

import httpx2

from .._body_buffer import BodyBuffer, BodyTooLargeError
from .._coerce import parse_json_object
from .._connections import DeadlineExceededError, exchange
from .._constants import CA_CERTIFICATE_ENV
from .._redaction import redact, sent_secrets
from .._threads import start_in_thread
from .._version import __version__
from ._auth_errors import IssuerConnectionError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from ..types import Secret

__all__ = ["IssuerTransport", "open_client", "tls_context"]

_T = TypeVar("_T")

_CERT_FILE_ENV: Final = "SSL_CERT_FILE"
_CERT_DIR_ENV: Final = "SSL_CERT_DIR"
_KEY_LOG_ENV: Final = "SSLKEYLOGFILE"  # Python itself reads it
_PROXY_ENVS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_MAX_PORT: Final = 65535
# For `mounts=`. Plain http is allowed on loopback only, and a proxy would send its tokens to another machine.
_NO_PROXY_FOR_PLAIN_HTTP: Final = {"http://": None}

_READ_TIMEOUT_SECONDS: Final = 30.0
_CONNECT_TIMEOUT_SECONDS: Final = 10.0
# For the whole response. The timeouts of httpx apply to each read: a server that sends single bytes would block every
# caller that waits for a refresh.
_RESPONSE_TIMEOUT_SECONDS: Final = 60.0


# --- clients -----------------------------------------------------------------------------------------------------


def open_client(client_class: Callable[..., _T], **options: Any) -> _T:
    """Open an httpx2 client with the certificates and proxies of the current environment variables.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates; `CODEX_CA_CERTIFICATE` is added to them.
    Raises ValueError, with the name of the variable, if a variable is invalid.
    """
    context = tls_context()
    try:
        _require_proxy_addresses()
        return client_class(verify=context, mounts=_NO_PROXY_FOR_PLAIN_HTTP, **options)
    except ImportError:
        setting = _proxy_setting(scheme="socks")
        problem = f"{setting} is a SOCKS proxy, which needs another package. Run pip install 'httpx2[socks]'"
    except (ValueError, httpx2.InvalidURL):
        setting = _proxy_setting()
        problem = f"{setting} is an invalid proxy. Set a URL such as http://host:port"
    # Raised after the handlers, without a context: the text of the original error may have the proxy's password.
    raise ValueError(f"{problem}, or unset {setting}.")


def tls_context() -> ssl.SSLContext:
    """Return the certificates that `open_client` uses. Raises ValueError, with the name of an invalid variable."""
    variables = (_CERT_FILE_ENV, _CERT_DIR_ENV, CA_CERTIFICATE_ENV, _KEY_LOG_ENV)
    return _tls_context(*(os.environ.get(name) for name in variables))


@cache  # all clients of the process share one context, because loading the certificates takes 40 ms or more
def _tls_context(
    cert_file: str | None, cert_dir: str | None, added_file: str | None, key_log: str | None
) -> ssl.SSLContext:
    # OpenSSL ignores folders that it cannot read, and then trusts no certificate.
    if cert_dir and not cert_file and not any(map(_is_readable_folder, cert_dir.split(os.pathsep))):
        raise ValueError(f"{_CERT_DIR_ENV} is not a readable folder: {cert_dir}. Correct or unset the variable.")
    try:
        context = httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is an OSError
        if key_log and error.filename == key_log:
            raise ValueError(
                f"{_KEY_LOG_ENV} is not a writable file: {key_log}. Correct or unset the variable."
            ) from error
        raise _certificate_error(_CERT_FILE_ENV if cert_file else _CERT_DIR_ENV, cert_file or cert_dir) from error
    if added_file:
        try:
            context.load_verify_locations(cafile=added_file)
        except OSError as error:
            raise _certificate_error(CA_CERTIFICATE_ENV, added_file) from error
    return context


def _is_readable_folder(path: str) -> bool:
    return os.path.isdir(path) and os.access(path, os.R_OK | os.X_OK)


def _certificate_error(variable: str, value: str | None) -> ValueError:
    return ValueError(f"{variable} is not a readable PEM file: {value}. Correct or unset the variable.")


def _require_proxy_addresses() -> None:
    """Raise ValueError for a proxy to which no connection is possible. httpx2 reports it at the first request only."""
    proxies = getproxies()
    if "*" in (host.strip() for host in proxies.get("no", "").split(",")):
        return
    for scheme in ("https", "all"):
        address = proxies.get(scheme)
        if not address:
            continue
        url = httpx2.URL(address if "://" in address else f"http://{address}")  # as httpx2 does
        port = url.port if url.port is not None else 1
        if not url.host or any(character in url.host for character in " %") or not 0 < port <= _MAX_PORT:
            raise ValueError("invalid proxy")


def _proxy_setting(*, scheme: str = "") -> str:
    """Return the name of the variable that sets a proxy. On Windows and macOS the system's settings may set it."""
    proxies = {name: value for name, value in os.environ.items() if name.upper() in _PROXY_ENVS and value}
    names = [name for name, value in proxies.items() if value.lower().startswith(scheme)]
    return " or ".join(names) or "the proxy in the system's settings"


# --- requests to the issuer --------------------------------------------------------------------------------------


class IssuerTransport:
    """HTTP transport for one issuer. `http` is a client that the caller closes; without it each request opens one.

    `response_timeout_seconds` is the timeout for each whole response.
    """

    def __init__(
        self,
        url: str,
        *,
        originator: str,
        http: httpx2.Client | None = None,
        response_timeout_seconds: float = _RESPONSE_TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._originator = originator
        self._http = http
        self._response_timeout_seconds = response_timeout_seconds

    def check(self) -> None:
        """Raise IssuerConnectionError if the proxy or certificate settings are invalid."""
        with self._open_client():
            pass

    def build_request(
        self,
        method: str,
        path: str,
        *,
        bearer: Secret | None = None,
        timeout: float = _READ_TIMEOUT_SECONDS,
        **body: Any,
    ) -> httpx2.Request:
        """Build a request with `json=` or `data=`. `timeout` is in seconds, for each read.

        Building and sending are separate, so that no local variable of `send` has the plain token.
        """
        headers = {"originator": self._originator, "user-agent": _user_agent()}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer.reveal()}"
        extensions = {"timeout": httpx2.Timeout(timeout, connect=_CONNECT_TIMEOUT_SECONDS).as_dict()}
        return httpx2.Request(method, self._url + path, headers=headers, extensions=extensions, **body)

    def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the response. Raises IssuerConnectionError if there is none, or a redirect."""
        # A caller's own `http` may run any code. It runs in a thread that a timeout abandons.
        outcome = start_in_thread(lambda: self._send_and_read(request), name="codex-login-request", daemon=True)
        if not wait([outcome], self._response_timeout_seconds).done:
            raise self._timeout_error()
        try:
            response, body = outcome.result()
        except DeadlineExceededError:
            raise self._timeout_error() from None
        except httpx2.LocalProtocolError:  # its text contains the invalid header, which may be that of the token
            raise IssuerConnectionError(
                f"The request to {self._url} could not be sent: it is not valid HTTP. Log in again.", is_transient=False
            ) from None
        except BodyTooLargeError as error:
            raise IssuerConnectionError(
                f"The response of {self._url} {error}. Check the issuer's URL and the proxy.", is_transient=False
            ) from None
        except httpx2.HTTPError as error:
            reason = redact(str(error), _sent_values(request)) or type(error).__name__
            raise IssuerConnectionError(
                f"{self._url} could not be reached ({reason}). Check the network and the proxy.", is_transient=True
            ) from None
        if response.has_redirect_location:
            raise IssuerConnectionError(
                f"{self._url} redirects to another URL, which the client does not follow. Check the issuer's URL.",
                is_transient=False,
            )
        if body is None:
            raise self._timeout_error()
        return httpx2.Response(response.status_code, content=body)

    def _timeout_error(self) -> IssuerConnectionError:
        return IssuerConnectionError(
            f"{self._url} did not finish its response within {self._response_timeout_seconds:g} seconds. Retry later.",
            is_transient=True,
        )

    def _send_and_read(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes | None]:
        """Send a request. Return the response and its body, or None instead of the body after a timeout."""
        deadline = time.monotonic() + self._response_timeout_seconds
        with self._open_client() as http, exchange(request, deadline):
            # `auth=` disables the credentials of the caller's client and of ~/.netrc.
            response = http.send(request, auth=httpx2.Auth(), follow_redirects=False, stream=True)
            with closing(response):
                body = BodyBuffer()
                for chunk in response.iter_bytes():
                    body.add(chunk)
                    if time.monotonic() > deadline:
                        return response, None
            return response, bytes(body)

    @contextmanager
    def _open_client(self) -> Iterator[httpx2.Client]:
        if self._http is not None:
            yield self._http
            return
        try:
            http = open_client(httpx2.Client)
        except ValueError as error:
            raise IssuerConnectionError(f"{self._url} cannot be reached: {error}", is_transient=False) from None
        with http:
            yield http


def _sent_values(request: httpx2.Request) -> tuple[str, ...]:
    """Return the values in the headers and the body of a request, which the server may repeat in its status line."""
    body = request.content
    values = [*parse_json_object(body).values(), *dict(parse_qsl(body.decode("utf-8", "replace"))).values()]
    return sent_secrets(request.headers.multi_items(), [value for value in values if isinstance(value, str)])


def _user_agent() -> str:
    return f"codex_backend_sdk/{__version__} ({platform.system() or 'unknown'}; {platform.machine() or 'unknown'})"
