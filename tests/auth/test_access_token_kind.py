from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from issuer_stub import jwt

from codex_backend_sdk.auth import _access_token_kind
from codex_backend_sdk.types import Login, Secret

AUTH = "https://api.openai.com/auth"
TOKEN = Secret("at-1234567890abcdef")
WHO = {
    "email": "ada@example.com",
    "chatgpt_user_id": "user-1",
    "chatgpt_account_id": "acc-1",
    "chatgpt_plan_type": "pro",
    "chatgpt_account_is_fedramp": False,
}


@pytest.mark.parametrize(
    ("token", "mistake"),
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
def test_what_was_given_instead_of_an_access_token(token: str, mistake: str | None) -> None:
    found = _access_token_kind.mistaken(Secret(token))
    assert (found or "").startswith(mistake or "")
    assert (found is None) == (mistake is None)


def test_a_jwt_says_whose_it_is() -> None:
    claims = {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "plus", "chatgpt_account_is_fedramp": True}
    token = Secret(jwt({"exp": 1795360000, AUTH: claims}))
    assert not _access_token_kind.is_personal(token)
    assert _access_token_kind.login_of_jwt(token) == Login(
        access_token=token,
        account_id="acc-1",
        is_fedramp=True,
        expires_at=datetime.fromtimestamp(1795360000, UTC),
        plan="plus",
    )


def test_the_issuer_says_whose_a_personal_token_is() -> None:
    assert _access_token_kind.is_personal(TOKEN)
    assert _access_token_kind.login_of_personal(TOKEN, 200, json.dumps(WHO).encode()) == Login(
        access_token=TOKEN, account_id="acc-1", user_id="user-1", email="ada@example.com", plan="pro"
    )


def test_the_e_mail_address_may_be_missing() -> None:
    found = _access_token_kind.login_of_personal(TOKEN, 200, json.dumps({**WHO, "email": None}).encode())
    assert isinstance(found, Login)
    assert found.email is None


@pytest.mark.parametrize(
    ("status", "answer", "is_permanent"),
    [
        (401, {}, True),
        (403, {}, True),
        (404, {}, False),
        (429, {}, False),
        (500, {}, False),
        (200, {}, False),
        (200, [], False),
        (200, {**WHO, "chatgpt_account_id": None}, False),
        (200, {**WHO, "chatgpt_user_id": 5}, False),
    ],
)
def test_when_the_issuer_does_not_say(status: int, answer: Any, is_permanent: bool) -> None:
    found = _access_token_kind.login_of_personal(TOKEN, status, json.dumps(answer).encode())
    assert isinstance(found, _access_token_kind.Unknown)
    assert found.is_permanent is is_permanent
