"""Test static access tokens: validation, lookup of the account, expiry and logout."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from issuer_stub import create_jwt
from manager_support import run_in_threads
from support.calls import requested_paths

from codex_backend_sdk._exceptions import LoginFailedError, LoginRequiredError, TokenRefreshError
from codex_backend_sdk.auth import (
    Credentials,
    MemoryStore,
    StaticToken,
    _jwt,
    resolve_credentials,
)
from codex_backend_sdk.auth._auth_json import is_personal_access_token
from codex_backend_sdk.auth.static_token import access_token_problem
from codex_backend_sdk.testing import Simulator
from codex_backend_sdk.types import Login, Secret

WHOAMI_PATH = "/api/accounts/v1/user-auth-credential/whoami"
AUTH_CLAIM = "https://api.openai.com/auth"


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("at-1234", None),
        (create_jwt({"exp": 1}), None),
        ("", "it is empty"),
        ("at-1 at-2", "it has characters that are not allowed in a token"),
        ("at-1\n", "it has characters that are not allowed in a token"),
        ("at-\u00e4", "it has characters that are not allowed in a token"),
        ("sk-proj-1", "it is an API key of the OpenAI platform"),
        ("opaque", "it is neither a personal access token (at-…) nor a JWT"),
        ("a.b.c", "it is neither a personal access token (at-…) nor a JWT"),
        (create_jwt({"iss": "https://chatgpt.com/codex-backend/agent-identity"}), "it is an agent identity, which"),
    ],
)
def test_invalid_access_token_has_a_problem(token: str, problem: str | None) -> None:
    actual = access_token_problem(Secret(token))
    assert (actual or "").startswith(problem or "")
    assert (actual is None) == (problem is None)


def test_login_is_read_from_jwt_claims() -> None:
    claims = {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus", "chatgpt_account_is_fedramp": True}
    token = Secret(create_jwt({"exp": 1795360000, AUTH_CLAIM: claims}))
    assert not is_personal_access_token(token)
    assert _jwt.build_login(access_token=token) == Login(
        access_token=token,
        account_id="acc-1",
        is_fedramp=True,
        expires_at=datetime.fromtimestamp(1795360000, UTC),
        plan="plus",
    )


# --- StaticToken as credentials --------------------------------------------------------------------------------------


def test_account_of_a_personal_token_is_looked_up_once(sim: Simulator) -> None:
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    assert token.ready() is None
    login = token.current()
    assert (login.account_id, login.email, login.plan) == (sim.account.account_id, "user@example.com", "pro")
    assert token.current() is token.ready() is login
    assert requested_paths(sim).count("whoami") == 1
    with pytest.raises(LoginRequiredError, match=r"was rejected by the backend \(status 401\) and cannot be refreshed"):
        token.refresh(login)


def test_concurrent_threads_share_a_failed_lookup(sim: Simulator) -> None:
    sim.fail(f"status:500+delayed:1@{WHOAMI_PATH}", times=None)
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    errors = run_in_threads(8, token.current)
    assert ([type(error) for error in errors], requested_paths(sim).count("whoami")) == ([TokenRefreshError] * 8, 1)
    sim.clear()
    assert token.current().account_id == sim.account.account_id


def test_jwt_is_used_until_it_expires(sim: Simulator) -> None:
    now = [datetime.now(UTC)]
    access_token = sim.login_document(expires_in=timedelta(minutes=2))["tokens"]["access_token"]
    token = StaticToken(access_token, issuer=sim.issuer, clock=lambda: now[0])
    login = token.current()
    assert login.account_id == sim.account.account_id
    assert token.ready() is login, "a static token is used until it expires"
    now[0] += timedelta(minutes=3)
    assert token.ready() is None
    with pytest.raises(LoginRequiredError, match=r"expired at \d{4}-\d\d-\d\d \d\d:\d\d \S+ and cannot be refreshed"):
        token.current()
    assert sim.requests == []


def test_token_variable_takes_precedence_over_the_store(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"issuer": sim.issuer, "originator": "tests"}
    store = MemoryStore(sim.login_document())
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", "  ")
    assert isinstance(resolve_credentials(None, **options), Credentials)
    monkeypatch.setenv("CODEX_ACCESS_TOKEN", f" {sim.personal_access_token()}\n")
    token = resolve_credentials(None, **options)
    assert isinstance(token, StaticToken)
    assert token.account().stored_in == token.name == "CODEX_ACCESS_TOKEN"
    with pytest.raises(LoginRequiredError, match="Set CODEX_ACCESS_TOKEN to a new token, or unset it"):
        token.refresh(token.current())
    explicit = resolve_credentials(store, **options)
    assert isinstance(explicit, Credentials), "the argument takes precedence over the environment"
    assert explicit.store is store


@pytest.mark.parametrize("access_token", ["", "sk-proj-secret", "opaque-secret", "at-1 secret"])
def test_invalid_token_is_rejected_and_not_shown(access_token: str) -> None:
    with pytest.raises(ValueError, match=r"StaticToken\(…\) is not an access token: it ") as caught:
        StaticToken(access_token)
    assert "secret" not in str(caught.value)


def test_token_rejected_by_the_issuer_raises(sim: Simulator) -> None:
    with pytest.raises(LoginRequiredError, match=r"rejected it with status 401\. Create a new token"):
        StaticToken("at-unknown", issuer=sim.issuer).current()


def test_unreachable_issuer_raises_token_refresh_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TokenRefreshError, match="could not be reached"):
        StaticToken("at-unknown", issuer=f"http://127.0.0.1:{port}").current()


def test_personal_token_cannot_be_revoked(sim: Simulator) -> None:
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    with pytest.raises(LoginFailedError, match="in the settings of ChatGPT"):
        token.revoke()


def test_token_is_not_used_after_logout(sim: Simulator) -> None:
    token = StaticToken(sim.personal_access_token(), issuer=sim.issuer)
    assert [token.logout(), token.logout()] == [True, False]
    with pytest.raises(LoginRequiredError, match="was logged out"):
        token.current()


def test_jwt_is_revoked_and_not_shown(sim: Simulator) -> None:
    token = StaticToken(sim.login_document()["tokens"]["access_token"], issuer=sim.issuer)
    access_token = token.current().access_token.reveal()
    assert access_token not in repr(token)
    assert token.revoke()
    assert sim.requests[-1].json() == {"token": access_token, "token_type_hint": "access_token"}


def test_stored_personal_token_is_not_refreshed(sim: Simulator) -> None:
    store = MemoryStore({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    credentials = Credentials(store, issuer=sim.issuer)
    login = credentials.authenticate(interactive=False)
    assert credentials.current() is credentials.ready() is login
    assert requested_paths(sim).count("whoami") == 1
    with pytest.raises(LoginRequiredError, match="cannot be refreshed"):
        credentials.refresh(login)
    assert requested_paths(sim).count("token") == 0
    assert credentials.account().email == "user@example.com"


def test_stored_personal_token_is_deleted_by_revoke(sim: Simulator, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore({"OPENAI_API_KEY": None, "personal_access_token": sim.personal_access_token()})
    assert Credentials(store, issuer=sim.issuer).revoke()
    assert "Revoke it in the settings of ChatGPT" in caplog.text
    assert requested_paths(sim).count("revoke") == 0
    assert store.load() is None
