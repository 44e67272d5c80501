"""Test which base URLs and issuer URLs are accepted."""

from __future__ import annotations

import pytest

from codex_backend_sdk._urls import require_backend_url, require_https_or_loopback


@pytest.mark.parametrize(
    ("url", "normalized"),
    [
        ("https://auth.openai.com", "https://auth.openai.com"),
        ("https://auth.openai.com/", "https://auth.openai.com"),
        ("https://example.com:8443/issuer/", "https://example.com:8443/issuer"),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("http://localhost", "http://localhost"),
        ("https://my_gateway:8443", "https://my_gateway:8443"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://example.com.", "https://example.com."),
        ("HTTP://LOCALHOST:1", "HTTP://LOCALHOST:1"),
        ("http://[::1]:1234/", "http://[::1]:1234"),
    ],
)
def test_https_and_loopback_http_are_accepted(url: str, normalized: str) -> None:
    assert require_https_or_loopback(url, name="issuer") == normalized


@pytest.mark.parametrize(
    "url",
    [
        "",
        "auth.openai.com",
        "https://",
        "ftp://127.0.0.1",
        "http://auth.openai.com",
        "http://127.0.0.2",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://example.com\\@127.0.0.1",
        "https://user:password@example.com",
        "https://example.com?x=1",
        "https://example.com#x",
        "https://exa mple.com",
        "https://example.com\n",
        "https://ex\u00e4mple.com",
        "https://example.com:port",
        "http://[::1",
        "https://x[v1.chatgpt.com].evil.test",
        "https://[v1.chatgpt.com]",
        "https://[::1].evil.test",
        "https://[::1]evil.test",
        "https://[::g]",
        "https://[v6.fe80::1]",
        "https://[::1%25eth0]",
        "https://a..example.com",
        "https://.example.com",
        "https://-a.example.com",
        "https://a%2eexample.com",
        "https://a,b.example.com",
        f"https://{'a' * 64}.example.com",
        f"https://{'a.' * 127}example.com",
        "https://example.com:99999",
        "https://example.com:+443",
    ],
)
def test_unsafe_url_is_rejected_with_its_setting(url: str) -> None:
    with pytest.raises(ValueError, match=r"^CODEX_ISSUER_URL must be an https URL, or http on 127"):
        require_https_or_loopback(url, name="CODEX_ISSUER_URL")


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [("http://example.com", True), ("https://user:password@example.com", False), ("https://a.com?key=x", False)],
)
def test_url_is_shown_unless_it_may_hold_a_secret(url: str, is_shown: bool) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        require_https_or_loopback(url, name="base_url")
    assert (repr(url) in str(caught.value)) == is_shown


def test_platform_url_is_rejected() -> None:
    assert (
        require_backend_url("https://chatgpt.com/backend-api/codex/", name="x")
        == "https://chatgpt.com/backend-api/codex"
    )
    with pytest.raises(ValueError, match="Remove CODEX_BASE_URL"):
        require_backend_url("https://API.openai.com/v1", name="CODEX_BASE_URL")
