"""Test when TokenManager reloads, refreshes, stores and keeps a login."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from issuer_stub import AUTH_CLAIM, IssuerStub, create_jwt
from manager_support import HOUR, MINUTE, Clock, make_credentials, refresh_reasons, run_in_threads

from codex_backend_sdk._exceptions import CredentialStoreError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.types import Login, Secret

# --- the cached login ------------------------------------------------------------------------------------------------


def test_valid_login_is_loaded_once(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    assert credentials.ready() is None, "the store is not read yet"
    login = credentials.current()
    assert (login.account_id, login.email, login.plan) == ("acc-1", "user@example.com", "pro")
    store.calls.clear()
    assert credentials.ready() is login
    assert credentials.current() is login
    assert store.calls == []
    assert issuer.requests == []


def test_login_is_ready_until_five_minutes_before_expiry(issuer: IssuerStub, clock: Clock) -> None:
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=HOUR))
    login = credentials.current()
    clock.now += HOUR - 5 * MINUTE - timedelta(seconds=1)
    assert credentials.ready() is login
    clock.now += timedelta(seconds=1)
    assert credentials.ready() is None


def test_expiring_login_is_refreshed_and_stored(issuer: IssuerStub, clock: Clock) -> None:
    before = issuer.document(expires_in=4 * MINUTE, OPENAI_API_KEY=None)
    credentials, store = make_credentials(issuer, before)
    login = credentials.current()
    after = store.load()
    assert after is not None
    assert refresh_reasons(issuer) == ["proactive_expiry"]
    assert login.expires_at == clock.now + issuer.lifetime
    assert after["tokens"]["access_token"] == login.access_token.reveal()
    assert after["tokens"]["refresh_token"] == "rt_1"
    assert after["tokens"]["login_owner_id"] == "owner", "unknown fields are kept"
    assert after["unknown_field"] == [1]
    assert after["last_refresh"] == "2026-11-22T12:00:00.000000Z"
    assert credentials.ready() is login


def test_refresh_request_has_originator_and_user_agent(issuer: IssuerStub) -> None:
    credentials = Credentials(
        MemoryStore(issuer.document(expires_in=-HOUR)), issuer=issuer.url, originator="my ä app", clock=issuer.clock
    )
    credentials.current()
    headers = issuer.requests_to("/oauth/token")[0].headers
    assert headers["originator"] == "my _ app"
    assert headers["user-agent"].startswith("codex_backend_sdk/")
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_opaque_token_is_refreshed_after_eight_days(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document()
    document["tokens"]["access_token"] = "opaque"
    credentials, _ = make_credentials(issuer, document)
    assert credentials.current().expires_at is None
    clock.now += timedelta(days=8)
    assert credentials.current().expires_at is not None
    assert refresh_reasons(issuer) == ["scheduled"]


def test_opaque_token_is_kept_if_its_refresh_fails(issuer: IssuerStub) -> None:
    document = issuer.document(last_refresh=None)
    document["tokens"]["access_token"] = "opaque"
    issuer.token_response = 401, b"", {}
    credentials, _ = make_credentials(issuer, document)
    assert credentials.current().access_token.reveal() == "opaque"
    assert refresh_reasons(issuer) == ["scheduled"]


def test_tokens_are_accepted_with_any_2xx_status(issuer: IssuerStub) -> None:
    body = {"access_token": create_jwt({"exp": (issuer.clock() + HOUR).timestamp()}), "refresh_token": "rt_new"}
    issuer.token_response = (201, json.dumps(body).encode(), {})
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    assert credentials.current().access_token.reveal() == body["access_token"]
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == "rt_new"


def test_tokens_missing_in_a_response_are_kept(issuer: IssuerStub) -> None:
    issuer.omitted_tokens = ("id_token", "refresh_token")
    before = issuer.document(expires_in=-HOUR)
    credentials, store = make_credentials(issuer, before)
    credentials.current()
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == before["tokens"]["refresh_token"]
    assert after["tokens"]["id_token"] == before["tokens"]["id_token"]


@pytest.mark.parametrize("invalid_token", ["", 5, None, {}, "two words"])
@pytest.mark.parametrize("name", ["id_token", "access_token", "refresh_token"])
def test_invalid_token_in_a_response_keeps_the_others(issuer: IssuerStub, name: str, invalid_token: object) -> None:
    """The issuer accepts the old refresh token only once, so the valid tokens must be stored."""
    before = issuer.document(expires_in=4 * MINUTE)
    credentials, store = make_credentials(issuer, before)
    tokens = issuer.create_tokens(7, HOUR)
    issuer.token_response = 200, json.dumps({**tokens, name: invalid_token}).encode(), {}
    credentials.current()
    after = store.load()
    assert after is not None
    assert {key: after["tokens"][key] for key in tokens} == {**tokens, name: before["tokens"][name]}


def test_new_token_that_has_expired_starts_a_backoff(issuer: IssuerStub, clock: Clock) -> None:
    """A clock that is hours ahead must not cause a refresh for each request."""
    issuer.lifetime = -HOUR
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    logins = {credentials.current().access_token for _ in range(5)}
    assert (len(logins), len(refresh_reasons(issuer))) == (1, 1)
    clock.now += timedelta(seconds=11)
    credentials.current()
    assert len(refresh_reasons(issuer)) == 2


def test_short_lived_token_is_used_until_its_expiry(issuer: IssuerStub, clock: Clock) -> None:
    issuer.lifetime = timedelta(seconds=3)
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    credentials.current()
    clock.now += timedelta(seconds=2)
    credentials.current()
    assert len(refresh_reasons(issuer)) == 1
    clock.now += timedelta(seconds=1)
    credentials.current()
    assert len(refresh_reasons(issuer)) == 2


@pytest.mark.parametrize("seconds", [10, 60, 240])
def test_short_lived_token_is_refreshed_in_its_last_quarter(issuer: IssuerStub, clock: Clock, seconds: int) -> None:
    """Five minutes before its expiry would be before its beginning: a refresh for each request."""
    issuer.lifetime = timedelta(seconds=seconds)
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    for _ in range(4 * 8):
        credentials.current()
        clock.now += issuer.lifetime / 8
    assert len(refresh_reasons(issuer)) == 4 * 8 / 6 // 1 + 1, "the first, and one after each six eighths of a lifetime"


def test_lifetime_is_learned_from_a_peers_refresh(issuer: IssuerStub, clock: Clock) -> None:
    issuer.lifetime = 4 * MINUTE
    one, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    other = Credentials(store, issuer=issuer.url, clock=clock)
    other._reload()  # both have cached the expired login
    login = one.current()
    assert other.current() == other.ready() == login
    assert len(refresh_reasons(issuer)) == 1


@pytest.mark.parametrize("lifetime", [4 * MINUTE, 20 * timedelta(seconds=1), -HOUR])
def test_threads_share_one_refresh_after_a_401(issuer: IssuerStub, lifetime: timedelta) -> None:
    issuer.lifetime = lifetime
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    rejected_login = credentials.current()
    logins = run_in_threads(20, lambda: credentials.refresh(rejected_login))
    assert len(set(logins)) == 1
    assert rejected_login not in logins
    assert refresh_reasons(issuer) == ["proactive_expiry", "unauthorized_recovery"]


# --- no login --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "There is no login in memory. Log in with client.authenticate"),
        ({}, "There is no login in memory."),
        ({"auth_mode": "chatgpt", "tokens": None}, "There is no login in memory."),
        (
            {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-secret"},
            "memory holds an OpenAI API key. This client needs a ChatGPT login",
        ),
        ({"auth_mode": "headers"}, "memory holds request headers."),
    ],
)
def test_missing_login_error_names_the_remedy(
    issuer: IssuerStub, document: dict[str, Any] | None, message: str
) -> None:
    credentials, _ = make_credentials(issuer, document)
    for call in (credentials.current, lambda: credentials.refresh(Login(access_token=Secret("x"), account_id=None))):
        with pytest.raises(LoginRequiredError) as caught:
            call()
        assert message in str(caught.value)
        assert "`codex-backend login`" in str(caught.value)
        assert "secret" not in str(caught.value)
    assert issuer.requests == []


def test_damaged_document_of_a_custom_store_is_an_error(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, {"tokens": {"access_token": 5}})
    with pytest.raises(CredentialStoreError, match="The login in memory is damaged"):
        credentials.current()


# --- refresh ---------------------------------------------------------------------------------------------------------


def test_rejected_token_is_refreshed(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    login = credentials.refresh(rejected_login)
    assert login.access_token != rejected_login.access_token
    assert refresh_reasons(issuer) == ["unauthorized_recovery"]
    assert credentials.refresh(rejected_login) is login, "a second thread with the same rejected token gets the new one"
    assert len(issuer.requests) == 1
    assert credentials.ready() is login


def test_newer_stored_login_needs_no_refresh(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    store.save(issuer.document(expires_in=2 * HOUR))
    assert credentials.refresh(rejected_login).access_token != rejected_login.access_token
    assert issuer.requests == []


def test_expired_login_is_first_reloaded_from_the_store(issuer: IssuerStub, clock: Clock) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    credentials.current()
    clock.now += HOUR
    store.save(issuer.document(expires_in=HOUR))
    credentials.current()
    assert issuer.requests == []


def test_login_removed_by_another_process_is_not_used(issuer: IssuerStub, clock: Clock) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    store.clear()
    with pytest.raises(LoginRequiredError, match="There is no login"):
        credentials.refresh(rejected_login)
    assert credentials.ready() is None


def test_running_client_does_not_change_its_account(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    issuer.account = "acc-2"
    store.save(issuer.document())
    with pytest.raises(LoginRequiredError, match="now belongs to another account"):
        credentials.refresh(rejected_login)
    assert issuer.requests == []
    assert credentials.authenticate(interactive=False).account_id == "acc-2"


def test_account_change_is_detected_after_a_logout(issuer: IssuerStub) -> None:
    """Another process logs out, and logs in with another account."""
    credentials, store = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    store.clear()
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="There is no login"):
            credentials.refresh(rejected_login)
        with pytest.raises(LoginRequiredError, match="There is no login"):
            credentials.authenticate(interactive=False)
    issuer.account = "acc-2"
    store.save(issuer.document())
    for call in (credentials.current, lambda: credentials.refresh(rejected_login), credentials.account):
        with pytest.raises(
            LoginRequiredError, match=r"now belongs to another account\. Call client\.authenticate\(\) to use"
        ):
            call()
    assert credentials.authenticate(interactive=False).account_id == "acc-2"
    assert credentials.current().account_id == "acc-2"
    credentials.logout()
    issuer.account = "acc-3"
    store.save(issuer.document())
    assert credentials.current().account_id == "acc-3", "logout() allows another account"
    assert issuer.requests == []


def test_refresh_response_of_another_account_is_rejected(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    issuer.account = "acc-2"
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="returned the login of another account"):
            credentials.current()
    assert store.load() == before
    assert len(issuer.requests) == 1


def test_access_token_of_another_account_is_rejected(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    own_token, other_token = (
        create_jwt({AUTH_CLAIM: {"chatgpt_account_id": account}, "exp": 2e9}) for account in ("acc-1", "acc-2")
    )
    response = {"id_token": own_token, "access_token": other_token, "refresh_token": "r"}
    issuer.token_response = (200, json.dumps(response).encode(), {})
    with pytest.raises(LoginRequiredError, match="returned the login of another account"):
        credentials.current()
    assert store.load() == before


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (401, "refresh_token_expired", "has expired"),
        (400, "refresh_token_reused", "was already used"),
        (401, "refresh_token_invalidated", "was revoked"),
        (401, "anything", "no longer accepts"),
        (400, "invalid_grant", "no longer accepts"),
    ],
)
def test_permanent_failure_lasts_until_the_store_changes(
    issuer: IssuerStub, status: int, code: str, message: str
) -> None:
    issuer.token_response = status, json.dumps({"error": {"code": code, "message": "rt_0"}}).encode(), {}
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    for call in (credentials.current, credentials.current, lambda: credentials.authenticate(interactive=False)):
        with pytest.raises(
            LoginRequiredError, match=rf"{message}.*client\.authenticate\(force=True\).*codex-backend login"
        ):
            call()
    assert len(issuer.requests) == 1
    issuer.token_response = None
    store.save(issuer.document(expires_in=-HOUR))
    assert credentials.current().account_id == "acc-1"


def test_permanent_failure_keeps_the_valid_old_token(
    issuer: IssuerStub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.token_response = 401, b"", {}
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=4 * MINUTE))
    login = credentials.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "no longer accepts" in caplog.text
    with pytest.raises(LoginRequiredError):
        credentials.refresh(login)
    clock.now += 4 * MINUTE
    with pytest.raises(LoginRequiredError):
        credentials.current()
    assert len(issuer.requests) == 1


@pytest.mark.parametrize(
    "token_response",
    [
        (503, b"<html>", {}),
        (429, b"", {}),
        (403, b"", {}),
        (400, b"{}", {}),
        (200, b"<html>", {}),
        (200, b'{"access_token": 5}', {}),
        (307, b"", {"Location": "http://127.0.0.1:9/elsewhere"}),
    ],
)
def test_transient_failure_keeps_the_valid_old_token(
    issuer: IssuerStub,
    clock: Clock,
    token_response: tuple[int, bytes, dict[str, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer.token_response = token_response
    credentials, store = make_credentials(issuer, issuer.document(expires_in=4 * MINUTE))
    before = store.load()
    login = credentials.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "its old token is still used" in caplog.text
    assert credentials.current() == login
    assert len(issuer.requests) == 1, "the refresh is not retried at once"
    clock.now += timedelta(seconds=11)
    assert credentials.current() == login
    assert len(issuer.requests) == 2
    with pytest.raises(TokenRefreshError):
        credentials.refresh(login)
    clock.now += 4 * MINUTE
    with pytest.raises(TokenRefreshError):
        credentials.current()
    assert store.load() == before
    issuer.token_response = None
    assert credentials.current() != login, "the next refresh succeeds"


def test_unreachable_issuer_is_a_transient_failure(issuer: IssuerStub, clock: Clock) -> None:
    credentials = Credentials(MemoryStore(issuer.document(expires_in=-HOUR)), issuer="http://127.0.0.1:1", clock=clock)
    with pytest.raises(TokenRefreshError, match=r"http://127\.0\.0\.1:1 could not be reached"):
        credentials.current()


def test_waiting_threads_share_the_failed_refresh(issuer: IssuerStub) -> None:
    issuer.token_response = 503, b"", {}
    issuer.delay_seconds = 0.5
    credentials, _ = make_credentials(issuer, issuer.document())
    rejected_login = credentials.current()
    failures = run_in_threads(8, lambda: credentials.refresh(rejected_login))
    assert [type(failure) for failure in failures] == [TokenRefreshError] * 8
    assert len(issuer.requests) == 1


def test_login_without_refresh_token_is_used_until_expiry(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document(expires_in=4 * MINUTE)
    document["tokens"]["refresh_token"] = ""
    credentials, _ = make_credentials(issuer, document)
    login = credentials.current()
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        credentials.refresh(login)
    clock.now += HOUR
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        credentials.current()
    assert issuer.requests == []


def test_unsaved_tokens_are_used_and_saved_later(
    issuer: IssuerStub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = OSError("disk full")
    login = credentials.current()
    assert credentials.ready() is login
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "could not be stored: OSError. This process uses it" in caplog.text
    store.errors.clear()
    refreshed = credentials.refresh(login)
    assert [request.json["refresh_token"] for request in issuer.requests_to("/oauth/token")] == ["rt_0", "rt_1"]
    stored = store.load()
    assert stored is not None
    assert stored["tokens"]["access_token"] == refreshed.access_token.reveal()


def test_newer_stored_tokens_replace_unsaved_ones(issuer: IssuerStub, clock: Clock) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = CredentialStoreError("read-only")
    login = credentials.current()
    clock.now += HOUR
    MemoryStore.save(store, issuer.document(expires_in=HOUR, last_refresh="2026-11-22T12:30:00Z"))
    assert credentials.refresh(login).access_token != login.access_token
    assert len(issuer.requests) == 1


def test_interrupt_while_saving_keeps_the_tokens(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        credentials.current()
    store.errors.clear()
    assert credentials.current().expires_at is not None
    assert len(issuer.requests) == 1


# --- single-flight ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_in", [-HOUR, 4 * MINUTE])
def test_threads_share_one_refresh_of_an_expiring_token(issuer: IssuerStub, expires_in: timedelta) -> None:
    issuer.delay_seconds = 0.1
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=expires_in))
    logins = run_in_threads(16, credentials.current)
    assert len(set(logins)) == 1
    assert refresh_reasons(issuer) == ["proactive_expiry"]
