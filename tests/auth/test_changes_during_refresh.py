"""Test that a refresh does not undo what another program stores meanwhile, without the lock, as the Codex CLI does."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from issuer_stub import IssuerStub
from manager_support import HOUR, MINUTE, Clock, RecordingStore
from servers import needs_redis, redis_server
from store_types import STORES, CustomStore

from codex_backend_sdk._exceptions import CredentialStoreError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import Credentials, FileStore, MemoryStore, RedisStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta
    from pathlib import Path

    from codex_backend_sdk.auth import CredentialStore

API_KEY = {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-fake", "tokens": None}


class Stores(NamedTuple):
    """The store of the client, and the store of another program in the same place."""

    store: CredentialStore
    other: CredentialStore


@pytest.fixture(params=[*STORES, pytest.param("redis", marks=needs_redis)])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    if request.param == "redis":
        with redis_server(tmp_path) as url:
            yield Stores(RedisStore(url), RedisStore(url))
        return
    store = STORES[request.param](tmp_path)
    is_shared = isinstance(store, (MemoryStore, CustomStore))
    yield Stores(store, store if is_shared else STORES[request.param](tmp_path))


def document_of(account: str, issuer: IssuerStub, **options: Any) -> dict[str, Any]:
    issuer.account, own_account = account, issuer.account
    document = issuer.document(**options)
    issuer.account = own_account
    document["tokens"]["refresh_token"] = f"rt of {account}".replace(" ", "-")
    return document


def revoked_tokens(issuer: IssuerStub) -> list[str]:
    return [request.json["token"] for request in issuer.requests_to("/oauth/revoke")]


@pytest.mark.parametrize("expires_in", [-HOUR, 4 * MINUTE], ids=["expired", "valid"])
@pytest.mark.parametrize(
    ("change", "message", "revoked"),
    [
        ("removed", "There is no login in", ["rt_1"]),
        ("another account", "now belongs to another account", []),
        ("API key", "holds an OpenAI API key", []),
    ],
)
def test_login_changed_during_refresh_is_kept(
    stores: Stores, change: str, message: str, revoked: list[str], expires_in: timedelta
) -> None:
    with IssuerStub() as issuer:
        stores.other.save(issuer.document(expires_in=expires_in))
        after = {"removed": None, "another account": document_of("acc-2", issuer), "API key": API_KEY}[change]

        def change_store() -> None:
            if after is None:
                stores.other.clear()
            else:
                stores.other.save(after)

        issuer.before_response = change_store
        credentials = Credentials(stores.store, issuer=issuer.url)
        with pytest.raises(LoginRequiredError, match=message):
            credentials.current()
        assert stores.other.load() == after
        assert revoked_tokens(issuer) == revoked
        issuer.before_response = lambda: None
        with pytest.raises(LoginRequiredError, match=message):
            credentials.current()
        assert stores.other.load() == after
        assert len(issuer.requests_to("/oauth/token")) == 1


def test_newer_login_of_the_account_is_used(stores: Stores) -> None:
    with IssuerStub() as issuer:
        stores.other.save(issuer.document(expires_in=-HOUR))
        newer = document_of("acc-1", issuer, expires_in=HOUR)
        issuer.before_response = lambda: stores.other.save(newer)
        credentials = Credentials(stores.store, issuer=issuer.url)
        login = credentials.current()
        assert login.access_token.reveal() == newer["tokens"]["access_token"]
        assert credentials.ready() is login
        assert stores.other.load() == newer
        assert revoked_tokens(issuer) == []


def test_other_members_changed_during_refresh_are_kept(stores: Stores) -> None:
    """The stored refresh token is used up, so the new one must be stored although the document has changed."""
    with IssuerStub() as issuer:
        before = issuer.document(expires_in=-HOUR)
        stores.other.save(before)
        changed = {**before, "unknown_field": 2, "tokens": {**before["tokens"], "id_owner": "x"}}
        issuer.before_response = lambda: stores.other.save(changed)
        login = Credentials(stores.store, issuer=issuer.url).current()
        stored = stores.other.load()
        assert stored is not None
        assert stored["unknown_field"] == 2
        assert stored["tokens"]["id_owner"] == "x"
        assert stored["tokens"]["refresh_token"] == "rt_1"
        assert stored["tokens"]["access_token"] == login.access_token.reveal()


def test_login_replaced_by_an_expired_one_is_retried() -> None:
    with IssuerStub() as issuer:
        store = MemoryStore(issuer.document(expires_in=-HOUR))
        expired = document_of("acc-1", issuer, expires_in=-MINUTE)
        issuer.before_response = lambda: store.save(expired)
        credentials = Credentials(store, issuer=issuer.url)
        with pytest.raises(TokenRefreshError, match="was replaced while it was refreshed"):
            credentials.current()
        assert store.load() == expired


def test_rejected_token_is_not_stored_over_a_logout() -> None:
    """After a 401, too."""
    with IssuerStub() as issuer:
        store = MemoryStore(issuer.document())
        credentials = Credentials(store, issuer=issuer.url)
        login = credentials.current()
        issuer.before_response = lambda: store.clear()
        with pytest.raises(LoginRequiredError, match="There is no login"):
            credentials.refresh(login)
        assert store.load() is None
        assert revoked_tokens(issuer) == ["rt_1"]


def test_file_damaged_during_refresh_is_kept(tmp_path: Path) -> None:
    with IssuerStub() as issuer:
        store = FileStore(tmp_path / "auth.json")
        store.save(issuer.document(expires_in=-HOUR))
        issuer.before_response = lambda: store.path.write_text("{")
        login = Credentials(store, issuer=issuer.url).current()
        assert login.expires_at is not None, "the new tokens are used from memory"
        assert store.path.read_text() == "{"


# --- the later attempt to save ---------------------------------------------------------------------------------------


def apply(store: MemoryStore, document: dict[str, Any] | None) -> None:
    if document is None:
        store.clear()
    else:
        store.save(document)


@contextmanager
def unsavable_login() -> Iterator[tuple[Clock, IssuerStub, RecordingStore, Credentials]]:
    """An expired login in a store that cannot be written until `store.errors` is cleared."""
    clock = Clock()
    with IssuerStub(clock=clock) as issuer:
        store = RecordingStore(issuer.document(expires_in=-HOUR))
        store.errors["save"] = CredentialStoreError("the disk is full")
        yield clock, issuer, store, Credentials(store, issuer=issuer.url, clock=clock)


@pytest.mark.parametrize(
    ("after", "message", "revoked"),
    [(None, "There is no login", ["rt_1"]), (API_KEY, "holds an OpenAI API key", [])],
    ids=["removed", "API key"],
)
def test_unsaved_login_does_not_overwrite_a_change(
    after: dict[str, Any] | None, message: str, revoked: list[str]
) -> None:
    with unsavable_login() as (clock, issuer, store, credentials):
        credentials.current()
        store.errors.clear()
        apply(store, after)
        clock.now += MINUTE
        with pytest.raises(LoginRequiredError, match=message):
            credentials.current()
        assert store.load() == after
        assert revoked_tokens(issuer) == revoked


def test_unsaved_login_yields_to_a_newer_one() -> None:
    with unsavable_login() as (clock, issuer, store, credentials):
        credentials.current()
        store.errors.clear()
        newer = document_of("acc-1", issuer)
        store.save(newer)
        clock.now += MINUTE
        assert credentials.current().access_token.reveal() == newer["tokens"]["access_token"]
        assert store.load() == newer


def test_unsaved_login_that_expires_is_refreshed_and_saved() -> None:
    """The store still has the tokens of two refreshes before."""
    with unsavable_login() as (clock, issuer, store, credentials):
        first = credentials.current()
        clock.now += issuer.lifetime
        assert credentials.current() != first
        store.errors.clear()
        clock.now += MINUTE
        credentials.current()
        stored = store.load()
        assert stored is not None
        assert stored["tokens"]["refresh_token"] == "rt_2"
