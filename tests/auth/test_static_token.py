from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from issuer_stub import jwt

from codex_backend_sdk.auth import _jwt, _oauth
from codex_backend_sdk.auth._auth_json import is_personal_token
from codex_backend_sdk.auth.static_token import why_not_access_token
from codex_backend_sdk.types import Login, Secret

AUTH = "https://api.openai.com/auth"
TOKEN = Secret("at-1234567890abcdef")
WHOAMI = {
    "email": "ada@example.com",
    "chatgpt_user_id": "user-1",
    "chatgpt_account_id": "acc-1",
    "chatgpt_plan_type": "pro",
    "chatgpt_account_is_fedramp": False,
}


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("at-1234", None),
        (jwt({"exp": 1}), None),
        ("", "it is empty"),
        ("at-1 at-2", "it has characters that no token has"),
        ("at-1\n", "it has characters that no token has"),
        ("at-\u00e4", "it has characters that no token has"),
        ("sk-proj-1", "it is an API key of the OpenAI platform"),
        ("opaque", "it is neither a personal access token (at-…) nor a JWT"),
        ("a.b.c", "it is neither a personal access token (at-…) nor a JWT"),
        (jwt({"iss": "https://chatgpt.com/codex-backend/agent-identity"}), "it is an agent identity, which"),
    ],
)
def test_text_that_is_not_an_access_token_has_a_reason(token: str, reason: str | None) -> None:
    actual = why_not_access_token(Secret(token))
    assert (actual or "").startswith(reason or "")
    assert (actual is None) == (reason is None)


def test_jwt_claims_give_the_login() -> None:
    claims = {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus", "chatgpt_account_is_fedramp": True}
    token = Secret(jwt({"exp": 1795360000, AUTH: claims}))
    assert not is_personal_token(token)
    assert _jwt.login_of(access_token=token) == Login(
        access_token=token,
        account_id="acc-1",
        is_fedramp=True,
        expires_at=datetime.fromtimestamp(1795360000, UTC),
        plan="plus",
    )


def test_whoami_response_gives_the_login() -> None:
    assert is_personal_token(TOKEN)
    assert _oauth.parse_whoami(TOKEN, 200, json.dumps(WHOAMI).encode()) == Login(
        access_token=TOKEN, account_id="acc-1", user_id="user-1", email="ada@example.com", plan="pro"
    )


@pytest.mark.parametrize("value", [None, "", 5])
def test_whoami_response_without_email_is_accepted(value: object) -> None:
    login = _oauth.parse_whoami(TOKEN, 200, json.dumps({**WHOAMI, "email": value}).encode())
    assert isinstance(login, Login)
    assert login.email is None


@pytest.mark.parametrize(
    ("status", "response", "is_permanent"),
    [
        (401, {}, True),
        (403, {}, True),
        (404, {}, False),
        (429, {}, False),
        (500, {}, False),
        (200, {}, False),
        (200, [], False),
        (200, {**WHOAMI, "chatgpt_account_id": None}, False),
        (200, {**WHOAMI, "chatgpt_user_id": 5}, False),
    ],
)
def test_whoami_failure_is_permanent_only_if_refused(status: int, response: Any, is_permanent: bool) -> None:
    failure = _oauth.parse_whoami(TOKEN, status, json.dumps(response).encode())
    assert isinstance(failure, _oauth.WhoamiFailure)
    assert failure.is_permanent is is_permanent
