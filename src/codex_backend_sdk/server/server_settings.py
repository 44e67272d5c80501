"""The settings of the local server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .._options import UnsupportedPolicy

__all__ = ["CHANGES_HEADER", "DEFAULT_PORT", "ServerSettings"]

DEFAULT_PORT: Final = 8765
# The response header that lists what the server changed or dropped in a request.
CHANGES_HEADER: Final = "x-codex-backend-changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of a local server. The defaults are those of `codex-backend serve`.

    Attributes:
        key: The key that every request must have.
        hosts: The addresses to listen on.
        port: The port to listen on. 0 selects a free port.
        allowed_hosts: Additional names that the `Host` header may have, without a port.
        allowed_origins: The web origins that may use the server, such as `http://localhost:3000` or `app://obsidian.md`.
        unsupported: What to do with a parameter that the backend does not have: drop it and name it in the header
            `x-codex-backend-changes`, or reject the request.
        concurrency: The number of model requests that run at the same time.
        queue_limit: The number of model requests that may wait. Further ones are rejected with status 429.
        max_body_bytes: The largest body of a request, decompressed.
        reasoning_memory: The number of calls of tools whose reasoning is kept in memory for clients that do not send it
            back. 0 turns it off.
        shows_reasoning: Whether a chat completion has `reasoning_content` if its request asks for summaries.
        lists_efforts: Whether `/v1/models` lists `<model>-<effort>` for each effort.
        commit_seconds: The time after which the status of a stream is sent, even if no event has decided it.
        keepalive_seconds: The time after which a silent stream sends a comment.
        receive_seconds: The time after which a client that sends no more bytes of a body gets a 408, and within which
            it must send the head of a request.
        stalled_seconds: The time after which a client that reads nothing of its response is disconnected.
        grace_seconds: The time for which requests may continue after a signal to stop. They then end with an error.
        quiet: Whether to print no line for each request.
    """

    key: str = field(repr=False)
    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = DEFAULT_PORT
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    unsupported: UnsupportedPolicy = "drop"
    concurrency: int = 4
    queue_limit: int = 100
    max_body_bytes: int = 32_000_000
    reasoning_memory: int = 1000
    shows_reasoning: bool = True
    lists_efforts: bool = False
    commit_seconds: float = 1.0
    keepalive_seconds: float = 12.0
    receive_seconds: float = 60.0
    stalled_seconds: float = 300.0
    grace_seconds: float = 5.0
    quiet: bool = False
