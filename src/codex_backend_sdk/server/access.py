"""Decide who may use the server: programs that have its key, and web pages only if their origin is named.

A server on loopback is reachable by every program and every web page of the machine. The checks, in their order:

- `Host`: if an attacker resolves the name of a page to 127.0.0.1 (DNS rebinding), a browser treats the server as the
  same origin as the page. The server accepts only loopback names, the addresses that it listens on, and those of
  `--allowed-host`.
- `Origin`: browsers send it with each request that could do harm. They also send it with WebSockets, which the
  rules for other origins (CORS) do not cover. Any origin that `--allow-origin` does not name is rejected.
- the key, as `Authorization: Bearer`, `x-api-key` or `api-key`, never in the query, which logs and histories keep. It
  is compared in constant time.
- `Content-Type: application/json`, which a browser does not send to another origin without a preflight request.

A preflight request (OPTIONS) of a named origin needs no key, as browsers send none.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response

from .api_errors import ApiError
from .json_responses import send_error
from .server_settings import CHANGES_HEADER

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .server_settings import ServerSettings

__all__ = ["AccessMiddleware", "is_loopback", "is_wildcard"]

# The paths that need no key: they show that the server is running, and how to use it.
_OPEN_PATHS: Final = frozenset({"/", "/health", "/v1", "/v1/"})
# The paths whose routes read a body. The other routes ignore it.
_BODY_PATHS: Final = frozenset({"/responses", "/v1/responses", "/chat/completions", "/v1/chat/completions"})
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# The names of the host within a container of Docker and Podman.
_CONTAINER_NAMES: Final = frozenset({"host.docker.internal", "gateway.docker.internal", "host.containers.internal"})
# A name with at most one dot at its end, or an IPv6 address in brackets, and a port of digits.
_HOST: Final = re.compile(r"(?:(?P<name>[^][:]+?)\.?|\[(?P<address>[^][]*:[^][]*)\])(?::[0-9]*)?")
_EXPOSED_HEADERS: Final = f"{CHANGES_HEADER}, retry-after, x-request-id, x-should-retry"
_PREFLIGHT_SECONDS: Final = "600"


class AccessMiddleware:
    """ASGI middleware that rejects requests, HTTP and WebSocket, without permission to use the server."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self.app = app
        self._key = settings.key.encode()
        self._origins = frozenset(settings.allowed_origins)
        self._hosts = _LOOPBACK_NAMES | {host.lower() for host in (*settings.hosts, *settings.allowed_hosts)}
        self._accepts_addresses = any(map(is_wildcard, settings.hosts))
        if not all(map(is_loopback, settings.hosts)):
            self._hosts |= _CONTAINER_NAMES

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reject the request, or pass it to the application."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        is_page = origin is not None and origin in self._origins

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                response_headers = MutableHeaders(scope=message)
                response_headers["access-control-allow-origin"] = origin or ""
                response_headers["access-control-expose-headers"] = _EXPOSED_HEADERS
                response_headers.add_vary_header("Origin")
            await send(message)

        if is_page:
            send_response: Send = send_with_cors
        else:
            send_response = send
        try:
            self._check_host_and_origin(headers)
            if is_page and scope["type"] == "http" and scope["method"] == "OPTIONS":
                await _preflight_response(headers)(scope, receive, send_response)
                return
            self._check_key(scope, headers)
            _check_content_type(scope, headers)
        except ApiError as error:
            await send_error(scope, send_response, error)
            return
        await self.app(scope, receive, send_response)

    def _check_host_and_origin(self, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if name not in self._hosts and not (self._accepts_addresses and _is_address(name)):
            raise ApiError(
                403,
                "codex-backend serve does not accept the name in the header `Host`. Use its address, or start it with "
                "`--allowed-host` and this name.",
                type="permission_error",
                code="local_host_not_allowed",
            )
        if "origin" in headers and headers["origin"] not in self._origins:
            raise ApiError(
                403,
                "codex-backend serve does not accept requests of this web page. If it is yours, start the server with "
                "`--allow-origin` and the value of the header `Origin`.",
                type="permission_error",
                code="local_origin_not_allowed",
            )

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        if scope["path"] in _OPEN_PATHS and scope.get("method") in ("GET", "HEAD"):
            return
        sent = [value for name in ("x-api-key", "api-key") for value in headers.getlist(name)]
        for value in headers.getlist("authorization"):
            scheme, _, token = value.partition(" ")
            if scheme.lower() == "bearer":
                sent.append(token.strip())
        # All are compared, so that the time does not depend on which one is correct.
        matches = [secrets.compare_digest(value.encode("latin-1"), self._key) for value in sent]
        if not any(matches):
            raise ApiError(
                401,
                ("The key is not the one of codex-backend serve." if sent else "codex-backend serve needs its key.")
                + " Send it as `Authorization: Bearer KEY` (in most programs: the API key). The server prints at its "
                "start where the key is.",
                type="authentication_error",
                code="local_invalid_key" if sent else "local_missing_key",
                headers={"www-authenticate": "Bearer"},
            )


def _check_content_type(scope: Scope, headers: Headers) -> None:
    path = scope["path"].rstrip("\n")  # the patterns of Starlette's routes accept a line feed at the end
    if scope["type"] != "http" or scope["method"] != "POST" or path not in _BODY_PATHS:
        return  # the error for an unknown path or a wrong method names what to use instead
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise ApiError(
            415,
            "codex-backend serve accepts JSON only. Send the header `Content-Type: application/json`.",
            code="local_content_type",
        )


def _preflight_response(headers: Headers) -> Response:
    response_headers = {
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": headers.get("access-control-request-headers", "authorization, content-type"),
        "access-control-max-age": _PREFLIGHT_SECONDS,
    }
    if headers.get("access-control-request-private-network") == "true":  # Chrome, for a page of a public server
        response_headers["access-control-allow-private-network"] = "true"
    return Response(status_code=204, headers=response_headers)


def _host_name(host: str) -> str:
    """Return the name in a `Host` header without the port, which a tunnel or a container may change.

    The port may be empty (RFC 3986, 3.2.3). A malformed value returns an empty name, which is never accepted.
    """
    match = _HOST.fullmatch(host.lower())
    return "" if match is None else match["address"] or match["name"]


def _is_address(name: str) -> bool:
    """Return whether a host is an IP address. An attacker cannot rebind an address, only a name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine can reach a server on this host."""
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def is_wildcard(host: str) -> bool:
    """Return whether the host stands for all addresses of the machine, as `0.0.0.0` does."""
    return _is_address(host) and ipaddress.ip_address(host).is_unspecified
