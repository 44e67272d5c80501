"""Send requests for the official hosts to a simulator, in clients whose addresses cannot be configured."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

__all__ = ["redirect_official_hosts"]

_OFFICIAL_HOSTS = {"chatgpt.com", "auth.openai.com"}
_METHODS = (("HTTPTransport", "handle_request"), ("AsyncHTTPTransport", "handle_async_request"))


def redirect_official_hosts(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace scheme, host and port of requests for the official hosts, in httpx and httpx2."""
    for name in ("httpx", "httpx2"):
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        target = module.URL(url)
        for transport, method in _METHODS:
            transport_class = getattr(module, transport)
            monkeypatch.setattr(transport_class, method, _redirected(getattr(transport_class, method), target))


def _redirected(handle: Callable[..., Any], target: Any) -> Callable[..., Any]:
    @functools.wraps(handle)
    def handle_redirected(self: Any, request: Any) -> Any:
        if request.url.host in _OFFICIAL_HOSTS:
            request.url = request.url.copy_with(scheme=target.scheme, host=target.host, port=target.port)
        return handle(self, request)

    return handle_redirected
