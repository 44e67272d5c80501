"""Test parsing and writing of `auth.json`, the credential file of the Codex CLI."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from codex_backend_sdk.auth import _auth_json
from codex_backend_sdk.auth._auth_json import TokenResponse
from codex_backend_sdk.types import Secret

NOW = datetime(2026, 11, 22, 12, 0, 0, 250, tzinfo=UTC)
FULL_DOCUMENT = {
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": "sk-fake",
    "tokens": {
        "id_token": "a.b.c",
        "access_token": "at_1",
        "refresh_token": "rt_1",
        "login_owner_id": "owner",
        "oauth_provenance": {"issuer": "https://auth.openai.com"},
        "account_id": "acc-1",
    },
    "last_refresh": "2026-11-22T05:51:37.545431475Z",
    "unknown_field": {"n": 1.5, "text": "ü\ud800"},
}
NEW_TOKENS = TokenResponse(id_token=Secret("d.e.f"), access_token=Secret("at_2"), refresh_token=Secret("rt_2"))


def test_rendered_document_is_parsed_unchanged() -> None:
    assert _auth_json.parse(_auth_json.serialize(FULL_DOCUMENT)) == FULL_DOCUMENT


def test_render_matches_the_codex_cli() -> None:
    assert _auth_json.serialize({"OPENAI_API_KEY": None}) == b'{\n  "OPENAI_API_KEY": null\n}\n'


def test_parse_accepts_a_byte_order_mark() -> None:
    assert _auth_json.parse(b"\xef\xbb\xbf" + _auth_json.serialize(FULL_DOCUMENT)) == FULL_DOCUMENT


def test_parse_accepts_an_empty_object() -> None:
    assert _auth_json.parse(b"{}") == {}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"not valid JSON \(line 1, column 1\)"),
        (b'{"tokens": {"access_token": "secret-token', "not valid JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[" * 200_000, "not valid JSON"),
        (b'{"auth_mode": NaN}', "not valid JSON"),
        (b'{"auth_mode": [-Infinity]}', "not valid JSON"),
        (b'{"auth_mode": 1e999}', "not valid JSON"),
        (b'{"auth_mode": ' + b"[" * 127 + b"]" * 127 + b"}", "nested more than 127 levels deep"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "nested more than 127 levels deep"),
        (b'"secret-token \xff"', "not UTF-8"),
        (b'["secret-token"]', "not a JSON object"),
        (b'{"machine": "secret-token"}', "none of the members"),
        (b'{"tokens": "secret-token"}', "`tokens` is not an object"),
        (b'{"tokens": {"access_token": "secret-token\\n"}}', "`access_token` has a space, a line break or another"),
        (b'{"tokens": {"access_token": ["secret-token"]}}', "`access_token` is not a string"),
        (b'{"tokens": {"access_token": "secret-token", "refresh_token": 1}}', "`refresh_token` is not a string"),
        (b'{"tokens": {"access_token": "secret-token", "account_id": {}}}', "`account_id` is not a string"),
        (b'{"tokens": {"access_token": "secret-token"}, "last_refresh": 5}', "`last_refresh` is not a string"),
        (
            b'{"tokens": {"access_token": "secret-token"}, "last_refresh": "soon"}',
            "`last_refresh` is not an RFC 3339 time",
        ),
    ],
)
def test_parse_error_hides_secrets(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        _auth_json.parse(data)
    assert type(caught.value) is ValueError
    assert "secret-token" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_all_tokens_are_read() -> None:
    assert _auth_json.parse_tokens(FULL_DOCUMENT) == _auth_json.StoredTokens(
        access_token=Secret("at_1"),
        refresh_token=Secret("rt_1"),
        id_token=Secret("a.b.c"),
        account_id="acc-1",
        last_refresh=datetime(2026, 11, 22, 5, 51, 37, 545431, tzinfo=UTC),
    )


def test_missing_null_and_empty_tokens_are_none() -> None:
    tokens = _auth_json.parse_tokens({"tokens": {"access_token": "at_1", "id_token": None, "refresh_token": ""}})
    assert tokens == _auth_json.StoredTokens(access_token=Secret("at_1"))


def test_time_without_zone_is_utc() -> None:
    tokens = _auth_json.parse_tokens({"tokens": {"access_token": "x"}, "last_refresh": "2026-11-22T05:00:00"})
    assert tokens is not None
    assert tokens.last_refresh == datetime(2026, 11, 22, 5, tzinfo=UTC)


@pytest.mark.parametrize("document", [{}, {"tokens": None}, {"tokens": {}}, {"tokens": {"access_token": ""}}])
def test_document_without_access_token_has_no_tokens(document: dict[str, Any]) -> None:
    assert _auth_json.parse_tokens(document) is None


@pytest.mark.parametrize(
    ("document", "mode", "other_credentials"),
    [
        ({}, "chatgpt", None),
        ({"tokens": {}, "OPENAI_API_KEY": None}, "chatgpt", None),
        ({"auth_mode": "chatgpt", "OPENAI_API_KEY": "sk-fake", "tokens": {}}, "chatgpt", None),
        ({"auth_mode": "chatgptAuthTokens"}, "chatgptAuthTokens", None),
        ({"auth_mode": "apikey", "OPENAI_API_KEY": "sk-fake"}, "apikey", "an OpenAI API key"),
        ({"OPENAI_API_KEY": "sk-fake", "tokens": {}}, "apikey", "an OpenAI API key"),
        (
            {"OPENAI_API_KEY": "sk-fake", "personal_access_token": "at-1"},
            "personalAccessToken",
            None,
        ),
        ({"bedrock_api_key": {}, "OPENAI_API_KEY": "sk-fake"}, "bedrockApiKey", "an Amazon Bedrock key"),
        ({"auth_mode": "agentIdentity"}, "agentIdentity", "an agent identity"),
        ({"auth_mode": "headers"}, "headers", "request headers"),
        (
            {"auth_mode": "newest"},
            "newest",
            "credentials of the unknown type 'newest'",
        ),
        ({"auth_mode": 5}, "5", "credentials of the unknown type '5'"),
    ],
)
def test_mode_and_other_credentials_are_detected(
    document: dict[str, Any], mode: str, other_credentials: str | None
) -> None:
    assert _auth_json.parse_mode(document) == mode
    assert _auth_json.describe_other_credentials(document) == other_credentials


def test_refresh_replaces_only_returned_tokens() -> None:
    before = json.dumps(FULL_DOCUMENT)
    after = _auth_json.merge_refreshed_tokens(FULL_DOCUMENT, TokenResponse(access_token=Secret("at_2")), now=NOW)
    tokens = {**FULL_DOCUMENT["tokens"], "access_token": "at_2"}  # type: ignore[dict-item]
    assert after == {**FULL_DOCUMENT, "tokens": tokens, "last_refresh": "2026-11-22T12:00:00.000250Z"}
    assert json.dumps(FULL_DOCUMENT) == before, "the argument must not change"


def test_refresh_of_empty_document_adds_tokens() -> None:
    assert _auth_json.merge_refreshed_tokens({}, NEW_TOKENS, now=NOW)["tokens"] == {
        "id_token": "d.e.f",
        "access_token": "at_2",
        "refresh_token": "rt_2",
    }


def test_new_login_keeps_other_fields() -> None:
    after = _auth_json.replace_login(FULL_DOCUMENT, NEW_TOKENS, account_id="acc-2", now=NOW)
    assert after == {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": "sk-fake",
        "tokens": {"id_token": "d.e.f", "access_token": "at_2", "refresh_token": "rt_2", "account_id": "acc-2"},
        "last_refresh": "2026-11-22T12:00:00.000250Z",
        "unknown_field": FULL_DOCUMENT["unknown_field"],
    }


def test_first_login_creates_the_codex_cli_document() -> None:
    after = _auth_json.replace_login(None, NEW_TOKENS, account_id=None, now=NOW)
    assert after["OPENAI_API_KEY"] is None
    assert after["tokens"]["account_id"] is None
    assert _auth_json.parse_mode({**after, "auth_mode": None}) == "chatgpt"


def test_timestamp_is_utc_and_ends_in_z() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=9)))
    assert _auth_json.format_timestamp(east) == "2026-11-22T12:00:00.000250Z"


@pytest.mark.parametrize(
    ("document", "token"),
    [
        ({"OPENAI_API_KEY": None, "personal_access_token": "at-1"}, "at-1"),
        (
            {"auth_mode": "personalAccessToken", "personal_access_token": "at-1", "tokens": {"access_token": "x"}},
            "at-1",
        ),
        ({"auth_mode": "personalAccessToken"}, None),
        ({"auth_mode": "chatgpt", "personal_access_token": "at-1"}, None),
        ({}, None),
    ],
)
def test_personal_token_is_read_in_its_mode_only(document: dict[str, Any], token: str | None) -> None:
    personal_token = _auth_json.parse_personal_access_token(document)
    assert (personal_token and personal_token.reveal()) == token
    if token:
        assert _auth_json.parse_tokens(document) is None, "the tokens belong to the previous login"


def test_personal_token_must_be_text() -> None:
    with pytest.raises(ValueError, match="`personal_access_token` is not a string"):
        _auth_json.parse(b'{"personal_access_token": 5}')


@pytest.mark.parametrize(("token", "expected"), [("at-1", True), ("a.b.c", False), ("", False)])
def test_personal_token_is_recognized_by_its_prefix(token: str, expected: bool) -> None:
    assert _auth_json.is_personal_access_token(Secret(token)) is expected


def test_merged_login_keeps_other_members() -> None:
    refreshed = _auth_json.merge_refreshed_tokens(FULL_DOCUMENT, NEW_TOKENS, now=NOW)
    stored = {**FULL_DOCUMENT, "unknown_field": 2, "tokens": {"access_token": "at_1", "added": 3}}
    merged = _auth_json.merge_login(stored, refreshed)
    assert merged == {**refreshed, "unknown_field": 2, "tokens": {**refreshed["tokens"], "added": 3}}
    assert _auth_json.merge_login({}, refreshed)["tokens"] == refreshed["tokens"]


def test_same_tokens_are_recognized() -> None:
    tokens = _auth_json.StoredTokens(access_token=Secret("a"), refresh_token=Secret("r"))
    assert tokens.has_same_tokens(tokens._replace(account_id="acc-1", id_token=Secret("i")))
    assert not tokens.has_same_tokens(tokens._replace(access_token=Secret("b")))
    assert not tokens.has_same_tokens(tokens._replace(refresh_token=None))


def test_compact_json_is_ascii() -> None:
    assert _auth_json.serialize_compact({"a": [1, "ä"]}) == '{"a":[1,"\\u00e4"]}'


def test_deepest_document_of_the_codex_cli_is_accepted() -> None:
    data = b'{"auth_mode": ' + b"[" * 126 + b"1.5" + b"]" * 126 + b"}"
    assert _auth_json.parse(_auth_json.serialize(_auth_json.parse(data))) == _auth_json.parse(data)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"secret-token", datetime.now(UTC)])
def test_value_that_json_does_not_have_is_rejected(value: object) -> None:
    for serialize in (_auth_json.serialize, _auth_json.serialize_compact):
        with pytest.raises(ValueError, match="it has a value that JSON does not have") as caught:
            serialize({"auth_mode": [value]})
        assert caught.value.__suppress_context__


def test_document_that_is_nested_too_deeply_is_rejected() -> None:
    document: dict[str, Any] = {}
    for _ in range(1000):
        document = {"a": [document]}
    with pytest.raises(ValueError, match="nested more than 127"):
        _auth_json.serialize(document)
