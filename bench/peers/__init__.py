"""The clients that are compared, each behind the interface `Peer`.

Each peer runs in its own process (`python -m bench.peers`) and imports its client when it is loaded, so that start-up
can be measured.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

__all__ = ["Peer", "load"]


class Peer(Protocol):
    """The operations of a peer. A peer implements those that its rows need; the type of its client is its own."""

    # True if its events are mappings, not objects.
    is_untyped: bool

    def client(self, base_url: str) -> Any: ...
    def mock_client(self, compress: bool = True) -> Any:
        """Return a client with a mock transport, which responds as soon as a request is ready to be written.

        `compress` is False for a client that should send the body uncompressed, if it can compress at all.
        """

    def async_client(self, base_url: str) -> Any: ...
    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    async def async_events(self, client: Any, params: dict[str, Any]) -> AsyncIterator[Any]: ...
    def chat_chunks(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    def helper_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    def websocket_events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]: ...
    def collected_text(self, client: Any, params: dict[str, Any]) -> str: ...
    def agents(self, base_url: str, way: str, count: int = 1) -> list[Any]:
        """Return agents (see bench/peers/agents.py) that share a client. `way` selects the transport of a peer."""

    async def async_agents(self, base_url: str, way: str, count: int = 1) -> list[Any]: ...
    def batch(self, client: Any, prompts: list[str], params: dict[str, Any], journal: Path | None) -> int:
        """Send the prompts, at most 16 at a time, and return the number of characters of all responses."""

    async def async_batch(
        self, client: Any, prompts: list[str], params: dict[str, Any], journal: Path | None
    ) -> int: ...


# Peer → its module in this package, and its class there.
_CLASSES = {
    "ours": ("official", "Ours"),
    "openai": ("official", "Official"),
    "login-with-chatgpt": ("official", "LoginWithChatGPT"),
    "original-0.2.0": ("original", "Original020"),
    "original-0.5.9": ("original", "Original059"),
    "gpt-codex-client": ("gpt_codex", "GptCodexClient"),
    "floor": ("floor", "Floor"),
}


def load(name: str) -> Peer:
    """Import the client of a peer and return the peer."""
    module, class_name = _CLASSES[name]
    return cast("Peer", getattr(import_module(f"bench.peers.{module}"), class_name)())
