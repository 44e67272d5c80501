"""Which addresses a token may travel to."""

from __future__ import annotations

import re
from functools import cache
from typing import Final
from urllib.parse import urlsplit

__all__ = ["LOOPBACK_HOSTS", "require_backend_url", "require_safe_url"]

_PLATFORM_HOST: Final = "api.openai.com"
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@cache
def require_safe_url(url: str, *, what: str) -> str:
    """Return `url` without its trailing slash; ValueError unless it is https, or http on loopback.

    Tokens travel to this address, so plain http is for this machine alone. `what` names the setting at fault.
    """
    rule = (
        f"{what} must be an https URL, or http on 127.0.0.1, localhost or [::1]; without user name, query or fragment"
    )
    if any(mark in url for mark in "\\@?#"):
        raise ValueError(rule)  # not with the address: what stands around these marks may be secret
    rule = f"{rule}; not {url!r}"
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError(rule)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(rule) from None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS)):
        raise ValueError(rule)
    return url.rstrip("/")


def require_backend_url(url: str, *, what: str) -> str:
    """Do the same for the address of the backend; ValueError, too, for that of the platform, which takes no login."""
    url = require_safe_url(url, what=what)
    if urlsplit(url).hostname == _PLATFORM_HOST:
        raise ValueError(
            f"{what} is {url!r}, the OpenAI platform, which takes API keys: a ChatGPT login is worth nothing there. "
            f"Leave {what} out, or use `openai.OpenAI` with a key."
        )
    return url
