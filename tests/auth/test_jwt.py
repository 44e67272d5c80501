"""Test the claims of JWTs, and the login and the refresh time that result from them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk.auth._jwt import (
    compute_refresh_time,
    has_expired,
    parse_account_id,
    parse_claims,
    parse_expiry,
    parse_login,
)
from codex_backend_sdk.types import Login, Secret

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
AUTH_CLAIM = "https://api.openai.com/auth"


def create_jwt(payload: Any) -> Secret:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Secret(f"eyJhbGciOiJub25lIn0.{base64.urlsafe_b64encode(data).rstrip(b'=').decode()}.sig")


def document(access: dict[str, Any] | str, identity: dict[str, Any] | None = None, **tokens: Any) -> dict[str, Any]:
    token = access if isinstance(access, str) else create_jwt(access).reveal()
    tokens = {"access_token": token, "refresh_token": "rt_1", **tokens}
    if identity is not None:
        tokens["id_token"] = create_jwt(identity).reveal()
    return {"tokens": tokens, "last_refresh": "2026-11-22T05:51:37.545431475Z"}


@pytest.mark.parametrize("size", range(8))
def test_claims_are_decoded_without_padding(size: int) -> None:
    assert parse_claims(create_jwt({"a": "x" * size, "ü": "?>"})) == {"a": "x" * size, "ü": "?>"}


@pytest.mark.parametrize(
    "token",
    [
        None,
        Secret("opaque"),
        Secret("a.b"),
        Secret("a.b.c.d"),
        Secret("a.!!!!.c"),
        Secret("a.é.c"),
        Secret("a..c"),
        create_jwt(b"\xff\xfe"),
        create_jwt(b"not json"),
        create_jwt(b"[" * 100_000),
        create_jwt([1, 2]),
    ],
)
def test_unreadable_token_has_no_claims(token: Secret | None) -> None:
    assert parse_claims(token) == {}


@pytest.mark.parametrize(
    ("exp", "expires_at"),
    [
        (1795348800, NOW),
        (1795348800.5, NOW + timedelta(seconds=0.5)),
        ("1795348800", None),
        (True, None),
        (None, None),
        (10**30, None),
        (float("inf"), None),
        (float("nan"), None),
    ],
)
def test_expiry_is_none_unless_it_is_a_time(exp: object, expires_at: datetime | None) -> None:
    assert parse_expiry(create_jwt({"exp": exp})) == expires_at


@pytest.mark.parametrize(
    ("expires_in", "age", "reason"),
    [
        # If the expiry is readable, only the expiry counts.
        (timedelta(minutes=6), timedelta(days=300), None),
        (timedelta(minutes=5, microseconds=1), timedelta(0), None),
        (timedelta(minutes=5), timedelta(0), "proactive_expiry"),
        (timedelta(minutes=4), timedelta(0), "proactive_expiry"),
        (timedelta(hours=-1), None, "proactive_expiry"),
        (datetime.min.replace(tzinfo=UTC) - NOW, None, "proactive_expiry"),
        # Otherwise the age of the last refresh counts.
        (None, timedelta(days=7), None),
        (None, timedelta(days=8) - timedelta(microseconds=1), None),
        (None, timedelta(days=8, seconds=1), "scheduled"),
        (None, None, "scheduled"),
    ],
)
def test_refresh_due_by_expiry_then_by_age(
    expires_in: timedelta | None, age: timedelta | None, reason: str | None
) -> None:
    expires_at = None if expires_in is None else NOW + expires_in
    last_refresh = None if age is None else NOW - age
    moment, why = compute_refresh_time(expires_at=expires_at, last_refresh=last_refresh)
    assert (why if moment <= NOW else None) == reason


@pytest.mark.parametrize(
    ("lifetime", "before_expiry"),
    [
        (timedelta(days=10), timedelta(minutes=5)),
        (timedelta(minutes=20), timedelta(minutes=5)),
        (timedelta(minutes=4), timedelta(minutes=1)),
        (timedelta(seconds=60), timedelta(seconds=15)),
        (timedelta(0), timedelta(0)),
    ],
)
def test_short_lifetime_is_used_for_three_quarters(lifetime: timedelta, before_expiry: timedelta) -> None:
    assert compute_refresh_time(expires_at=NOW, last_refresh=None, lifetime=lifetime) == (
        NOW - before_expiry,
        "proactive_expiry",
    )


@pytest.mark.parametrize(
    ("expires_at", "expired"),
    [(None, False), (NOW + timedelta(seconds=1), False), (NOW, True), (NOW - timedelta(days=1), True)],
)
def test_token_of_unknown_expiry_has_not_expired(expires_at: datetime | None, expired: bool) -> None:
    login = Login(access_token=Secret("x"), account_id=None, expires_at=expires_at)
    assert has_expired(login, now=NOW) is expired


def test_account_comes_from_id_token_then_access_token() -> None:
    first, second = (
        create_jwt({AUTH_CLAIM: {"chatgpt_account_id": "acc-1"}}),
        create_jwt({AUTH_CLAIM: {"chatgpt_account_id": "acc-2"}}),
    )
    assert parse_account_id(first, second) == "acc-1"
    assert parse_account_id(None, second) == "acc-2"
    assert parse_account_id(create_jwt({AUTH_CLAIM: {"chatgpt_account_id": ""}}), second) == "acc-2"
    assert parse_account_id(create_jwt({AUTH_CLAIM: "x"}), Secret("opaque")) is None
    assert parse_account_id(create_jwt({AUTH_CLAIM: {"chatgpt_account_id": 7}}), None) is None


def test_login_has_the_claims_of_its_tokens() -> None:
    identity = {
        "email": "user@example.com",
        AUTH_CLAIM: {
            "chatgpt_account_id": "acc-1",
            "chatgpt_plan_type": "pro",
            "chatgpt_user_id": "user-1",
            "user_id": "user-2",
            "chatgpt_account_is_fedramp": True,
        },
    }
    assert parse_login(document({"exp": 1795348800}, identity)) == Login(
        access_token=create_jwt({"exp": 1795348800}),
        account_id="acc-1",
        is_fedramp=True,
        expires_at=NOW,
        email="user@example.com",
        plan="pro",
        user_id="user-1",
    )


def test_login_without_id_token_uses_access_token_claims() -> None:
    access = {
        "https://api.openai.com/profile": {"email": "user@example.com"},
        AUTH_CLAIM: {"chatgpt_account_id": "acc-1", "user_id": "user-2", "chatgpt_account_is_fedramp": "yes"},
    }
    login = parse_login(document(access))
    assert login is not None
    assert (login.email, login.account_id, login.user_id, login.plan) == ("user@example.com", "acc-1", "user-2", None)
    assert login.is_fedramp is False, "only the JSON value true is true"


@pytest.mark.parametrize(
    ("claim", "residency"),
    [
        ("us", "us"),
        ("no_constraint", None),
        (None, None),
        (7, None),
        ("", None),
        ("us\r\nx: y", None),
        ("\u00fcs", None),
    ],
)
def test_residency_comes_from_the_access_token(claim: object, residency: str | None) -> None:
    auth = {"chatgpt_compute_residency": claim, "chatgpt_data_residency": "eu"}
    login = parse_login(document({AUTH_CLAIM: auth}, {AUTH_CLAIM: {"chatgpt_account_id": "acc-1"}}))
    assert login is not None
    assert login.residency == residency


def test_stored_account_id_takes_precedence() -> None:
    login = parse_login(document("opaque", {AUTH_CLAIM: {"chatgpt_account_id": "acc-1"}}, account_id="acc-2"))
    assert login is not None
    assert (login.account_id, login.expires_at) == ("acc-2", None)


def test_document_without_tokens_has_no_login() -> None:
    assert parse_login({"auth_mode": "chatgpt"}) is None


def test_damaged_document_raises_value_error() -> None:
    with pytest.raises(ValueError, match="access_token"):
        parse_login({"tokens": {"access_token": 5}})
