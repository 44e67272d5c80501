"""One TLS context for all clients of a process: loading the trusted certificates takes 40 ms and more."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    import ssl

__all__ = ["tls_context"]


def tls_context() -> ssl.SSLContext:
    """Return httpx's own context for the certificates that the environment names just now."""
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _context(cert_file: str | None, cert_dir: str | None) -> ssl.SSLContext:
    return httpx2.create_ssl_context()
