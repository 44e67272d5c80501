"""Encode and decode the frames of a WebSocket (RFC 6455) with its compression (RFC 7692). Pure.

Only the side of a client is implemented: it sends masked frames and receives unmasked ones. A message is complete when
`FrameDecoder.feed` appends it, even if the server sent it in fragments. Control frames are collected separately,
because they may arrive between the fragments of a message.

The module exists because a response has thousands of events, and each is a message: decoding one takes a seventh of the
time that a general implementation takes. The tests compare it with that implementation.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "CLOSE",
    "COMPRESSION_OFFER",
    "PING",
    "PONG",
    "CloseFrame",
    "CompressionParameters",
    "FrameDecoder",
    "FrameEncoder",
    "FrameError",
    "MessageTooLargeError",
]

# The offer of the Codex CLI: the server may limit the window of the client.
COMPRESSION_OFFER: Final = "permessage-deflate; client_max_window_bits"

_CONTINUATION, _TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA
_FIN: Final = 0x80
_COMPRESSED: Final = 0x40  # RSV1, RFC 7692, 6
_RESERVED: Final = 0x30
_MASKED: Final = 0x80
# RFC 7692, 7.2.1: the sender removes these bytes from the end of a message, and the receiver appends them.
_DEFLATE_TAIL: Final = b"\x00\x00\xff\xff"
# Shorter messages, such as an interrupt, are not worth compressing.
_COMPRESSION_THRESHOLD_BYTES: Final = 256
# Level 1 halves the text of a conversation in a third of the time of the default level.
_COMPRESSION_LEVEL: Final = 1
_MAX_WINDOW_BITS: Final = 15
_PARAMETER: Final = re.compile(r'\s*([a-z_]+)(?:\s*=\s*"?(\d+)"?)?\s*')


class FrameError(Exception):
    """The server violated the protocol. `code` is the status of the close frame to send (RFC 6455, 7.4.1)."""

    def __init__(self, problem: str, *, code: int = 1002) -> None:
        super().__init__(problem)
        self.code = code


class MessageTooLargeError(FrameError):
    """A message of the server exceeds the limit of the decoder."""


class CloseFrame(NamedTuple):
    """A close frame. The code 1005 means that the frame had none (RFC 6455, 7.1.5)."""

    code: int
    reason: str


class CompressionParameters(NamedTuple):
    """The accepted parameters of permessage-deflate. A context takeover keeps the window between messages."""

    server_takeover: bool = True
    client_takeover: bool = True
    server_window_bits: int = _MAX_WINDOW_BITS
    client_window_bits: int = _MAX_WINDOW_BITS

    @classmethod
    def from_header(cls, header: str | None) -> CompressionParameters | None:
        """Parse the `Sec-WebSocket-Extensions` header of the handshake response. Return None without compression.

        Raises FrameError if the server selected something that the client did not offer.
        """
        if not header:
            return None
        name, *parameters = header.split(";")
        if name.strip() != "permessage-deflate":
            raise FrameError(f"the server selected the extension {name.strip()!r}, which was not offered")
        values: dict[str, int | None] = {}
        for parameter in parameters:
            match = _PARAMETER.fullmatch(parameter)
            if match is None:
                raise FrameError(f"the server selected the invalid parameter {parameter.strip()!r}")
            values[match[1]] = None if match[2] is None else int(match[2])
        return cls(
            server_takeover="server_no_context_takeover" not in values,
            client_takeover="client_no_context_takeover" not in values,
            server_window_bits=_window_bits(values, "server_max_window_bits"),
            client_window_bits=_window_bits(values, "client_max_window_bits"),
        )


def _window_bits(values: Mapping[str, int | None], name: str) -> int:
    bits = values.get(name) or _MAX_WINDOW_BITS
    if not 8 <= bits <= _MAX_WINDOW_BITS:
        raise FrameError(f"the server selected {bits} for `{name}`, which must be 8 to 15")
    return max(bits, 9)  # zlib does not implement 8; a larger window of the receiver is valid


class FrameDecoder:
    """Decoder of the frames that a server sends.

    Attributes:
        controls: The control frames received since the owner last cleared this list: opcode and payload.
        close_frame: The close frame of the server. Everything after it is ignored.
        bytes_received: The number of bytes received so far.
    """

    def __init__(self, *, max_message_bytes: float, compression: CompressionParameters | None = None) -> None:
        self.controls: list[tuple[int, bytes]] = []
        self.close_frame: CloseFrame | None = None
        self.bytes_received = 0
        self._max_message_bytes = max_message_bytes
        self._compression = compression
        self._inflater = self._new_inflater()
        self._buffer = bytearray()  # an incomplete frame
        self._missing_bytes = 0  # of the incomplete frame, if its length is known
        self._fragments: list[bytes] = []
        self._fragment_bytes = 0
        self._is_fragmented = False
        self._is_compressed = False

    def feed(self, data: bytes, messages: list[bytes]) -> None:
        """Append the text messages that the data completes. Raises FrameError if a violation follows them."""
        self.bytes_received += len(data)
        buffer = self._buffer
        if buffer:
            # Many reads complete a large frame. Only the last one parses, so the work stays linear.
            buffer += data
            if len(data) < self._missing_bytes:
                self._missing_bytes -= len(data)
                return
            data = bytes(buffer)
            buffer.clear()
        position, end = 0, len(data)
        self._missing_bytes = 0
        while position + 2 <= end and self.close_frame is None:
            head, length, start = data[position], data[position + 1], position + 2
            if length >= 126:
                if length & _MASKED:
                    raise FrameError("the server sent a masked frame")
                size_bytes = 2 if length == 126 else 8
                if start + size_bytes > end:
                    break
                length = int.from_bytes(data[start : start + size_bytes])
                start += size_bytes
                if length + self._fragment_bytes > self._max_message_bytes:
                    raise self._too_large()
            if start + length > end:
                self._missing_bytes = start + length - end
                break
            payload = data[start : start + length]
            position = start + length
            if head == _FIN | _TEXT and not self._is_fragmented:
                messages.append(payload)
            else:
                self._read_frame(head, payload, messages)
        buffer += data[position:]

    def _read_frame(self, head: int, payload: bytes, messages: list[bytes]) -> None:
        """Read any frame but a complete, uncompressed text message."""
        opcode, is_final = head & 0x0F, bool(head & _FIN)
        if head & _RESERVED or (head & _COMPRESSED and (self._compression is None or opcode != _TEXT)):
            raise FrameError("the server set a reserved bit of a frame")
        if opcode >= CLOSE:
            self._read_control(opcode, payload, is_final=is_final)
            return
        if opcode not in (_CONTINUATION, _TEXT):
            raise FrameError("the server sent a binary message", code=1003)
        if self._is_fragmented != (opcode == _CONTINUATION):
            raise FrameError("the server mixed the fragments of two messages")
        if opcode == _TEXT:
            self._is_compressed = bool(head & _COMPRESSED)
        self._fragments.append(payload)
        self._fragment_bytes += len(payload)
        self._is_fragmented = not is_final
        if self._fragment_bytes > self._max_message_bytes:
            raise self._too_large()
        if is_final:
            message = b"".join(self._fragments)
            self._fragments, self._fragment_bytes = [], 0
            messages.append(self._inflate(message) if self._is_compressed else message)

    def _read_control(self, opcode: int, payload: bytes, *, is_final: bool) -> None:
        if not is_final or len(payload) > 125 or opcode not in (CLOSE, PING, PONG):
            raise FrameError("the server sent an invalid control frame")
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2]) if len(payload) >= 2 else 1005
            self.close_frame = CloseFrame(code, payload[2:].decode(errors="replace"))
        else:
            self.controls.append((opcode, payload))

    def _inflate(self, data: bytes) -> bytes:
        limit = 0 if self._max_message_bytes == float("inf") else int(self._max_message_bytes) + 1
        try:
            message: bytes = self._inflater.decompress(data + _DEFLATE_TAIL, limit)
        except zlib.error as error:
            raise FrameError(f"the server sent a message that cannot be decompressed: {error}", code=1007) from error
        if len(message) > self._max_message_bytes:
            raise self._too_large()
        # A sender may also end its stream with a message (RFC 7692, 7.2.3.4).
        if self._inflater.eof or (self._compression is not None and not self._compression.server_takeover):
            self._inflater = self._new_inflater()
        return message

    def _new_inflater(self) -> zlib._Decompress:
        bits = _MAX_WINDOW_BITS if self._compression is None else self._compression.server_window_bits
        return zlib.decompressobj(-bits)

    def _too_large(self) -> MessageTooLargeError:
        return MessageTooLargeError(
            f"the server sent a message of more than {self._max_message_bytes:,} bytes", code=1009
        )


class FrameEncoder:
    """Encoder of the frames that a client sends. `create_mask` returns four random bytes (RFC 6455, 5.3)."""

    def __init__(self, *, create_mask: Callable[[], bytes], compression: CompressionParameters | None = None) -> None:
        self._create_mask = create_mask
        self._compression = compression
        self._deflater = self._new_deflater()

    def text(self, message: bytes) -> bytes:
        """Return the frame of a text message, compressed if that is worthwhile."""
        if self._deflater is None or len(message) < _COMPRESSION_THRESHOLD_BYTES:
            return self._frame(_FIN | _TEXT, message)
        compressed = self._deflater.compress(message) + self._deflater.flush(zlib.Z_SYNC_FLUSH)
        if self._compression is not None and not self._compression.client_takeover:
            self._deflater = self._new_deflater()
        return self._frame(_FIN | _COMPRESSED | _TEXT, compressed.removesuffix(_DEFLATE_TAIL))

    def ping(self) -> bytes:
        """Return a ping frame."""
        return self._frame(_FIN | PING, b"")

    def pong(self, payload: bytes) -> bytes:
        """Return the response to a ping."""
        return self._frame(_FIN | PONG, payload)

    def close(self, code: int) -> bytes:
        """Return a close frame."""
        return self._frame(_FIN | CLOSE, code.to_bytes(2))

    def _new_deflater(self) -> zlib._Compress | None:
        if self._compression is None:
            return None
        return zlib.compressobj(_COMPRESSION_LEVEL, zlib.DEFLATED, -self._compression.client_window_bits)

    def _frame(self, head: int, payload: bytes) -> bytes:
        length = len(payload)
        if length < 126:
            header = bytes((head, _MASKED | length))
        elif length < 1 << 16:
            header = bytes((head, _MASKED | 126)) + length.to_bytes(2)
        else:
            header = bytes((head, _MASKED | 127)) + length.to_bytes(8)
        mask = self._create_mask()
        return header + mask + _masked(payload, mask)


def _masked(payload: bytes, mask: bytes) -> bytes:
    """Combine each byte with a byte of the mask, as one large integer."""
    length = len(payload)
    repeated = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(length)
