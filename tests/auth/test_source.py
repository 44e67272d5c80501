from __future__ import annotations

import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from issuer_stub import AUTH, IssuerStub, jwt
from servers import Keyring

from codex_backend_sdk._exceptions import CredentialStoreError, LoginFailedError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import (
    Credentials,
    CredentialSource,
    FileStore,
    KeyringStore,
    MemoryStore,
    resolve_credentials,
)
from codex_backend_sdk.auth.stores.auto import AutoStore
from codex_backend_sdk.types import Login, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
LOGGER = "codex_backend_sdk.auth"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class CountingStore(MemoryStore):
    """Counts what is done to it; `broken` makes saving fail."""

    def __init__(self, document: dict[str, Any] | None = None) -> None:
        super().__init__(document)
        self.calls: list[str] = []
        self.broken: Exception | None = None

    def load(self) -> dict[str, Any] | None:
        self.calls.append("load")
        return super().load()

    def save(self, document: dict[str, Any]) -> None:
        self.calls.append("save")
        if self.broken:
            raise self.broken
        super().save(document)

    def version(self) -> object:
        self.calls.append("version")
        return super().version()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(clock: Clock) -> Iterator[IssuerStub]:
    with IssuerStub(clock=clock) as stub:
        yield stub


def make(issuer: IssuerStub, document: dict[str, Any] | None) -> tuple[Credentials, CountingStore]:
    store = CountingStore(document)
    return Credentials(store, issuer=issuer.url, clock=issuer.clock), store


def refreshes(issuer: IssuerStub) -> list[str]:
    return [request.json["refresh_reason"] for request in issuer.asked("/oauth/token")]


# --- a login for a request ---------------------------------------------------------------------------------------


def test_valid_login_is_loaded_once(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document())
    assert source.ready() is None, "not before it was loaded"
    login = source.current()
    assert (login.account_id, login.email, login.plan) == ("acc-1", "user@example.com", "pro")
    store.calls.clear()
    assert source.ready() is login
    assert source.current() is login
    assert store.calls == []
    assert issuer.requests == []


def test_login_is_ready_until_five_minutes_before_expiry(issuer: IssuerStub, clock: Clock) -> None:
    source, _ = make(issuer, issuer.document(expires_in=HOUR))
    login = source.current()
    clock.now += HOUR - 5 * MINUTE - timedelta(seconds=1)
    assert source.ready() is login
    clock.now += timedelta(seconds=1)
    assert source.ready() is None


def test_expiring_login_is_refreshed_and_stored(issuer: IssuerStub, clock: Clock) -> None:
    before = issuer.document(expires_in=4 * MINUTE, OPENAI_API_KEY=None)
    source, store = make(issuer, before)
    login = source.current()
    after = store.load()
    assert after is not None
    assert refreshes(issuer) == ["proactive_expiry"]
    assert login.expires_at == clock.now + issuer.lifetime
    assert after["tokens"]["access_token"] == login.access_token.reveal()
    assert after["tokens"]["refresh_token"] == "rt_1"
    assert after["tokens"]["login_owner_id"] == "owner", "what we do not know is kept"
    assert after["of_the_future"] == [1]
    assert after["last_refresh"] == "2026-11-22T12:00:00.000000Z"
    assert source.ready() is login


def test_refresh_request_has_originator_and_user_agent(issuer: IssuerStub) -> None:
    source = Credentials(
        MemoryStore(issuer.document(expires_in=-HOUR)), issuer=issuer.url, originator="my ä app", clock=issuer.clock
    )
    source.current()
    headers = issuer.asked("/oauth/token")[0].headers
    assert headers["originator"] == "my _ app"
    assert headers["user-agent"].startswith("codex_backend_sdk/")
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_opaque_token_is_refreshed_after_eight_days(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document()
    document["tokens"]["access_token"] = "opaque"
    source, _ = make(issuer, document)
    assert source.current().expires_at is None
    clock.now += timedelta(days=8)
    assert source.current().expires_at is not None
    assert refreshes(issuer) == ["scheduled"]


def test_tokens_are_accepted_with_any_2xx_status(issuer: IssuerStub) -> None:
    body = {"access_token": jwt({"exp": (issuer.clock() + HOUR).timestamp()}), "refresh_token": "rt_new"}
    issuer.refusal = (201, json.dumps(body).encode(), {})
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    assert source.current().access_token.reveal() == body["access_token"]
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == "rt_new"


def test_refresh_response_may_omit_tokens(issuer: IssuerStub) -> None:
    issuer.left_out = ("id_token", "refresh_token")
    before = issuer.document(expires_in=-HOUR)
    source, store = make(issuer, before)
    source.current()
    after = store.load()
    assert after is not None
    assert after["tokens"]["refresh_token"] == before["tokens"]["refresh_token"]
    assert after["tokens"]["id_token"] == before["tokens"]["id_token"]


@pytest.mark.parametrize("junk", ["", 5, None, {}, "two words"])
@pytest.mark.parametrize("name", ["id_token", "access_token", "refresh_token"])
def test_junk_in_one_member_does_not_cost_the_other_tokens(
    issuer: IssuerStub, name: str, junk: object
) -> None:
    """The old refresh token is used up: what is good in the answer is all there is."""
    before = issuer.document(expires_in=4 * MINUTE)
    source, store = make(issuer, before)
    good = issuer._tokens(7, HOUR)
    issuer.refusal = 200, json.dumps({**good, name: junk}).encode(), {}
    source.current()
    after = store.load()
    assert after is not None
    assert {key: after["tokens"][key] for key in good} == {**good, name: before["tokens"][name]}


def test_login_expired_on_arrival_starts_a_backoff(issuer: IssuerStub, clock: Clock) -> None:
    """A clock that is hours ahead, or a life under five minutes, must not make one refresh a request."""
    issuer.lifetime = -HOUR
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    logins = {source.current().access_token for _ in range(5)}
    assert (len(logins), len(refreshes(issuer))) == (1, 1)
    clock.now += timedelta(seconds=11)
    source.current()
    assert len(refreshes(issuer)) == 2


def test_short_lived_token_is_used_until_its_expiry(issuer: IssuerStub, clock: Clock) -> None:
    issuer.lifetime = timedelta(seconds=3)
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    source.current()
    clock.now += timedelta(seconds=2)
    source.current()
    assert len(refreshes(issuer)) == 1
    clock.now += timedelta(seconds=1)
    source.current()
    assert len(refreshes(issuer)) == 2


@pytest.mark.parametrize("seconds", [10, 60, 240])
def test_short_lived_token_is_refreshed_in_its_last_quarter(issuer: IssuerStub, clock: Clock, seconds: int) -> None:
    """Five minutes before its end would be before its beginning: one refresh a request."""
    issuer.lifetime = timedelta(seconds=seconds)
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    for _ in range(4 * 8):
        source.current()
        clock.now += issuer.lifetime / 8
    assert len(refreshes(issuer)) == 4 * 8 / 6 // 1 + 1, "the first, and one after each six eighths"


def test_lifetime_is_learned_from_a_peers_refresh(issuer: IssuerStub, clock: Clock) -> None:
    issuer.lifetime = 4 * MINUTE
    one, store = make(issuer, issuer.document(expires_in=-HOUR))
    other = Credentials(store, issuer=issuer.url, clock=clock)
    other._reload()  # both have the expired one in memory
    login = one.current()
    assert other.current() == other.ready() == login
    assert len(refreshes(issuer)) == 1


@pytest.mark.parametrize("lifetime", [4 * MINUTE, 20 * timedelta(seconds=1), -HOUR])
def test_threads_share_one_refresh_after_a_401(
    issuer: IssuerStub, lifetime: timedelta
) -> None:
    issuer.lifetime = lifetime
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    rejected = source.current()
    logins = in_threads(20, lambda: source.renew(rejected))
    assert len(set(logins)) == 1
    assert rejected not in logins
    assert refreshes(issuer) == ["proactive_expiry", "unauthorized_recovery"]


# --- no login ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "said"),
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
    issuer: IssuerStub, document: dict[str, Any] | None, said: str
) -> None:
    source, _ = make(issuer, document)
    for call in (source.current, lambda: source.renew(Login(access_token=Secret("x"), account_id=None))):
        with pytest.raises(LoginRequiredError) as caught:
            call()
        assert said in str(caught.value)
        assert "`codex-backend login`" in str(caught.value)
        assert "secret" not in str(caught.value)
    assert issuer.requests == []


def test_damaged_document_of_a_custom_store_is_an_error(issuer: IssuerStub) -> None:
    source, _ = make(issuer, {"tokens": {"access_token": 5}})
    with pytest.raises(CredentialStoreError, match="memory holds no usable login"):
        source.current()


# --- renewing ----------------------------------------------------------------------------------------------------


def test_rejected_token_is_refreshed(issuer: IssuerStub) -> None:
    source, _ = make(issuer, issuer.document())
    rejected = source.current()
    login = source.renew(rejected)
    assert login.access_token != rejected.access_token
    assert refreshes(issuer) == ["unauthorized_recovery"]
    assert source.renew(rejected) is login, "a second thread with the same rejected token gets the new one"
    assert len(issuer.requests) == 1
    assert source.ready() is login


def test_newer_stored_login_needs_no_refresh(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document())
    rejected = source.current()
    store.save(issuer.document(expires_in=2 * HOUR))
    assert source.renew(rejected).access_token != rejected.access_token
    assert issuer.requests == []


def test_expired_login_is_first_reloaded_from_the_store(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make(issuer, issuer.document())
    source.current()
    clock.now += HOUR
    store.save(issuer.document(expires_in=HOUR))
    source.current()
    assert issuer.requests == []


def test_login_removed_by_another_process_is_gone(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make(issuer, issuer.document())
    rejected = source.current()
    store.clear()
    with pytest.raises(LoginRequiredError, match="There is no login"):
        source.renew(rejected)
    assert source.ready() is None


def test_running_client_does_not_change_its_account(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document())
    rejected = source.current()
    issuer.account = "acc-2"
    store.save(issuer.document())
    with pytest.raises(LoginRequiredError, match="now belongs to another account"):
        source.renew(rejected)
    assert issuer.requests == []
    assert source.authenticate(interactive=False).account_id == "acc-2"


def test_account_is_remembered_without_a_login(issuer: IssuerStub) -> None:
    """Somebody signs out elsewhere, and somebody else signs in there."""
    source, store = make(issuer, issuer.document())
    rejected = source.current()
    store.clear()
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="There is no login"):
            source.renew(rejected)
        with pytest.raises(LoginRequiredError, match="There is no login"):
            source.authenticate(interactive=False)
    issuer.account = "acc-2"
    store.save(issuer.document())
    for call in (source.current, lambda: source.renew(rejected), source.account):
        with pytest.raises(
            LoginRequiredError, match=r"now belongs to another account\. Call client\.authenticate\(\) to change"
        ):
            call()
    assert source.authenticate(interactive=False).account_id == "acc-2"
    assert source.current().account_id == "acc-2"
    source.logout()
    issuer.account = "acc-3"
    store.save(issuer.document())
    assert source.current().account_id == "acc-3", "a logout of one's own forgets the account"
    assert issuer.requests == []


def test_refresh_response_of_another_account_is_refused(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    issuer.account = "acc-2"
    for _ in range(2):
        with pytest.raises(LoginRequiredError, match="returned the login of another account"):
            source.current()
    assert store.load() == before
    assert len(issuer.requests) == 1


def test_access_token_of_another_account_is_refused(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    before = store.load()
    ours, foreign = (jwt({AUTH: {"chatgpt_account_id": account}, "exp": 2e9}) for account in ("acc-1", "acc-2"))
    answer = {"id_token": ours, "access_token": foreign, "refresh_token": "r"}
    issuer.refusal = (200, json.dumps(answer).encode(), {})
    with pytest.raises(LoginRequiredError, match="returned the login of another account"):
        source.current()
    assert store.load() == before


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "refresh_token_expired", "has expired"),
        (400, "refresh_token_reused", "was already used"),
        (401, "refresh_token_invalidated", "was revoked"),
        (401, "anything", "no longer accepts"),
        (400, "invalid_grant", "no longer accepts"),
    ],
)
def test_permanent_refusal_lasts_until_the_store_changes(
    issuer: IssuerStub, status: int, code: str, said: str
) -> None:
    issuer.refusal = status, json.dumps({"error": {"code": code, "message": "rt_0"}}).encode(), {}
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    for call in (source.current, source.current, lambda: source.authenticate(interactive=False)):
        with pytest.raises(
            LoginRequiredError, match=rf"{said}.*client\.authenticate\(force=True\).*codex-backend login"
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
    source, _ = make(issuer, issuer.document(expires_in=4 * MINUTE))
    login = source.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "no longer accepts" in caplog.text
    with pytest.raises(LoginRequiredError):
        source.renew(login)
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
    source, store = make(issuer, issuer.document(expires_in=4 * MINUTE))
    before = store.load()
    login = source.current()
    assert login.expires_at == clock.now + 4 * MINUTE
    assert "its old token is still used" in caplog.text
    assert source.current() == login
    assert len(issuer.requests) == 1, "not asked again at once"
    clock.now += timedelta(seconds=11)
    assert source.current() == login
    assert len(issuer.requests) == 2
    with pytest.raises(TokenRefreshError):
        source.renew(login)
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
    source, _ = make(issuer, issuer.document())
    rejected = source.current()
    failures = in_threads(8, lambda: source.renew(rejected))
    assert [type(failure) for failure in failures] == [TokenRefreshError] * 8
    assert len(issuer.requests) == 1


def test_login_without_refresh_token_is_used_until_expiry(issuer: IssuerStub, clock: Clock) -> None:
    document = issuer.document(expires_in=4 * MINUTE)
    document["tokens"]["refresh_token"] = ""
    source, _ = make(issuer, document)
    login = source.current()
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        source.renew(login)
    clock.now += HOUR
    with pytest.raises(LoginRequiredError, match="no refresh token"):
        source.current()
    assert issuer.requests == []


def test_refusal_uses_the_login_that_a_peer_stored(issuer: IssuerStub) -> None:
    """The Codex CLI refreshes without our lock: our refresh is refused, its tokens are in the file a moment later."""
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    newer = issuer.document(expires_in=2 * HOUR)
    issuer.refusal = 401, b'{"error": {"code": "refresh_token_reused"}}', {}
    issuer.before_answer = lambda: MemoryStore.save(store, newer)
    login = source.current()
    assert login.access_token.reveal() == newer["tokens"]["access_token"]


def test_unsaved_tokens_are_used_and_saved_later(
    issuer: IssuerStub, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = OSError("disk full")
    login = source.current()
    assert source.ready() is login
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "could not be stored: OSError. This process uses it" in caplog.text
    store.broken = None
    renewed = source.renew(login)
    assert [request.json["refresh_token"] for request in issuer.asked("/oauth/token")] == ["rt_0", "rt_1"]
    stored = store.load()
    assert stored is not None
    assert stored["tokens"]["access_token"] == renewed.access_token.reveal()


def test_unsaved_tokens_give_way_to_newer_stored_ones(issuer: IssuerStub, clock: Clock) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = CredentialStoreError("read-only")
    login = source.current()
    clock.now += HOUR
    MemoryStore.save(store, issuer.document(expires_in=HOUR, last_refresh="2026-11-22T12:30:00Z"))
    assert source.renew(login).access_token != login.access_token
    assert len(issuer.requests) == 1


def test_interrupt_while_saving_loses_no_token(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        source.current()
    store.broken = None
    assert source.current().expires_at is not None
    assert len(issuer.requests) == 1


# --- one refresh for all -----------------------------------------------------------------------------------------


def test_waiting_threads_share_a_denied_login(issuer: IssuerStub) -> None:
    issuer.approve = lambda given: {"error": "access_denied", "state": given["state"]}
    source, _ = make(issuer, None)
    opened: list[str] = []

    def visit(url: str) -> None:
        opened.append(url)
        time.sleep(0.5)  # the other threads come meanwhile
        httpx2.get(url, follow_redirects=True)

    def ask() -> Login:
        return source.authenticate(open_browser=visit, ports=(0,), timeout=30)

    assert [getattr(error, "code", None) for error in in_threads(8, ask)] == ["access_denied"] * 8
    assert len(opened) == 1
    with pytest.raises(LoginFailedError, match="access_denied"):
        ask()
    assert len(opened) == 2, "who asks again, afterwards, is not refused unasked"


def test_revoke_waits_for_the_refresh_of_another_process(issuer: IssuerStub, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    FileStore(path).save(issuer.document(expires_in=MINUTE))
    one, other = (Credentials(FileStore(path), issuer=issuer.url, clock=issuer.clock) for _ in range(2))
    issuer.delay = 1.0
    renewing = threading.Thread(target=one.current)
    renewing.start()
    while not issuer.asked("/oauth/token"):
        time.sleep(0.01)
    assert other.revoke()
    renewing.join()
    assert [request.json["token"] for request in issuer.asked("/oauth/revoke")] == ["rt_1"]
    assert FileStore(path).load() is None


def in_threads(number: int, call: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    start = threading.Barrier(number)

    def work() -> None:
        start.wait()
        try:
            results.append(call())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("expires_in", [-HOUR, 4 * MINUTE])
def test_sixteen_threads_share_one_refresh(issuer: IssuerStub, expires_in: timedelta) -> None:
    issuer.delay = 0.1
    source, _ = make(issuer, issuer.document(expires_in=expires_in))
    logins = in_threads(16, source.current)
    assert len(set(logins)) == 1
    assert len(issuer.requests) == 1
    rejected = logins[0]
    assert len(set(in_threads(16, lambda: source.renew(rejected)))) == 1
    assert refreshes(issuer) == ["proactive_expiry", "unauthorized_recovery"]


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
        for worker in workers:  # all at once: `communicate()` alone would let them run one after the other
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        outputs = [worker.communicate(timeout=40) for worker in workers]
        assert [error for _, error in outputs] == [""] * 5
        tokens = [token for output, _ in outputs for token in output.split()]
        assert (len(tokens), len(set(tokens))) == (20, 1)
        assert len(issuer.requests) == 1


# --- signing in --------------------------------------------------------------------------------------------------


def browse(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as page:
        return str(page.read().decode())


def never(url: str) -> None:
    raise AssertionError("no browser may be opened")


def login_options(**more: Any) -> dict[str, Any]:
    return {"open_browser": browse, "ports": (0,), "timeout": 20.0, **more}


def test_browser_login_stores_a_codex_cli_document(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "home" / "auth.json")
    source = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    pages: list[str] = []
    login = source.authenticate(**login_options(open_browser=lambda url: pages.append(browse(url))))
    assert login.account_id == "acc-1"
    assert source.ready() is login
    stored = store.load()
    assert stored is not None
    assert list(stored) == ["OPENAI_API_KEY", "auth_mode", "tokens", "last_refresh"]
    assert (stored["auth_mode"], stored["OPENAI_API_KEY"]) == ("chatgpt", None)
    assert stored["tokens"]["account_id"] == "acc-1"
    assert sorted(stored["tokens"]) == ["access_token", "account_id", "id_token", "refresh_token"]
    exchange = issuer.asked("/oauth/token")
    assert len(exchange) == 1, "no API key is asked for"
    assert exchange[0].form["grant_type"] == "authorization_code"
    assert exchange[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert Credentials(store, issuer=issuer.url, clock=issuer.clock).current() == login


def test_stored_login_needs_no_browser(issuer: IssuerStub) -> None:
    source, _ = make(issuer, issuer.document())
    login = source.authenticate(**login_options(open_browser=never))
    assert login.account_id == "acc-1"
    assert issuer.requests == []


def test_expired_login_is_refreshed_without_a_browser(issuer: IssuerStub) -> None:
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    assert source.authenticate(**login_options(open_browser=never)).account_id == "acc-1"
    assert refreshes(issuer) == ["proactive_expiry"]


@pytest.mark.parametrize("document", [None, {}])
def test_non_interactive_login_raises_without_a_login(issuer: IssuerStub, document: dict[str, Any] | None) -> None:
    source, _ = make(issuer, document)
    with pytest.raises(LoginRequiredError, match="There is no login"):
        source.authenticate(**login_options(interactive=False, open_browser=never))
    with pytest.raises(ValueError, match="force=True"):
        source.authenticate(interactive=False, force=True)


def test_permanently_refused_login_is_replaced(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    issuer.live_refresh_token = "another"
    login = source.authenticate(**login_options())
    assert source.current() is login
    stored = store.load()
    assert stored is not None
    assert stored["of_the_future"] == [1]
    assert "login_owner_id" not in stored["tokens"], "it described the login before"


def test_rejected_login_is_replaced(issuer: IssuerStub) -> None:
    """Its token looks alive, but the backend has answered 401 and the issuer does not renew it."""
    source, _ = make(issuer, issuer.document(expires_in=HOUR))
    refused = source.current()
    issuer.live_refresh_token = "another"
    with pytest.raises(LoginRequiredError):
        source.renew(refused)
    with pytest.raises(LoginRequiredError, match="rejects the login in memory, and it cannot be refreshed"):
        source.authenticate(**login_options(interactive=False, open_browser=never))
    assert source.authenticate(**login_options()).access_token != refused.access_token


def test_transient_failure_opens_no_browser(issuer: IssuerStub) -> None:
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    issuer.refusal = 503, b"", {}
    with pytest.raises(TokenRefreshError):
        source.authenticate(**login_options(open_browser=never))


def test_other_credentials_are_replaced_only_by_force(issuer: IssuerStub) -> None:
    source, store = make(issuer, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-fake"})
    with pytest.raises(LoginRequiredError, match="an OpenAI API key"):
        source.authenticate(**login_options(open_browser=never))
    source.authenticate(**login_options(force=True))
    stored = store.load()
    assert stored is not None
    assert (stored["auth_mode"], stored["OPENAI_API_KEY"]) == ("chatgpt", "sk-fake")


def test_damaged_file_is_replaced_only_by_force(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text("{")
    source = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    with pytest.raises(CredentialStoreError, match=r"auth\.json"):
        source.authenticate(**login_options(open_browser=never))
    assert store.path.read_text() == "{"
    source.authenticate(**login_options(force=True))
    assert store.load() is not None


@pytest.mark.parametrize("kind", ["file", "auto"])
def test_damaged_file_stays_if_the_new_one_cannot_be_written(
    issuer: IssuerStub, tmp_path: Path, kind: str
) -> None:
    file = FileStore(tmp_path / ("x" * 245))  # no room for the longer name of a temporary file
    keyring = Keyring()
    keyring.broken = OSError("locked")
    store = file if kind == "file" else AutoStore(KeyringStore(tmp_path, backend=keyring), file)
    file.path.write_text('{"tokens": {"refresh_token": "worth mending", ')
    source = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    with pytest.raises(CredentialStoreError, match=r"Cannot write .*: File name too long"):
        source.authenticate(**login_options(force=True))
    assert "worth mending" in file.path.read_text()


def test_file_damaged_during_the_login_is_not_replaced(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    source = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    pages: list[str] = []

    def open_browser(url: str) -> None:
        store.path.write_text("{")
        pages.append(browse(url))

    with pytest.raises(CredentialStoreError, match=r"auth\.json"):
        source.authenticate(**login_options(open_browser=open_browser))
    assert store.path.read_text() == "{"


def test_forced_login_may_change_the_account(issuer: IssuerStub) -> None:
    source, _ = make(issuer, issuer.document())
    source.current()
    issuer.account = "acc-2"
    assert source.authenticate(**login_options(force=True)).account_id == "acc-2"
    assert source.current().account_id == "acc-2"


def test_only_the_requested_workspace_is_accepted(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document())
    before = store.load()
    with pytest.raises(LoginRequiredError, match="not for workspace acc-2"):
        source.authenticate(workspace_id="acc-2", interactive=False)
    with pytest.raises(LoginFailedError, match="restricted to workspace") as caught:
        source.authenticate(**login_options(workspace_id="acc-2"))
    assert caught.value.code == "workspace_restriction"
    assert issuer.asked("/oauth/authorize")[0].query["allowed_workspace_id"] == "acc-2"
    assert store.load() == before
    issuer.account = "acc-2"
    assert source.authenticate(**login_options(workspace_id="acc-2")).account_id == "acc-2"


def test_threads_that_log_in_together_open_one_browser(issuer: IssuerStub) -> None:
    source, _ = make(issuer, None)
    for force in (False, True):
        issuer.requests.clear()
        logins = in_threads(4, lambda force=force: source.authenticate(**login_options(force=force)))  # type: ignore[misc]
        assert len(set(logins)) == 1, logins
        assert len(issuer.asked("/oauth/authorize")) == 1


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (
            (400, b'{"error": "invalid_grant", "error_description": "code ac_1 is bad"}', {}),
            r"the token endpoint returned status 400: code \[REDACTED\] is bad",
        ),
        ((502, b"<html>", {}), "status 502: <html>"),
        ((307, b"", {"Location": "http://127.0.0.1:9"}), "redirects to another address, which is not followed"),
        ((200, b"{}", {}), "has no usable id_token and access_token and refresh_token"),
    ],
)
def test_refused_code_exchange_fails_the_login(
    issuer: IssuerStub, refusal: tuple[int, bytes, dict[str, str]], said: str
) -> None:
    issuer.refusal = refusal
    source, store = make(issuer, None)
    with pytest.raises(LoginFailedError, match=f"^Token exchange failed: .*{said}") as caught:
        source.authenticate(**login_options())
    assert caught.value.code == "token_exchange_failed"
    assert store.load() is None


def test_unreachable_issuer_fails_the_login(issuer: IssuerStub) -> None:
    def no_connection(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    with httpx2.Client(transport=httpx2.MockTransport(no_connection)) as http:
        source = Credentials(MemoryStore(), issuer=issuer.url, http=http)
        with pytest.raises(LoginFailedError, match=r"could not be reached \(no route\)"):
            source.authenticate(**login_options())


# --- signing out -------------------------------------------------------------------------------------------------


def test_logout_clears_cache_and_store(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document())
    source.current()
    assert [source.logout(), source.logout()] == [True, False]
    assert store.load() is None
    assert source.ready() is None
    assert issuer.requests == []


@pytest.mark.parametrize("has_refresh_token", [True, False])
def test_revoke_sends_the_token_and_logs_out(issuer: IssuerStub, has_refresh_token: bool) -> None:
    document = issuer.document()
    if not has_refresh_token:
        del document["tokens"]["refresh_token"]
    source, store = make(issuer, document)
    assert source.revoke() is True
    hint = "refresh_token" if has_refresh_token else "access_token"
    assert [request.json["token_type_hint"] for request in issuer.asked("/oauth/revoke")] == [hint]
    assert store.load() is None
    assert source.revoke() is False


def test_unreachable_issuer_does_not_prevent_the_logout(
    issuer: IssuerStub, caplog: pytest.LogCaptureFixture
) -> None:
    source = Credentials(MemoryStore(issuer.document()), issuer="http://127.0.0.1:1")
    assert source.revoke() is True
    assert "could not be revoked" in caplog.text
    assert source.store.load() is None
    source.store.save(issuer.document())
    with pytest.raises(LoginFailedError, match="deleted from memory, but the issuer did not confirm") as caught:
        source.revoke(must_confirm=True)
    assert caught.value.code == "not_revoked"
    assert source.store.load() is None
    assert source.revoke(must_confirm=True) is False, "where there is nothing, nothing has to be confirmed"


def revoked(issuer: IssuerStub) -> list[str]:
    return [request.json["token"] for request in issuer.asked("/oauth/revoke")]


def test_unsaved_login_is_revoked(issuer: IssuerStub) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = OSError("no room")
    source.current()
    assert source.revoke() is True
    assert revoked(issuer) == ["rt_1"], "rt_0 is used up"
    assert (store.load(), source.ready()) == (None, None)


@pytest.mark.parametrize("is_another", [True, False])
def test_login_stored_by_a_peer_is_revoked_as_well(issuer: IssuerStub, is_another: bool) -> None:
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = OSError("no room")
    source.current()
    store.broken = None
    other = issuer.document()
    other["tokens"]["refresh_token"] = "rt_other"
    store.clear()
    if is_another:
        store.save(other)
    assert source.revoke() is True
    assert revoked(issuer) == (["rt_other", "rt_1"] if is_another else ["rt_1"])


# --- where, and who ----------------------------------------------------------------------------------------------


def test_issuer_argument_takes_precedence_over_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "https://auth.openai.com" in repr(Credentials(MemoryStore()))
    monkeypatch.setenv("CODEX_ISSUER_URL", "http://localhost:1/")
    assert "http://localhost:1'" in repr(Credentials(MemoryStore()))
    assert "http://127.0.0.1:2'" in repr(Credentials(MemoryStore(), issuer="http://127.0.0.1:2"))
    monkeypatch.setenv("CODEX_ISSUER_URL", "http://example.com")
    with pytest.raises(ValueError, match="CODEX_ISSUER_URL must be an https URL"):
        Credentials(MemoryStore())
    with pytest.raises(ValueError, match="issuer must be an https URL"):
        Credentials(MemoryStore(), issuer="http://example.com")


def test_netrc_and_proxies_are_not_used_for_loopback(issuer: IssuerStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    source, _ = make(issuer, issuer.document(expires_in=-HOUR))
    source.current()
    assert "authorization" not in issuer.requests[0].headers


def test_own_http_client_sends_no_own_auth_and_stays_open(issuer: IssuerStub) -> None:
    with httpx2.Client(auth=("me", "mine"), follow_redirects=True) as http:
        source = Credentials(
            MemoryStore(issuer.document(expires_in=-HOUR)), issuer=issuer.url, http=http, clock=issuer.clock
        )
        issuer.refusal = 307, b"", {"Location": issuer.url + "/elsewhere"}
        with pytest.raises(TokenRefreshError, match="redirects to another address"):
            source.current()
        assert not http.is_closed
    assert [request.path for request in issuer.requests] == ["/oauth/token"]
    assert "authorization" not in issuer.requests[0].headers


def test_credentials_argument_accepts_sources_and_stores(tmp_path: Path) -> None:
    options: dict[str, Any] = {"issuer": "http://127.0.0.1:1", "originator": "app"}
    store = FileStore(tmp_path / "auth.json")
    source = resolve_credentials(store, **options)
    assert isinstance(source, Credentials)
    assert source.store is store
    assert resolve_credentials(source, **options) is source
    assert isinstance(source, CredentialSource)
    default = resolve_credentials(None, **options)
    assert isinstance(default, Credentials)
    assert isinstance(default.store, FileStore)
    with pytest.raises(TypeError, match="must be a CredentialSource or a CredentialStore, not str"):
        resolve_credentials("token", **options)  # type: ignore[arg-type]


def test_reprs_logs_and_tracebacks_show_no_token(issuer: IssuerStub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    source, store = make(issuer, issuer.document(expires_in=-HOUR))
    store.broken = CredentialStoreError("read-only")
    login = source.current()
    issuer.refusal = 401, b'{"error": {"code": "refresh_token_reused", "message": "rt_0 rt_1"}}', {}
    with pytest.raises(LoginRequiredError) as caught:
        source.renew(login)
    shown = "\n".join(
        [repr(source), repr(source._cached), repr(login), caplog.text, *traceback.format_exception(caught.value)]
    )
    tokens = [login.access_token.reveal(), *issuer.document()["tokens"].values()]
    assert not [
        token for token in (*tokens, "rt_0", "rt_1") if token != "acc-1" and token != "owner" and token in shown
    ]
    with pytest.raises(TypeError):
        pickle.dumps(login)


def test_ready_is_fast_and_does_no_io(issuer: IssuerStub) -> None:
    """It runs before every request; the bound is loose, the point is that it does no I/O."""
    source, store = make(issuer, issuer.document())
    source.current()
    store.calls.clear()
    began = os.times().user
    for _ in range(10_000):
        assert source.ready() is not None
    assert os.times().user - began < 10_000 * 20e-6
    assert store.calls == []
