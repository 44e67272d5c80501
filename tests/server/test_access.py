"""Who may use the server: the key, `Host`, `Origin`, the content type and CORS, for HTTP and for WebSockets."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from codex_backend_sdk.server.access import AccessMiddleware, is_loopback, is_wildcard
from codex_backend_sdk.server.request_log import RequestLog, RequestLogMiddleware
from codex_backend_sdk.server.server_settings import ServerSettings

KEY = "sk-codex-the-key-of-the-tests"
BEARER = {"authorization": f"Bearer {KEY}"}
JSON = {"content-type": "application/json"}
PAGE = "http://localhost:3000"


async def _send(settings: dict[str, Any], method: str, path: str, headers: dict[str, str]) -> httpx2.Response:
    async def accept(request: Any) -> JSONResponse:
        return JSONResponse({"ok": True})

    app = AccessMiddleware(
        Starlette(routes=[Route("/{path:path}", accept, methods=["GET", "POST", "OPTIONS"])]),
        ServerSettings(key=KEY, **settings),
    )
    log = RequestLog(lambda line, is_problem: None)
    transport = httpx2.ASGITransport(app=RequestLogMiddleware(app, log))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8765") as client:
        return await client.request(method, path, headers=headers, content=b"{}" if method == "POST" else None)


def send(method: str, path: str, headers: dict[str, str], **settings: Any) -> httpx2.Response:
    return anyio.run(_send, settings, method, path, headers)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (BEARER, None),
        ({"authorization": f"bearer  {KEY}"}, None),
        ({"x-api-key": KEY}, None),
        ({"api-key": KEY}, None),
        ({"authorization": "Bearer placeholder", "api-key": KEY, "x-api-key": KEY}, None),
        ({}, "local_missing_key"),
        ({"authorization": f"Basic {KEY}"}, "local_missing_key"),
        ({"authorization": "Bearer "}, "local_invalid_key"),
        ({"authorization": f"Bearer {KEY}x"}, "local_invalid_key"),
        ({"authorization": f"Bearer {KEY[:-1]}"}, "local_invalid_key"),
        ({"x-api-key": "\xe9" * 20}, "local_invalid_key"),
    ],
)
def test_key_is_accepted_in_three_headers(headers: dict[str, str], code: str | None) -> None:
    raw = [(name, value.encode("latin-1")) for name, value in headers.items()]
    response = send("POST", "/v1/responses", [*raw, ("content-type", b"application/json")])  # type: ignore[arg-type]
    if code is None:
        assert response.status_code == 200
    else:
        assert (response.status_code, response.json()["error"]["code"]) == (401, code)
        assert "codex-backend serve" in response.json()["error"]["message"]
        assert KEY not in response.text


@pytest.mark.parametrize("query", [f"?api_key={KEY}", f"?key={KEY}", f"?api-key={KEY}"])
def test_key_in_the_query_is_not_accepted(query: str) -> None:
    assert send("GET", f"/v1/models{query}", {}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/v1", 200),
        ("GET", "/health", 200),
        ("POST", "/health", 401),
        ("GET", "/v1/usage", 401),
        ("GET", "/models", 401),
        ("GET", "/unknown", 401),
    ],
)
def test_only_health_and_index_need_no_key(method: str, path: str, status: int) -> None:
    assert send(method, path, JSON).status_code == status


@pytest.mark.parametrize(
    ("host", "settings", "is_accepted"),
    [
        ("127.0.0.1:8765", {}, True),
        ("localhost", {}, True),
        ("LOCALHOST:1", {}, True),
        ("[::1]:8765", {}, True),
        ("evil.example", {}, False),
        ("127.0.0.1.evil.example", {}, False),
        ("localhost.evil.example:8765", {}, False),
        ("192.168.1.5", {}, False),
        ("host.docker.internal:8765", {}, False),
        ("host.docker.internal:8765", {"hosts": ("172.17.0.1",)}, True),
        ("172.17.0.1:8765", {"hosts": ("172.17.0.1",)}, True),
        ("192.168.1.5:8765", {"hosts": ("0.0.0.0",)}, True),
        ("[fe80::1]:8765", {"hosts": ("::",)}, True),
        ("evil.example", {"hosts": ("0.0.0.0",)}, False),
        ("codex", {"allowed_hosts": ("Codex",)}, True),
        ("", {}, False),
        # The forms of a header that names a known host
        ("localhost.", {}, True),  # an absolute name is the same host
        ("localhost.:8765", {}, True),
        ("127.0.0.1:", {}, True),  # an empty port is valid
        ("[::1]", {}, True),
        ("LocalHost", {}, True),
        ("localhost..", {}, False),
        ("localhost:evil.example", {}, False),
        ("localhost:8765.evil.example", {}, False),
        ("localhost:8765:8765", {}, False),
        ("localhost:-1", {}, False),
        ("[::1]x", {}, False),
        ("[::1].evil.example", {}, False),
        ("[::1]:evil.example", {}, False),
        ("[::1", {}, False),
        ("::1", {}, False),  # without brackets, its end is a port
        ("[127.0.0.1]", {}, False),
        ("[localhost]", {}, False),
        ("user@localhost", {}, False),
        ("localhost, evil.example", {}, False),
        (".", {}, False),
        (":8765", {}, False),
        ("192.168.1.5:evil.example", {"hosts": ("0.0.0.0",)}, False),
        ("[fe80::1]evil.example", {"hosts": ("::",)}, False),
        ("codex:evil.example", {"allowed_hosts": ("codex",)}, False),
    ],
)
def test_host_must_be_a_known_name(host: str, settings: dict[str, Any], is_accepted: bool) -> None:
    response = send("GET", "/health", {"host": host}, **settings)
    assert response.status_code == (200 if is_accepted else 403)
    if not is_accepted:
        assert response.json()["error"]["code"] == "local_host_not_allowed"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:8765", f"{PAGE}.evil.example"])
def test_other_origin_is_rejected_with_the_key(origin: str) -> None:
    response = send("POST", "/v1/responses", {**BEARER, **JSON, "origin": origin}, allowed_origins=(PAGE,))
    assert (response.status_code, response.json()["error"]["code"]) == (403, "local_origin_not_allowed")
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("origin", [PAGE, "app://obsidian.md"])
def test_named_origin_gets_cors_headers(origin: str) -> None:
    response = send("POST", "/v1/responses", {**BEARER, **JSON, "origin": origin}, allowed_origins=(origin,))
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin
    assert "x-codex-backend-changes" in response.headers["access-control-expose-headers"]
    assert response.headers["vary"] == "Origin"


def test_named_origin_can_read_a_rejection() -> None:
    response = send("POST", "/v1/responses", {**JSON, "origin": PAGE}, allowed_origins=(PAGE,))
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, PAGE)


def test_preflight_needs_no_key() -> None:
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization, x-stainless-os"}
    response = send("OPTIONS", "/v1/responses", {"origin": PAGE, **asked}, allowed_origins=(PAGE,))
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert "access-control-allow-private-network" not in response.headers
    private = {"access-control-request-private-network": "true"}
    response = send("OPTIONS", "/v1/responses", {"origin": PAGE, **asked, **private}, allowed_origins=(PAGE,))
    assert response.headers["access-control-allow-private-network"] == "true"


def test_without_origins_there_is_no_cors() -> None:
    response = send("OPTIONS", "/v1/responses", {"origin": PAGE, "access-control-request-method": "POST"})
    assert response.status_code == 403
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert send("OPTIONS", "/v1/responses", {}).status_code == 401


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain;application/json", 415),
        (None, 415),
    ],
)
def test_content_type_must_be_json(content_type: str | None, status: int) -> None:
    headers = BEARER if content_type is None else {**BEARER, "content-type": content_type}
    assert send("POST", "/v1/responses", headers).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({**BEARER, "Origin": "https://evil.example"}, 403),
        ({**BEARER, "Host": "evil.example"}, 403),
    ],
)
def test_websocket_has_the_same_checks(serve: Any, headers: dict[str, str], status: int) -> None:
    headers = dict(headers)

    async def accept(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    server = serve()
    server.app.router.routes.insert(0, WebSocketRoute("/v1/checked", accept))
    url = f"ws://127.0.0.1:{server.port}/v1/checked"
    with connect(url, additional_headers=BEARER):
        pass
    host = headers.pop("Host", f"127.0.0.1:{server.port}")
    sock = socket.create_connection(("127.0.0.1", server.port))
    with pytest.raises(InvalidStatus) as caught:
        connect(f"ws://{host}/v1/checked", sock=sock, additional_headers=headers)
    assert caught.value.response.status_code == status


@pytest.mark.parametrize(
    ("host", "loopback", "wildcard"),
    [
        ("127.0.0.1", True, False),
        ("127.8.0.1", True, False),
        ("::1", True, False),
        ("localhost", True, False),
        ("0.0.0.0", False, True),
        ("::", False, True),
        ("192.168.1.5", False, False),
        ("example.com", False, False),
    ],
)
def test_host_is_classified(host: str, loopback: bool, wildcard: bool) -> None:
    assert (is_loopback(host), is_wildcard(host)) == (loopback, wildcard)
