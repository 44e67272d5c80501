"""The rules for addresses that tokens travel to: https only, or plain http within this machine."""

from __future__ import annotations

import os
import re
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from ._constants import ISSUER_URL, ISSUER_URL_ENV

__all__ = ["LOOPBACK_HOSTS", "issuer_url", "require_backend_url", "require_safe_url"]

_PLATFORM_HOST: Final = "api.openai.com"
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@cache
def require_safe_url(url: str, *, what: str) -> str:
    """Return `url` without its trailing slash. `what` names the argument or variable in the error.

    Raise ValueError unless the URL is https, or http on loopback. Plain http to another machine would show the tokens.
    """
    rule = (
        f"{what} must be an https URL, or http on 127.0.0.1, localhost or [::1]; without user name, query or fragment"
    )
    if any(mark in url for mark in "\\@?#"):
        raise ValueError(rule)  # without the URL: the text around these marks may be a password or a token
    rule = f"{rule}; not {url!r}"
    if not re.fullmatch(r"[!-~]+", url):
        raise ValueError(rule)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        raise ValueError(rule) from None
    if not host or (parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS)):
        raise ValueError(rule)
    return url.rstrip("/")


def require_backend_url(url: str, *, what: str) -> str:
    """Return the URL of a backend as `require_safe_url` does; raise ValueError for the OpenAI platform as well."""
    url = require_safe_url(url, what=what)
    if urlsplit(url).hostname == _PLATFORM_HOST:
        raise ValueError(
            f"{what} is {url!r}, the OpenAI platform. It accepts API keys and no ChatGPT login. "
            f"Leave {what} out, or use `openai.OpenAI` with an API key."
        )
    return url


def issuer_url(issuer: str | None) -> str:
    """Return the issuer's URL: the argument, else `$CODEX_ISSUER_URL`, else OpenAI's. ValueError if it is not safe."""
    if issuer is not None:
        return require_safe_url(issuer, what="issuer")
    return require_safe_url(os.environ.get(ISSUER_URL_ENV) or ISSUER_URL, what=ISSUER_URL_ENV)
