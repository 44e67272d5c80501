"""Test RedisStore with a real server: values, locks, and errors without passwords."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from issuer_stub import IssuerStub
from servers import needs_redis, redis_server

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import Credentials, RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = {"auth_mode": "chatgpt", "tokens": {"access_token": "secret-token"}}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis"), password="secret-word") as url:
        yield url


@needs_redis
def test_value_is_an_auth_json_in_one_key(url: str) -> None:
    import redis

    store = RedisStore(url, "my:key")
    store.save(DOCUMENT)
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert json.loads(client.get("my:key")) == DOCUMENT
        decoding_store = RedisStore(client, "my:key")
        assert decoding_store.load() == DOCUMENT, "the client may decode responses"
        with decoding_store.lock():
            assert set(client.keys("my:*")) == {"my:key", "my:key:lock"}
        assert decoding_store.clear() is True
        assert client.keys("my:*") == []
        with redis.Redis.from_url(url) as bytes_client:
            bytes_client.set("my:key", b'"secret \xff')
        for call in (decoding_store.load, decoding_store.version):
            with pytest.raises(CredentialStoreError, match="is damaged: it is not UTF-8 text") as caught:
                call()
            assert "secret" not in "".join(traceback.format_exception(caught.value))
        decoding_store.clear()


@needs_redis
def test_lock_is_renewed_while_it_is_held(url: str) -> None:
    """A refresh may take longer than the lifetime of the lock, because its timeout applies to each read."""
    store, other = RedisStore(url, lock_lifetime=0.4), RedisStore(url, lock_lifetime=0.4, lock_timeout=1.2)
    with (
        store.lock(),
        pytest.raises(CredentialStoreError, match=r"after 1\.2 seconds waiting for the lock .* of Redis at"),
        other.lock(),
    ):
        pass
    with other.lock():
        pass


HOLDER = """
import sys
from codex_backend_sdk.auth import RedisStore
with RedisStore(sys.argv[1], lock_lifetime=1).lock():
    print("locked", flush=True)
    sys.stdin.readline()
"""


@needs_redis
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_lock_of_a_killed_holder_expires(url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "locked\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    started = time.monotonic()
    with RedisStore(url, lock_timeout=10).lock():
        assert time.monotonic() - started < 5


@needs_redis
def test_lost_lock_logs_a_warning(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A lock expires if the machine is suspended during a refresh."""
    import redis

    store = RedisStore(url, lock_lifetime=0.4)
    with redis.Redis.from_url(url) as client:
        with store.lock():
            client.set(f"{store.key}:lock", "another")
            time.sleep(0.3)
        assert "Cannot renew the lock codex-backend-sdk:login:lock" in caplog.text
        assert client.get(f"{store.key}:lock") == b"another"
        client.delete(f"{store.key}:lock")


def closed_port_url() -> str:
    return "redis://user:secret-word@127.0.0.1:1/3"


def test_unreachable_server_error_hides_the_password(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    caplog.set_level(logging.DEBUG)
    store = RedisStore(closed_port_url())
    texts = [repr(store), store.location]
    for call in (store.load, store.clear, store.version, lambda: store.save(DOCUMENT), lambda: acquire(store)):
        with pytest.raises(CredentialStoreError, match=r"Cannot \w+ Redis at 127\.0\.0\.1:1 \(database 3") as caught:
            call()
        texts.append(str(caught.value))
    assert "secret-word" not in "".join([*texts, caplog.text])


def acquire(store: RedisStore) -> None:
    with store.lock():
        raise AssertionError("the lock must not be acquired")


@needs_redis
def test_wrong_password_is_not_shown(tmp_path: Path) -> None:
    with redis_server(tmp_path, password="right") as url:
        store = RedisStore(url.replace("right", "secret-word"))
        with pytest.raises(CredentialStoreError, match="Cannot read Redis at") as caught:
            store.load()
        assert "secret-word" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://user:secret-word@x", "rediss://:a/secret-word@host:1/0", "secret-word"])
def test_invalid_url_is_not_shown(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match=r"The Redis URL is invalid\. Use rediss://") as caught:
        RedisStore(url)
    assert "secret-word" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_rediss_url_uses_tls_and_timeouts() -> None:
    redis = pytest.importorskip("redis")
    store = RedisStore("rediss://user:secret-word@redis.example:6380/2?socket_timeout=3")
    pool = store._client.connection_pool
    assert pool.connection_class is redis.SSLConnection
    assert (pool.connection_kwargs["socket_timeout"], pool.connection_kwargs["socket_connect_timeout"]) == (3, 10)
    assert store.location == "Redis at redis.example:6380 (database 2, key codex-backend-sdk:login)"


def test_missing_package_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)  # as if it were not installed
    with pytest.raises(CredentialStoreError, match=r"pip install '\.\[redis\]'"):
        RedisStore("redis://localhost")


@needs_redis
def test_renewal_thread_ends_with_the_lock(url: str) -> None:
    with RedisStore(url).lock():
        assert any(thread.name == "codex-login-lock" for thread in threading.enumerate())
    assert not any(thread.name == "codex-login-lock" for thread in threading.enumerate())


def test_optional_packages_are_not_imported() -> None:
    program = "import sys, codex_backend_sdk.auth; print({'redis', 'keyring'} & {*sys.modules})"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


# --- the fence -------------------------------------------------------------------------------------------------------

SUSPENDED_REFRESH = """
import sys
from codex_backend_sdk.auth import Credentials, RedisStore
url, issuer, refresh_timeout = sys.argv[1:]
store = RedisStore(url, "fenced", lock_lifetime=0.5, refresh_timeout=float(refresh_timeout))
print("ready", flush=True)
try:
    print(Credentials(store, issuer=issuer).current().access_token.reveal(), flush=True)
except Exception as error:
    print(type(error).__name__, error, flush=True)
print("unsaved" if store.load()["tokens"]["refresh_token"] == "rt_0" else "saved", flush=True)
"""


@contextmanager
def suspended_refresh(url: str, issuer: IssuerStub, *, refresh_timeout: float) -> Iterator[subprocess.Popen[str]]:
    """Run a process that is suspended while the issuer has its refresh request. The issuer then responds."""
    command = [sys.executable, "-c", SUSPENDED_REFRESH, url, issuer.url, str(refresh_timeout)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def suspend() -> None:
        issuer.before_response = lambda: None
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # it has stopped before it can receive the response

    issuer.before_response = suspend
    try:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        while not issuer.token_count:
            assert process.poll() is None
            time.sleep(0.02)
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


@needs_redis
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_second_machine_waits_for_a_suspended_refresh(url: str) -> None:
    with IssuerStub() as issuer:
        store = RedisStore(url, "fenced", lock_lifetime=0.5)
        store.save(issuer.document(expires_in=timedelta(hours=-1)))
        with suspended_refresh(url, issuer, refresh_timeout=60) as process:
            assert process.stdout
            with ThreadPoolExecutor(1) as pool:
                second = pool.submit(Credentials(store, issuer=issuer.url).current)
                time.sleep(1.5)  # the lock expires, and the second machine acquires it
                assert not second.done()
                process.send_signal(signal.SIGCONT)
                token = second.result(30).access_token.reveal()
            assert process.stdout.readline() == f"{token}\n"
            assert process.stdout.readline() == "saved\n"
        assert len(issuer.requests_to("/oauth/token")) == 1
        assert store._client.keys("fenced*") == [b"fenced"]


@needs_redis
@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_refresh_without_its_fence_stores_nothing(url: str) -> None:
    with IssuerStub() as issuer:
        store = RedisStore(url, "fenced")
        store.save(issuer.document(expires_in=timedelta(hours=-1)))
        with suspended_refresh(url, issuer, refresh_timeout=0.5) as process:
            assert process.stdout
            while store._client.exists("fenced:fence", "fenced:lock"):
                time.sleep(0.05)
            process.send_signal(signal.SIGCONT)
            assert process.stdout.readline().startswith("eyJ"), "its own process uses the new tokens"
            assert process.stdout.readline() == "unsaved\n"


@needs_redis
def test_save_within_a_refresh_compares_the_value(url: str) -> None:
    store, other = RedisStore(url, "compared"), RedisStore(url, "compared")
    with store.prepare_save():
        assert store.load() is None
        store.save(DOCUMENT)
    changed = {**DOCUMENT, "unknown_field": 1}
    with store.prepare_save():
        store.load()
        other.save(changed)
        with pytest.raises(CredentialStoreError, match=r"was not stored in Redis at .* because it was changed there"):
            store.save(DOCUMENT)
        assert store.load() == changed
        store.save(DOCUMENT)
    with store.prepare_save():
        store.load()
        other.clear()
        with pytest.raises(CredentialStoreError, match="was not stored"):
            store.save(DOCUMENT)
    assert store.load() is None
    store.save(DOCUMENT)
    assert store.clear()


@needs_redis
def test_waiting_for_a_fence_times_out(url: str) -> None:
    store, other = RedisStore(url, "waiting"), RedisStore(url, "waiting", lock_timeout=0.3)
    with (
        store.prepare_save(),
        pytest.raises(CredentialStoreError, match=r"after 0\.3 seconds waiting for another machine that refreshes"),
        other.prepare_save(),
    ):
        pytest.fail("the fence must not be acquired")
    with other.prepare_save():
        pass
    store._client.set("waiting:fence", "that of a killed process", px=200)
    with store.prepare_save():
        pass


@needs_redis
def test_unwritable_server_is_detected_before_a_refresh(tmp_path: Path) -> None:
    """For example because it is full. The refresh token must not be used up."""
    import redis

    with redis_server(tmp_path) as url, IssuerStub() as issuer:
        store = RedisStore(url, lock_lifetime=2)
        store.save(issuer.document(expires_in=timedelta(hours=-1)))
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "SETUSER", "default", "resetkeys", "%R~*", "~*:lock")
        with pytest.raises(CredentialStoreError, match="Cannot write Redis at"):
            Credentials(store, issuer=issuer.url).current()
        assert issuer.requests == []


# --- TLS and URLs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tls_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, list[bytes]]]:
    """A server with a trusted certificate for another host. It records what it receives."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("somebody-else.example").configure_cert(context)
    received: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            with connection, suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
                secured.settimeout(5)
                while data := secured.recv(4096):
                    received.append(data)
                    secured.sendall(b"+OK\r\n" * data.count(b"*"))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], received
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("options", ["", "?ssl_cert_reqs=required", "?ssl_cert_reqs=optional"])
def test_certificate_of_another_host_is_rejected(tls_server: tuple[int, list[bytes]], options: str) -> None:
    pytest.importorskip("redis")
    port, received = tls_server
    store = RedisStore(f"rediss://:secret-word@localhost:{port}/0{options}")
    assert store._client.connection_pool.connection_kwargs["ssl_check_hostname"] is True, "also with redis 5"
    with pytest.raises(CredentialStoreError, match="Cannot write Redis at localhost"):
        store.save(DOCUMENT)
    assert received == []


@pytest.mark.parametrize(
    "url", ["redis://h?secret-word=1", "unix:///s?ssl_check_hostname=true", "rediss://h?ssl_cert_reqs=secret-word"]
)
def test_unknown_option_of_a_url_is_rejected_at_once(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(ValueError, match="has an option that the package redis does not accept") as caught:
        RedisStore(url)
    assert "secret-word" not in str(caught.value)
    assert caught.value.__suppress_context__
