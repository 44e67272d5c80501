"""Test login, logout, revocation and configuration with `Credentials`."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
import traceback
import urllib.request
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from issuer_stub import IssuerStub
from manager_support import HOUR, MINUTE, make_credentials, refresh_reasons, run_in_threads
from servers import MemoryKeyring

from codex_backend_sdk._exceptions import CredentialStoreError, LoginFailedError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import (
    Account,
    Credentials,
    CredentialSource,
    FileStore,
    KeyringStore,
    MemoryStore,
    exchange_api_key,
    resolve_credentials,
)
from codex_backend_sdk.auth.stores.auto import AutoStore
from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.types import Login

# --- login -----------------------------------------------------------------------------------------------------------


def open_page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as page:
        return str(page.read().decode())


def fail_if_opened(url: str) -> None:
    raise AssertionError("the login must not open a browser")


def login_options(**options: Any) -> dict[str, Any]:
    return {"open_browser": open_page, "ports": (0,), "timeout": 20.0, **options}


def test_browser_login_stores_a_codex_cli_document(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "home" / "auth.json")
    credentials = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    pages: list[str] = []
    login = credentials.authenticate(**login_options(open_browser=lambda url: pages.append(open_page(url))))
    assert login.account_id == "acc-1"
    assert credentials.ready() is login
    stored = store.load()
    assert stored is not None
    assert list(stored) == ["OPENAI_API_KEY", "auth_mode", "tokens", "last_refresh"]
    assert (stored["auth_mode"], stored["OPENAI_API_KEY"]) == ("chatgpt", None)
    assert stored["tokens"]["account_id"] == "acc-1"
    assert sorted(stored["tokens"]) == ["access_token", "account_id", "id_token", "refresh_token"]
    exchange = issuer.requests_to("/oauth/token")
    assert len(exchange) == 1, "no API key is requested"
    assert exchange[0].form["grant_type"] == "authorization_code"
    assert exchange[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert Credentials(store, issuer=issuer.url, clock=issuer.clock).current() == login


def test_stored_login_needs_no_browser(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, issuer.document())
    login = credentials.authenticate(**login_options(open_browser=fail_if_opened))
    assert login.account_id == "acc-1"
    assert issuer.requests == []


def test_expired_login_is_refreshed_without_a_browser(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    assert credentials.authenticate(**login_options(open_browser=fail_if_opened)).account_id == "acc-1"
    assert refresh_reasons(issuer) == ["proactive_expiry"]


@pytest.mark.parametrize("document", [None, {}])
def test_non_interactive_login_raises_without_a_login(issuer: IssuerStub, document: dict[str, Any] | None) -> None:
    credentials, _ = make_credentials(issuer, document)
    with pytest.raises(LoginRequiredError, match="There is no login"):
        credentials.authenticate(**login_options(interactive=False, open_browser=fail_if_opened))
    with pytest.raises(ValueError, match="force=True"):
        credentials.authenticate(interactive=False, force=True)


def test_login_with_a_rejected_refresh_is_replaced(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    issuer.live_refresh_token = "another"
    login = credentials.authenticate(**login_options())
    assert credentials.current() is login
    stored = store.load()
    assert stored is not None
    assert stored["unknown_field"] == [1]
    assert "login_owner_id" not in stored["tokens"], "it belongs to the previous login"


def test_rejected_login_is_replaced(issuer: IssuerStub) -> None:
    """The token has not expired, but the backend rejects it and the issuer rejects its refresh token."""
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=HOUR))
    rejected_login = credentials.current()
    issuer.live_refresh_token = "another"
    with pytest.raises(LoginRequiredError):
        credentials.refresh(rejected_login)
    with pytest.raises(LoginRequiredError, match="rejects the login in memory, and it cannot be refreshed"):
        credentials.authenticate(**login_options(interactive=False, open_browser=fail_if_opened))
    assert credentials.authenticate(**login_options()).access_token != rejected_login.access_token


def test_transient_failure_opens_no_browser(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    issuer.token_response = 503, b"", {}
    with pytest.raises(TokenRefreshError):
        credentials.authenticate(**login_options(open_browser=fail_if_opened))


def test_other_credentials_are_replaced_only_by_force(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, {"auth_mode": "apikey", "OPENAI_API_KEY": "sk-fake"})
    with pytest.raises(LoginRequiredError, match="an OpenAI API key"):
        credentials.authenticate(**login_options(open_browser=fail_if_opened))
    credentials.authenticate(**login_options(force=True))
    stored = store.load()
    assert stored is not None
    assert (stored["auth_mode"], stored["OPENAI_API_KEY"]) == ("chatgpt", "sk-fake")


def test_damaged_file_is_replaced_only_by_force(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    store.path.write_text("{")
    credentials = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    with pytest.raises(CredentialStoreError, match=r"auth\.json"):
        credentials.authenticate(**login_options(open_browser=fail_if_opened))
    assert store.path.read_text() == "{"
    credentials.authenticate(**login_options(force=True))
    assert store.load() is not None


@pytest.mark.parametrize("store_type", ["file", "auto"])
def test_damaged_file_is_kept_if_the_write_fails(issuer: IssuerStub, tmp_path: Path, store_type: str) -> None:
    file = FileStore(tmp_path / ("x" * 245))  # no room for the longer name of a temporary file
    keyring = MemoryKeyring()
    keyring.error = OSError("locked")
    store = file if store_type == "file" else AutoStore(KeyringStore(tmp_path, backend=keyring), file)
    file.path.write_text('{"tokens": {"refresh_token": "repairable", ')
    credentials = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    with pytest.raises(CredentialStoreError, match=r"Cannot write .*: File name too long"):
        credentials.authenticate(**login_options(force=True))
    assert "repairable" in file.path.read_text()


def test_file_damaged_during_the_login_is_not_replaced(issuer: IssuerStub, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "auth.json")
    credentials = Credentials(store, issuer=issuer.url, clock=issuer.clock)
    pages: list[str] = []

    def open_browser(url: str) -> None:
        store.path.write_text("{")
        pages.append(open_page(url))

    with pytest.raises(CredentialStoreError, match=r"auth\.json"):
        credentials.authenticate(**login_options(open_browser=open_browser))
    assert store.path.read_text() == "{"


def test_forced_login_may_change_the_account(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, issuer.document())
    credentials.current()
    issuer.account = "acc-2"
    assert credentials.authenticate(**login_options(force=True)).account_id == "acc-2"
    assert credentials.current().account_id == "acc-2"


def test_only_the_requested_workspace_is_accepted(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    before = store.load()
    with pytest.raises(LoginRequiredError, match="not for workspace acc-2"):
        credentials.authenticate(workspace_id="acc-2", interactive=False)
    with pytest.raises(LoginFailedError, match="restricted to workspace") as caught:
        credentials.authenticate(**login_options(workspace_id="acc-2"))
    assert caught.value.code == "workspace_restriction"
    assert issuer.requests_to("/oauth/authorize")[0].query["allowed_workspace_id"] == "acc-2"
    assert store.load() == before
    issuer.account = "acc-2"
    assert credentials.authenticate(**login_options(workspace_id="acc-2")).account_id == "acc-2"


def test_concurrent_threads_open_one_browser(issuer: IssuerStub) -> None:
    credentials, _ = make_credentials(issuer, None)
    for force in (False, True):
        issuer.requests.clear()
        logins = run_in_threads(4, partial(credentials.authenticate, **login_options(force=force)))
        assert len(set(logins)) == 1, logins
        assert len(issuer.requests_to("/oauth/authorize")) == 1


@pytest.mark.parametrize(
    ("token_response", "message"),
    [
        (
            (400, b'{"error": "invalid_grant", "error_description": "code ac_1 is bad"}', {}),
            r"the token endpoint returned status 400: code \[REDACTED\] is bad",
        ),
        ((502, b"<html>", {}), "status 502: <html>"),
        ((307, b"", {"Location": "http://127.0.0.1:9"}), "redirects to another URL, which the client does not follow"),
        ((200, b"{}", {}), "has no valid id_token and access_token and refresh_token"),
    ],
)
def test_failed_code_exchange_fails_the_login(
    issuer: IssuerStub, token_response: tuple[int, bytes, dict[str, str]], message: str
) -> None:
    issuer.token_response = token_response
    credentials, store = make_credentials(issuer, None)
    with pytest.raises(LoginFailedError, match=f"^Token exchange failed: .*{message}") as caught:
        credentials.authenticate(**login_options())
    assert caught.value.code == "token_exchange_failed"
    assert store.load() is None


def test_unreachable_issuer_fails_the_login(issuer: IssuerStub) -> None:
    def no_connection(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route")

    with httpx2.Client(transport=httpx2.MockTransport(no_connection)) as http:
        credentials = Credentials(MemoryStore(), issuer=issuer.url, http=http)
        with pytest.raises(LoginFailedError, match=r"could not be reached \(no route\)"):
            credentials.authenticate(**login_options())


def test_concurrent_threads_share_a_denied_login(issuer: IssuerStub) -> None:
    issuer.callback_query = lambda query: {"error": "access_denied", "state": query["state"]}
    credentials, _ = make_credentials(issuer, None)
    opened_urls: list[str] = []

    def visit(url: str) -> None:
        opened_urls.append(url)
        time.sleep(0.5)  # meanwhile the other threads call authenticate()
        httpx2.get(url, follow_redirects=True)

    def log_in() -> Login:
        return credentials.authenticate(open_browser=visit, ports=(0,), timeout=30)

    assert [getattr(error, "code", None) for error in run_in_threads(8, log_in)] == ["access_denied"] * 8
    assert len(opened_urls) == 1
    with pytest.raises(LoginFailedError, match="access_denied"):
        log_in()
    assert len(opened_urls) == 2, "a later call opens the browser again"


# --- logout ----------------------------------------------------------------------------------------------------------


def test_logout_clears_cache_and_store(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document())
    credentials.current()
    assert [credentials.logout(), credentials.logout()] == [True, False]
    assert store.load() is None
    assert credentials.ready() is None
    assert issuer.requests == []


@pytest.mark.parametrize("has_refresh_token", [True, False])
def test_revoke_sends_the_token_and_logs_out(issuer: IssuerStub, has_refresh_token: bool) -> None:
    document = issuer.document()
    if not has_refresh_token:
        del document["tokens"]["refresh_token"]
    credentials, store = make_credentials(issuer, document)
    assert credentials.revoke() is True
    hint = "refresh_token" if has_refresh_token else "access_token"
    assert [request.json["token_type_hint"] for request in issuer.requests_to("/oauth/revoke")] == [hint]
    assert store.load() is None
    assert credentials.revoke() is False


def test_unreachable_issuer_does_not_prevent_the_logout(issuer: IssuerStub, caplog: pytest.LogCaptureFixture) -> None:
    credentials = Credentials(MemoryStore(issuer.document()), issuer="http://127.0.0.1:1")
    assert credentials.revoke() is True
    assert "could not be revoked" in caplog.text
    assert credentials.store.load() is None
    credentials.store.save(issuer.document())
    with pytest.raises(LoginFailedError, match="deleted from memory, but the issuer did not confirm") as caught:
        credentials.revoke(must_confirm=True)
    assert caught.value.code == "not_revoked"
    assert credentials.store.load() is None
    assert credentials.revoke(must_confirm=True) is False, "without a login there is nothing to confirm"


def test_token_is_revoked_before_the_login_is_deleted(sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    was_stored: list[bool] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        was_stored.append(store.load() is not None)
        return httpx2.Response(500)

    with httpx2.Client(transport=httpx2.MockTransport(respond)) as http:
        assert Credentials(store, issuer=sim.issuer, http=http).revoke()
    assert was_stored == [True]
    assert store.load() is None, "the login is deleted even if the revocation fails"


def revoked_tokens(issuer: IssuerStub) -> list[str]:
    return [request.json["token"] for request in issuer.requests_to("/oauth/revoke")]


def test_unsaved_login_is_revoked(issuer: IssuerStub) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = OSError("disk full")
    credentials.current()
    assert credentials.revoke() is True
    assert revoked_tokens(issuer) == ["rt_1"], "the issuer accepted rt_0 once"
    assert (store.load(), credentials.ready()) == (None, None)


@pytest.mark.parametrize("is_stored", [True, False])
def test_unsaved_and_stored_logins_are_revoked(issuer: IssuerStub, is_stored: bool) -> None:
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = OSError("disk full")
    credentials.current()
    store.errors.clear()
    other = issuer.document()
    other["tokens"]["refresh_token"] = "rt_other"
    store.clear()
    if is_stored:
        store.save(other)
    assert credentials.revoke() is True
    assert revoked_tokens(issuer) == (["rt_other", "rt_1"] if is_stored else ["rt_1"])


def test_revoke_waits_for_the_refresh_of_another_process(issuer: IssuerStub, tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    FileStore(path).save(issuer.document(expires_in=MINUTE))
    first, second = (Credentials(FileStore(path), issuer=issuer.url, clock=issuer.clock) for _ in range(2))
    issuer.delay_seconds = 1.0
    refresh = threading.Thread(target=first.current)
    refresh.start()
    while not issuer.requests_to("/oauth/token"):
        time.sleep(0.01)
    assert second.revoke()
    refresh.join()
    assert revoked_tokens(issuer) == ["rt_1"]
    assert FileStore(path).load() is None


def test_account_has_all_fields_and_no_secret(sim: Simulator) -> None:
    document = sim.login_document(expires_in=timedelta(hours=1))
    credentials = Credentials(MemoryStore(document), issuer=sim.issuer)
    account = credentials.account()
    assert account == Account(
        email="user@example.com",
        plan="pro",
        account_id=sim.account.account_id,
        user_id="user-simulated",
        expires_at=credentials.current().expires_at,
        stored_in="memory",
    )
    secrets = [document["tokens"][name] for name in ("id_token", "access_token", "refresh_token")]
    assert not [secret for secret in secrets if secret in repr(account)]
    assert sim.requests == []
    credentials.logout()
    with pytest.raises(LoginRequiredError, match="There is no login in memory"):
        credentials.account()


def test_api_key_is_exchanged_and_not_stored(sim: Simulator) -> None:
    store = MemoryStore(sim.login_document())
    credentials = Credentials(store, issuer=sim.issuer)
    key = exchange_api_key(credentials)
    assert key.reveal().startswith("sk-")
    document = store.load()
    assert document is not None
    assert document["OPENAI_API_KEY"] is None, "the API key is not stored"
    document["tokens"]["id_token"] = None
    store.save(document)
    with pytest.raises(LoginFailedError, match="no ID token"):
        exchange_api_key(credentials)
    document["tokens"]["id_token"] = "not.a.token"
    store.save(document)
    with pytest.raises(LoginFailedError, match="returned status 400: The subject token is unknown"):
        exchange_api_key(credentials)


# --- configuration ---------------------------------------------------------------------------------------------------


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


def test_netrc_and_proxies_are_not_used_for_loopback(
    issuer: IssuerStub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    credentials, _ = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    credentials.current()
    assert "authorization" not in issuer.requests[0].headers


def test_given_http_client_is_used_without_its_auth(issuer: IssuerStub) -> None:
    with httpx2.Client(auth=("me", "mine"), follow_redirects=True) as http:
        credentials = Credentials(
            MemoryStore(issuer.document(expires_in=-HOUR)), issuer=issuer.url, http=http, clock=issuer.clock
        )
        issuer.token_response = 307, b"", {"Location": issuer.url + "/elsewhere"}
        with pytest.raises(TokenRefreshError, match="redirects to another URL"):
            credentials.current()
        assert not http.is_closed
    assert [request.path for request in issuer.requests] == ["/oauth/token"]
    assert "authorization" not in issuer.requests[0].headers


def test_credentials_argument_accepts_sources_and_stores(tmp_path: Path) -> None:
    options: dict[str, Any] = {"issuer": "http://127.0.0.1:1", "originator": "app"}
    store = FileStore(tmp_path / "auth.json")
    credentials = resolve_credentials(store, **options)
    assert isinstance(credentials, Credentials)
    assert credentials.store is store
    assert resolve_credentials(credentials, **options) is credentials
    assert isinstance(credentials, CredentialSource)
    default = resolve_credentials(None, **options)
    assert isinstance(default, Credentials)
    assert isinstance(default.store, FileStore)
    with pytest.raises(TypeError, match="must be a CredentialSource or a CredentialStore, not str"):
        resolve_credentials("token", **options)  # type: ignore[arg-type]


def test_reprs_logs_and_tracebacks_hold_no_token(issuer: IssuerStub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    credentials, store = make_credentials(issuer, issuer.document(expires_in=-HOUR))
    store.errors["save"] = CredentialStoreError("read-only")
    login = credentials.current()
    issuer.token_response = 401, b'{"error": {"code": "refresh_token_reused", "message": "rt_0 rt_1"}}', {}
    with pytest.raises(LoginRequiredError) as caught:
        credentials.refresh(login)
    text = "\n".join(
        [
            repr(credentials),
            repr(credentials._cached),
            repr(login),
            caplog.text,
            *traceback.format_exception(caught.value),
        ]
    )
    tokens = [login.access_token.reveal(), *issuer.document()["tokens"].values()]
    assert not [token for token in (*tokens, "rt_0", "rt_1") if token != "acc-1" and token != "owner" and token in text]
    with pytest.raises(TypeError):
        pickle.dumps(login)


def test_ready_is_fast_and_does_no_io(issuer: IssuerStub) -> None:
    """`ready()` runs before every request. The time bound is loose, so that it holds on a busy machine."""
    credentials, store = make_credentials(issuer, issuer.document())
    credentials.current()
    store.calls.clear()
    started = os.times().user
    for _ in range(10_000):
        assert credentials.ready() is not None
    assert os.times().user - started < 10_000 * 20e-6
    assert store.calls == []
