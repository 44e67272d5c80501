"""Which issuer is spoken to."""

from __future__ import annotations

import os

from .._constants import ISSUER_URL, ISSUER_URL_ENV
from .._urls import require_safe_url

__all__ = ["issuer_url"]


def issuer_url(given: str | None) -> str:
    """Return the issuer: the argument, else `$CODEX_ISSUER_URL`, else OpenAI's. ValueError when it is not safe."""
    if given is not None:
        return require_safe_url(given, what="issuer")
    return require_safe_url(os.environ.get(ISSUER_URL_ENV) or ISSUER_URL, what=ISSUER_URL_ENV)
