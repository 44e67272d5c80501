"""What stands between this machine and the servers: proxies, and whom TLS trusts."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ..._constants import CA_CERTIFICATE_ENV
from .result import note, ok
from .servers import backend_url, issuer_url, shown_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .result import Outcome, Scene

__all__ = ["check_certificates", "check_proxy"]

_AUTHORITIES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", CA_CERTIFICATE_ENV)
# What other programs take their authorities from.
_OTHERS: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")


def check_proxy(scene: Scene) -> Iterator[Outcome]:
    """Say which proxy the servers are reached through. Whether it can be used at all, `check_certificates` says."""
    ways = [f"{_place(url)} is reached {_way(url)}." for url in (backend_url(scene), issuer_url(scene))]
    yield from map(ok, dict.fromkeys(ways))


def check_certificates(scene: Scene) -> Iterator[Outcome]:
    """Say whom TLS trusts. ValueError when what the variables of the network name cannot be used."""
    import httpx2

    from ...auth._http import open_client

    open_client(httpx2.Client).close()
    given = [f"{name}={scene.environment[name]}" for name in _AUTHORITIES if scene.environment.get(name)]
    yield ok(f"{', '.join(given)} can be used." if given else "The usual authorities are trusted.")
    others = [name for name in _OTHERS if scene.environment.get(name)]
    if others and not given:
        yield note(
            f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} set and not used.",
            f"If a proxy of your network breaks TLS up, name its certificate in {CA_CERTIFICATE_ENV}.",
        )


def _place(url: str) -> str:
    return urlsplit(url).hostname or shown_url(url)


def _way(url: str) -> str:
    proxies = urllib.request.getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if urlsplit(url).scheme == "http":
        return "without a proxy, as it is this machine"
    if not proxy:
        return "without a proxy"
    if urllib.request.proxy_bypass(_place(url)):
        return "without a proxy, as NO_PROXY says"
    return f"through the proxy {shown_url(proxy if '://' in proxy else f'http://{proxy}')}"
