"""Accept a WebSocket: send the response to the upgrade request, and run the session of the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..http.asgi_server import CONNECTION_EXTENSION, wait_for_disconnect
from ..http.delivery import EncodedBytes, HttpWire, Pause
from .responses_session import ResponsesSession
from .socket_connection import SocketConnection

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import Receive, Scope, Send

    from ..http.asgi_server import ControlledConnection
    from ..http.delivery import SimulatedResponse
    from .responses_session import MessageHandler, ResponseCallback
    from .settings import WebSocketSettings
    from .socket_connection import Handshake
    from .websocket_log import WebSocketLog

__all__ = ["WebSocketUpgrade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketUpgrade:
    """The response to a valid upgrade request. It is an ASGI application that lasts until the connection ends.

    `response` has the status 101; a fault of the upgrade may delay it or end the connection instead.
    """

    response: SimulatedResponse
    handshake: Handshake
    handle: MessageHandler
    log: WebSocketLog
    clock: Callable[[], datetime]
    get_settings: Callable[[], WebSocketSettings]
    on_response: ResponseCallback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Accept the WebSocket and serve its messages."""
        connection: ControlledConnection = scope["extensions"][CONNECTION_EXTENSION]
        async for chunk in self.response.encoded_chunks(HttpWire()):
            if isinstance(chunk, Pause) and await connection.pause(chunk.seconds, receive):
                return
            if isinstance(chunk, EncodedBytes):
                connection.write(chunk.data)
        if self.response.is_raw or self.response.ending != "close":
            connection.end(reset=self.response.ending == "reset")
        elif not connection.is_closing():
            await self._serve(connection, scope)
        await wait_for_disconnect(receive)

    async def _serve(self, connection: ControlledConnection, scope: Scope) -> None:
        record = self.log.open(scope["state"]["recorded_request"], uses_deflate=self.handshake.uses_deflate)
        session = ResponsesSession(
            handle=self.handle, clock=self.clock, get_settings=self.get_settings, on_response=self.on_response
        )
        await session.run(SocketConnection(connection, self.handshake, record, self.log.append))
