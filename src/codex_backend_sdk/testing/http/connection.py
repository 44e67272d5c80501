"""A server connection that the application can reach, to do on it what no application may."""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Literal, get_args

import anyio
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive

__all__ = ["EXTENSION", "HANDSHAKES", "Connection", "Handshake"]

# Where an application finds the connection of its request, in the scope's extensions.
EXTENSION = "codex_simulator.connection"

# How a TLS handshake ends: with an answer in plain HTTP, a TLS alert, the end of the connection, its reset, or never.
Handshake = Literal["plain", "alert", "closed", "reset", "silent"]
HANDSHAKES: tuple[Handshake, ...] = get_args(Handshake)

_FIRST_BYTE_OF_TLS = 0x16  # a record of type "handshake" (RFC 8446, 5.1)
_SAYS: dict[Handshake, bytes] = {
    "plain": b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "alert": bytes((0x15, 3, 3, 0, 2, 2, 40)),  # fatal, handshake_failure (RFC 8446, 6)
}
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Connection(H11Protocol):
    """A connection; `handshake` is asked what to do with a client that begins to speak TLS."""

    def __init__(self, *args: Any, handshake: Callable[[], Handshake], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._handshake = handshake
        self._is_new = True
        self._is_deaf = False
        self._is_idle = False
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[EXTENSION] = self
            await inner(scope, receive, send)

        self.app = app

    def data_received(self, data: bytes) -> None:
        """Read what has arrived."""
        if self._is_new and data[0] == _FIRST_BYTE_OF_TLS:
            self._is_deaf = True
            self._fail(self._handshake())
        self._is_new = False
        if not self._is_deaf:
            super().data_received(data)

    def _fail(self, how: Handshake) -> None:
        self.write(_SAYS.get(how, b""))
        if how != "silent":
            self.end(reset=how == "reset")

    def shutdown(self) -> None:
        """End, when the server does; what stands still has nothing to say any more."""
        if self._is_idle:
            self.transport.abort()
        else:
            super().shutdown()

    def write(self, data: bytes) -> None:
        """Send bytes as they are, if there is somebody to read them."""
        if data and not self.is_gone():
            self.transport.write(data)

    def is_gone(self) -> bool:
        """Whether the client has left, or is being left."""
        return self.transport.is_closing()

    def is_flushed(self) -> bool:
        """Whether everything was handed to the operating system."""
        return self.is_gone() or self.transport.get_write_buffer_size() == 0

    def end(self, *, reset: bool) -> None:
        """Close after what is in the buffer, or reset at once; nothing marks the end of an answer."""
        if not reset:
            self.transport.close()
            return
        found = self.transport.get_extra_info("socket")
        if not self.is_gone() and found is not None:
            # Closing a socket that may not linger sends a reset.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    async def is_idle_for(self, seconds: float | None, receive: Receive) -> bool:
        """Wait so long for the client to leave; True as soon as it does."""
        self._is_idle = True
        try:
            with anyio.move_on_after(seconds):
                while (await receive())["type"] != "http.disconnect":
                    pass
                return True
            return False
        finally:
            self._is_idle = False
