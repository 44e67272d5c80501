"""The application and the server around the routes: paths, errors, the log, limits of connections and the end."""

from __future__ import annotations

import socket
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from starlette.responses import StreamingResponse
from support.scripted_backend import wait_until

from codex_backend_sdk.server.api_errors import ApiError

from .conftest import KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/v1/embeddings", "Embeddings are not part of the plan"),
        ("POST", "/embeddings", "Embeddings are not part of the plan"),
        ("POST", "/v1/completions", "Use /v1/chat/completions"),
        ("POST", "/v1/messages", "Anthropic"),
        ("POST", "/v1/messages/count_tokens", "Anthropic"),
        ("GET", "/api/tags", "Ollama"),
        ("POST", "/api/chat", "and /v1"),
        ("POST", "/v1/images/generations", "image_generation"),
        ("POST", "/v1/audio/speech", "Audio"),
        ("GET", "/v1/files", "file_data"),
        ("GET", "/v1/responses/resp_1", "not stored"),
        ("GET", "/v1/chat/completions/chatcmpl-1", "not stored"),
        ("POST", "/v1/chat/completions/chat/completions", "must end with /v1,"),
        ("POST", "/v1/responses/responses", "ends with /v1/responses."),
        ("POST", "/v1/responses/chat/completions", "ends with /v1/responses."),
        ("POST", "/chat/completions/chat/completions", "ends with /chat/completions."),
        ("GET", "/v1/chat/completions/models", "ends with /v1/chat/completions."),
        ("POST", "/v1/models/chat/completions", "ends with /v1/models."),
        ("GET", "/v1/v1/models", "ends with /v1/v1."),
        ("POST", "/v1/v1/chat/completions", "ends with /v1/v1."),
        ("POST", "/v1/v1/embeddings", "ends with /v1/v1."),
        ("POST", "/api/v1/chat/completions", "ends with /api/v1."),
        ("GET", "/v1/responses/resp_1/input_items", "not stored"),
        ("GET", "/v2/anything", "/v1/models"),
        ("GET", "/v1/embeddingsx", "no such path. It has"),
        ("DELETE", "/v1/models/", "method"),
    ],
)
def test_unknown_path_names_what_exists(server: Any, method: str, path: str, words: str) -> None:
    response = server.request(method, server.root + path, headers={"content-type": "application/json"})
    assert response.status_code in (404, 405)
    error = response.json()["error"]
    assert words in error["message"]
    assert "codex-backend serve" in error["message"]
    assert error["code"] in ("local_unknown_path", "local_wrong_method")


@pytest.mark.parametrize("content_type", [None, "text/plain", "multipart/form-data; boundary=x"])
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/embeddings", 404, "local_unknown_path"),
        ("POST", "/v1/audio/transcriptions", 404, "local_unknown_path"),
        ("POST", "/v1/chat/completions/chat/completions", 404, "local_unknown_path"),
        ("POST", "/v1/models", 405, "local_wrong_method"),
        ("PUT", "/v1/responses", 405, "local_wrong_method"),
    ],
)
def test_missing_path_needs_no_content_type(
    server: Any, method: str, path: str, status: int, code: str, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = server.request(method, server.root + path, content=b"x", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_every_route_with_a_body_requires_json(server: Any) -> None:
    """A web page can send other types of bodies without the permission of the server."""
    paths = [route.path for route in server.app.routes if "POST" in (getattr(route, "methods", None) or ())]
    assert len(paths) == 4
    for path in (*paths, *(f"{path}%0A" for path in paths)):  # a route also accepts a line feed at its end
        response = server.request("POST", server.root + path, content=b"{}", headers={"content-type": "text/plain"})
        assert (response.status_code, response.json()["error"]["code"]) == (415, "local_content_type")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/health"])
def test_open_paths_explain_themselves(server: Any, path: str) -> None:
    response = httpx2.get(server.root + path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert httpx2.head(server.root + path).status_code == 200


def test_health_sends_nothing_to_the_backend(server: Any, sim: Any) -> None:
    assert httpx2.get(f"{server.root}/health").json() == {"status": "ok"}
    assert sim.requests == []


def test_usage_has_the_limits_of_the_plan(server: Any) -> None:
    usage = server.get("/usage").json()
    window = usage["windows"][0]
    assert usage["object"] == "usage"
    assert window["length_seconds"] == 5 * 3600
    assert datetime.fromisoformat(window["resets_at"]).utcoffset() is not None
    assert 0 <= window["used_percent"] <= 100


def test_headers_are_ours(server: Any) -> None:
    headers = server.get("/models").headers
    assert "server" not in headers
    assert "date" in headers


def _add_route(server: Any, route: Any, path: str = "/v1/test") -> None:
    server.app.router.add_route(path, route, methods=["GET", "POST"])


@pytest.mark.parametrize("kind", [RuntimeError, TypeError, ValueError])
def test_unexpected_exception_is_a_500_without_its_text(server: Any, kind: type[Exception]) -> None:
    async def fail(request: Request) -> None:
        raise kind("the prompt, Bearer eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln")

    _add_route(server, fail)
    response = server.get("/test")
    assert (response.status_code, response.json()["error"]["code"]) == (500, "local_internal_error")
    assert "the prompt" not in response.text
    (traceback,) = server.tracebacks
    assert kind.__name__ in traceback
    assert "eyJ" not in traceback
    wait_until(lambda: server.lines)  # the line follows the response
    assert "local_internal_error" in server.lines[-1]


def test_error_after_the_start_closes_the_connection(server: Any) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begin"
        raise ApiError(500, "late")

    async def fail(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    _add_route(server, fail)
    with pytest.raises(httpx2.RemoteProtocolError):
        server.get("/test")


@pytest.mark.parametrize(("seconds", "is_complete"), [(0.5, True), (600, False)])
def test_stop_lets_streams_end_within_the_grace_period(serve: Any, seconds: float, is_complete: bool) -> None:
    server = serve(grace_seconds=20.0 if is_complete else 1.0)
    has_begun, is_cancelled = threading.Event(), threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"begin "
        has_begun.set()
        try:
            await anyio.sleep(seconds)
        except anyio.get_cancelled_exc_class():
            is_cancelled.set()
            raise
        yield b"end"

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    _add_route(server, stream)
    received: list[Any] = []

    def read() -> None:
        try:
            received.append(server.get("/test").text)
        except httpx2.HTTPError as error:
            received.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert has_begun.wait(20)
    server._server.should_exit = True
    server._thread.join(40)
    reader.join(40)
    assert not server._thread.is_alive()
    assert is_cancelled.is_set() is not is_complete
    assert (received == ["begin end"]) is is_complete


def test_stopped_server_frees_its_port(serve: Any) -> None:
    first = serve()
    first.stop()
    assert serve(port=first.port).get("/models").status_code == 200


def test_large_header_is_refused(server: Any) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000)
        assert b"400" in client.recv(100)


def test_silent_connections_do_not_hold_the_server(server: Any) -> None:
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    try:
        for each in sockets:
            each.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\n")
        assert server.get("/models").status_code == 200
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 20
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize("sent", ["nothing", "part", "chunk"])
def test_client_that_leaves_during_its_upload_is_no_bug(server: Any, sent: str) -> None:
    length = "Transfer-Encoding: chunked" if sent == "chunk" else "Content-Length: 100"
    body = {"nothing": "", "part": '{"model":', "chunk": '9\r\n{"model":\r\n'}[sent]
    head = f"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"{head}Content-Type: application/json\r\n{length}\r\n\r\n{body}".encode())
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith("client left")
    assert server.tracebacks == []


@pytest.mark.parametrize("key", ["0123456789abcdef" * 4, "correct-horse-battery-staple", KEY])
def test_key_in_another_field_is_not_logged(serve: Any, key: str) -> None:
    server = serve(key=key)
    headers = {"authorization": f"Bearer {key}", "user-agent": key}
    server.post("/responses", json={"model": key, "input": "hi", key: 1}, headers=headers)
    server.get(f"/{key}", headers=headers)
    wait_until(lambda: len(server.lines) >= 3)
    lines = "\n".join(server.lines)
    assert "[REDACTED]" in lines
    assert not [part for part in (key, key[:40]) if part in lines]
