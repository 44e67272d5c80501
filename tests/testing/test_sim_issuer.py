"""The OAuth issuer over HTTP: authorize page, token endpoint, revocation."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from codex_backend_sdk.testing import SimulatedAccount

CLIENT = "app_EMoamEEZ73f0CkXaXp7hrann"
VERIFIER = "v" * 86
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:1455/auth/callback"
QUERY = {
    "response_type": "code",
    "client_id": CLIENT,
    "redirect_uri": REDIRECT,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "s&t",
    "scope": "openid profile email offline_access api.connectors.read api.connectors.invoke",
    "id_token_add_organizations": "true",
    "codex_cli_simplified_flow": "true",
    "originator": "tests",
}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def returned(wire: Any, **changes: str) -> dict[str, str]:
    """What the browser brings back."""
    answer = wire.http.get(f"{wire.sim.issuer}/oauth/authorize", params={**QUERY, **changes})
    assert answer.status_code == 302, answer.text
    target = urlsplit(answer.headers["location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == REDIRECT
    return {name: values[0] for name, values in parse_qs(target.query).items()}


def exchange(wire: Any, code: str, /, **changes: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
        **changes,
    }
    return wire.http.post(f"{wire.sim.issuer}/oauth/token", data=form)


def refresh(wire: Any, token: str) -> Any:
    body = {"client_id": CLIENT, "grant_type": "refresh_token", "refresh_token": token}
    return wire.http.post(f"{wire.sim.issuer}/oauth/token", json=body)


def usage(wire: Any, access_token: str) -> Any:
    headers = {**wire.headers, "authorization": f"Bearer {access_token}"}
    return wire.http.get(f"{wire.sim.chatgpt_url}/wham/usage", headers=headers)


def claims(token: str) -> dict[str, Any]:
    head, payload, signature = token.split(".")
    assert signature
    assert json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["alg"] == "RS256"
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def test_a_login_gives_tokens_that_the_backend_accepts(wire: Any) -> None:
    back = returned(wire)
    assert back["state"] == "s&t"
    answer = exchange(wire, back["code"])
    assert answer.status_code == 200
    tokens = answer.json()
    assert {"id_token", "access_token", "refresh_token", "token_type", "expires_in", "scope"} == set(tokens)
    assert usage(wire, tokens["access_token"]).status_code == 200


def test_the_tokens_have_the_claims_that_clients_read(start_wire: Callable[..., Any]) -> None:
    clock = Clock()
    account = SimulatedAccount(account_id="acc-9", email="ada@example.com", plan="plus", is_fedramp=True)
    wire = start_wire(account=account, clock=clock, access_token_lifetime=timedelta(hours=2))
    tokens = exchange(wire, returned(wire)["code"]).json()
    identity, access = claims(tokens["id_token"]), claims(tokens["access_token"])
    auth = identity["https://api.openai.com/auth"]
    assert identity["email"] == "ada@example.com"
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
def test_a_browser_is_not_sent_to_an_address_that_is_not_on_this_machine(wire: Any, changes: dict[str, str]) -> None:
    for path in ("authorize", "authorize/decide"):
        answer = wire.http.get(f"{wire.sim.issuer}/oauth/{path}", params={**QUERY, **changes, "decision": "approve"})
        assert answer.status_code == 400
        assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
    ],
)
def test_another_mistake_is_brought_back_by_the_browser(wire: Any, changes: dict[str, str], error: str) -> None:
    back = returned(wire, **changes)
    assert (back["error"], back["state"]) == (error, "s&t")
    assert "code" not in back


def test_the_page_can_ask_and_both_buttons_work(start_wire: Callable[..., Any]) -> None:
    wire = start_wire(approval="manual")
    page = wire.http.get(f"{wire.sim.issuer}/oauth/authorize", params={**QUERY, "originator": "<b>x</b>"})
    assert page.status_code == 200
    assert "&lt;b&gt;x&lt;/b&gt;" in page.text
    assert 'name="state" value="s&amp;t"' in page.text
    for decision, member in (("approve", "code"), ("deny", "error")):
        decide = f"{wire.sim.issuer}/oauth/authorize/decide"
        answer = wire.http.get(decide, params={**QUERY, "decision": decision})
        assert member in parse_qs(urlsplit(answer.headers["location"]).query)


def test_the_page_can_deny(start_wire: Callable[..., Any]) -> None:
    assert returned(start_wire(approval="deny"))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"code_verifier": "w" * 86}, "code_verifier"),
        ({"redirect_uri": "http://127.0.0.1:1457/auth/callback"}, "redirect_uri"),
        ({"code": "ac_wrong"}, "unknown"),
    ],
)
def test_a_wrong_exchange_is_refused_and_uses_the_code_up(wire: Any, changes: dict[str, str], text: str) -> None:
    code = returned(wire)["code"]
    answer = exchange(wire, code, **changes)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"
    assert text in answer.json()["error_description"]
    assert exchange(wire, code).status_code == (200 if "code" in changes else 400)


def test_a_code_is_good_once_and_for_ten_minutes(start_wire: Callable[..., Any]) -> None:
    clock = Clock()
    wire = start_wire(clock=clock)
    code = returned(wire)["code"]
    assert exchange(wire, code).status_code == 200
    assert exchange(wire, code).json()["error"] == "invalid_grant"
    late = returned(wire)["code"]
    clock.now += timedelta(minutes=10)
    assert exchange(wire, late).json()["error"] == "invalid_grant"


def test_the_code_exchange_has_to_be_a_form(wire: Any) -> None:
    body = {"grant_type": "authorization_code", "client_id": CLIENT, "code": "x"}
    answer = wire.http.post(f"{wire.sim.issuer}/oauth/token", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_unknown_grants_and_clients_are_refused(wire: Any) -> None:
    token = f"{wire.sim.issuer}/oauth/token"
    assert wire.http.post(token, data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    wrong = {"grant_type": "refresh_token", "refresh_token": wire.tokens["refresh_token"], "client_id": "another"}
    assert wire.http.post(token, json=wrong).status_code == 401
    assert wire.http.post(token, content=b"{", headers={"content-type": "application/json"}).status_code == 400


def test_an_api_key_can_be_exchanged_for_an_id_token(wire: Any) -> None:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "client_id": CLIENT,
        "requested_token": "openai-api-key",
        "subject_token": wire.tokens["id_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
    }
    token = f"{wire.sim.issuer}/oauth/token"
    assert wire.http.post(token, data=form).json()["access_token"].startswith("sk-")
    assert wire.http.post(token, data={**form, "requested_token": "x"}).status_code == 400


def test_a_refresh_token_rotates_and_the_new_tokens_work(wire: Any) -> None:
    first = refresh(wire, wire.tokens["refresh_token"])
    assert first.status_code == 200
    assert first.json()["refresh_token"] != wire.tokens["refresh_token"]
    assert first.json()["access_token"] != wire.tokens["access_token"]
    assert usage(wire, first.json()["access_token"]).status_code == 200
    assert usage(wire, wire.tokens["access_token"]).status_code == 200
    assert refresh(wire, first.json()["refresh_token"]).status_code == 200


def test_a_reused_refresh_token_ends_the_whole_login_but_no_other(wire: Any) -> None:
    other = wire.sim.login_document()["tokens"]
    new = refresh(wire, wire.tokens["refresh_token"]).json()
    again = refresh(wire, wire.tokens["refresh_token"])
    assert (again.status_code, again.json()["error"]["code"]) == (401, "refresh_token_reused")
    assert refresh(wire, new["refresh_token"]).json()["error"]["code"] == "refresh_token_invalidated"
    answer = usage(wire, new["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_revoked")
    assert usage(wire, other["access_token"]).status_code == 200
    assert refresh(wire, other["refresh_token"]).status_code == 200


def test_a_refresh_token_can_expire(start_wire: Callable[..., Any]) -> None:
    clock = Clock()
    wire = start_wire(clock=clock, refresh_token_lifetime=timedelta(days=30))
    clock.now += timedelta(days=29)
    tokens = refresh(wire, wire.tokens["refresh_token"]).json()
    clock.now += timedelta(days=30)
    answer = refresh(wire, tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "refresh_token_expired")


def test_an_unknown_refresh_token_is_refused(wire: Any) -> None:
    assert refresh(wire, "rt_unknown").json()["error"]["code"] == "refresh_token_invalidated"


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_revoking_ends_the_login(wire: Any, kind: str) -> None:
    body = {"token": wire.tokens[kind], "token_type_hint": kind, "client_id": CLIENT}
    assert wire.http.post(f"{wire.sim.issuer}/oauth/revoke", json=body).status_code == 200
    assert usage(wire, wire.tokens["access_token"]).status_code == 401
    assert refresh(wire, wire.tokens["refresh_token"]).status_code == 401


def test_revoking_an_unknown_token_is_no_error(wire: Any) -> None:
    assert wire.http.post(f"{wire.sim.issuer}/oauth/revoke", json={"token": "x"}).status_code == 200
