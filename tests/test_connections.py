"""Test that a deadline ends every phase of a call, on servers that hang, send single bytes or read slowly.

All cases of a table run at the same time, because each waits for its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import httpx2
import openai
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk._connections import io_deadline
from codex_backend_sdk._routing.resolver import WorkspaceRouting
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_backend_sdk.testing import Simulator

LIMIT = 0.6
# A busy machine may add this much. Without its deadline, each case takes at least 10 seconds.
TOLERANCE = 3.0
HANG_SECONDS = 12.0

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
EVENTS = (
    b'data: {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}}\n\n'
    b'data: {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}\n\n'
)


class Stage:
    """The servers of one test. They stop hanging when the test ends. `full_port` accepts no connection."""

    def __init__(self, full_port: int) -> None:
        self.full_port = full_port
        self.end = threading.Event()
        self.requests: list[bytes] = []
        self._listeners: list[socket.socket] = []

    def serve(self, handle: Callable[[socket.socket, Stage], None], *, reads_request: bool = True) -> int:
        """Start a server that calls `handle` for each connection, and return its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)

        def work(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                if reads_request:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        data = connection.recv(65536)
                        if not data:
                            return
                        received += data
                    self.requests.append(received)
                handle(connection, self)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=work, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return int(listener.getsockname()[1])

    def drip(self, connection: socket.socket, data: bytes) -> None:
        """Send `data` again and again, a byte each 50 ms."""
        started_at = time.monotonic()
        while time.monotonic() - started_at < HANG_SECONDS:
            for byte in data:
                connection.sendall(bytes([byte]))
                if self.end.wait(0.05):
                    return

    def close(self) -> None:
        self.end.set()
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture
def stage(full_port: int) -> Iterator[Stage]:
    servers = Stage(full_port)
    yield servers
    servers.close()


class FixedLogin:
    """A login that needs no store. `refresh_seconds` is how long a refresh takes."""

    def __init__(self, *, is_ready: bool = True, plan: str = "plus", end: threading.Event | None = None) -> None:
        self.login = Login(access_token=Secret("token"), account_id="account", plan=plan)
        self.is_ready = is_ready
        self.end = end

    def ready(self) -> Login | None:
        return self.login if self.is_ready else None

    def current(self) -> Login:
        if self.end is not None:
            self.end.wait(HANG_SECONDS)
        return self.login

    def refresh(self, rejected: Login) -> Login:
        return self.current()


class Case(NamedTuple):
    """A server or client that hangs in one phase. `options` returns the arguments of the client for it."""

    name: str
    options: Callable[[Stage, str], dict[str, Any]]
    limits: tuple[str, ...]
    input: str = "hi"


def base_url(port: int, scheme: str = "http", host: str = "127.0.0.1") -> str:
    return f"{scheme}://{host}:{port}/backend-api/codex"


def serving(handle: Callable[[socket.socket, Stage], None], *, scheme: str = "http", reads: bool = True) -> Any:
    return lambda stage, kind: {"base_url": base_url(stage.serve(handle, reads_request=reads), scheme)}


def hang(connection: socket.socket, stage: Stage) -> None:
    stage.end.wait(HANG_SECONDS)


def drip_tls(connection: socket.socket, stage: Stage) -> None:
    stage.drip(connection, b"\x16\x03\x03\x40\x00")


def drip_head(connection: socket.socket, stage: Stage) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    stage.drip(connection, b"a")


def send_informational(connection: socket.socket, stage: Stage) -> None:
    stage.drip(connection, b"HTTP/1.1 103 Early Hints\r\n\r\n")


def flood_informational(connection: socket.socket, stage: Stage) -> None:
    while not stage.end.is_set():
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)


def drip_comments(connection: socket.socket, stage: Stage) -> None:
    connection.sendall(HEAD)
    stage.drip(connection, b": x\n\n")


def flood_comments(connection: socket.socket, stage: Stage) -> None:
    connection.sendall(HEAD)
    while not stage.end.is_set():
        connection.sendall(b": x\n\n" * 100)


def drip_error(connection: socket.socket, stage: Stage) -> None:
    connection.sendall(b"HTTP/1.1 500 Broken\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
    stage.drip(connection, b"x")


def reject_login(connection: socket.socket, stage: Stage) -> None:
    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def read_slowly(connection: socket.socket, stage: Stage) -> None:
    while not stage.end.wait(0.05):
        connection.recv(1000)


def drip_proxy(stage: Stage, kind: str) -> dict[str, Any]:
    http_class: Any = httpx2.Client if kind == "sync" else httpx2.AsyncClient
    proxy = f"http://127.0.0.1:{stage.serve(drip_head)}"
    # Without a timeout of its own, a client of the caller gets the official timeout from the SDK.
    return {"base_url": base_url(443, "https", "backend.test"), "http_client": http_class(proxy=proxy, trust_env=False)}


def blocking_transport(stage: Stage, kind: str) -> dict[str, Any]:
    class Blocking(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            stage.end.wait(HANG_SECONDS)
            return httpx2.Response(200)

    class AsyncBlocking(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await anyio.sleep(HANG_SECONDS)
            return httpx2.Response(200)

    if kind == "sync":
        return {"http_client": httpx2.Client(transport=Blocking())}
    return {"http_client": httpx2.AsyncClient(transport=AsyncBlocking())}


def blocking_auth(stage: Stage, kind: str) -> dict[str, Any]:
    class Blocking(httpx2.Auth):
        def sync_auth_flow(self, request: httpx2.Request) -> Iterator[httpx2.Request]:  # type: ignore[override]
            stage.end.wait(HANG_SECONDS)
            yield request

        async def async_auth_flow(self, request: httpx2.Request) -> Any:
            await anyio.sleep(HANG_SECONDS)
            yield request

    http_class: Any = httpx2.Client if kind == "sync" else httpx2.AsyncClient
    return {"http_client": http_class(auth=Blocking()), "base_url": base_url(stage.serve(hang))}


TOTAL = ("total_timeout",)
CONNECTING = ("total_timeout", "connect_timeout")
UNTIL_HEAD = ("total_timeout", "first_byte_timeout")
CASES = [
    Case("name lookup", lambda stage, kind: {"base_url": base_url(443, "https", "hangs.test")}, CONNECTING),
    Case(
        "three addresses", lambda stage, kind: {"base_url": base_url(stage.full_port, "https", "full.test")}, CONNECTING
    ),
    Case("silent TLS", serving(hang, scheme="https", reads=False), CONNECTING),
    Case("dripped TLS", serving(drip_tls, scheme="https", reads=False), CONNECTING),
    Case("dripped head of a proxy", drip_proxy, CONNECTING),
    Case("slow upload", serving(read_slowly, reads=False), TOTAL, "x" * 20_000_000),
    Case("no head", serving(hang), UNTIL_HEAD),
    Case("dripped head", serving(drip_head), UNTIL_HEAD),
    Case("1xx", serving(send_informational), UNTIL_HEAD),
    Case("many 1xx", serving(flood_informational), UNTIL_HEAD),
    Case("dripped body", serving(drip_comments), TOTAL),
    Case("endless body", serving(flood_comments), TOTAL),
    Case("dripped error", serving(drip_error), TOTAL),
    Case("login", lambda stage, kind: {"credentials": FixedLogin(is_ready=False, end=stage.end)}, TOTAL),
    Case(
        "refresh after a 401",
        lambda stage, kind: {
            "credentials": FixedLogin(end=stage.end),
            "base_url": base_url(stage.serve(reject_login)),
        },
        TOTAL,
    ),
    Case(
        "routing lookup",
        lambda stage, kind: {
            "credentials": FixedLogin(plan="enterprise"),
            "workspace_routing": True,
            "base_url": base_url(stage.serve(drip_head)),
        },
        TOTAL,
    ),
    Case("transport of the caller", blocking_transport, TOTAL),
    Case("auth of the caller", blocking_auth, TOTAL),
]


@pytest.fixture
def slow_names(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hangs.test` is not found for a long time, and `full.test` has three addresses without a free place."""
    look_up = socket.getaddrinfo

    def slow_look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name == "hangs.test":
            stage.end.wait(HANG_SECONDS)
        if name == "full.test":
            return 3 * look_up("127.0.0.1", port, *args, **kwargs)
        return look_up(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow_look_up)


def measure(case: Case, limit: str, stage: Stage, kind: str, *, stream: bool) -> tuple[Any, float]:
    """Return the outcome of a call with one limit, and its seconds."""
    options = {
        "base_url": base_url(9),
        "credentials": FixedLogin(),
        "workspace_routing": False,
        "compress_requests": False,
        "max_retries": 0,
        limit: LIMIT,
        **case.options(stage, kind),
    }

    def call() -> Any:
        with OpenAI(**options) as client:
            started_at = time.monotonic()
            try:
                response = client.responses.create(input=case.input, stream=stream)
                if stream:
                    list(response)
            except Exception as error:
                return error, time.monotonic() - started_at
            return response, time.monotonic() - started_at

    async def call_async() -> Any:
        async with AsyncOpenAI(**options) as client:
            started_at = time.monotonic()
            try:
                response = await client.responses.create(input=case.input, stream=stream)
                if stream:
                    [event async for event in response]
            except Exception as error:
                return error, time.monotonic() - started_at
            return response, time.monotonic() - started_at

    if kind == "sync":
        return call()
    with contextlib.closing(asyncio.new_event_loop()) as loop:  # `asyncio.run` would wait for the thread of a lookup
        return loop.run_until_complete(call_async())


EXPECTED: dict[str, tuple[type[Exception], str]] = {
    "total_timeout": (sdk.TotalTimeoutError, "longer than `total_timeout`"),
    "connect_timeout": (openai.APITimeoutError, "Increase `connect_timeout`"),
    "first_byte_timeout": (openai.APITimeoutError, "Increase `first_byte_timeout`"),
}


@pytest.mark.usefixtures("slow_names")
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_deadline_ends_every_phase(stage: Stage, kind: str, stream: bool) -> None:
    runs = [(case, limit) for case in CASES for limit in case.limits]
    with ThreadPoolExecutor(len(runs)) as threads:
        outcomes = list(threads.map(lambda run: measure(*run, stage, kind, stream=stream), runs))
    for (case, limit), (error, seconds) in zip(runs, outcomes, strict=True):
        error_class, message = EXPECTED[limit]
        assert isinstance(error, error_class), (case.name, limit, error, seconds)
        assert message in str(error), (case.name, limit)
        assert LIMIT - 0.1 < seconds < LIMIT + TOLERANCE, (case.name, limit)


def test_request_after_the_deadline_is_not_sent(stage: Stage) -> None:
    """The login arrives after the deadline: the call has ended, and its prompt stays here."""
    port = stage.serve(hang)
    login = FixedLogin(is_ready=False, end=stage.end)
    with OpenAI(base_url=base_url(port), credentials=login, max_retries=3, total_timeout=0.3) as client:
        with pytest.raises(sdk.TotalTimeoutError):
            client.responses.create(input="hi")
        stage.end.set()
    time.sleep(0.2)
    assert stage.requests == []


def call(kind: str, **options: Any) -> str:
    """Return the id of a response."""
    options = {"credentials": FixedLogin(plan="enterprise"), "max_retries": 0, **options}
    if kind == "sync":
        with OpenAI(**options) as client:
            return client.responses.create(input="hi").id

    async def call_async() -> str:
        async with AsyncOpenAI(**options) as client:
            return (await client.responses.create(input="hi")).id

    return asyncio.run(call_async())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_lookup_that_uses_up_the_time_ends_the_call(stage: Stage, kind: str) -> None:
    with pytest.raises(sdk.TotalTimeoutError):
        call(kind, base_url=base_url(stage.serve(drip_head)), total_timeout=LIMIT)
    time.sleep(0.2)
    assert [request.partition(b" ")[0] for request in stage.requests] == [b"GET"], "the model request is not sent"


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_lookup_ends_within_its_own_timeout(stage: Stage, kind: str) -> None:
    """Single bytes of a head do not restart its timeout, and the call continues without the routing."""

    def respond(connection: socket.socket, stage: Stage) -> None:
        if b"accounts/check" in stage.requests[-1]:
            drip_head(connection, stage)
        else:
            connection.sendall(HEAD + EVENTS)

    routing: Any = WorkspaceRouting(timeout=LIMIT)
    started_at = time.monotonic()
    assert call(kind, base_url=base_url(stage.serve(respond)), workspace_routing=routing) == "r"
    assert LIMIT < time.monotonic() - started_at < LIMIT + TOLERANCE


def test_body_is_not_traced(client: Any) -> None:
    """httpcore would call the trace function for each step of the body."""
    response = client.responses.with_raw_response.create(input="Hi")
    assert "trace" not in response.http_request.extensions
    assert response.parse().output_text


def test_deadline_of_an_interrupted_call_does_not_apply_to_the_next(sim: Simulator) -> None:
    """Ctrl-C may be raised before the end of a context removes the deadline."""
    io_deadline(time.monotonic() - 1).__enter__()
    with sim.client(max_retries=0) as client:
        assert client.responses.create(input="Say hello").output_text == "hello"
        assert list(client.responses.create(input="Say hello", stream=True))[-1].type == "response.completed"
