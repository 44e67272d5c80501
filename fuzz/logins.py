"""Fuzz targets for logins: stored credentials, tokens, responses of the issuer, and the OAuth callback."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from codex_backend_sdk._redaction import remove_control_characters
from codex_backend_sdk.auth import _auth_json, _device_code, _jwt, _oauth
from codex_backend_sdk.auth._deadline import LoginDeadline
from codex_backend_sdk.auth.flows import pages
from codex_backend_sdk.auth.flows.callback_server import LoginCallback
from codex_backend_sdk.auth.static_token import access_token_problem
from codex_backend_sdk.auth.stores import keyring as keyring_store
from codex_backend_sdk.types import Login, Secret

from .choices import Choices

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
_DOCUMENT: dict[str, Any] = {
    "auth_mode": "chatgpt", "OPENAI_API_KEY": None, "last_refresh": "2026-09-01T00:00:00Z", "unknown": {"kept": [1]},
    "personal_access_token": "at-abc",
    "tokens": {"access_token": "a.b.c", "refresh_token": "r", "id_token": "d.e.f", "account_id": "acc", "other": 1},
}  # fmt: skip


def check_auth_json(data: bytes) -> None:
    """Check that an auth.json is preserved, or rejected with a ValueError that shows no part of it."""
    choices = Choices(data)
    if choices.number(3):
        text = json.dumps(choices.members(_DOCUMENT), ensure_ascii=bool(choices.number(2)))
        raw = text.encode("utf-8", "surrogatepass")
    else:
        raw = choices.rest()
    document = _parsed(raw)
    if document is None:
        return
    assert repr(_auth_json.parse(_auth_json.serialize(document))) == repr(document)
    assert json.loads(_auth_json.serialize_compact(document)).keys() == document.keys()
    _auth_json.describe_other_credentials(document)
    _jwt.parse_login(document)
    response = _auth_json.TokenResponse(access_token=Secret("new"))
    logged_in = _auth_json.replace_login(document, response, account_id="acc", now=NOW)
    assert document.keys() <= logged_in.keys()
    if _auth_json.parse_tokens(document) is None:
        return
    refreshed = _auth_json.merge_refreshed_tokens(document, response, now=NOW)
    rest = {"tokens", "last_refresh"}
    assert repr({k: v for k, v in refreshed.items() if k not in rest}) == repr(
        {k: v for k, v in document.items() if k not in rest}
    )
    unchanged = {k: v for k, v in (document.get("tokens") or {}).items() if k != "access_token"}
    assert repr({k: v for k, v in refreshed["tokens"].items() if k != "access_token"}) == repr(unchanged)


def _parsed(raw: bytes) -> dict[str, Any] | None:
    try:
        return _auth_json.parse(raw)
    except ValueError as error:
        if (
            error.__cause__ is not None or len(str(error)) > 140
        ):  # an exception of the parser, or a message that contains the text
            raise AssertionError("the error shows stored credentials") from error
        return None


def check_keyring_entries(data: bytes) -> None:
    choices = Choices(data)
    size = choices.one_of((8, 64, 2560))
    text = choices.rest().decode("latin-1")
    keyring_store.parse_index(text)
    split = keyring_store.split_value(text, entry_bytes=size)
    if split is None:
        assert len(text) * 2 <= size
        return
    table, parts = split
    assert "".join(parts) == text
    assert all(len(part) * 2 <= size for part in parts)
    assert keyring_store.parse_index(table.to_json()) == table
    assert len(set(table.entry_names("a"))) == len(parts)


_CLAIMS: dict[str, Any] = {
    "exp": 1_800_000_000, "email": "a@b.c", "iss": "https://issuer",
    "https://api.openai.com/auth": {
        "chatgpt_account_id": "acc", "chatgpt_plan_type": "pro", "chatgpt_user_id": "u",
        "chatgpt_account_is_fedramp": True, "chatgpt_compute_residency": "eu",
    },
    "https://api.openai.com/profile": {"email": "a@b.c"},
}  # fmt: skip


def check_jwt(data: bytes) -> None:
    """Check that any text is accepted as a token, and that the header values derived from it are valid."""
    choices = Choices(data)
    if choices.number(3):
        claims = json.dumps(choices.members(_CLAIMS), ensure_ascii=False).encode("utf-8", "surrogatepass")
        text = f"e30.{_oauth.encode_base64url(claims)}.{choices.take(4).decode('latin-1')}"
    else:
        text = choices.rest().decode("utf-8", "surrogateescape")
    token = Secret(text)
    login = _jwt.build_login(access_token=token, id_token=token if choices.number(2) else None, account_id=None)
    due_at, _ = _jwt.compute_refresh_time(expires_at=login.expires_at, last_refresh=None)
    assert due_at.tzinfo is not None
    _jwt.has_expired(login, now=NOW)
    assert login.account_id is None or _auth_json.is_header_safe(login.account_id)
    assert login.residency is None or re.fullmatch(r"[A-Za-z0-9_-]{1,64}", login.residency)
    reason = access_token_problem(token)
    assert reason is None or len(text) < 12 or text not in reason
    assert text == "" or len(text) < 12 or text not in repr(login)


_RESPONSE: dict[str, Any] = {
    "id_token": "a.b.c", "access_token": "d.e.f", "refresh_token": "r", "interval": "5",
    "error": {"code": "invalid_grant", "message": "m"}, "error_description": "no", "code": "refresh_token_expired",
    "device_auth_id": "d", "user_code": "ABCD", "authorization_code": "c", "code_verifier": "v",
    "chatgpt_account_id": "acc", "chatgpt_user_id": "u",
}  # fmt: skip
_HIDDEN = Secret("s3cr3t-t0ken")


def check_issuer_responses(data: bytes) -> None:
    """Check that a response of the issuer is parsed or rejected with a ValueError, and that errors hide its token."""
    choices = Choices(data)
    status = choices.one_of((200, 400, 401, 403, 404, 408, 429, 500, 302))
    shape = {**_RESPONSE, "echo": _HIDDEN.reveal()}
    if choices.number(3):
        text = json.dumps(choices.members(shape) if choices.number(8) else choices.value(tuple(shape)))
        body = text.replace("text", _HIDDEN.reveal()).encode()
    else:
        body = choices.rest()
    try:
        response = _oauth.parse_token_response(body, required=("access_token",) if choices.number(2) else ())
    except ValueError:
        pass
    else:
        tokens = (response.id_token, response.access_token, response.refresh_token)
        assert all(token is None or _auth_json.is_header_safe(token.reveal()) for token in tokens)
    description = _oauth.describe_error(body, secrets=[_HIDDEN])
    assert remove_control_characters(description) == description
    assert len(description.splitlines()) == 1
    assert 0 < len(description) <= 301
    assert _HIDDEN.reveal() not in description
    error_code = _oauth.parse_error_code(body)
    assert error_code is None or error_code == error_code.lower()
    _oauth.classify_refresh_failure(status, body)
    code = _device_code.parse_user_code(status, body, issuer="https://issuer")
    assert isinstance(code, _device_code.DeviceCodeFailure) or 1 <= code.interval.total_seconds() <= 60
    _device_code.parse_poll(status, body, issuer="https://issuer")
    _oauth.parse_whoami(Secret("at-x"), status, body)


_STATE = "9Wm3Zk7yQ1"
_PAIRS = (
    f"state={_STATE}", "state=", "state", f"state={_STATE}x", "state=%39Wm3Zk7yQ1", f"state={_STATE[:-1]}",
    "code=abc", "code=",
    f"state={_STATE}.onboarding_entrypoint=life_sciences", f"state={_STATE}%00", f"state={_STATE.lower()}",
    f"STATE={_STATE}",
    "error=access_denied", "error_description=missing_codex_entitlement", "error=", "error_description=%3Cscript%3E",
    f"state=%20{_STATE}", "code=%f0%28", f";state={_STATE}", f"#state={_STATE}", "%73tate=" + _STATE,
)  # fmt: skip
_TAGS = pages.failure_page("x", code="x").count("<")


def _no_login(code: Secret) -> Login:
    raise AssertionError("a callback with another state was accepted")


def check_callbacks(data: bytes) -> None:
    """Check that only the expected state is accepted, and that the final page escapes the text of the query."""
    choices = Choices(data)
    if choices.number(4):
        separators = ("&", "&", "&", ";", "", "&&", "?")
        pairs = (choices.one_of(_PAIRS) + choices.one_of(separators) for _ in range(choices.number(6)))
        query = "".join(pairs) + choices.take(8).decode("latin-1")
    else:
        query = choices.rest().decode("latin-1")  # as http.server decodes a request line
    outcome = _oauth.parse_authorization_response(query, expected_state=_STATE)
    states = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "state"]
    is_valid = bool(states) and states[-1] in (_STATE, f"{_STATE}.onboarding_entrypoint=life_sciences")
    assert (outcome is not None) == is_valid, "the state alone decides"
    if outcome is None:
        callback = LoginCallback(_STATE, _no_login, LoginDeadline())
        response = callback.respond(f"/auth/callback?{query}")
        assert (response.status, response.is_last) == (400, False)
        assert not callback.has_outcome
        assert callback.respond(query).status in (200, 404)
    message, code = (outcome.error_message, outcome.error_code) if outcome else (None, None)
    page = pages.failure_page(message or query, code=code or query or "x")
    assert page.count("<") == _TAGS, "text of the query became HTML"
    pasted = _oauth.parse_pasted_url(query)
    if pasted is not None:
        assert pasted.startswith("/auth/callback?")
