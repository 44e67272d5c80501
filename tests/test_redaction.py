"""Test what is removed from text of other programs, and that this takes time in proportion to its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from codex_backend_sdk._redaction import (
    excerpt,
    redact,
    redact_data,
    redact_url,
    remove_control_characters,
    sent_secrets,
)

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJmYWtlIn0.c2lnbmF0dXJl"
SECRET = "fake+secret/of==this login"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"no {JWT}.", "no [REDACTED]."),
        (f"token={JWT}&x=1", "token=[REDACTED]&x=1"),
        (f"/a/{JWT}/b", "/a/[REDACTED]/b"),
        ("eyJhbGciOiJub25lIn0", "[REDACTED]"),
        ("rt_FAKE0123456789 rt.1.AfakeFAKE0123", "[REDACTED] [REDACTED]"),
        ("at-FAKE0123456789", "[REDACTED]"),
        ("ac_FAKE0123456789", "[REDACTED]"),
        ("sk-proj-FAKE0123456789 sess-FAKE0123456789", "[REDACTED] [REDACTED]"),
        ("Authorization: Bearer abcdefgh1", "Authorization: Bearer [REDACTED]"),
        ("authorization:bearer:abcdefgh1", "authorization:bearer:[REDACTED]"),
        ("Bearer%20abcdefgh1", "Bearer%20[REDACTED]"),
        ("{'Authorization': 'Bearer \"abcdefgh1\"'}", "{'Authorization': 'Bearer \"[REDACTED]\"'}"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic [REDACTED]"),
        ("Bearer abcdefghijklmnopqrstuvwxyz", "Bearer [REDACTED]"),
        ("Bearer authentication is required", "Bearer authentication is required"),
        ("at-least-once-delivery of disk-based sk-learn-estimators", None),
        ("eyJ is short, and so is Bearer abc1", None),
        ("The model `gpt-6.1-sol` at https://chatgpt.com/backend-api/codex/responses", None),
    ],
)
def test_tokens_are_redacted_by_their_shape(text: str, expected: str | None) -> None:
    assert redact(text) == (text if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<{SECRET}>", "<[REDACTED]>"),
        ("fake%2Bsecret%2Fof%3D%3Dthis%20login", "[REDACTED]"),
        (f"{SECRET[:4]}\x00{SECRET[4:9]}\u200b{SECRET[9:]}", "[REDACTED]"),
        ("opaque-credential-of-this…", "[REDACTED]…"),
        ("key=of-this-session-x", "key=[REDACTED]"),
        ("opaque-cred…", "opaque-cred…"),
    ],
)
def test_secrets_are_redacted_in_every_form(text: str, expected: str) -> None:
    assert redact(text, (SECRET, "opaque-credential-of-this-session-x", "")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc", "a\nb\tc"),
        ("a\x1b[1;31mb\x1b[0m", "ab"),
        ("a\x9b2Jb", "ab"),
        ("\x1b]0;title\x07a\x1b]8;;https://x.test\x1b\\b\x9d0;title\x9cc", "abc"),
        ("\x1bPdata\x1b\\a\x90data\x9cb", "ab"),
        ("\x1b]0;no terminator", "0;no terminator"),
        ("a\x1bcb\x1b(Bc\x1b", "abc"),
        ("a\x00\x07\x08\x7f\x85\rb", "ab"),
        ("\u202eabc\u2066\u200f\u061c\ufeff\u2028\U000e0041", "abc"),
        ("\ud800a", "a"),
        ("é 漢字 👩\u200d💻 ←", "é 漢字 👩\u200d💻 ←"),
    ],
)
def test_control_characters_are_removed(text: str, expected: str) -> None:
    assert remove_control_characters(text) == expected


def test_excerpt_is_one_short_line_without_a_cut_secret() -> None:
    assert excerpt("  some\n\ttext ") == "some text"
    assert excerpt("x" * 301) == "x" * 300 + "…"
    assert excerpt("a" * 280 + f" {JWT}") == "a" * 280 + " [REDACTED]"
    assert len(excerpt(" x" * 100_000)) == 301


def test_data_is_redacted_at_any_depth() -> None:
    @dataclass(frozen=True, slots=True)
    class Limit:
        name: str
        parts: tuple[Any, ...]
        percent: float = 1.5

    value = {JWT: [JWT, 1, None, True], "limit": Limit(JWT, (JWT, Limit("plain", ())))}
    assert redact_data(value) == {
        "[REDACTED]": ["[REDACTED]", 1, None, True],
        "limit": Limit("[REDACTED]", ("[REDACTED]", Limit("plain", ()))),
    }
    assert redact_data(Limit) is Limit


def test_sent_secrets_are_the_values_of_unknown_headers() -> None:
    headers = [
        ("Authorization", "Bearer fake-token"),
        ("ChatGPT-Account-ID", "fake-account"),
        ("Cookie", "a=fake-cookie-1; b=short; c=fake-cookie-2"),
        ("x-gateway-key", " fake-key-1 "),
        ("x-stainless-read-timeout", "600000000"),
        ("User-Agent", "my-program/1.0"),
        ("Content-Type", "application/json"),
        ("x-short", "1234567"),
    ]
    secrets = set(sent_secrets(headers, ["fake-code-1", "code"]))
    cookies = {"a=fake-cookie-1; b=short; c=fake-cookie-2", "fake-cookie-1", "fake-cookie-2"}
    assert secrets == {"Bearer fake-token", "fake-token", "fake-account", "fake-key-1", "fake-code-1", *cookies}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://chatgpt.com/backend-api/codex", None),
        ("http://proxy:8080", None),
        ("proxy:8080", None),
        ("https://x.test/a?key=PW", "https://x.test/a?…"),
        ("https://x.test/a#PW", "https://x.test/a?…"),
        ("http://user:PW@proxy:8080", "http://…@proxy:8080"),
        ("http://user:PW@proxy:8080/a?PW", "http://…@proxy:8080/a?…"),
        ("http://user:PW/PW@proxy:8080/a", "http://…"),
        ("http://user:PW#PW@proxy:8080", "http://…"),
        ("http://user:PW?PW@proxy:8080", "http://…"),
        ("http://user:PW@PW@proxy:8080", "http://…"),
        ("http://user:PW\\@proxy:8080", "http://…"),
        ("http://proxy:8080/?user@PW", "http://…"),
        ("//user:PW@proxy:8080", "//…@proxy:8080"),
        ("http:////user:PW@proxy:8080", "http://…"),
        ("user:PW@proxy:8080", "…@proxy:8080"),
        ("http://user%3APW%40proxy:8080", "http://…"),
        ("http://user%40a:PW@proxy:8080", "http://…"),
        (f"https://x.test/{JWT}/b", "https://x.test/[REDACTED]/b"),
        ("https://x.test/\x1b[2J", "https://x.test/"),
    ],
)
def test_url_is_shown_without_credentials(url: str, expected: str | None) -> None:
    assert redact_url(url) == (url if expected is None else expected)


PARTLY_REPEATED = "at-" + "0123456789abcdef" * 3


@pytest.mark.parametrize(
    "text",
    [
        f"x{PARTLY_REPEATED[3:]}",
        f"{PARTLY_REPEATED[3:]}x",
        f"at%2D{PARTLY_REPEATED[3:]}",
        f"token_{PARTLY_REPEATED[3:]}.",
        f"https://login.example/{PARTLY_REPEATED[3:]}.",
        PARTLY_REPEATED.upper(),
        f"…{PARTLY_REPEATED[10:30]}…",
    ],
)
def test_part_of_a_secret_is_redacted_within_a_word(text: str) -> None:
    redacted = redact(text, [PARTLY_REPEATED, "x" * 20_000])
    assert "[REDACTED]" in redacted
    assert "0123456789abcdef" not in redacted.lower()


def test_words_without_a_part_of_a_secret_are_kept() -> None:
    text = "incomprehensibilities 0123456789-fedcba9876543210 https://example.com/documentation"
    assert redact(text, [PARTLY_REPEATED]) == text
