"""A WebSocket on a connection of the simulator's server.

The handshake and the framing are those of `websockets`, which has no I/O (`websockets.server.ServerProtocol`). This
module passes bytes between it and the connection, and counts them. It adds what a real server does not do: a partial
frame, a connection that ends without a close frame, and a peer that does not respond at all.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import anyio
from websockets.datastructures import Headers
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import ExtensionName

from .settings import DEFAULT_MAX_MESSAGE_BYTES
from .websocket_log import RecordedFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from websockets.http11 import Response

    from ..http.asgi_server import ControlledConnection
    from .settings import WebSocketSettings
    from .websocket_log import RecordedWebSocket

__all__ = ["Handshake", "Message", "SocketConnection"]

# The time that a client has to respond to a close frame before the connection is closed.
_CLOSE_TIMEOUT_SECONDS: Final = 2.0
_FLUSH_POLL_SECONDS: Final = 0.005
_MASK_BYTES: Final = 4
# Clients that fail are the purpose of a simulator. Log nothing about them.
_LOGGER: Final = logging.getLogger("codex_backend_sdk.testing.websocket.protocol")
_LOGGER.setLevel(logging.CRITICAL)


class Message:
    """A message of the client. `is_text` is false for a binary message."""

    __slots__ = ("frame", "is_text")

    def __init__(self, frame: RecordedFrame, *, is_text: bool) -> None:
        self.frame = frame
        self.is_text = is_text


class Handshake:
    """The handshake of a WebSocket. `rejection` is the response to an invalid upgrade request, or None."""

    def __init__(
        self, path: str, headers: Sequence[tuple[str, str]], settings: WebSocketSettings, extra_headers: dict[str, str]
    ) -> None:
        self.protocol = ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()] if settings.accepts_deflate else [],
            max_size=settings.max_message_bytes or DEFAULT_MAX_MESSAGE_BYTES,
            logger=_LOGGER,
        )
        # The protocol has to receive the request, although the server has parsed it already.
        self.protocol.receive_data(Request(path, Headers(headers)).serialize())
        (request,) = self.protocol.events_received()
        assert isinstance(request, Request)
        self.response = self.protocol.accept(request)
        for name, value in extra_headers.items():
            if name in self.response.headers:
                del self.response.headers[name]
            self.response.headers[name] = value

    @property
    def rejection(self) -> Response | None:
        """The response to an invalid upgrade request, or None if the request is valid."""
        return None if self.response.status_code == 101 else self.response

    @property
    def uses_deflate(self) -> bool:
        """Whether the extension permessage-deflate was negotiated."""
        return bool(self.protocol.extensions)


class _PayloadSizes(Extension):
    """Count the payload bytes of received frames before they are decompressed.

    As the last of the extensions, it decodes each frame first.
    """

    name = ExtensionName("simulator-payload-sizes")

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        self.sizes.append(len(frame.data))
        return frame

    def encode(self, frame: Frame) -> Frame:
        return frame


class SocketConnection:
    """An open WebSocket. Create it on the event loop of the connection.

    `on_message` records each message of the client.
    """

    def __init__(
        self,
        connection: ControlledConnection,
        handshake: Handshake,
        record: RecordedWebSocket,
        on_message: Callable[[RecordedFrame], None],
    ) -> None:
        self.record = record
        self._connection = connection
        self._protocol = handshake.protocol
        self._on_message = on_message
        self._payload_sizes = _PayloadSizes()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._parts: list[bytes] = []
        self._wire_bytes = 0
        self._is_text = True
        self._ignores_input = False
        # Encoded bytes that are not written yet. Control frames may not be written within another frame.
        self._unwritten = 0
        self._delayed_output = b""
        self._protocol.send_response(handshake.response)
        self._connection.write(b"".join(self._protocol.data_to_send()))
        self._protocol.extensions = [*self._protocol.extensions, self._payload_sizes]
        self._connection.switch_protocol(self)

    # Called by the connection

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        self.record.received_bytes += len(data)
        if self._ignores_input:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame_received(event, self._payload_sizes.sizes.pop(0))
        self._send_output()

    def connection_lost(self) -> None:
        """Process the end of the connection."""
        if self._protocol.state is not State.CLOSED and self._protocol.parser_exc is None:
            self._protocol.receive_eof()
        self.record.close_code = self._close_code()
        self._messages.put_nowait(None)

    def shut_down(self) -> None:
        """Close the connection because the server stops."""
        self.close(1001)
        self._connection.end(reset=False)

    # Receiving

    async def receive(self) -> Message | None:
        """Return the next message, or None after the end of the connection."""
        return await self._messages.get()

    def _frame_received(self, frame: Frame, payload_bytes: int) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._parts.append(bytes(frame.data))
        length_bytes = 0 if payload_bytes < 126 else 2 if payload_bytes < 65536 else 8  # RFC 6455, 5.2
        self._wire_bytes += 2 + length_bytes + _MASK_BYTES + payload_bytes
        if not frame.fin:
            return
        recorded = RecordedFrame(connection=self.record.number, wire_bytes=self._wire_bytes, data=b"".join(self._parts))
        self._parts, self._wire_bytes = [], 0
        self._on_message(recorded)
        self._messages.put_nowait(Message(recorded, is_text=self._is_text))

    # Sending

    def encode_text(self, text: str, *, fragment_bytes: int | None = None) -> bytes:
        """Return the frames of a text message. With `fragment_bytes`, its frames have at most this many bytes."""
        data = text.encode(errors="replace")
        if not self.is_open:
            return b""
        size = fragment_bytes or max(len(data), 1)
        self._protocol.send_text(data[:size], fin=len(data) <= size)
        for start in range(size, len(data), size):
            self._protocol.send_continuation(data[start : start + size], fin=start + size >= len(data))
        return self._encoded()

    def encode_binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        if not self.is_open:
            return b""
        self._protocol.send_binary(data)
        return self._encoded()

    def ping(self) -> None:
        """Send a ping."""
        if self.is_open:
            self._protocol.send_ping(b"sim")
            self._send_output()

    def close(self, code: int) -> None:
        """Send a close frame. Close the connection when the client has responded, or after a timeout."""
        if self.is_open:
            self._protocol.send_close(code)
            self._send_output()
            self._close_later()

    def end(self, *, reset: bool) -> None:
        """End the connection without a close frame."""
        self._connection.end(reset=reset)

    def write(self, data: bytes) -> None:
        """Write encoded bytes. Write delayed control frames after the end of a frame."""
        self._unwritten = max(self._unwritten - len(data), 0)
        self._write(data)
        if self._unwritten == 0 and self._delayed_output:
            delayed, self._delayed_output = self._delayed_output, b""
            self._write(delayed)

    async def drain(self) -> None:
        """Wait until the connection accepts more bytes. Let the event loop process received bytes."""
        await asyncio.sleep(0)
        await self._connection.flow.drain()

    async def flush(self) -> None:
        """Wait until all bytes were passed to the operating system."""
        while not self._connection.is_flushed():  # noqa: ASYNC110 -- a transport has no event for an empty buffer
            await anyio.sleep(_FLUSH_POLL_SECONDS)

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN and not self._connection.is_closing()

    @property
    def is_at_frame_boundary(self) -> bool:
        """Whether no frame is written in part."""
        return self._unwritten == 0

    def become_silent(self) -> None:
        """Ignore everything that the client sends from now on. The client still has an open connection."""
        self._ignores_input = True

    def _encoded(self) -> bytes:
        data = b"".join(self._protocol.data_to_send())
        self._unwritten += len(data)
        return data

    def _send_output(self) -> None:
        """Send the control frames that `websockets` created: pongs and close frames."""
        output = self._protocol.data_to_send()
        data = b"".join(output)
        if self._protocol.state is not State.OPEN:
            self.record.close_code = self._close_code()
        if self._unwritten and data:
            self._delayed_output += data
        elif data:
            self._write(data)
        if b"" in output:  # websockets' mark for the end of the stream
            self._connection.write_eof()
            self._close_later()

    def _close_later(self) -> None:
        asyncio.get_running_loop().call_later(_CLOSE_TIMEOUT_SECONDS, self._connection.end_if_open)

    def _write(self, data: bytes) -> None:
        self.record.sent_bytes += len(data)
        self._connection.write(data)

    def _close_code(self) -> int:
        received, sent = self._protocol.close_rcvd, self._protocol.close_sent
        if self._protocol.close_rcvd_then_sent is False and sent is not None:
            return int(sent.code)
        first = received or sent
        return 1006 if first is None else int(first.code)
