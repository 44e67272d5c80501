"""What the environment says about the network, for the backend and for the issuer alike: whom TLS trusts, which proxy.

One TLS context for all clients of a process: loading the trusted certificates takes 40 ms and more.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import httpx2

from .._constants import CA_CERTIFICATE_ENV

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["opened"]

_T = TypeVar("_T")

_CERT_FILE_ENV: Final = "SSL_CERT_FILE"
_CERT_DIR_ENV: Final = "SSL_CERT_DIR"
_PROXY_ENVS: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
# For `mounts=`. Plain http is for loopback alone: a proxy from the environment would carry tokens off this machine.
_NO_PROXY_FOR_PLAIN_HTTP: Final = {"http://": None}


def opened(kind: Callable[..., _T], **options: Any) -> _T:
    """Make an httpx2 client of a kind, for the certificates and proxies that the environment names just now.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the system's certificates, `CODEX_CA_CERTIFICATE` is added to
    them. ValueError, with the name of the variable, when one cannot be used.
    """
    context = _context(*(os.environ.get(name) for name in (_CERT_FILE_ENV, _CERT_DIR_ENV, CA_CERTIFICATE_ENV)))
    try:
        return kind(verify=context, mounts=_NO_PROXY_FOR_PLAIN_HTTP, **options)
    except ImportError:
        names = _proxies(of_scheme="socks")
        problem = f"a SOCKS proxy, which takes one more package: pip install 'httpx2[socks]', or unset {names}"
    except (ValueError, httpx2.InvalidURL):
        names = _proxies()
        problem = f"no proxy that can be used: it must be like http://host:port; correct it, or unset {names}"
    raise ValueError(f"{names} names {problem}")  # not the errors above: they may show the proxy's password


@cache
def _context(cert_file: str | None, cert_dir: str | None, added: str | None) -> ssl.SSLContext:
    try:
        context = httpx2.create_ssl_context()
    except OSError as error:  # ssl.SSLError is one
        raise _unreadable(_CERT_FILE_ENV if cert_file else _CERT_DIR_ENV, cert_file or cert_dir) from error
    if added:
        try:
            context.load_verify_locations(cafile=added)
        except OSError as error:
            raise _unreadable(CA_CERTIFICATE_ENV, added) from error
    return context


def _unreadable(name: str, value: str | None) -> ValueError:
    return ValueError(f"{name} names no readable PEM file: {value}. Correct the variable, or unset it.")


def _proxies(*, of_scheme: str = "") -> str:
    """Name the variables that set a proxy; elsewhere than in a variable it is a setting of the system."""
    given = {name: value for name, value in os.environ.items() if name.upper() in _PROXY_ENVS and value}
    names = [name for name, value in given.items() if value.lower().startswith(of_scheme)]
    return " and ".join(names) or "the proxy of the system's settings"
