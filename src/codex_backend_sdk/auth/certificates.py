"""Whom TLS trusts, for the backend and for the issuer alike.

One context for all clients of a process: loading the trusted certificates takes 40 ms and more.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final

import httpx2

from codex_backend_sdk._constants import CA_CERTIFICATE_ENV

if TYPE_CHECKING:
    import ssl

__all__ = ["NO_PROXY_FOR_PLAIN_HTTP", "tls_context"]

# For `mounts=`. Plain http is for loopback alone: a proxy from the environment would carry tokens off this machine.
NO_PROXY_FOR_PLAIN_HTTP: Final = {"http://": None}


def tls_context() -> ssl.SSLContext:
    """Return httpx's own context for the certificates that the environment names just now.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the system's, `CODEX_CA_CERTIFICATE` is added to them.
    ValueError when it names no PEM file.
    """
    return _context(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", CA_CERTIFICATE_ENV)))


@cache
def _context(cert_file: str | None, cert_dir: str | None, added: str | None) -> ssl.SSLContext:
    context = httpx2.create_ssl_context()
    if added:
        try:
            context.load_verify_locations(cafile=added)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(f"{CA_CERTIFICATE_ENV} names no readable PEM file: {added}") from error
    return context
