"""The clients that are compared, each behind the same few calls. One runs in each process: `python -m bench.peers`.

A peer imports its client when it is loaded and not before, so that start-up can be measured.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["HOMES", "Peer", "load"]


class Peer(Protocol):
    """What a peer can be asked; which of it, the table of rows knows. A client is whatever `client` returns."""

    # Its events are mappings, not objects.
    untyped: bool

    def client(self, base_url: str) -> Any: ...
    def canned_client(self, compress: bool = True) -> Any:
        """Return a client whose requests are prepared, and answered without any network."""

    def async_client(self, base_url: str) -> Any: ...
    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    async def async_events(self, client: Any, params: dict[str, Any]) -> AsyncIterator[Any]: ...
    def helper_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    def collected_text(self, client: Any, params: dict[str, Any]) -> str: ...


HOMES = {
    "ours": ("official", "Ours"),
    "openai": ("official", "Official"),
    "login-with-chatgpt": ("official", "LoginWithChatGPT"),
    "original-0.2.0": ("original", "Original020"),
    "original-0.5.9": ("original", "Original059"),
    "floor": ("floor", "Floor"),
}


def load(name: str) -> Peer:
    """Import a peer's client, and return the peer."""
    module, member = HOMES[name]
    return cast("Peer", getattr(import_module(f"bench.peers.{module}"), member)())
