"""Validate the URLs that receive tokens: https only, or plain http on loopback."""

from __future__ import annotations

import os
import re
from functools import cache
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import urlsplit

from ._constants import ISSUER_URL, ISSUER_URL_ENV

__all__ = [
    "LOOPBACK_HOSTS",
    "is_websocket_url",
    "require_backend_url",
    "require_https_or_loopback",
    "resolve_issuer_url",
]

_PLATFORM_HOST: Final = "api.openai.com"
# A DNS name, or an IPv6 address in brackets, with an optional port. httpx2 reads every URL of this form as urlsplit()
# does. Others may have two readings: old versions of urlsplit() return the host `a` for `x[a].b` (CVE-2025-0938).
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_AUTHORITY: Final = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(?::[0-9]{{0,5}})?", re.IGNORECASE)
_MAX_HOST_LENGTH: Final = 253
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@cache
def require_https_or_loopback(url: str, *, name: str) -> str:
    """Return `url` without its trailing slash. `name` is the argument or variable in error messages.

    Raises ValueError unless the URL is https, or http on loopback: plain http to another machine exposes the tokens.
    """
    message = (
        f"{name} must be an https URL, or http on 127.0.0.1, localhost or [::1]. "
        "It must not have a user name, a query or a fragment."
    )
    if any(character in url for character in "\\@?#"):
        raise ValueError(message)  # without the URL: the text around these characters may be a password or a token
    message += f" Received: {url!r}."
    if not re.fullmatch(r"[!-~]+", url):  # printable ASCII only: urlsplit() removes or accepts other characters
        raise ValueError(message)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading the port validates it
        if parts.netloc.startswith("["):
            IPv6Address(host or "")
    except ValueError:
        raise ValueError(message) from None
    if not host or not _AUTHORITY.fullmatch(parts.netloc) or len(host) > _MAX_HOST_LENGTH:
        raise ValueError(message)
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise ValueError(message)
    return url.rstrip("/")


def require_backend_url(url: str, *, name: str) -> str:
    """Return the URL of a backend without its trailing slash.

    Raises ValueError as `require_https_or_loopback` does, and if the URL is that of the OpenAI platform.
    """
    url = require_https_or_loopback(url, name=name)
    if urlsplit(url).hostname == _PLATFORM_HOST:
        raise ValueError(
            f"{name} is {url!r}, the OpenAI platform. It does not accept a ChatGPT login. "
            f"Remove {name}, or use `openai.OpenAI` with an API key."
        )
    return url


def is_websocket_url(url: str) -> bool:
    """Return whether the scheme of the URL is that of a WebSocket."""
    return url.startswith(("ws://", "wss://"))


def resolve_issuer_url(url: str | None) -> str:
    """Return `url`, else `$CODEX_ISSUER_URL`, else the URL of OpenAI's issuer.

    Raises ValueError as `require_https_or_loopback` does.
    """
    if url is not None:
        return require_https_or_loopback(url, name="issuer")
    return require_https_or_loopback(os.environ.get(ISSUER_URL_ENV) or ISSUER_URL, name=ISSUER_URL_ENV)
