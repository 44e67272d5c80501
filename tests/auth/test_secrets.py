"""Test that no message, traceback variable, debug log or pickle holds a token, a code or a prompt."""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import pickle
import pprint
import socket
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx2
import openai
import pytest
import store_types
from issuer_stub import IssuerStub
from servers import needs_redis, redis_server
from support.raw_server import http_reply, raw_server

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import (
    Credentials,
    FileStore,
    KeyringStore,
    MemoryStore,
    RedisStore,
    Secret,
    StaticToken,
    exchange_api_key,
)
from codex_backend_sdk.auth._auth_errors import IssuerConnectionError
from codex_backend_sdk.auth._cached_login import load_login
from codex_backend_sdk.auth._http import IssuerTransport
from codex_backend_sdk.auth._oauth import build_refresh_body
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from codex_backend_sdk.auth import CredentialStore


@pytest.fixture
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def closed_port_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        return f"http://127.0.0.1:{closed.getsockname()[1]}"


@pytest.fixture
def closing_server_url() -> Iterator[str]:
    """A server that reads the request and closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection = server.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def crash_report(error: BaseException) -> str:
    """Return the report of a crash reporter: the frames of the exception and its causes, with local variables.

    Like crash reporters, skip suppressed contexts. Skip the frames of this file too, because they hold the tokens.
    """
    lines: list[str] = []
    pending, visited = [error], set[int]()
    while pending:
        current = pending.pop()
        if id(current) in visited:
            continue
        visited.add(id(current))
        frames = traceback.StackSummary.extract(traceback.walk_tb(current.__traceback__), capture_locals=True)
        lines += [f"{frame.filename}:{frame.lineno} {frame.locals}" for frame in frames if frame.filename != __file__]
        lines += [repr(current), str(current), repr(vars(current))]
        linked = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
        pending += [] if linked is None else [linked]
    return "\n".join(lines)


def issuer_calls(document: dict[str, Any], url: str) -> dict[str, Callable[[], object]]:
    """Return the calls that send a request to an issuer."""
    expired = {**document, "tokens": {**document["tokens"], "access_token": "opaque"}, "last_refresh": None}
    loaded = Credentials(MemoryStore(document), issuer=url)
    return {
        "refresh": lambda: loaded.refresh(loaded.current()),
        "refresh before expiry": lambda: Credentials(MemoryStore(expired), issuer=url).current(),
        "api key": lambda: exchange_api_key(Credentials(MemoryStore(document), issuer=url)),
        "device code": lambda: Credentials(MemoryStore(), issuer=url).authenticate_device_code(),
        "whoami": lambda: StaticToken("at-SECRET-0123456789", issuer=url).current(),
        "revoke": lambda: Credentials(MemoryStore(document), issuer=url).revoke(),
    }


@pytest.mark.parametrize("call_name", issuer_calls({"tokens": {}}, "http://127.0.0.1:9"))
@pytest.mark.parametrize("failure", ["unreachable", "disconnected", "rejected", "redirected", "invalid response"])
def test_issuer_errors_hold_no_request_data(
    call_name: str,
    failure: str,
    issuer: IssuerStub,
    closed_port_url: str,
    closing_server_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    document = issuer.document()
    document["tokens"]["refresh_token"] = "rt_SECRET_0123456789"
    secrets = [document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")]
    issuer.token_response = {
        "rejected": (400, b'{"error": {"code": "access_denied", "message": "no"}}', {}),
        "redirected": (307, b"", {"Location": closed_port_url}),
        "invalid response": (200, b'{"id_token": "SECRET_id", "access_token": 5}', {}),
    }.get(failure)
    url = {"unreachable": closed_port_url, "disconnected": closing_server_url}.get(failure, issuer.url)
    report = ""
    with caplog.at_level(logging.DEBUG):
        try:
            issuer_calls(document, url)[call_name]()
        except (sdk.CodexError, OSError) as error:
            report = crash_report(error)
    for secret in [*secrets, "SECRET"]:
        assert secret not in report
        assert secret not in caplog.text


@pytest.mark.parametrize("call_name", issuer_calls({"tokens": {}}, "http://127.0.0.1:9"))
@pytest.mark.parametrize("form", ["status line", "message", "text", "code"])
def test_issuer_that_repeats_the_request_reveals_nothing(
    call_name: str, form: str, issuer: IssuerStub, caplog: pytest.LogCaptureFixture
) -> None:
    document = issuer.document()
    document["tokens"]["refresh_token"] = "opaque-refresh-SECRET"
    secrets = [document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")]

    def reply(head: str, body: bytes) -> bytes:
        echo = f"{head.split('authorization: ')[-1]} {body.decode()} \x1b[2J".replace("\r\n", " ")
        if form == "status line":
            return f"HTTP/1.1 {echo}\r\n\r\n".encode()
        error = {"message": {"error_description": echo}, "code": {"error": {"code": echo}}}.get(form)
        return http_reply(json.dumps(error).encode() if error else echo.encode(), status="400 Bad Request")

    shown = ""
    with raw_server(reply) as url, caplog.at_level(logging.DEBUG, "codex_backend_sdk"):
        try:
            issuer_calls(document, url)[call_name]()
        except (sdk.CodexError, OSError) as error:
            shown = crash_report(error)
    shown += caplog.text
    for secret in [*secrets, "SECRET", "\x1b"]:
        assert secret not in shown


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("outcome", ["success", "rejected", "disconnected", "unreachable", "server error"])
def test_api_calls_show_no_token_in_errors_or_logs(
    is_async: bool, outcome: str, closed_port_url: str, closing_server_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    import anyio

    report = ""
    with Simulator() as sim, caplog.at_level(logging.DEBUG):
        document = sim.login_document()
        turns = {"rejected": Turn.error(401, {}), "server error": Turn.error(500, {})}
        if outcome in turns:
            sim.script(*[turns[outcome]] * 2)
        base_url = {"disconnected": closing_server_url, "unreachable": closed_port_url}.get(
            outcome, sim.url
        ) + "/backend-api/codex"
        options: dict[str, Any] = {"base_url": base_url, "max_retries": 0, "credentials": MemoryStore(document)}

        async def call() -> None:
            async with sim.async_client(**options) as client:
                await client.responses.create(input="hi")

        try:
            if is_async:
                anyio.run(call)
            else:
                with sim.client(**options) as client:
                    client.responses.create(input="hi")
        except Exception as error:
            report = crash_report(error)
        assert bool(report) == (outcome != "success")
        sent_tokens = [request.headers.get("authorization", "")[7:] for request in sim.requests]
    # The `repr` of Secret shows the last characters of a token.
    for secret in [*(document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")), *sent_tokens]:
        if secret:
            assert secret not in report
            assert secret not in caplog.text


# --- stores that fail ------------------------------------------------------------------------------------------------


class BuggyStore(MemoryStore):
    """A custom store with a bug: it calls a function that fails with the token in a local variable."""

    def save(self, document: dict[str, Any]) -> None:
        self.write(json.dumps(document))

    def write(self, text: str) -> None:
        raise KeyError(len(text))


class LeakyKeyring:
    """A keyring whose error shows the value."""

    def get_password(self, service: str, username: str) -> None:
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        raise ValueError(password)


STORES: dict[str, Callable[[Path], CredentialStore]] = {
    # The temporary file in the same folder would have too long a name.
    "file": lambda folder: FileStore(folder / ("a" * 240)),
    "keyring": lambda folder: KeyringStore(folder, backend=LeakyKeyring()),
    "keyring with split entries": lambda folder: KeyringStore(folder, backend=LeakyKeyring(), entry_bytes=100),
    "custom": lambda folder: BuggyStore(),
}


def visit(url: str) -> None:
    httpx2.get(url, follow_redirects=True)


def fail_to_store_login(store: CredentialStore, issuer: IssuerStub) -> BaseException:
    with pytest.raises((sdk.CredentialStoreError, KeyError)) as caught:
        Credentials(store, issuer=issuer.url).authenticate(open_browser=visit, ports=(0,), timeout=10)
    assert len(issuer.requests_to("/oauth/token")) == 1
    return caught.value


# The beginning of every JWT of the issuer stub.
JWT_PREFIX = "eyJhbGciOiJub25lIn0"


@pytest.mark.parametrize("store_type", STORES)
def test_unstored_login_is_in_no_frame(store_type: str, issuer: IssuerStub, tmp_path: Path) -> None:
    error = fail_to_store_login(STORES[store_type](tmp_path), issuer)
    assert JWT_PREFIX not in crash_report(error)
    lines = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert "save" in lines, "only the variables of the frames are cleared"


class FullDiskStore(MemoryStore):
    def save(self, document: dict[str, Any]) -> None:
        raise sdk.CredentialStoreError("Cannot write: No space left on device.")


def test_replaced_login_is_in_no_frame(issuer: IssuerStub) -> None:
    store = FullDiskStore(issuer.document(OPENAI_API_KEY="sk-SECRET"))
    with pytest.raises(sdk.CredentialStoreError) as caught:
        Credentials(store, issuer=issuer.url).authenticate(force=True, open_browser=visit, ports=(0,), timeout=10)
    report = crash_report(caught.value)
    assert JWT_PREFIX not in report
    assert "SECRET" not in report


@pytest.mark.parametrize(
    ("token", "issuer_url"),
    [("sk-SECRET", "https://a.example"), ("at-SEC RET", "https://a.example"), ("at-SECRET", "http://a.example")],
)
@pytest.mark.parametrize("setting", ["argument", "variable"])
def test_invalid_token_argument_is_in_no_frame(
    token: str, issuer_url: str, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", token)
    monkeypatch.setenv("CODEX_ISSUER_URL", issuer_url)
    with pytest.raises(ValueError, match=r"is not an access token|must be an https URL") as caught:
        StaticToken(token) if setting == "argument" else sdk.OpenAI()
    assert "SEC" not in crash_report(caught.value)


def test_redis_password_is_in_no_frame() -> None:
    with pytest.raises(ValueError, match="The Redis URL is invalid") as caught:
        RedisStore("redis://user:SECRET@[bad:1/0")
    assert "SECRET" not in crash_report(caught.value)


def lock_and_unlock(store: CredentialStore) -> None:
    with store.lock():
        pass


REDIS_CALLS: dict[str, Callable[[RedisStore], object]] = {
    "load": RedisStore.load,
    "save": lambda store: store.save({"auth_mode": "chatgpt"}),
    "clear": RedisStore.clear,
    "version": RedisStore.version,
    "lock": lock_and_unlock,
    "prepare_save": lambda store: store.prepare_save().__enter__(),
    "current": lambda store: Credentials(store).current(),
    "account": lambda store: Credentials(store).account(),
    "logout": lambda store: Credentials(store).logout(),
    "revoke": lambda store: Credentials(store).revoke(),
}


@needs_redis
@pytest.mark.parametrize("is_reachable", [True, False])
def test_redis_password_is_in_no_frame_of_a_call(
    is_reachable: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path, password="right") as url, caplog.at_level(logging.DEBUG):
        wrong_url = url.replace("right", "SECRET-word") if is_reachable else "redis://user:SECRET-word@127.0.0.1:1/0"
        for name, call in REDIS_CALLS.items():
            with pytest.raises(sdk.CredentialStoreError) as caught:
                call(RedisStore(wrong_url))
            assert "SECRET" not in crash_report(caught.value), name
    assert "SECRET" not in caplog.text


@needs_redis
def test_login_that_redis_rejects_is_in_no_frame(issuer: IssuerStub, tmp_path: Path) -> None:
    import redis

    with redis_server(tmp_path) as url:
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "SETUSER", "default", "resetkeys", "%R~login", "~login:lock")
        error = fail_to_store_login(RedisStore(url, "login"), issuer)
    assert isinstance(error.__cause__, redis.RedisError)
    assert JWT_PREFIX not in crash_report(error)


@pytest.mark.parametrize("method", ["current", "authenticate"])
@pytest.mark.parametrize(
    "document",
    [
        '{"auth_mode": "apikey", "OPENAI_API_KEY": "sk-SECRET"}',
        '{"auth_mode": "chatgpt", "tokens": {"access_token": "SECRET"',
        '{"tokens": {"access_token": ["SECRET"]}}',
        '{"tokens": {"access_token": "at-SECRET\\n"}}',
        '{"tokens": {"access_token": "a", "refresh_token": "SECRET é"}}',
        '{"personal_access_token": "at-SECRET\\r"}',
    ],
)
def test_invalid_document_is_not_shown(document: str, method: str, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(document, encoding="utf-8")
    credentials = Credentials(FileStore(tmp_path / "auth.json"), issuer="http://127.0.0.1:1")
    calls: dict[str, Callable[[], object]] = {
        "current": credentials.current,
        "authenticate": lambda: credentials.authenticate(interactive=False),
    }
    with pytest.raises((sdk.CredentialStoreError, sdk.LoginRequiredError)) as caught:
        calls[method]()
    assert str(tmp_path / "auth.json") in str(caught.value)
    assert "SECRET" not in crash_report(caught.value)


def test_exception_handled_before_keeps_its_frames(tmp_path: Path) -> None:
    def fail() -> None:
        number = 41
        raise LookupError(number)

    def handle() -> None:
        try:
            fail()
        except LookupError:
            load_login(FileStore(tmp_path), lambda token: pytest.fail("there is no token"))

    with pytest.raises(sdk.CredentialStoreError) as caught:
        handle()
    linked: BaseException | None = caught.value
    while not isinstance(linked, LookupError):
        assert linked is not None
        linked = linked.__cause__ or linked.__context__
    assert linked.__traceback__ is not None
    frames = list(traceback.walk_tb(linked.__traceback__))
    assert frames[-1][0].f_locals == {"number": 41}


# --- invalid header values -------------------------------------------------------------------------------------------

INVALID_HEADER_TOKENS = ["at-SECRET\n", "at-SECRET\r\nx: y", "at-SEC RET", "at-SECRET\x7f", "at-SECRETé"]


@pytest.mark.parametrize("token", INVALID_HEADER_TOKENS)
@pytest.mark.parametrize("key", ["personal_access_token", "tokens"])
def test_stored_token_with_invalid_characters_is_rejected(token: str, key: str, issuer: IssuerStub) -> None:
    document = {key: token} if key != "tokens" else {"tokens": {"access_token": token}}
    name = key if key != "tokens" else "access_token"
    with pytest.raises(
        sdk.CredentialStoreError, match=f"The login in memory is damaged: its member `{name}`"
    ) as caught:
        Credentials(MemoryStore(document), issuer=issuer.url).current()
    assert "SEC" not in crash_report(caught.value)
    assert issuer.requests == []


def test_issued_token_with_invalid_characters_is_ignored(issuer: IssuerStub) -> None:
    body = json.dumps({"access_token": "SECRET\n"}).encode()
    issuer.token_response = (200, body, {})
    credentials = Credentials(MemoryStore(issuer.document()), issuer=issuer.url)
    with pytest.raises(sdk.TokenRefreshError, match="has no valid access_token") as caught:
        credentials.refresh(credentials.current())
    assert "SECRET" not in crash_report(caught.value)


def test_invalid_header_is_in_no_message(issuer: IssuerStub) -> None:
    transport = IssuerTransport(issuer.url, originator="tests")
    with pytest.raises(IssuerConnectionError, match="could not be sent: it is not valid HTTP") as caught_error:
        transport.send(transport.build_request("GET", "/", bearer=Secret("SECRET\n")))
    assert not caught_error.value.is_transient
    assert "SECRET" not in crash_report(caught_error.value)


def test_slow_response_body_times_out() -> None:
    with Simulator() as sim:
        sim.fail("throttled:40,0.1@token", times=None)
        transport = IssuerTransport(sim.issuer, originator="tests", response_timeout_seconds=1)
        document = sim.login_document()
        body = build_refresh_body(Secret(document["tokens"]["refresh_token"]), reason="proactive_expiry")
        started = time.monotonic()
        with pytest.raises(IssuerConnectionError, match="did not finish its response within 1 seconds") as caught:
            transport.send(transport.build_request("POST", "/oauth/token", json=body))
        assert caught.value.is_transient
        assert time.monotonic() - started < 5
        assert sim.requests[-1].path == "/oauth/token"
        assert "eyJ" not in crash_report(caught.value)


def test_slow_response_headers_time_out() -> None:
    is_finished = threading.Event()

    def send_slowly() -> None:
        with server.accept()[0] as connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not is_finished.wait(0.1):
                connection.sendall(b"a")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=send_slowly, daemon=True)
        thread.start()
        transport = IssuerTransport(
            f"http://127.0.0.1:{server.getsockname()[1]}", originator="tests", response_timeout_seconds=1
        )
        watchdog = threading.Timer(20, is_finished.set)  # ends the response if the timeout does not work
        watchdog.start()
        with pytest.raises(IssuerConnectionError, match="did not finish its response within 1 seconds"):
            transport.send(transport.build_request("POST", "/oauth/token", json={}))
        watchdog.cancel()
        is_finished.set()
        thread.join(5)


class CustomSource:
    """A custom credential source whose token contains a line break."""

    def ready(self) -> sdk.Login:
        return sdk.Login(access_token=Secret("SECRET\n"), account_id="acc-1")

    def current(self) -> sdk.Login:
        return self.ready()

    def refresh(self, rejected: sdk.Login) -> sdk.Login:
        return rejected


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_api_call_with_invalid_token_does_not_show_it(is_async: bool, issuer: IssuerStub) -> None:
    import anyio

    options: dict[str, Any] = {"credentials": CustomSource(), "base_url": issuer.url, "max_retries": 0}

    def call() -> None:
        with sdk.OpenAI(**options) as client:
            client.responses.create(input="hi")

    async def call_async() -> None:
        async with sdk.AsyncOpenAI(**options) as client:
            await client.responses.create(input="hi")

    with pytest.raises(
        sdk.LoginRequiredError, match=r"The access token of this login .* invalid in an HTTP header"
    ) as caught:
        anyio.run(call_async) if is_async else call()
    assert "SECRET" not in crash_report(caught.value)
    options |= {"credentials": MemoryStore(issuer.document()), "default_headers": {"x-custom": "SECRET\n"}}
    with pytest.raises(openai.APIConnectionError, match="could not be sent: it is not valid HTTP") as caught_error:
        anyio.run(call_async) if is_async else call()
    assert "could not be reached" not in str(caught_error.value)
    assert "SECRET" not in "".join(traceback.format_exception(caught_error.value))


def test_secret_hides_its_text_and_cannot_be_pickled() -> None:
    secret = Secret("rt_0123456789abcdefWXYZ")
    for text in (repr(secret), str(secret), f"{secret}", repr({"token": secret}), f"{[secret]}"):
        assert "WXYZ" in text
        assert "cdef" not in text
    assert "key" not in repr(Secret("short-key"))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(sdk.Login(access_token=secret, account_id=None))


# --- copies ----------------------------------------------------------------------------------------------------------


def all_values(owner: object, *, depth: int = 4) -> list[object]:
    """Return the attributes of an object, and those of its attributes."""
    values = list(vars(owner).values()) if hasattr(owner, "__dict__") else []
    return values + [inner for value in values if depth for inner in all_values(value, depth=depth - 1)]


HOLDERS: dict[str, Callable[[CredentialStore, str], object]] = {
    "store": lambda store, url: store,
    "credentials": lambda store, url: Credentials(store, issuer=url),
}


@pytest.mark.parametrize("holder_type", HOLDERS)
@pytest.mark.parametrize("store_type", [name for name in store_types.STORES if name != "custom"])
def test_store_cannot_be_copied_and_shows_no_token(
    store_type: str, holder_type: str, issuer: IssuerStub, tmp_path: Path
) -> None:
    store = store_types.STORES[store_type](tmp_path)
    store.save(issuer.document())
    holder = HOLDERS[holder_type](store, issuer.url)
    if isinstance(holder, Credentials):
        holder.current()
        holder.refresh(holder.current())
    texts = [repr(holder), str(holder), pprint.pformat(vars(holder)), *map(repr, all_values(holder))]
    assert "rt_" not in "".join(texts)
    assert JWT_PREFIX not in "".join(texts)
    for copy_holder in (copy.copy, copy.deepcopy, pickle.dumps, lambda it: pickle.dumps([it], protocol=2)):
        with pytest.raises(TypeError, match=rf"A {type(holder).__name__} cannot be copied or pickled, because"):
            copy_holder(holder)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(holder)


def test_other_holders_of_a_login_cannot_be_copied(tmp_path: Path) -> None:
    holders = [StaticToken("at-SECRET-0123456789", issuer="https://a.example")]
    if importlib.util.find_spec("redis"):
        holders.append(RedisStore("redis://user:SECRET-0123@a.example"))
    for holder in holders:
        assert "SECRET" not in pprint.pformat(vars(holder))
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            copy.deepcopy(holder)
