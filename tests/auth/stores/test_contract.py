"""Test that every store implements the protocol `CredentialStore`."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers import needs_redis, redis_server
from store_types import STORES, CustomStore

from codex_backend_sdk._exceptions import CredentialStoreError
from codex_backend_sdk.auth import CredentialStore, KeyringStore, MemoryStore, RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = {"auth_mode": "chatgpt", "tokens": {"access_token": "secret-token"}, "unknown_field": {"n": 1}}


@pytest.fixture(params=[*STORES, pytest.param("redis", marks=needs_redis)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CredentialStore]:
    if request.param != "redis":
        yield STORES[request.param](tmp_path)
        return
    with redis_server(tmp_path) as url:
        yield RedisStore(url)


def test_saved_document_is_loaded_until_cleared(store: CredentialStore) -> None:
    assert store.load() is None
    assert store.clear() is False
    store.save(DOCUMENT)
    assert store.load() == DOCUMENT
    longer = {**DOCUMENT, "unknown_field": "ä" * 100}
    store.save(longer)
    assert store.load() == longer
    assert store.clear() is True
    assert store.load() is None
    assert isinstance(store, CredentialStore)


def test_version_changes_only_with_the_document(store: CredentialStore) -> None:
    empty = store.version()
    store.save(DOCUMENT)
    first = store.version()
    assert first == store.version()
    store.save({**DOCUMENT, "unknown_field": 2})
    second = store.version()
    store.clear()
    assert len({empty, first, second}) == 3
    assert store.version() not in (first, second)


def test_lock_excludes_other_threads(store: CredentialStore) -> None:
    holder_count, max_holder_count = 0, 0

    def run() -> None:
        nonlocal holder_count, max_holder_count
        for _ in range(3):
            with store.lock():
                holder_count += 1
                max_holder_count = max(max_holder_count, holder_count)
                time.sleep(0.001)
                holder_count -= 1

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max_holder_count == 1


def test_store_is_usable_under_its_lock(store: CredentialStore) -> None:
    with store.lock():
        store.save(DOCUMENT)
        assert store.load() == DOCUMENT
        assert store.version() is not None
        assert store.clear() is True


def test_repr_and_location_show_no_token(store: CredentialStore) -> None:
    store.save(DOCUMENT)
    assert "secret-token" not in repr(store) + store.location


def test_damaged_document_raises_and_can_be_cleared(store: CredentialStore) -> None:
    """Another program may have damaged the document."""
    if isinstance(store, (MemoryStore, CustomStore)):
        pytest.skip("no other program can write to this store")
    damage(store)
    with pytest.raises(CredentialStoreError):
        store.load()
    assert store.clear() is True


def damage(store: Any) -> None:
    """Replace the document with invalid JSON."""
    if isinstance(store, RedisStore):
        store._client.set(store.key, "{")
    elif isinstance(store, KeyringStore):
        store._set(store._entry, "{")
    else:
        getattr(store, "_file", store).path.write_text("{")
