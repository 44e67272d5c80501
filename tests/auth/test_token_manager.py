from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from issuer_stub import AUTH, IssuerStub, jwt
from manager_support import HOUR, MINUTE, Clock, in_threads, make_credentials, refresh_reasons

from codex_backend_sdk._exceptions import CredentialStoreError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import (
    Credentials,
    FileStore,
    MemoryStore,
)
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    pass


# --- a login for a request ---------------------------------------------------------------------------------------


def test_valid_login_is_loaded_once(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document())
    assert source.ready() is None, "not before it is loaded"
    login = source.current()
    assert (login.account_id, login.email, login.plan) == ("acc-1", "user@example.com", "pro")
    store.calls.clear()
    assert source.ready() is login
    assert source.current() is login
    assert store.calls == []
    assert issuer.requests == []


def test_login_is_ready_until_five_minutes_before_expiry(issuer: IssuerStub, clock: Clock) -> None:
    source, _ = make_credentials(issuer, issuer.document(expires_in=HOUR))
    login = source.current()
    clock.now += HOUR - 5 * MINUTE - timedelta(seconds=1)
    assert source.ready() is login
    clock.now += timedelta(seconds=1)
    assert source.ready() is None


def test_expiring_login_is_refreshed_and_stored(issuer: IssuerStub, clock: Clock) -> None:
    before = issuer.document(expires_in=4 * MINUTE, OPENAI_API_KEY=None)
    source, store = make_credentials(issuer, before)
    login = source.current()
    after = store.load()
    assert after is not None
    assert refresh_reasons(issuer) == ["proactive_expiry"]
    assert login.expires_at == clock.now + issuer.lifetime
    assert after["tokens"]["access_token"] == login.access_token.reveal()
    assert after["tokens"]["refresh_token"] == "rt_1"
    assert after["tokens"]["login_owner_id"] == "owner", "unknown members stay"
    assert after["of_the_future"] == [1]
    assert after["last_refresh"] == "2026-11-22T12:00:00.000000Z"
    assert source.ready() is login


def test_refresh_request_has_originator_and_user_agent(issuer: IssuerStub) -> None:
    source = Credentials(
        MemoryStore(issuer.document(expires_in=-HOUR)), issuer=issuer.url, originator="my ä app", clock=issuer.clock
    )
    source.current()
    headers = issuer.requests_to("/oauth/token")[0].headers
    assert headers["originator"] == "my _ app"
    assert headers["user-agent"].startswith("codex_backend_sdk/")
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_opaque_token_is_refreshed_after_eight_days(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document()
    document["tokens"]["access_token"] = "opaque"
    source, _ = make_credentials(issuer, document)
    assert source.current().expires_at is None
    clock.now += timedelta(days=8)
    assert source.current().expires_at is not None
    assert refresh_reasons(issuer) == ["scheduled"]


def test_tokens_are_accepted_with_any_2xx_status(issuer: IssuerStub) -> None:
    body = {"access_token": jwt({"exp": (issuer.clock() + HOUR).timestamp()}), "refresh_token": "rt_new"}
    issuer.refusal = (201, json.dumps(body).encode(), {})
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    assert source.current().access_token.reveal() == body["access_token"]
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == "rt_new"


def test_refresh_response_may_omit_tokens(issuer: IssuerStub) -> None:
    issuer.omitted = ("id_token", "refresh_token")
    before = issuer.document(expires_in=-HOUR)
    source, store = make_credentials(issuer, before)
    source.current()
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == before["tokens"]["refresh_token"]
    assert after["tokens"]["id_token"] == before["tokens"]["id_token"]


@pytest.mark.parametrize("junk", ["", 5, None, {}, "two words"])
@pytest.mark.parametrize("name", ["id_token", "access_token", "refresh_token"])
def test_junk_in_one_member_does_not_cost_the_other_tokens(issuer: IssuerStub, name: str, junk: object) -> None:
    """The old refresh token is used up: the valid members of the response are all there is."""
    before = issuer.document(expires_in=4 * MINUTE)
    source, store = make_credentials(issuer, before)
    good = issuer._tokens(7, HOUR)
    issuer.refusal = 200, json.dumps({**good, name: junk}).encode(), {}
    source.current()
    after = store.load()
    assert after is not None
    assert {key: after["tokens"][key] for key in good} == {**good, name: before["tokens"][name]}


def test_login_expired_on_arrival_starts_a_backoff(issuer: IssuerStub, clock: Clock) -> None:
    """A clock that is hours ahead, or a lifetime under five minutes, must not cause a refresh for each request."""
    issuer.lifetime = -HOUR
    source, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    logins = {source.current().access_token for _ in range(5)}
    assert (len(logins), len(refresh_reasons(issuer))) == (1, 1)
    clock.now += timedelta(seconds=11)
    source.current()
    assert len(refresh_reasons(issuer)) == 2


def test_short_lived_token_is_used_until_its_expiry(issuer: IssuerStub, clock: Clock) -> None:
    issuer.lifetime = timedelta(seconds=3)
    source, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    source.current()
    clock.now += timedelta(seconds=2)
    source.current()
    assert len(refresh_reasons(issuer)) == 1
    clock.now += timedelta(seconds=1)
    source.current()
    assert len(refresh_reasons(issuer)) == 2


@pytest.mark.parametrize("seconds", [10, 60, 240])
def test_short_lived_token_is_refreshed_in_its_last_quarter(issuer: IssuerStub, clock: Clock, seconds: int) -> None:
    """Five minutes before its expiry would be before its beginning: a refresh for each request."""
    issuer.lifetime = timedelta(seconds=seconds)
    source, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    for _ in range(4 * 8):
        source.current()
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
    source, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    rejected = source.current()
    logins = in_threads(20, lambda: source.refresh(rejected))
    assert len(set(logins)) == 1
    assert rejected not in logins
    assert refresh_reasons(issuer) == ["proactive_expiry", "unauthorized_recovery"]


# --- no login ----------------------------------------------------------------------------------------------------


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
    source, _ = make_credentials(issuer, document)
    for call in (source.current, lambda: source.refresh(Login(access_token=Secret("x"), account_id=None))):
        with pytest.raises(LoginRequiredError) as caught:
            call()
        assert message in str(caught.value)
        assert "`codex-backend login`" in str(caught.value)
        assert "secret" not in str(caught.value)
    assert issuer.requests == []


def test_damaged_document_of_a_custom_store_is_an_error(issuer: IssuerStub) -> None:
    source, _ = make_credentials(issuer, {"tokens": {"access_token": 5}})
    with pytest.raises(CredentialStoreError, match="memory holds no usable login"):
        source.current()


# --- refreshing --------------------------------------------------------------------------------------------------


def test_rejected_token_is_refreshed(issuer: IssuerStub) -> None:
    source, _ = make_credentials(issuer, issuer.document())
    rejected = source.current()
    login = source.refresh(rejected)
    assert login.access_token != rejected.access_token
    assert refresh_reasons(issuer) == ["unauthorized_recovery"]
    assert source.refresh(rejected) is login, "a second thread with the same rejected token gets the new one"
    assert len(issuer.requests) == 1
    assert source.ready() is login


def test_newer_stored_login_needs_no_refresh(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document())
    rejected = source.current()
    store.save(issuer.document(expires_in=2 * HOUR))
    assert source.refresh(rejected).access_token != rejected.access_token
    assert issuer.requests == []


def test_expired_login_is_first_reloaded_from_the_store(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make_credentials(issuer, issuer.document())
    source.current()
    clock.now += HOUR
    store.save(issuer.document(expires_in=HOUR))
    source.current()
    assert issuer.requests == []


def test_login_removed_by_another_process_is_gone(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make_credentials(issuer, issuer.document())
    rejected = source.current()
    store.clear()
    with pytest.raises(LoginRequiredError, match="There is no login"):
        source.refresh(rejected)
    assert source.ready() is None


def test_running_client_does_not_change_its_account(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document())
    rejected = source.current()
    issuer.account = "acc-2"
    store.save(issuer.document())
    with pytest.raises(LoginRequiredError, match="now belongs to another account"):
        source.refresh(rejected)
    assert issuer.requests == []
    assert source.authenticate(interactive=False).account_id == "acc-2"


def test_account_is_remembered_without_a_login(issuer: IssuerStub) -> None:
    """Another process logs out, and logs in with another account."""
    source, store = make_credentials(issuer, issuer.document())
    rejected = source.current()
    store.clear()
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="There is no login"):
            source.refresh(rejected)
        with pytest.raises(LoginRequiredError, match="There is no login"):
            source.authenticate(interactive=False)
    issuer.account = "acc-2"
    store.save(issuer.document())
    for call in (source.current, lambda: source.refresh(rejected), source.account):
        with pytest.raises(
            LoginRequiredError, match=r"now belongs to another account\. Call client\.authenticate\(\) to change"
        ):
            call()
    assert source.authenticate(interactive=False).account_id == "acc-2"
    assert source.current().account_id == "acc-2"
    source.logout()
    issuer.account = "acc-3"
    store.save(issuer.document())
    assert source.current().account_id == "acc-3", "logging out here forgets the account"
    assert issuer.requests == []


def test_refresh_response_of_another_account_is_refused(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    issuer.account = "acc-2"
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="returned the login of another account"):
            source.current()
    assert store.load() == before
    assert len(issuer.requests) == 1


def test_access_token_of_another_account_is_refused(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    ours, foreign = (jwt({AUTH: {"chatgpt_account_id": account}, "exp": 2e9}) for account in ("acc-1", "acc-2"))
    response = {"id_token": ours, "access_token": foreign, "refresh_token": "r"}
    issuer.refusal = (200, json.dumps(response).encode(), {})
    with pytest.raises(LoginRequiredError, match="returned the login of another account"):
        source.current()
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
def test_permanent_refusal_lasts_until_the_store_changes(
    issuer: IssuerStub, status: int, code: str, message: str
) -> None:
    issuer.refusal = status, json.dumps({"error": {"code": code, "message": "rt_0"}}).encode(), {}
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    for call in (source.current, source.current, lambda: source.authenticate(interactive=False)):
        with pytest.raises(
            LoginRequiredError, match=rf"{message}.*client\.authenticate\(force=True\).*codex-backend login"
        ):
            call()
    assert len(issuer.requests) == 1
    issuer.refusal = None
    store.save(issuer.document(expires_in=-HOUR))
    assert source.current().account_id == "acc-1"


def test_permanent_refusal_keeps_the_valid_old_token(
    issuer: IssuerStub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.refusal = 401, b"", {}
    source, _ = make_credentials(issuer, issuer.document(expires_in=4 * MINUTE))
    login = source.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "no longer accepts" in caplog.text
    with pytest.raises(LoginRequiredError):
        source.refresh(login)
    clock.now += 4 * MINUTE
    with pytest.raises(LoginRequiredError):
        source.current()
    assert len(issuer.requests) == 1


@pytest.mark.parametrize(
    "refusal",
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
    issuer: IssuerStub, clock: Clock, refusal: tuple[int, bytes, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    issuer.refusal = refusal
    source, store = make_credentials(issuer, issuer.document(expires_in=4 * MINUTE))
    before = store.load()
    login = source.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "its old token is still used" in caplog.text
    assert source.current() == login
    assert len(issuer.requests) == 1, "no further attempt at once"
    clock.now += timedelta(seconds=11)
    assert source.current() == login
    assert len(issuer.requests) == 2
    with pytest.raises(TokenRefreshError):
        source.refresh(login)
    clock.now += 4 * MINUTE
    with pytest.raises(TokenRefreshError):
        source.current()
    assert store.load() == before
    issuer.refusal = None
    assert source.current() != login, "it recovers by itself"


def test_unreachable_issuer_is_a_transient_failure(issuer: IssuerStub, clock: Clock) -> None:
    source = Credentials(MemoryStore(issuer.document(expires_in=-HOUR)), issuer="http://127.0.0.1:1", clock=clock)
    with pytest.raises(TokenRefreshError, match=r"http://127\.0\.0\.1:1 could not be reached"):
        source.current()


def test_waiting_threads_share_the_failed_refresh(issuer: IssuerStub) -> None:
    issuer.refusal = 503, b"", {}
    issuer.delay = 0.5
    source, _ = make_credentials(issuer, issuer.document())
    rejected = source.current()
    failures = in_threads(8, lambda: source.refresh(rejected))
    assert [type(failure) for failure in failures] == [TokenRefreshError] * 8
    assert len(issuer.requests) == 1


def test_login_without_refresh_token_is_used_until_expiry(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document(expires_in=4 * MINUTE)
    document["tokens"]["refresh_token"] = ""
    source, _ = make_credentials(issuer, document)
    login = source.current()
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        source.refresh(login)
    clock.now += HOUR
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        source.current()
    assert issuer.requests == []


def test_refusal_uses_the_login_that_a_peer_stored(issuer: IssuerStub) -> None:
    """The Codex CLI refreshes without our lock: our refresh is refused, and its tokens are stored a moment later."""
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    newer = issuer.document(expires_in=2 * HOUR)
    issuer.refusal = 401, b'{"error": {"code": "refresh_token_reused"}}', {}
    issuer.before_response = lambda: MemoryStore.save(store, newer)
    login = source.current()
    assert login.access_token.reveal() == newer["tokens"]["access_token"]


def test_unsaved_tokens_are_used_and_saved_later(
    issuer: IssuerStub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.save_error = OSError("disk full")
    login = source.current()
    assert source.ready() is login
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "could not be stored: OSError. This process uses it" in caplog.text
    store.save_error = None
    renewed = source.refresh(login)
    assert [request.json["refresh_token"] for request in issuer.requests_to("/oauth/token")] == ["rt_0", "rt_1"]
    stored = store.load()
    assert stored is not None
    assert stored["tokens"]["access_token"] == renewed.access_token.reveal()


def test_unsaved_tokens_give_way_to_newer_stored_ones(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.save_error = CredentialStoreError("read-only")
    login = source.current()
    clock.now += HOUR
    MemoryStore.save(store, issuer.document(expires_in=HOUR, last_refresh="2026-11-22T12:30:00Z"))
    assert source.refresh(login).access_token != login.access_token
    assert len(issuer.requests) == 1


def test_interrupt_while_saving_loses_no_token(issuer: IssuerStub) -> None:
    source, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.save_error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        source.current()
    store.save_error = None
    assert source.current().expires_at is not None
    assert len(issuer.requests) == 1


# --- single-flight -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expires_in", [-HOUR, 4 * MINUTE])
def test_sixteen_threads_share_one_refresh(issuer: IssuerStub, expires_in: timedelta) -> None:
    issuer.delay = 0.1
    source, _ = make_credentials(issuer, issuer.document(expires_in=expires_in))
    logins = in_threads(16, source.current)
    assert len(set(logins)) == 1
    assert len(issuer.requests) == 1
    rejected = logins[0]
    assert len(set(in_threads(16, lambda: source.refresh(rejected)))) == 1
    assert refresh_reasons(issuer) == ["proactive_expiry", "unauthorized_recovery"]


WORKER = """
import sys, threading
from codex_backend_sdk.auth import Credentials, FileStore
path, issuer = sys.argv[1:]
source = Credentials(FileStore(path), issuer=issuer)
print("ready", flush=True)
sys.stdin.readline()
seen = []
threads = [threading.Thread(target=lambda: seen.append(source.current().access_token.reveal())) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(*seen)
"""


def test_processes_share_one_refresh(tmp_path: Path) -> None:
    with IssuerStub(delay=0.3) as issuer:
        path = tmp_path / "auth.json"
        FileStore(path).save(issuer.document(expires_in=-HOUR))
        command = [sys.executable, "-c", WORKER, str(path), issuer.url]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        workers = [subprocess.Popen(command, text=True, **pipes) for _ in range(5)]
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:  # all at once: with `communicate()` alone they would run one after the other
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        outputs = [worker.communicate(timeout=40) for worker in workers]
        assert [error for _, error in outputs] == [""] * 5
        tokens = [token for output, _ in outputs for token in output.split()]
        assert (len(tokens), len(set(tokens))) == (20, 1)
        assert len(issuer.requests) == 1
