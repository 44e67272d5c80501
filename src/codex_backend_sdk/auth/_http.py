"""HTTP with the issuer, and the HTTP clients of the package: trusted certificates, proxies, time limits.

Requests to the issuer carry tokens in their bodies. Two rules keep those from spreading: a request goes to the
issuer's host only (no redirect is followed, no other credentials are added), and the errors of httpx, whose frames hold
the request, do not leave this module.

This module imports httpx2, and the other modules of `auth` import it with their first request: a program that only
reads a stored login does not wait for it.
"""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import wait
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx2

from .._constants import CA_CERTIFICATE_ENV
from .._threads import start_in_thread
from .._version import __version__
from ._auth_errors import IssuerConnectionError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from ..types import Secret

__all__ = ["IssuerTransport", "open_client"]

_T = TypeVar("_T")

_CERT_FILE_ENV: Final = "SSL_CERT_FILE"
_CERT_DIR_ENV: Final = "SSL_CERT_DIR"
_PROXY_ENVS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# For `mounts=`. Plain http is allowed on loopback only, and a proxy would carry its tokens off this machine.
_NO_PROXY_FOR_PLAIN_HTTP: Final = {"http://": None}

_READ_TIMEOUT_SECONDS: Final = 30.0
_CONNECT_TIMEOUT_SECONDS: Final = 10.0
# For the whole response. The timeouts of httpx are for each read alone: one byte now and then would hold up every
# caller that waits for a refresh.
_RESPONSE_TIMEOUT_SECONDS: Final = 60.0


# --- clients -----------------------------------------------------------------------------------------------------


def open_client(client_class: Callable[..., _T], **options: Any) -> _T:
    """Open an httpx2 client with the certificates and proxies that the environment names at this moment.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the system's certificates; `CODEX_CA_CERTIFICATE` is added to them.
    Raises ValueError, with the name of the variable, if a variable is not usable.
    """
    context = _tls_context(*(os.environ.get(name) for name in (_CERT_FILE_ENV, _CERT_DIR_ENV, CA_CERTIFICATE_ENV)))
    try:
        return client_class(verify=context, mounts=_NO_PROXY_FOR_PLAIN_HTTP, **options)
    except ImportError:
        names = _proxy_settings(scheme="socks")
        problem = f"a SOCKS proxy, which needs one more package. Run pip install 'httpx2[socks]', or unset {names}"
    except (ValueError, httpx2.InvalidURL):
        names = _proxy_settings()
        problem = f"an invalid proxy. Set a URL such as http://host:port, or unset {names}"
    # After the handlers, without a context: the text of the original error may hold the proxy's password.
    raise ValueError(f"{names} names {problem}")


@cache  # one context for all clients of the process: loading the trusted certificates takes 40 ms and more
def _tls_context(cert_file: str | None, cert_dir: str | None, added_file: str | None) -> ssl.SSLContext:
    try:
        context = httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is an OSError
        raise _unreadable(_CERT_FILE_ENV if cert_file else _CERT_DIR_ENV, cert_file or cert_dir) from error
    if added_file:
        try:
            context.load_verify_locations(cafile=added_file)
        except OSError as error:
            raise _unreadable(CA_CERTIFICATE_ENV, added_file) from error
    return context


def _unreadable(variable: str, value: str | None) -> ValueError:
    return ValueError(f"{variable} names no readable PEM file: {value}. Correct the variable, or unset it.")


def _proxy_settings(*, scheme: str = "") -> str:
    """Name the variables that set a proxy. On Windows and macOS it may be a setting of the system instead."""
    values = {name: value for name, value in os.environ.items() if name.upper() in _PROXY_ENVS and value}
    names = [name for name, value in values.items() if value.lower().startswith(scheme)]
    return " and ".join(names) or "the proxy of the system's settings"


# --- requests to the issuer --------------------------------------------------------------------------------------


class IssuerTransport:
    """Sends requests to one issuer. `http` is the caller's own client and stays open; else each request opens one.

    `response_timeout_seconds` limits each response as a whole.
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
        """Raise IssuerConnectionError if the environment allows no connection at all."""
        with self._client():
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

        A request is built before it is sent, so that the plain token is a local variable of no frame that can raise.
        """
        headers = {"originator": self._originator, "user-agent": _user_agent()}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer.reveal()}"
        extensions = {"timeout": httpx2.Timeout(timeout, connect=_CONNECT_TIMEOUT_SECONDS).as_dict()}
        return httpx2.Request(method, self._url + path, headers=headers, extensions=extensions, **body)

    def send(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the response. IssuerConnectionError if there is none in time, or a redirect."""
        # httpx cannot be stopped while it waits for the headers. So it runs in a thread, which is left behind then.
        outcome = start_in_thread(lambda: self._exchange(request), name="codex-login-request", daemon=True)
        if not wait([outcome], self._response_timeout_seconds).done:
            raise self._too_slow()
        try:
            response, body = outcome.result()
        except httpx2.LocalProtocolError:  # its text holds the header that cannot be sent, which may be the token's
            raise IssuerConnectionError(
                f"the request to {self._url} could not be sent: it is not valid HTTP", is_transient=False
            ) from None
        except httpx2.HTTPError as error:
            raise IssuerConnectionError(
                f"{self._url} could not be reached ({str(error) or type(error).__name__})", is_transient=True
            ) from None
        if response.has_redirect_location:
            raise IssuerConnectionError(
                f"{self._url} redirects to another address, which is not followed", is_transient=False
            )
        if body is None:
            raise self._too_slow()
        return httpx2.Response(response.status_code, content=body)

    def _too_slow(self) -> IssuerConnectionError:
        return IssuerConnectionError(
            f"{self._url} did not finish its response within {self._response_timeout_seconds:g} seconds",
            is_transient=True,
        )

    def _exchange(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes | None]:
        """Send a request; return the response and its body, or None for a body that takes too long."""
        with self._client() as http:
            # `auth=` keeps out the credentials of the caller's client and of ~/.netrc.
            response = http.send(request, auth=httpx2.Auth(), follow_redirects=False, stream=True)
            ends_at = time.monotonic() + self._response_timeout_seconds
            with closing(response):
                chunks: list[bytes] = []
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    if time.monotonic() > ends_at:
                        return response, None
            return response, b"".join(chunks)

    @contextmanager
    def _client(self) -> Iterator[httpx2.Client]:
        if self._http is not None:
            yield self._http
            return
        try:
            http = open_client(httpx2.Client)
        except ValueError as error:
            message = f"{self._url} cannot be reached: {str(error).rstrip('.')}"
            raise IssuerConnectionError(message, is_transient=False) from None
        with http:
            yield http


def _user_agent() -> str:
    return f"codex_backend_sdk/{__version__} ({platform.system() or 'unknown'}; {platform.machine() or 'unknown'})"
