"""Test RedisStore with a real server: values, locks, and errors without passwords."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from servers import needs_redis, redis_server

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import RedisStore

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
    with pytest.raises(CredentialStoreError, match=r"pip install 'codex-backend-sdk\[redis\]'"):
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
