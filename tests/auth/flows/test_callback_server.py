"""Test the callback server with raw connections: other programs, web pages, floods, and the end of a login."""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk._exceptions import LoginFailedError
from codex_backend_sdk.auth._deadline import LoginDeadline
from codex_backend_sdk.auth.flows.callback_server import bind_callback_server, serve_callback
from codex_backend_sdk.auth.flows.login_callback import CallbackResponse, LoginCallback
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGIN = Login(access_token=Secret("secret-token"), account_id="acc-1")
STATE = "a-state-that-only-this-login-knows"
MAX_CONNECTIONS = 16


class CountingCallback(LoginCallback):
    """A callback that counts its requests."""

    requests: threading.Semaphore

    def respond(self, target: str) -> CallbackResponse:
        self.requests.release()
        return super().respond(target)


@dataclass
class WaitingLogin:
    """A login that waits for its callback. `exchange` delays the exchange of the code until it is set."""

    port: int = 0
    codes: list[str] = field(default_factory=list)
    exchange: threading.Event = field(default_factory=threading.Event)
    callback: CountingCallback = field(init=False)

    def complete(self, code: Secret) -> Login:
        assert self.exchange.wait(30)
        self.codes.append(code.reveal())
        return LOGIN

    @property
    def callback_target(self) -> str:
        return f"/auth/callback?state={STATE}&code=ac_1"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def get(self, target: str, *headers: str, host: str | None = None) -> bytes:
        """Send a GET request and return the response."""
        return self.send("\r\n".join([f"GET {target} HTTP/1.1", f"Host: {host or self.host}", *headers, "", ""]))

    def send(self, request: str | bytes) -> bytes:
        with self.connect() as connection:
            connection.sendall(request if isinstance(request, bytes) else request.encode())
            return read_to_end(connection)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the server ends the connection, also by a reset."""
    data = b""
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionError:
        pass
    return data


def status_of(response: bytes) -> int:
    return int(response.split(b" ", 2)[1])


@contextmanager
def waiting_login() -> Iterator[WaitingLogin]:
    login = WaitingLogin()
    login.exchange.set()
    deadline = LoginDeadline(60)
    with bind_callback_server((0,), deadline) as server:
        login.callback = CountingCallback(STATE, login.complete, deadline)
        login.callback.requests = threading.Semaphore(0)
        login.port = server.server_address[1]
        with serve_callback(server, login.callback):
            yield login


@pytest.fixture
def login() -> Iterator[WaitingLogin]:
    with waiting_login() as waiting:
        yield waiting


PAGE_REQUESTS: dict[str, tuple[str | None, list[str]]] = {
    "image of another site": ("evil.test", ["Referer: https://evil.test/", "Sec-Fetch-Site: cross-site"]),
    "fetch": (None, ["Origin: https://evil.test"]),
    "opaque origin": (None, ["Origin: null"]),
    "link": (None, ["Referer: https://evil.test/"]),
    "typed address": (None, ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"]),
    "one header in lower case": (None, ["sec-fetch-dest: image"]),
    "browser without fetch metadata, page without referrer": (None, ["Accept-Language: en"]),
    "rebound host name": ("evil.test", []),
    "rebound host name, our port": ("evil.test:{port}", []),
    "loopback on another port": ("127.0.0.1:1", []),
    "loopback without port": ("127.0.0.1", []),
    "another loopback address": ("127.0.0.2:{port}", []),
    "name that begins as ours": ("localhost.evil.test:{port}", []),
    "two hosts": (None, ["Host: evil.test"]),
}


@pytest.mark.parametrize(("host", "headers"), PAGE_REQUESTS.values(), ids=PAGE_REQUESTS)
def test_web_page_cannot_cancel(login: WaitingLogin, host: str | None, headers: list[str]) -> None:
    host = host and host.format(port=login.port)
    assert status_of(login.get("/cancel", *headers, host=host)) in (400, 403)
    assert not login.callback.has_outcome
    assert status_of(login.get(login.callback_target)) == 302


# The first is the request of the Codex CLI (login/src/server.rs).
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_program_can_cancel(login: WaitingLogin, host: str) -> None:
    response = login.get("/cancel", "Connection: close", host=f"{host}:{login.port}")
    assert status_of(response) == 200
    with pytest.raises(LoginFailedError, match="Login cancelled"):
        login.callback.wait()


@pytest.mark.parametrize("host", ["evil.test", "evil.test:{port}", "127.0.0.1"])
def test_callback_for_another_host_is_rejected(login: WaitingLogin, host: str) -> None:
    response = login.get(login.callback_target, host=host.format(port=login.port))
    assert (status_of(response), login.codes) == (400, [])
    assert status_of(login.get(login.callback_target, "Sec-Fetch-Site: cross-site")) == 302


@pytest.mark.parametrize("query", ["", "?x=1", "?state=" + STATE])
def test_only_the_redirect_ends_the_login(login: WaitingLogin, query: str) -> None:
    """A web page could otherwise close the server before the browser has loaded the success page."""
    waited: list[Login] = []
    waiter = threading.Thread(target=lambda: waited.append(login.callback.wait()))
    location = re.findall(rb"Location: (\S+)", login.get(login.callback_target))[0].decode()
    assert status_of(login.get(f"/success{query}", "Sec-Fetch-Site: cross-site")) == 404
    waiter.start()
    assert b"You are logged in" in login.get(location)
    waiter.join(10)
    assert waited == [LOGIN]


ERROR_REQUESTS: list[tuple[int, bytes]] = [
    (404, b"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    (404, b"GET /success HTTP/1.0\r\nHost: {host}\r\n\r\n"),
    (400, b"GET /auth/callback HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    (403, b"GET /cancel HTTP/1.1\r\nHost: {host}\r\nOrigin: null\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (405, b"POST /auth/callback HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
    (405, b"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    (501, b"BREW / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    (501, b"GETX<script>alert(1)</script> / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    (414, b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: {host}\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
    (431, b"GET / HTTP/1.1\r\nHost: {host}\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"),
    (400, b"nonsense\r\n\r\n"),
    (400, b"GET / HTTP/one\r\n\r\n"),
    (400, b"GET /\r\n\r\n"),
    (400, b"BREW /\r\n\r\n"),
    (505, b"GET / HTTP/3.0\r\nHost: {host}\r\n\r\n"),
]


@pytest.mark.parametrize(("status", "request_bytes"), ERROR_REQUESTS)
def test_error_page_has_the_security_headers(login: WaitingLogin, status: int, request_bytes: bytes) -> None:
    response = login.send(request_bytes.replace(b"{host}", login.host.encode()))
    assert status_of(response) == status
    assert_secure(response)
    assert b"script>" not in response


def test_page_of_a_login_has_the_security_headers(login: WaitingLogin) -> None:
    redirect = login.get(login.callback_target)
    assert status_of(redirect) == 302
    assert_secure(redirect)
    success = login.get(re.findall(rb"Location: (\S+)", redirect)[0].decode())
    assert status_of(success) == 200
    assert_secure(success)


def assert_secure(response: bytes) -> None:
    assert response.startswith(b"HTTP/1.1 ")
    head = response.partition(b"\r\n\r\n")[0].decode()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["connection"] == "close"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "server" not in headers
    assert "Python" not in response.decode()


def connection_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("codex-login-")]


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0


SILENT, PARTIAL = b"", b"GET /auth/callback?state="


@pytest.mark.parametrize("sent", [SILENT, PARTIAL])
def test_flood_neither_blocks_nor_outlives_the_login(sent: bytes) -> None:
    files = open_files()
    with ExitStack() as stack:
        with waiting_login() as login:
            flood = [stack.enter_context(login.connect()) for _ in range(60)]
            for connection in flood[-MAX_CONNECTIONS:]:
                connection.sendall(sent)
            assert status_of(login.get(login.callback_target)) == 302
            assert len(connection_threads()) <= MAX_CONNECTIONS + 2  # and the server's, and a replaced one that ends
        assert connection_threads() == []
        for connection in flood:
            assert read_to_end(connection) == b""
    assert open_files() <= files


def test_connection_that_drips_ends_with_the_login() -> None:
    with waiting_login() as login:
        dripping = login.connect()
        is_ended = threading.Event()

        def drip() -> None:
            """Send a byte of the request line until the connection is ended."""
            try:
                dripping.sendall(b"GET /")
                while not is_ended.wait(0.02):
                    dripping.sendall(b"x")
            except OSError:
                is_ended.set()

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        assert status_of(login.get(login.callback_target)) == 302
        assert not is_ended.is_set(), "it does no harm while the login waits"
    assert connection_threads() == []
    assert is_ended.wait(20)
    thread.join()
    dripping.close()


def test_kept_alive_connection_is_closed_after_its_response() -> None:
    with waiting_login() as login:
        request = f"GET / HTTP/1.1\r\nHost: {login.host}\r\nConnection: keep-alive\r\n\r\n"
        response = login.send(request * 2)
        assert response.count(b"HTTP/1.1 404") == 1
    assert connection_threads() == []


def test_connection_with_a_request_is_not_replaced(login: WaitingLogin) -> None:
    login.exchange.clear()
    with ExitStack() as stack:
        waiting = [stack.enter_context(login.connect()) for _ in range(MAX_CONNECTIONS)]
        for connection in waiting:
            connection.sendall(f"GET {login.callback_target} HTTP/1.1\r\nHost: {login.host}\r\n\r\n".encode())
        for _ in waiting:
            assert login.callback.requests.acquire(timeout=20)
        with login.connect() as refused:
            assert read_to_end(refused) == b""
        login.exchange.set()
        assert [status_of(read_to_end(connection)) for connection in waiting] == [302] * MAX_CONNECTIONS
    assert login.codes == ["ac_1"]


def test_client_that_resets_leaves_no_thread() -> None:
    with waiting_login() as login:
        for sent in (SILENT, PARTIAL, f"GET / HTTP/1.1\r\nHost: {login.host}\r\n\r\n".encode()):
            connection = login.connect()
            connection.sendall(sent)
            no_linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
            connection.close()
        assert status_of(login.get(login.callback_target)) == 302
    assert connection_threads() == []


def test_error_of_the_caller_ends_a_callback_that_waits() -> None:
    with ExitStack() as stack:
        with pytest.raises(RuntimeError, match="the caller's"), waiting_login() as login:  # noqa: PT012
            login.exchange.clear()
            connection = stack.enter_context(login.connect())
            connection.sendall(f"GET {login.callback_target} HTTP/1.1\r\nHost: {login.host}\r\n\r\n".encode())
            assert login.callback.requests.acquire(timeout=20)
            raise RuntimeError("the caller's")
        assert b"Login cancelled" in read_to_end(connection)
        login.exchange.set()
    assert not [thread for thread in connection_threads() if thread.name != "codex-login-exchange"]
