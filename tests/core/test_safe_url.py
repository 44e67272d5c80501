from __future__ import annotations

import pytest

from codex_backend_sdk._core.safe_url import require_safe_url


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://auth.openai.com", "https://auth.openai.com"),
        ("https://auth.openai.com/", "https://auth.openai.com"),
        ("https://example.com:8443/issuer/", "https://example.com:8443/issuer"),
        ("http://127.0.0.1:1234", "http://127.0.0.1:1234"),
        ("http://localhost", "http://localhost"),
        ("HTTP://LOCALHOST:1", "HTTP://LOCALHOST:1"),
        ("http://[::1]:1234/", "http://[::1]:1234"),
    ],
)
def test_https_and_http_on_loopback_are_safe(url: str, kept: str) -> None:
    assert require_safe_url(url, what="issuer") == kept


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
    ],
)
def test_any_other_address_is_refused_by_the_name_of_its_setting(url: str) -> None:
    with pytest.raises(ValueError, match=r"^CODEX_ISSUER_URL must be an https URL, or http on 127"):
        require_safe_url(url, what="CODEX_ISSUER_URL")
