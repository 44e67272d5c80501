"""Test the OAuth issuer over HTTP: authorization, tokens, revocation and personal access tokens."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from codex_backend_sdk.testing import SimulatedAccount

if TYPE_CHECKING:
    from collections.abc import Callable

CLIENT_ID = "app_EMoamEEZ73f0CkXaXp7hrann"
VERIFIER = "v" * 86
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:1455/auth/callback"
QUERY = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s&t",
    "scope": "openid profile email offline_access api.connectors.read api.connectors.invoke",
    "id_token_add_organizations": "true",
    "codex_cli_simplified_flow": "true",
    "originator": "tests",
}


def authorize(raw_client: Any, **changes: str) -> dict[str, str]:
    """Return the query parameters of the redirect."""
    response = raw_client.http.get(f"{raw_client.sim.issuer}/oauth/authorize", params={**QUERY, **changes})
    assert response.status_code == 302, response.text
    target = urlsplit(response.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def exchange(raw_client: Any, code: str, /, **changes: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT_ID,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    return raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", data=form)


def refresh(raw_client: Any, token: str) -> Any:
    body = {"client_id": CLIENT_ID, "grant_type": "refresh_token", "refresh_token": token}
    return raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", json=body)


def usage(raw_client: Any, access_token: str) -> Any:
    headers = {**raw_client.headers, "authorization": f"Bearer {access_token}"}
    return raw_client.http.get(f"{raw_client.sim.chatgpt_url}/wham/usage", headers=headers)


def claims(token: str) -> dict[str, Any]:
    head, payload, signature = token.split(".")
    assert signature
    assert json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"] == "RS256"
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def test_login_returns_tokens_that_the_backend_accepts(raw_client: Any) -> None:
    parameters = authorize(raw_client)
    assert parameters["state"] == "s&t"
    response = exchange(raw_client, parameters["code"])
    assert response.status_code == 200
    tokens = response.json()
    assert {"id_token", "access_token", "refresh_token", "token_type", "expires_in", "scope"} == set(tokens)
    assert usage(raw_client, tokens["access_token"]).status_code == 200


def test_tokens_have_the_claims_that_clients_read(start_raw_client: Callable[..., Any], clock: Any) -> None:
    account = SimulatedAccount(account_id="acc-9", email="ada@example.com", plan="plus", is_fedramp=True)
    raw_client = start_raw_client(account=account, clock=clock, access_token_lifetime=timedelta(hours=2))
    tokens = exchange(raw_client, authorize(raw_client)["code"]).json()
    id_claims, access = claims(tokens["id_token"]), claims(tokens["access_token"])
    auth = id_claims["https://api.openai.com/auth"]
    assert id_claims["email"] == "ada@example.com"
    assert (auth["chatgpt_account_id"], auth["chatgpt_plan_type"]) == ("acc-9", "plus")
    assert auth["chatgpt_account_is_fedramp"] is True
    assert access["exp"] == int((clock.now + timedelta(hours=2)).timestamp())
    assert access["https://api.openai.com/auth"]["chatgpt_plan_type"] == "plus"
    assert access["aud"] == ["https://api.openai.com/v1"]
    assert tokens["expires_in"] == 7200


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://127.0.0.1:1455/auth/callback"},
        {"redirect_uri": "http://evil.example:1455/auth/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example:80/"},
        {"redirect_uri": "http://127.0.0.1:x/"},
        {"redirect_uri": "http://127.0.0.1/auth/callback"},
        {"redirect_uri": ""},
    ],
)
def test_redirect_to_another_host_is_rejected(raw_client: Any, changes: dict[str, str]) -> None:
    for path in ("authorize", "authorize/decide"):
        response = raw_client.http.get(
            f"{raw_client.sim.issuer}/oauth/{path}", params={**QUERY, **changes, "decision": "approve"}
        )
        assert response.status_code == 400
        assert "location" not in response.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
    ],
)
def test_other_errors_are_redirected_to_the_client(raw_client: Any, changes: dict[str, str], error: str) -> None:
    parameters = authorize(raw_client, **changes)
    assert (parameters["error"], parameters["state"]) == (error, "s&t")
    assert "code" not in parameters


def test_manual_approval_shows_a_page_with_two_buttons(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(approval="manual")
    page = raw_client.http.get(f"{raw_client.sim.issuer}/oauth/authorize", params={**QUERY, "originator": "<b>x</b>"})
    assert page.status_code == 200
    assert "&lt;b&gt;x&lt;/b&gt;" in page.text
    assert 'name="state" value="s&amp;t"' in page.text
    for decision, member in (("approve", "code"), ("deny", "error")):
        url = f"{raw_client.sim.issuer}/oauth/authorize/decide"
        response = raw_client.http.get(url, params={**QUERY, "decision": decision})
        assert member in parse_qs(urlsplit(response.headers["location"]).query)


def test_deny_rejects_every_login(start_raw_client: Callable[..., Any]) -> None:
    assert authorize(start_raw_client(approval="deny"))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"code_verifier": "w" * 86}, "code_verifier"),
        ({"redirect_uri": "http://127.0.0.1:1457/auth/callback"}, "redirect_uri"),
        ({"code": "ac_wrong"}, "unknown"),
    ],
)
def test_failed_exchange_invalidates_the_code(raw_client: Any, changes: dict[str, str], text: str) -> None:
    code = authorize(raw_client)["code"]
    response = exchange(raw_client, code, **changes)
    assert response.status_code == 400
    assert response.json()["error"] == "invalid_grant"
    assert text in response.json()["error_description"]
    assert exchange(raw_client, code).status_code == (200 if "code" in changes else 400)


def test_code_is_valid_once_and_for_ten_minutes(start_raw_client: Callable[..., Any], clock: Any) -> None:
    raw_client = start_raw_client(clock=clock)
    code = authorize(raw_client)["code"]
    assert exchange(raw_client, code).status_code == 200
    assert exchange(raw_client, code).json()["error"] == "invalid_grant"
    expired_code = authorize(raw_client)["code"]
    clock.now += timedelta(minutes=10)
    assert exchange(raw_client, expired_code).json()["error"] == "invalid_grant"


def test_code_exchange_must_be_a_form(raw_client: Any) -> None:
    body = {"grant_type": "authorization_code", "client_id": CLIENT_ID, "code": "x"}
    response = raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", json=body)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_unknown_grants_and_clients_are_rejected(raw_client: Any) -> None:
    token = f"{raw_client.sim.issuer}/oauth/token"
    assert raw_client.http.post(token, data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    wrong = {"grant_type": "refresh_token", "refresh_token": raw_client.tokens["refresh_token"], "client_id": "another"}
    assert raw_client.http.post(token, json=wrong).status_code == 401
    assert raw_client.http.post(token, content=b"{", headers={"content-type": "application/json"}).status_code == 400


def test_only_a_valid_id_token_is_exchanged_for_an_api_key(start_raw_client: Callable[..., Any], clock: Any) -> None:
    raw_client = start_raw_client(clock=clock)

    def exchange_for_key(subject: str, requested: str = "openai-api-key") -> Any:
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "client_id": CLIENT_ID,
            "requested_token": requested,
            "subject_token": subject,
            "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        }
        return raw_client.http.post(f"{raw_client.sim.issuer}/oauth/token", data=form)

    id_token = raw_client.tokens["id_token"]
    assert exchange_for_key(id_token).json()["access_token"].startswith("sk-")
    assert exchange_for_key(id_token, requested="x").status_code == 400
    assert [exchange_for_key(token).status_code for token in (raw_client.tokens["access_token"], "x")] == [400, 400]
    clock.now += timedelta(hours=1)
    assert exchange_for_key(id_token).status_code == 400


def test_refresh_token_rotates_and_the_new_tokens_work(raw_client: Any) -> None:
    first = refresh(raw_client, raw_client.tokens["refresh_token"])
    assert first.status_code == 200
    assert first.json()["refresh_token"] != raw_client.tokens["refresh_token"]
    assert first.json()["access_token"] != raw_client.tokens["access_token"]
    assert usage(raw_client, first.json()["access_token"]).status_code == 200
    assert usage(raw_client, raw_client.tokens["access_token"]).status_code == 200
    assert refresh(raw_client, first.json()["refresh_token"]).status_code == 200


def test_reused_refresh_token_revokes_its_login_only(raw_client: Any) -> None:
    other = raw_client.sim.login_document()["tokens"]
    new = refresh(raw_client, raw_client.tokens["refresh_token"]).json()
    reused = refresh(raw_client, raw_client.tokens["refresh_token"])
    assert (reused.status_code, reused.json()["error"]["code"]) == (401, "refresh_token_reused")
    assert refresh(raw_client, new["refresh_token"]).json()["error"]["code"] == "refresh_token_invalidated"
    response = usage(raw_client, new["access_token"])
    assert (response.status_code, response.json()["error"]["code"]) == (401, "token_revoked")
    assert usage(raw_client, other["access_token"]).status_code == 200
    assert refresh(raw_client, other["refresh_token"]).status_code == 200


def test_unknown_refresh_token_is_rejected(raw_client: Any) -> None:
    assert refresh(raw_client, "rt_unknown").json()["error"]["code"] == "refresh_token_invalidated"


@pytest.mark.parametrize("token_name", ["refresh_token", "access_token"])
def test_revocation_ends_the_login(raw_client: Any, token_name: str) -> None:
    body = {"token": raw_client.tokens[token_name], "token_type_hint": token_name, "client_id": CLIENT_ID}
    assert raw_client.http.post(f"{raw_client.sim.issuer}/oauth/revoke", json=body).status_code == 200
    assert usage(raw_client, raw_client.tokens["access_token"]).status_code == 401
    assert refresh(raw_client, raw_client.tokens["refresh_token"]).status_code == 401


def test_revocation_of_an_unknown_token_succeeds(raw_client: Any) -> None:
    assert raw_client.http.post(f"{raw_client.sim.issuer}/oauth/revoke", json={"token": "x"}).status_code == 200


def test_personal_access_token_is_valid_until_revoked(start_raw_client: Callable[..., Any]) -> None:
    raw_client = start_raw_client(account=SimulatedAccount(account_id="acc-7", email="ada@example.com", plan="plus"))
    token = raw_client.sim.personal_access_token()
    assert token.startswith("at-")
    whoami = f"{raw_client.sim.issuer}/api/accounts/v1/user-auth-credential/whoami"
    assert raw_client.http.get(whoami, headers={"authorization": f"Bearer {token}"}).json() == {
        "email": "ada@example.com",
        "chatgpt_user_id": "user-simulated",
        "chatgpt_account_id": "acc-7",
        "chatgpt_plan_type": "plus",
        "chatgpt_account_is_fedramp": False,
    }
    headers = {"authorization": f"Bearer {token}", "chatgpt-account-id": "acc-7"}
    assert raw_client.http.get(f"{raw_client.sim.chatgpt_url}/wham/usage", headers=headers).status_code == 200
    raw_client.http.post(f"{raw_client.sim.issuer}/oauth/revoke", json={"token": token})
    for authorization in (f"Bearer {token}", "Bearer at-unknown", f"Basic {token}"):
        assert raw_client.http.get(whoami, headers={"authorization": authorization}).status_code == 401
