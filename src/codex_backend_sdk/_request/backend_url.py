"""The backend that a client is configured for: its address, checked, and the addresses of its paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._urls import require_backend_url

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx2

__all__ = ["Backend"]


class Backend:
    """A backend by its address; ValueError for one that no login may be sent to."""

    def __init__(self, base: httpx2.URL) -> None:
        self.base = base
        self.address = str(base)
        require_backend_url(self.address, what="base_url")
        self._urls: dict[str, httpx2.URL] = {}

    def url(self, path: str, *, merged: Callable[[str], httpx2.URL]) -> httpx2.URL:
        """Return the URL of a path; `merged` puts one behind the address, in the official way.

        It is made once: paths are few, and parsing two URLs is a tenth of what a call costs.
        """
        if path not in self._urls:
            self._urls[path] = self._beside(path) if path.startswith("/wham/") else merged(path)
        return self._urls[path]

    def _beside(self, path: str) -> httpx2.URL:
        # The account's endpoints stand beside the Codex backend. Codex CLI: backend-client/src/client.rs.
        base = self.base.path.rstrip("/").removesuffix("/codex")
        beside = base + path if "/backend-api" in base else base + path.replace("/wham/", "/api/codex/", 1)
        return self.base.copy_with(raw_path=beside.encode())
