"""Test the requests and responses of the device code login."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from codex_backend_sdk.auth import _device_code
from codex_backend_sdk.auth._oauth import AuthorizationGrant
from codex_backend_sdk.types import DeviceCode, Secret

ISSUER = "https://auth.example.com"
USER_CODE_RESPONSE = {
    "device_auth_id": "deviceauth_1",
    "user_code": "ABCD-12345",
    "interval": "5",
    "expires_at": "2026-11-22",
}
POLL_RESPONSE = {"authorization_code": "ac_1", "code_challenge": "c", "code_verifier": "v_1"}


def to_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def parse_user_code(status: int, body: bytes) -> DeviceCode | _device_code.DeviceCodeFailure:
    return _device_code.parse_user_code(status, body, issuer=ISSUER)


def test_user_code_response_gives_code_and_url() -> None:
    assert parse_user_code(200, to_json(USER_CODE_RESPONSE)) == DeviceCode(
        user_code="ABCD-12345",
        url="https://auth.example.com/codex/device",
        expires_in=timedelta(minutes=15),
        interval=timedelta(seconds=5),
        device_auth_id=Secret("deviceauth_1"),
    )


def test_user_code_may_have_its_older_name() -> None:
    result = parse_user_code(200, to_json({"device_auth_id": "d", "usercode": "WXYZ-00000"}))
    assert isinstance(result, DeviceCode)
    assert result.user_code == "WXYZ-00000"


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("5", 5),
        ("30", 30),
        (7, 7),
        ("1.5", 1.5),
        ("0", 1),
        ("-3", 1),
        ("3600", 60),
        ("inf", 5),
        ("nan", 5),
        ("soon", 5),
        (None, 5),
        ([], 5),
    ],
)
def test_interval_is_clamped(interval: object, seconds: float) -> None:
    result = parse_user_code(200, to_json({**USER_CODE_RESPONSE, "interval": interval}))
    assert isinstance(result, DeviceCode)
    assert result.interval == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("status", "body", "code", "message"),
    [
        (404, b"", "device_code_not_enabled", "not enabled for this account or issuer"),
        (404, to_json(USER_CODE_RESPONSE), "device_code_not_enabled", "or log in with a browser"),
        (403, b'{"error": {"message": "no"}}', "device_code_failed", "status 403, no"),
        (429, b"slow", "device_code_failed", "status 429, slow"),
        (500, b"", "device_code_failed", "status 500, unknown error"),
        (200, b"<html>", "device_code_failed", "no valid device code"),
        (200, b"[]", "device_code_failed", "no valid device code"),
        (200, to_json({"user_code": "A"}), "device_code_failed", "no valid device code"),
        (200, to_json({**USER_CODE_RESPONSE, "user_code": 5}), "device_code_failed", "no valid device code"),
        (200, to_json({**USER_CODE_RESPONSE, "user_code": "A\x1b[2J"}), "device_code_failed", "no valid device code"),
        (200, to_json({**USER_CODE_RESPONSE, "device_auth_id": ""}), "device_code_failed", "no valid device code"),
    ],
)
def test_invalid_user_code_response_is_a_failure(status: int, body: bytes, code: str, message: str) -> None:
    result = parse_user_code(status, body)
    assert isinstance(result, _device_code.DeviceCodeFailure)
    assert result.code == code
    assert message in result.message


AUTHORIZATION_GRANT = AuthorizationGrant(
    code=Secret("ac_1"), verifier=Secret("v_1"), redirect_uri=f"{ISSUER}/deviceauth/callback"
)


def failure(code: str, status: int) -> _device_code.DeviceCodeFailure:
    return _device_code.DeviceCodeFailure(
        code, f"The device login failed with status {status}. Log in again later, or with a browser."
    )


MISSING_CODE = _device_code.DeviceCodeFailure(
    "device_code_failed",
    "The device login failed: the response has no valid authorization code. Log in again later, or with a browser.",
)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (403, b'{"error": {"code": "deviceauth_authorization_unknown"}}', "pending"),
        (403, b"", "pending"),
        (404, b"", "pending"),
        (200, to_json(POLL_RESPONSE), AUTHORIZATION_GRANT),
        (200, b"{}", MISSING_CODE),
        (200, to_json({**POLL_RESPONSE, "code_verifier": None}), MISSING_CODE),
        (400, b'{"error": {"code": "access_denied"}}', failure("access_denied", 400)),
        (401, b"", failure("device_code_failed", 401)),
        (410, b"", failure("device_code_failed", 410)),
        (307, b"", failure("device_code_failed", 307)),
        (400, b'{"error": "authorization_pending"}', "pending"),
        (400, b'{"error": {"code": "slow_down"}}', "pending"),
        # These statuses do not concern the code.
        (408, b"", "pending"),
        (425, b"", "pending"),
        (429, b'{"error": {"code": "rate_limit_exceeded"}}', "pending"),
        (500, b"<html>", "pending"),
        (502, b"", "pending"),
        (599, b"", "pending"),
        (600, b"", failure("device_code_failed", 600)),
    ],
)
def test_poll_response_is_classified(status: int, body: bytes, outcome: object) -> None:
    assert _device_code.parse_poll(status, body, issuer=ISSUER) == outcome


def test_request_bodies_match_the_codex_cli() -> None:
    code = parse_user_code(200, to_json(USER_CODE_RESPONSE))
    assert isinstance(code, DeviceCode)
    assert _device_code.build_user_code_body() == {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"}
    assert _device_code.build_poll_body(code) == {"device_auth_id": "deviceauth_1", "user_code": "ABCD-12345"}
    assert "deviceauth_1" not in repr(code)
