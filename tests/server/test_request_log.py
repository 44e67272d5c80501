"""The lines of the log: their format, the notes of requests that fail or are interrupted, and the totals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import JSONResponse
from support.scripted_backend import wait_until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket

from codex_backend_sdk.server.changes import Change
from codex_backend_sdk.server.request_log import RequestLog, RequestLogMiddleware, RequestRecord
from codex_backend_sdk.testing import Turn

from .conftest import KEY
from .gated_backend import GatedBackend
from .model_calls import CHAT, RESPONSES, ROUTES, Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from codex_backend_sdk.testing import Simulator

both_routes = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
both_modes = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
TEMPERATURE, SEED = Change("dropped", "temperature"), Change("dropped", "seed")
EFFORT = Change("replaced", "reasoning_effort minimal by low")


def log_of(**options: Any) -> tuple[RequestLog, list[tuple[str, bool]]]:
    """Return a log, and the list that gets its lines."""
    lines: list[tuple[str, bool]] = []
    return RequestLog(
        lambda line, is_problem: lines.append((line, is_problem)), now=lambda: datetime(2026, 1, 1), **options
    ), lines


def record(**members: Any) -> RequestRecord:
    return RequestRecord(**{"method": "POST", "path": "/v1/responses", "program": "OpenAI/Python", **members})


def model_record(**members: Any) -> RequestRecord:
    tokens = {"input_tokens": 1800, "cached_tokens": 900, "output_tokens": 115}
    return record(**{"status": 200, "model": "gpt-6.1-terra", "seconds": 0.32, **tokens, **members})


# Lines


def test_record_of_the_route_is_in_the_line(server: Any) -> None:
    async def respond(request: Request) -> JSONResponse:
        record: RequestRecord = request.state.record
        record.model, record.changes = "gpt-x", [TEMPERATURE]
        record.input_tokens, record.cached_tokens, record.output_tokens = 2000, 1500, 30
        return JSONResponse({})

    server.app.router.add_route("/v1/test", respond, methods=["POST"])
    for _ in range(2):
        server.post("/test?key=secret", json={}, headers={"user-agent": "opencode/1.2 (linux)"})
    wait_until(lambda: len(server.lines) == 3)
    first, change, second = server.lines
    assert " POST /v1/test 200 opencode/1.2 gpt-x " in first
    assert first.endswith("2,000 in (75 % cached) 30 out")
    assert change == "         opencode/1.2: dropped temperature (not shown again)"
    assert "POST /v1/test 200" in second
    assert "secret" not in "".join(server.lines)


@pytest.mark.parametrize("width", [40, 60, 80, 100, 1000])
def test_line_continues_between_its_parts(width: int) -> None:
    log, lines = log_of(width=lambda: width)
    log.add(model_record(path="/v1/chat/completions", changes=[TEMPERATURE, SEED, EFFORT]))
    request, changes = [line.split("\n") for line, _ in lines]
    assert all(len(line) <= width for line in [*request, *changes])
    assert all(re.match(r" {9}\S", line) for line in [*request[1:], *changes])
    joined = " ".join(line.strip() for line in request)
    assert joined == (
        "00:00:00 POST /v1/chat/completions 200 OpenAI/Python gpt-6.1-terra 0.32 s 1,800 in (50 % cached) 115 out"
    )
    assert any(line.endswith("1,800 in (50 % cached) 115 out") for line in request)
    assert (len(request) == 1) is (width == 1000)


def test_part_that_is_wider_than_the_terminal_is_kept() -> None:
    log, lines = log_of(width=lambda: 20)
    log.add(record(method="GET", path="/" + "a" * 40, status=404))
    assert "/" + "a" * 40 in lines[0][0].replace(" ", "").split("\n")


@pytest.mark.parametrize(
    ("model", "response_model", "shown"),
    [
        ("auto", "gpt-6.2-sol", "auto → gpt-6.2-sol"),
        ("(default)", "gpt-6.2-sol", "(default) → gpt-6.2-sol"),
        ("gpt-5.5", "gpt-5.5-2026-01-01", "gpt-5.5 → gpt-5.5-2026-01-01"),
        ("gpt-5.5", "gpt-5.5", "gpt-5.5"),
        ("auto", None, "auto"),
    ],
)
def test_line_shows_the_model_of_the_response(model: str, response_model: str | None, shown: str) -> None:
    log, lines = log_of()
    log.add(model_record(model=model, response_model=response_model))
    assert f" 200 OpenAI/Python {shown} 0.32 s " in lines[0][0]


@both_routes
@both_modes
def test_auto_is_logged_with_the_model_that_it_selects(server: Any, sim: Simulator, route: Route, stream: bool) -> None:
    sim.script("Hello", "Hello", Turn.usage_limit())
    for model in ("auto", None, "auto"):
        server.post(route.path, json=route.body(model=model, stream=stream))
    wait_until(lambda: len(server.lines) == 3)
    ok, default, failed = server.lines
    assert re.search(r" 200 \S+ auto → gpt-\S+ \d", ok)
    assert re.search(r" 429 \S+ auto → gpt-\S+ .* usage_limit_reached$", failed)
    assert re.search(r" 200 \S+ \(default\) → gpt-\S+ \d", default)


@both_routes
@both_modes
def test_model_of_the_response_is_in_the_line(serve: Any, sim: Simulator, route: Route, stream: bool) -> None:
    """The backend may respond with another model than the one that it was sent."""
    with GatedBackend() as backend:
        backend.open_gate()
        client = sim.async_client(unsupported="drop", max_retries=0, base_url=backend.base_url)
        server = serve(client=client)
        server.post(route.path, json=route.body(model="gpt-6.1-terra", stream=stream))
    wait_until(lambda: server.lines)
    assert re.search(r" 200 \S+ gpt-6\.1-terra → gpt-5\.5 \d", server.lines[0])


def test_new_changes_of_a_request_are_one_line() -> None:
    log, lines = log_of()
    for program, changes in [("a", [TEMPERATURE, SEED]), ("a", [SEED, EFFORT]), ("a", [EFFORT]), ("b", [SEED])]:
        log.add(record(program=program, status=200, changes=changes))
    assert [line for line, _ in lines if line.startswith(" ")] == [
        "         a: dropped temperature, seed (not shown again)",
        "         a: replaced reasoning_effort minimal by low",
        "         b: dropped seed",
    ]


def test_repaired_messages_are_not_logged_as_dropped(server: Any, sim: Simulator) -> None:
    sim.script("Hello")
    messages = [{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]
    response = server.post("/chat/completions", json={"model": "gpt-5.5", "messages": messages, "temperature": 0.1})
    changes = response.headers["x-codex-backend-changes"].split(", ")
    assert "dropped temperature" in changes
    assert [change for change in changes if change.startswith("repaired messages[1]")]


def test_line_is_safe_for_a_terminal() -> None:
    log, lines = log_of()
    log.add(record(method="GET", path="/\x1b[31m\n" + "a" * 500, program="sk-" + "a1B2" * 12, status=404))
    ((line, is_problem),) = lines
    assert is_problem
    assert line.isprintable()
    assert len(line) < 200
    assert "a1B2a1B2" not in line


def test_disconnect_before_the_response_has_no_status() -> None:
    log, lines = log_of()
    log.add(record(program="x", note="client left"))
    assert lines[0][0] == "00:00:00 POST /v1/responses - x 0.00 s client left"


def test_totals_are_by_program_and_bounded() -> None:
    log, lines = log_of()
    for number in range(200):
        for _ in range(2):
            log.add(
                record(program=f"p{number}", status=200, model="m", input_tokens=100, cached_tokens=90, output_tokens=1)
            )
    log.add(RequestRecord(method="GET", path="/v1/models", program="lister", status=200))
    lines.clear()
    log.print_totals()
    assert lines[0][0] == "p0: 2 requests, tokens: 200 in (90 % cached) 2 out"
    assert len(lines) == 51
    assert lines[-1][0] == "other programs: 300 requests, tokens: 30,000 in (90 % cached) 300 out"


def test_totals_of_one_request_are_in_the_singular() -> None:
    log, lines = log_of()
    log.add(model_record())
    log.print_totals()
    assert lines[-1][0] == "OpenAI/Python: 1 request, tokens: 1,800 in (50 % cached) 115 out"


# Notes


@both_routes
@both_modes
def test_full_queue_is_logged_with_its_code(serve: Any, sim: Simulator, route: Route, stream: bool) -> None:
    server = serve(concurrency=1, queue_limit=0)
    sim.script("Hello", Turn.text("one two three").stalled(8, 60))
    server.post(route.path, json=route.body())  # later requests need no catalog, and are refused at once
    with socket.create_connection(("127.0.0.1", server.port)) as running:
        running.sendall(request_of(RESPONSES, stream=True))
        wait_until(lambda: server.app.state.slots.running == 1)
        assert server.post(route.path, json=route.body(stream=stream)).status_code == 429
        wait_until(lambda: len(server.lines) == 2)
        assert server.lines[1].endswith(" s local_queue_full")


@both_routes
@both_modes
def test_refusal_of_a_stopping_server_is_logged_with_its_code(
    server: Any, sim: Simulator, route: Route, stream: bool
) -> None:
    """The connection was open before the stop."""
    sim.script("Hello")
    server.post(route.path, json=route.body())
    server.app.state.slots.closed.set()
    assert server.post(route.path, json=route.body(stream=stream)).status_code == 503
    wait_until(lambda: len(server.lines) == 2)
    assert server.lines[1].endswith(" s local_shutting_down")


def request_of(route: Route, **members: Any) -> bytes:
    body = json.dumps(route.body(**members)).encode()
    head = f"POST /v1{route.path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/models", {"authorization": ""}, "local_missing_key"),
        ("GET", "/models", {"authorization": "Bearer wrong"}, "local_invalid_key"),
        ("GET", "/models", {"host": "example.com"}, "local_host_not_allowed"),
        ("GET", "/models", {"origin": "https://example.com"}, "local_origin_not_allowed"),
        ("POST", "/responses", {"content-type": "text/plain"}, "local_content_type"),
        ("POST", "/responses", {**JSON, "content-encoding": "br"}, "local_unknown_coding"),
        ("POST", "/responses", {**JSON, "content-length": "33000000"}, "local_body_too_large"),
        ("POST", "/responses", JSON, "local_invalid_body"),
        ("GET", "/embeddings", {}, "local_unknown_path"),
        ("POST", "/models", {}, "local_wrong_method"),
        ("GET", "/models/unheard-of", {}, "model_not_found"),
    ],
)
def test_refusal_is_logged_with_its_code(
    server: Any, method: str, path: str, headers: dict[str, str], code: str
) -> None:
    if "content-length" in headers:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            lines = [f"{method} /v1{path} HTTP/1.1", "host: localhost", f"authorization: Bearer {KEY}", "expect: x"]
            lines += [f"{name}: {value}" for name, value in headers.items()]
            client.sendall("\r\n".join([*lines, "", ""]).encode())
            assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
    else:
        response = server.request(method, path, headers=headers)
        assert response.json()["error"]["code"] == code
    wait_until(lambda: server.lines)
    assert server.lines[-1].endswith(f" s {code}")


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/responses", {"authorization": "Bearer wrong"}, 401, "local_invalid_key"),
        ("/responses", {"origin": "https://example.com"}, 403, "local_origin_not_allowed"),
        ("/realtime", {}, 404, "local_unknown_path"),
    ],
)
def test_refused_handshake_has_its_code(
    server: Any, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    url = f"{server.base_url.replace('http', 'ws', 1)}{path}"
    headers = {"authorization": f"Bearer {KEY}", **headers}
    with pytest.raises(InvalidStatus) as caught:
        connect_websocket(url, additional_headers=headers, proxy=None, open_timeout=30)
    assert caught.value.response.status_code == status
    assert caught.value.response.body is not None
    assert json.loads(caught.value.response.body)["error"]["code"] == code
    wait_until(lambda: server.lines)
    assert re.search(rf" WS   /v1{path} {status} .* s {code}$", server.lines[0])


@both_routes
@both_modes
def test_second_signal_is_not_logged_as_a_disconnect(serve: Any, sim: Simulator, route: Route, stream: bool) -> None:
    server = serve(grace_seconds=60, commit_seconds=0.0)
    sim.script(Turn.text("one two three").stalled(8, 60))
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(request_of(route, stream=stream))
        wait_until(lambda: len(sim.model_requests) == 1)
        server._server.should_exit = server._server.force_exit = True
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = b"".join(iter(lambda: client.recv(65536), b""))
    server._thread.join(30)
    assert b"local_shutting_down" in received
    assert server.lines[0].endswith(" s local_shutting_down")


def test_second_signal_is_in_the_line_of_a_websocket(serve: Any, sim: Simulator) -> None:
    server = serve(grace_seconds=60)
    sim.script(Turn.text("one two three").stalled(8, 60))
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{server.base_url.replace('http', 'ws', 1)}/responses"
    with connect_websocket(url, additional_headers=headers, proxy=None, open_timeout=30) as websocket:
        websocket.send(json.dumps({"type": "response.create", "model": "gpt-5.5", "input": "hi"}))
        websocket.recv(timeout=30)
        server._server.should_exit = server._server.force_exit = True
        server._thread.join(30)
    (line,) = [line for line in server.lines if "gpt-5.5" in line]
    assert line.endswith(" s local_shutting_down")


def test_cancelled_response_is_not_logged_as_success() -> None:
    """A stop cancels the responses of other routes, and those whose clients do not read."""

    async def run() -> list[tuple[str, bool]]:
        log, lines = log_of()
        has_begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            has_begun.set()
            await asyncio.Event().wait()

        async def send(message: Any) -> None: ...

        scope = {"type": "http", "method": "GET", "path": "/v1/usage", "headers": []}
        task = asyncio.ensure_future(RequestLogMiddleware(app, log)(scope, None, send))  # type: ignore[arg-type]
        await has_begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        return lines

    ((line, _),) = asyncio.run(run())
    assert line.startswith("00:00:00 GET  /v1/usage 200 unknown ")
    assert line.endswith(" s local_shutting_down")


def test_disconnect_is_noted_in_the_line(server: Any, sim: Simulator) -> None:
    sim.script(Turn.text("one two three").stalled(8, 60))
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(request_of(CHAT, stream=True))
        client.recv(1)
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith(" s client left")


# The line at the stop


@pytest.mark.parametrize(
    ("running", "grace_seconds", "words"),
    [
        (1, 5, "Stopping. 1 request is running and has up to 5 seconds. Press Ctrl-C again to stop at once."),
        (2, 1, "Stopping. 2 requests are running and have up to 1 second. Press Ctrl-C again to stop at once."),
        (0, 5, None),
    ],
)
def test_stop_names_the_running_requests(
    serve: Any, sim: Simulator, running: int, grace_seconds: float, words: str | None
) -> None:
    with GatedBackend() as backend, contextlib.ExitStack() as stack:
        client = sim.async_client(unsupported="drop", max_retries=0, base_url=backend.base_url)
        server = serve(client=client, grace_seconds=grace_seconds)
        for _ in range(running):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(request_of(RESPONSES, stream=True))
        wait_until(lambda: backend.arrived == running)
        server._server.should_exit = True
        if running:
            wait_until(lambda: server.notices)
            backend.open_gate()
        server.stop()
    assert server.notices == ([] if words is None else [words])
