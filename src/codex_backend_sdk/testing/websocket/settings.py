"""Settings of the simulated WebSocket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

__all__ = ["DEFAULT_MAX_MESSAGE_BYTES", "WebSocketSettings"]

# Users report that the backend closes the connection with code 1009 beyond this size.
DEFAULT_MAX_MESSAGE_BYTES: Final = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """How the simulator treats WebSockets.

    - `is_enabled`: whether the simulator accepts WebSockets. Otherwise each upgrade fails with 426.
    - `accepts_deflate`: whether it accepts the extension permessage-deflate, if the client offers it.
    - `max_message_bytes`: the longest message of a client in bytes, decompressed. After a longer one, the simulator
      closes the connection with code 1009. If it is not None, the response to the upgrade contains it in the header
      `x-codex-websocket-max-message-bytes`; with None, the limit is 16 MiB.
    - `lifetime`: the age at which a connection ends with the error `websocket_connection_limit_reached`, also in the
      middle of a response. The simulator's `clock` determines the age.
    """

    is_enabled: bool = True
    accepts_deflate: bool = True
    max_message_bytes: int | None = None
    lifetime: timedelta = timedelta(minutes=60)
