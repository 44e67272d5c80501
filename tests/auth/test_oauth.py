"""Test the requests and responses of the OAuth issuer."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from codex_backend_sdk.auth import _auth_json, _oauth
from codex_backend_sdk.types import Login, Secret


def test_pkce_matches_the_example_of_rfc_7636() -> None:
    """RFC 7636, appendix B."""
    octets = bytes.fromhex("7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b58055853848d79")
    assert _oauth.Pkce.from_random(octets) == _oauth.Pkce(
        Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_verifier_and_state_lengths_match_the_codex_cli() -> None:
    pkce = _oauth.Pkce.from_random(bytes(64))
    assert (len(pkce.verifier.reveal()), len(pkce.challenge), len(_oauth.encode_base64url(bytes(32)))) == (86, 43, 43)
    assert re.fullmatch(r"[\w-]+", _oauth.encode_base64url(bytes(range(256)))), "no padding, no + and /"


def test_authorize_url_matches_the_codex_cli() -> None:
    url = _oauth.build_authorize_url(
        "https://auth.openai.com",
        redirect_uri="http://127.0.0.1:1455/auth/callback",
        challenge="9f3",
        state="Zk1",
        originator="my_app",
    )
    assert url == (
        "https://auth.openai.com/oauth/authorize?response_type=code&client_id=app_EMoamEEZ73f0CkXaXp7hrann"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_challenge=9f3"
        "&code_challenge_method=S256&state=Zk1"
        "&scope=openid+profile+email+offline_access+api.connectors.read+api.connectors.invoke"
        "&id_token_add_organizations=true&codex_cli_simplified_flow=true&originator=my_app"
    )


def test_authorize_url_accepts_workspace_and_scope() -> None:
    url = _oauth.build_authorize_url(
        "https://example.com/i",
        redirect_uri="r",
        challenge="c",
        state="s",
        originator="o&x=1",
        scope="openid",
        workspace_id="w 1",
    )
    parameters = dict(parse_qsl(urlsplit(url).query))
    assert (parameters["scope"], parameters["allowed_workspace_id"], parameters["originator"]) == (
        "openid",
        "w 1",
        "o&x=1",
    )
    assert "x" not in parameters


NOT_ENABLED_MESSAGE = (
    "Codex is not enabled for your workspace. Contact your workspace administrator to request access to Codex."
)
MISSING_CODE_MESSAGE = "Missing authorization code. Sign-in could not be completed."


@pytest.mark.parametrize(
    ("query", "error_code", "message"),
    [
        ({"error": "access_denied"}, "access_denied", "Login failed: access_denied"),
        (
            {"error": "server_error", "error_description": "try\nlater", "code": "ac_1"},
            "server_error",
            "Login failed: try later",
        ),
        (
            {"error": "access_denied", "error_description": "x missing_codex_entitlement x"},
            "access_denied",
            NOT_ENABLED_MESSAGE,
        ),
        (
            {"error": "other", "error_description": "missing_codex_entitlement"},
            "other",
            "Login failed: missing_codex_entitlement",
        ),
        ({"error": ""}, "", "Login failed: unknown error"),
        ({}, "missing_authorization_code", MISSING_CODE_MESSAGE),
        ({"code": ""}, "missing_authorization_code", MISSING_CODE_MESSAGE),
    ],
)
def test_callback_without_a_code_is_an_error(query: dict[str, str], error_code: str, message: str) -> None:
    response = _oauth.parse_authorization_response(urlencode({"state": "S", **query}), expected_state="S")
    assert response == _oauth.AuthorizationResponse(error_code=error_code, error_message=message)


@pytest.mark.parametrize("state", ["S", "S.onboarding_entrypoint=life_sciences"])
def test_callback_with_the_right_state_has_the_code(state: str) -> None:
    response = _oauth.parse_authorization_response(urlencode({"state": state, "code": "ac_1"}), expected_state="S")
    assert response == _oauth.AuthorizationResponse(code=Secret("ac_1"))


@pytest.mark.parametrize(
    "query",
    [
        {"state": "S.onboarding_entrypoint=other", "code": "ac_1"},
        {"state": "s", "code": "ac_1"},
        {"state": "", "code": "ac_1"},
        {"state": "Sä", "error": "access_denied"},
        {"code": "ac_1"},
        {},
    ],
)
def test_callback_with_another_state_is_ignored(query: dict[str, str]) -> None:
    assert _oauth.parse_authorization_response(urlencode(query), expected_state="S") is None


def test_code_exchange_form_matches_the_codex_cli() -> None:
    form = _oauth.build_code_exchange_form(
        _oauth.AuthorizationGrant(code=Secret("ac_1"), redirect_uri="http://127.0.0.1:1455/x", verifier=Secret("v"))
    )
    assert urlencode(form) == (
        "grant_type=authorization_code&client_id=app_EMoamEEZ73f0CkXaXp7hrann&code=ac_1"
        "&redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fx&code_verifier=v"
    )


def test_refresh_body_has_the_reason() -> None:
    assert _oauth.build_refresh_body(Secret("rt_1"), reason="unauthorized_recovery") == {
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "grant_type": "refresh_token",
        "refresh_reason": "unauthorized_recovery",
        "refresh_token": "rt_1",
    }


def test_revoke_body_prefers_the_refresh_token() -> None:
    assert _oauth.build_revoke_body(refresh_token=Secret("rt_1"), access_token=Secret("a")) == {
        "token": "rt_1",
        "token_type_hint": "refresh_token",
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
    }
    assert _oauth.build_revoke_body(refresh_token=None, access_token=Secret("a")) == {
        "token": "a",
        "token_type_hint": "access_token",
    }


def test_token_response_may_lack_optional_tokens() -> None:
    body = b'{"access_token": "a", "id_token": null, "expires_in": 5}'
    assert _oauth.parse_token_response(body) == _auth_json.TokenResponse(access_token=Secret("a"))
    with pytest.raises(ValueError, match="has no valid id_token and refresh_token"):
        _oauth.parse_token_response(body, required=_oauth.TOKEN_NAMES)


def test_complete_token_response_is_parsed() -> None:
    body = b'{"access_token": "a", "id_token": "i", "refresh_token": "r"}'
    assert _oauth.parse_token_response(body, required=_oauth.TOKEN_NAMES) == _auth_json.TokenResponse(
        id_token=Secret("i"), access_token=Secret("a"), refresh_token=Secret("r")
    )


@pytest.mark.parametrize("invalid_token", ['""', "5", "null", "{}", '"a b"', '"\\n"'])
def test_invalid_token_does_not_affect_the_others(invalid_token: str) -> None:
    for name, others in (("id_token", "ar"), ("access_token", "ir"), ("refresh_token", "ia")):
        tokens = {"id_token": '"i"', "access_token": '"a"', "refresh_token": '"r"', name: invalid_token}
        body = "{" + ", ".join(f'"{name}": {value}' for name, value in tokens.items()) + "}"
        response = _oauth.parse_token_response(body.encode())
        parsed = [response.id_token, response.access_token, response.refresh_token]
        assert [token.reveal() for token in parsed if token] == list(others)
        with pytest.raises(ValueError, match=f"has no valid {name}$"):
            _oauth.parse_token_response(body.encode(), required=_oauth.TOKEN_NAMES)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"[" * 200_000, "not a JSON object"),
        (b'{"access_token": 5}', "valid access_token"),
        (b'{"refresh_token": ""}', "valid refresh_token"),
    ],
)
def test_invalid_token_response_raises_value_error(body: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _oauth.parse_token_response(body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": "Refresh_Token_Reused", "message": "m"}, "code": "x"}', "refresh_token_reused"),
        (b'{"error": "invalid_grant", "error_description": "d"}', "invalid_grant"),
        (b'{"error": {"message": "m"}, "code": "TOP"}', "top"),
        (b'{"error": null, "code": "top"}', "top"),
        (b'{"error": 5}', None),
        (b'{"code": ""}', None),
        (b"{}", None),
        (b"[]", None),
        (b"<html>", None),
    ],
)
def test_error_code_is_read_from_each_format(body: bytes, code: str | None) -> None:
    assert _oauth.parse_error_code(body) == code


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error": {"message": "m"}, "error_description": "d"}', "d"),
        (b'{"error": {"message": "m", "code": "c"}}', "m"),
        (b'{"error": {"code": "c"}}', "c"),
        (b'{"error": "e"}', "e"),
        (b'{"detail": "x"}', '{"detail": "x"}'),
        (b"[1]", "[1]"),
        (b"<html>\n <b>Bad\x00 gateway", "<html> <b>Bad gateway"),
        (b"\xff", "\ufffd"),
        (b" \n", "unknown error"),
        (b"", "unknown error"),
        (b"x" * 301, "x" * 300 + "\u2026"),
    ],
)
def test_describe_error_prefers_the_description(body: bytes, text: str) -> None:
    assert _oauth.describe_error(body) == text


@pytest.mark.parametrize("body", [b"", b" ", b"\0\x1b", b'{"error_description": "\\u0000", "error": "\\u0000"}'])
def test_describe_error_is_never_empty(body: bytes) -> None:
    assert _oauth.describe_error(body)


def test_describe_error_hides_the_code() -> None:
    text = _oauth.describe_error(b'{"error": "bad code ac_secret!"}', secrets=[Secret("ac_secret"), Secret("")])
    assert text == "bad code [REDACTED]!"


def error_body(code: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": "a message with rt_secret"}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, error_body("refresh_token_expired"), "expired"),
        (400, b'{"error": "refresh_token_expired"}', "expired"),
        (401, error_body("refresh_token_reused"), "exhausted"),
        (400, error_body("REFRESH_TOKEN_REUSED"), "exhausted"),
        (401, error_body("refresh_token_invalidated"), "revoked"),
        (400, b'{"code": "refresh_token_invalidated"}', "revoked"),
        (401, error_body("something_new"), "other"),
        (401, b"", "other"),
        (400, b'{"error": "invalid_grant", "error_description": "rt_secret"}', "other"),
        (400, error_body("invalid_request"), "transient"),
        (400, b"", "transient"),
        (403, error_body("refresh_token_expired"), "transient"),
        (429, b"", "transient"),
        (500, error_body("invalid_grant"), "transient"),
        (503, b"<html>", "transient"),
        (307, b"", "transient"),
    ],
)
def test_refresh_failure_is_classified(status: int, body: bytes, reason: str) -> None:
    failure = _oauth.classify_refresh_failure(status, body)
    assert failure.reason == reason
    assert failure.is_permanent is (reason != "transient")
    assert "rt_secret" not in failure.message
    assert (str(status) in failure.message) is (reason == "transient")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://127.0.0.1:1455/auth/callback?code=a&state=b", "/auth/callback?code=a&state=b"),
        ("  http://localhost:1455/auth/callback?code=a\n&state=b \n", "/auth/callback?code=a&state=b"),
        ("127.0.0.1:1455/auth/callback?code=a&state=b", "/auth/callback?code=a&state=b"),
        ("?code=a&state=b", "/auth/callback?code=a&state=b"),
        ("code=a&state=b", "/auth/callback?code=a&state=b"),
        (
            "http://127.0.0.1:1455/auth/callback?error=access_denied&state=b",
            "/auth/callback?error=access_denied&state=b",
        ),
        ("http://127.0.0.1:1455/auth/callback", None),
        ("https://auth.openai.com/oauth/authorize?state=b", None),
        ("ac_1234", None),
        ("", None),
        ("http://[", None),
        ("?code=a&state=\udce4", None),
    ],
)
def test_pasted_url_is_accepted_in_each_form(text: str, target: str | None) -> None:
    assert _oauth.parse_pasted_url(text) == target


def test_api_key_form_matches_the_codex_cli() -> None:
    assert urlencode(_oauth.build_api_key_form(Secret("id"))) == (
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
        "&client_id=app_EMoamEEZ73f0CkXaXp7hrann&requested_token=openai-api-key&subject_token=id"
        "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token"
    )
    assert _oauth.parse_api_key(b'{"access_token": "sk-1"}') == Secret("sk-1")
    with pytest.raises(ValueError, match="has no valid access_token"):
        _oauth.parse_api_key(b"{}")


# --- personal access tokens ------------------------------------------------------------------------------------------

TOKEN = Secret("at-1234567890abcdef")
WHOAMI = {
    "email": "ada@example.com",
    "chatgpt_user_id": "user-1",
    "chatgpt_account_id": "acc-1",
    "chatgpt_plan_type": "pro",
    "chatgpt_account_is_fedramp": False,
}


def test_whoami_response_gives_the_login() -> None:
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
def test_whoami_failure_is_permanent_if_rejected(status: int, response: Any, is_permanent: bool) -> None:
    failure = _oauth.parse_whoami(TOKEN, status, json.dumps(response).encode())
    assert isinstance(failure, _oauth.WhoamiFailure)
    assert failure.is_permanent is is_permanent
