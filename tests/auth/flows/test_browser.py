"""Test the browser login: the callback server, its pages, its ports and its deadline."""

from __future__ import annotations

import http.client
import logging
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from codex_backend_sdk._exceptions import CredentialStoreError, LoginFailedError
from codex_backend_sdk.auth._deadline import LoginDeadline
from codex_backend_sdk.auth.flows import browser, pages
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_backend_sdk.auth._oauth import AuthorizationGrant

LOGIN = Login(access_token=Secret("secret-token"), account_id="acc-1")


@dataclass
class FetchedPage:
    status: int
    text: str
    url: str
    headers: dict[str, str]


def fetch(url: str) -> FetchedPage:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return FetchedPage(response.status, response.read().decode(), response.url, dict(response.headers))
    except urllib.error.HTTPError as error:
        with error:
            return FetchedPage(error.code, error.read().decode(), url, dict(error.headers))


@dataclass
class FakeBrowser:
    """A browser that calls `script` with the redirect URI and the state instead of showing the authorize page."""

    script: Callable[[str, str], object]
    result: Any = None
    error: BaseException | None = None
    is_done: threading.Event = field(default_factory=threading.Event)

    def __call__(self, url: str) -> None:
        parameters = dict(parse_qsl(urlsplit(url).query))
        try:
            self.result = self.script(parameters["redirect_uri"], parameters["state"])
        except BaseException as error:
            self.error = error
        self.is_done.set()

    def outcome(self) -> Any:
        """Wait for the script, and return its result or raise its error."""
        assert self.is_done.wait(10)
        if self.error:
            raise self.error
        return self.result


def log_in(
    visit: FakeBrowser, *, complete: Callable[[AuthorizationGrant], Login] = lambda grant: LOGIN, **options: Any
) -> Login:
    callbacks = {name: options.pop(name) for name in ("on_url", "paste") if name in options}
    browser_options = browser.BrowserLoginOptions(open_browser=visit, **callbacks)
    options = {"issuer": "http://127.0.0.1:9", "originator": "app", "ports": (0,), **options}
    options["deadline"] = LoginDeadline(options.pop("timeout", 10.0), options.pop("cancel", None))
    return browser.log_in_with_browser(complete, browser_options=browser_options, **options)


def callback(redirect_uri: str, **query: str) -> FetchedPage:
    return fetch(f"{redirect_uri}?{urlencode(query)}")


def test_success_page_follows_the_stored_login() -> None:
    stored: list[str] = []
    grants: list[AuthorizationGrant] = []

    def script(callback_url: str, state: str) -> tuple[int, FetchedPage]:
        early = fetch(callback_url.replace("/auth/callback", "/success?x=1"))
        return early.status, callback(callback_url, state=state, code="ac_1")

    def complete(grant: AuthorizationGrant) -> Login:
        grants.append(grant)
        time.sleep(0.1)
        stored.append("now")
        return LOGIN

    visit = FakeBrowser(script)
    assert log_in(visit, complete=complete) == LOGIN
    early, page = visit.outcome()
    assert early == 404, "the success page is not available before the login"
    assert (page.status, urlsplit(page.url).path, stored) == (200, "/success", ["now"])
    assert "You are logged in" in page.text
    assert "ac_1" not in page.url, "the browser's history must not contain the code"
    assert page.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert grants[0].code == Secret("ac_1")
    assert len(grants[0].verifier.reveal()) == 86
    assert grants[0].redirect_uri.startswith("http://127.0.0.1:")
    assert grants[0].redirect_uri.endswith("/auth/callback")


def test_callback_with_wrong_state_is_rejected() -> None:
    def script(callback_url: str, state: str) -> list[FetchedPage]:
        wrong = [
            callback(callback_url, state="wrong", code="ac_evil"),
            callback(callback_url, code="ac_evil"),
            callback(callback_url, state=state + "x", error="access_denied"),
        ]
        return [*wrong, callback(callback_url, state=state + ".onboarding_entrypoint=life_sciences", code="ac_1")]

    codes: list[Secret] = []
    visit = FakeBrowser(script)
    log_in(visit, complete=lambda grant: codes.append(grant.code) or LOGIN)  # type: ignore[func-returns-value]
    assert [(page.status, page.text) for page in visit.outcome()[:3]] == [(400, "State mismatch")] * 3
    assert visit.outcome()[3].status == 200
    assert codes == [Secret("ac_1")]


def test_other_paths_and_methods_are_rejected() -> None:
    def script(callback_url: str, state: str) -> list[int]:
        root = callback_url.removesuffix("/auth/callback")
        connection = http.client.HTTPConnection(urlsplit(root).netloc, timeout=10)
        connection.request("POST", "/auth/callback", body=b"x")
        post = connection.getresponse().status
        connection.close()
        statuses = [fetch(root + path).status for path in ("/", "/favicon.ico", "/auth/callback/x", "/auth")]
        callback(callback_url, state=state, code="ac_1")
        return [post, *statuses]

    visit = FakeBrowser(script)
    log_in(visit)
    assert visit.outcome() == [405, 404, 404, 404, 404]


HTML_ERROR = "<script>alert('1')</script>\"$title&"


@pytest.mark.parametrize(
    ("query", "code", "html"),
    [
        ({"error": "access_denied"}, "access_denied", "Login failed: access_denied"),
        (
            {"error": "access_denied", "error_description": "missing_codex_entitlement"},
            "access_denied",
            "Codex is not enabled for your workspace.",
        ),
        (
            {"error": HTML_ERROR, "error_description": HTML_ERROR},
            HTML_ERROR,
            "Login failed: &lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&quot;$title&amp;",
        ),
        ({}, "missing_authorization_code", "Missing authorization code."),
    ],
)
def test_error_of_the_issuer_is_escaped_on_the_page(query: dict[str, str], code: str, html: str) -> None:
    visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, **query))
    with pytest.raises(LoginFailedError) as caught:
        log_in(visit)
    page = visit.outcome()
    assert caught.value.code == code
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert html in page.text
    assert "<script" not in page.text
    assert "logged in" not in page.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LoginFailedError("Token exchange failed: <b>", code="token_exchange_failed"), "token_exchange_failed"),
        (CredentialStoreError("Cannot write <b>"), "persist_failed"),
        (ValueError("unexpected <b>"), "persist_failed"),
    ],
)
def test_failure_page_shows_exchange_and_store_errors(error: Exception, code: str) -> None:
    def complete(grant: AuthorizationGrant) -> Login:
        raise error

    visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_1"))
    with pytest.raises(type(error)) as caught:
        log_in(visit, complete=complete)
    assert caught.value is error
    page = visit.outcome().text
    assert code in page
    assert "&lt;b&gt;" in page
    assert "logged in" not in page


def test_login_can_be_cancelled() -> None:
    visit = FakeBrowser(lambda callback_url, state: fetch(callback_url.replace("/auth/callback", "/cancel")))
    with pytest.raises(LoginFailedError, match=r"^Login cancelled$") as caught:
        log_in(visit)
    assert caught.value.code == "cancelled"
    assert (visit.outcome().status, visit.outcome().text) == (200, "Login cancelled")


def test_login_ends_at_its_timeout() -> None:
    visit = FakeBrowser(lambda callback_url, state: None)
    started = time.monotonic()
    with pytest.raises(LoginFailedError, match=r"not finished within 0\.3 seconds") as caught:
        log_in(visit, timeout=0.3)
    assert caught.value.code == "timeout"
    assert time.monotonic() - started < 5


def test_unread_success_page_does_not_block_the_login() -> None:
    def script(callback_url: str, state: str) -> int:
        connection = http.client.HTTPConnection(urlsplit(callback_url).netloc, timeout=10)
        connection.request("GET", f"/auth/callback?state={state}&code=ac_1")
        status = connection.getresponse().status
        connection.close()
        return status

    visit = FakeBrowser(script)
    started = time.monotonic()
    assert log_in(visit, timeout=None) == LOGIN
    assert visit.outcome() == 302
    assert time.monotonic() - started < 8


def test_idle_and_broken_connections_do_not_block(capfd: pytest.CaptureFixture[str]) -> None:
    def script(callback_url: str, state: str) -> FetchedPage:
        address = ("127.0.0.1", urlsplit(callback_url).port or 0)
        idle = [socket.create_connection(address) for _ in range(20)]
        partial = socket.create_connection(address)
        partial.sendall(b"GET /auth/callback?state=")
        for connection in idle[:2]:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        started = time.monotonic()
        page = callback(callback_url, state=state, code="ac_1")
        assert time.monotonic() - started < 5
        for connection in [*idle[2:], partial]:
            connection.close()
        return page

    visit = FakeBrowser(script)
    log_in(visit)
    assert visit.outcome().status == 200
    assert capfd.readouterr() == ("", ""), "the library prints nothing"


def test_reloaded_callback_exchanges_the_code_once() -> None:
    exchanges: list[Secret] = []

    def complete(grant: AuthorizationGrant) -> Login:
        exchanges.append(grant.code)
        time.sleep(0.3)
        return LOGIN

    def script(callback_url: str, state: str) -> list[str]:
        locations: list[str] = []

        def load() -> None:
            connection = http.client.HTTPConnection(urlsplit(callback_url).netloc, timeout=10)
            connection.request("GET", f"/auth/callback?state={state}&code=ac_1")
            locations.append(connection.getresponse().headers["Location"])
            connection.close()

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        fetch(callback_url.replace("/auth/callback", "/cancel"))
        return locations

    visit = FakeBrowser(script)
    assert log_in(visit, complete=complete) == LOGIN, "the login has succeeded before the cancellation"
    (location,) = set(visit.outcome())
    assert location.startswith("/success?")
    assert len(exchanges) == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_older_login_on_the_port_is_cancelled() -> None:
    port = free_port()
    errors: list[LoginFailedError] = []
    waiting = threading.Event()

    def run_older_login() -> None:
        try:
            log_in(FakeBrowser(lambda callback_url, state: waiting.set()), ports=(port,))
        except LoginFailedError as error:
            errors.append(error)

    thread = threading.Thread(target=run_older_login)
    thread.start()
    assert waiting.wait(10)
    visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_1").status)
    assert log_in(visit, ports=(port,)) == LOGIN
    thread.join()
    assert [error.code for error in errors] == ["cancelled"]


def test_next_port_is_used_if_one_stays_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = other_server.getsockname()[1]

        def accept_and_close() -> None:
            other_server.accept()[0].close()

        threading.Thread(target=accept_and_close, daemon=True).start()
        visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_1").url)
        assert log_in(visit, ports=(port, 0)) == LOGIN
        assert urlsplit(visit.outcome()).port != port


@contextmanager
def streaming_port() -> Iterator[int]:
    """Start a server that responds with an endless stream, and yield its port."""
    is_finished = threading.Event()

    def stream(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            while not is_finished.wait(0.1):
                connection.sendall(b": keepalive\n\n")

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=stream, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        is_finished.set()


def test_next_port_is_used_if_one_streams_endlessly() -> None:
    visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_1").url)
    with streaming_port() as port:
        assert log_in(visit, ports=(port, 0), timeout=20) == LOGIN


@pytest.mark.parametrize("code", ["timeout", "cancelled"])
def test_deadline_holds_while_waiting_for_a_port(code: str) -> None:
    cancel = threading.Event()
    threading.Timer(0.5, cancel.set).start()
    visit = FakeBrowser(lambda callback_url, state: None)
    started = time.monotonic()
    with streaming_port() as port, pytest.raises(LoginFailedError) as caught:
        log_in(visit, ports=(port, 0), **({"timeout": 0.5} if code == "timeout" else {"cancel": cancel}))
    assert caught.value.code == code
    assert time.monotonic() - started < 1.9
    assert not visit.is_done.is_set(), "the login must not open a browser after its deadline"


def test_error_for_used_ports_names_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = other_server.getsockname()[1]
        threading.Thread(target=lambda: other_server.accept()[0].close(), daemon=True).start()
        with pytest.raises(
            LoginFailedError,
            match=rf"one of the ports {port} on 127\.0\.0\.1 .* `codex-backend login --device`",
        ) as caught:
            log_in(FakeBrowser(lambda callback_url, state: None), ports=(port,))
    assert caught.value.code == "port_in_use"


def test_callback_server_listens_on_loopback_only() -> None:
    results: list[str] = []

    def script(callback_url: str, state: str) -> None:
        port = urlsplit(callback_url).port
        try:
            socket.create_connection(("127.0.0.2", port or 0), timeout=2).close()
            results.append("connected")
        except OSError:
            results.append("rejected")
        callback(callback_url, state=state, code="ac_1")

    log_in(FakeBrowser(script))
    assert results == ["rejected"]


def test_on_url_receives_the_authorize_url() -> None:
    urls: list[str] = []
    visit = FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_1"))
    log_in(visit, on_url=urls.append, workspace_id="w-1", issuer="https://auth.example.com")
    parameters = dict(parse_qsl(urlsplit(urls[0]).query))
    assert urls[0].startswith("https://auth.example.com/oauth/authorize?response_type=code&")
    assert (parameters["originator"], parameters["allowed_workspace_id"], len(parameters["state"])) == (
        "app",
        "w-1",
        43,
    )


def test_state_and_verifier_differ_for_each_login() -> None:
    secrets: list[str] = []
    for _ in range(2):

        def script(callback_url: str, state: str) -> FetchedPage:
            secrets.append(state)
            return callback(callback_url, state=state, code="c")

        def complete(grant: AuthorizationGrant) -> Login:
            secrets.append(grant.verifier.reveal())
            return LOGIN

        log_in(FakeBrowser(script), complete=complete)
    assert len(set(secrets)) == 4


@pytest.mark.parametrize("result", [False, "error"])
def test_url_is_logged_if_the_opener_fails(result: object, caplog: pytest.LogCaptureFixture) -> None:
    def opener(url: str) -> object:
        if result == "error":
            raise OSError("no browser here")
        return result

    with caplog.at_level(logging.WARNING, "codex_backend_sdk.auth"), pytest.raises(LoginFailedError):
        log_in(opener, timeout=2)  # type: ignore[arg-type]
    lines = caplog.records[-1].getMessage().splitlines()
    assert lines[0] == "No browser could be opened. Open this URL in a browser to log in:"
    assert lines[1].startswith("http://127.0.0.1:9/oauth/authorize")
    assert "the final page will not load. Copy its address" in lines[2]
    assert lines[3].endswith("run `codex-backend login --device`. This login waits for 2 seconds.")


def test_url_is_logged_without_browser_and_callback(caplog: pytest.LogCaptureFixture) -> None:
    urls: list[str] = []
    options: dict[str, Any] = {"issuer": "http://127.0.0.1:9", "originator": "app", "ports": (0,)}
    browser_options = browser.BrowserLoginOptions(open_browser=False, on_url=urls.append)
    with pytest.raises(LoginFailedError):
        browser.log_in_with_browser(
            lambda grant: LOGIN, browser_options=browser_options, deadline=LoginDeadline(2), **options
        )
    assert (len(urls), caplog.text) == (1, "")
    with pytest.raises(LoginFailedError):
        browser.log_in_with_browser(
            lambda grant: LOGIN,
            browser_options=browser.BrowserLoginOptions(open_browser=False),
            deadline=LoginDeadline(2),
            **options,
        )
    assert "Open this URL in a browser to log in:\nhttp://127.0.0.1:9/oauth/authorize" in caplog.text


def test_log_holds_no_code_and_no_token(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        log_in(FakeBrowser(lambda callback_url, state: callback(callback_url, state=state, code="ac_very_secret")))
    assert "ac_very_secret" not in caplog.text
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize("page", [pages.success_page(), pages.failure_page("m", code=None)])
def test_pages_load_nothing_and_support_dark_mode(page: str) -> None:
    assert page.startswith("<!doctype html>")
    assert "prefers-color-scheme: dark" in page
    for external in ("http:", "https:", "<script", "<link", "<img", "url(", "@import", "$"):
        assert external not in page
