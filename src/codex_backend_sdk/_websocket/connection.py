"""One WebSocket connection: read and write messages, send pings, and detect a peer that has disappeared.

The connection is the network stream of an HTTP response with status 101, so proxies, certificates, connect timeouts and
the handling of a fork are those of the HTTP client. Two clocks run while a response is awaited:

    silence     no message for `idle_timeout`; keepalive messages of the backend count, pongs do not
    dead peer   no data for a minute after a ping

A ping is sent whenever nothing was sent for 25 s, because proxies close connections that are idle for 60 s. While a
response is read, the reading code sends them. At all other times `heartbeat()` does: a thread calls it for sync
connections (`pool`), a timer of the event loop for async ones. It also responds to the pings of the server and detects
that the server closed the connection.
"""

from __future__ import annotations

import contextlib
import os
import time
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import anyio
import httpcore2
import httpx2

from .._streaming.reader import EventTooLargeError
from .._threads import create_lock
from .frames import PING, CompressionParameters, FrameDecoder, FrameEncoder, FrameError, MessageTooLargeError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from .incremental import Baseline

__all__ = ["AsyncConnection", "BaseConnection", "Connection", "ConnectionLostError", "Key", "Timing"]

_READ_BYTES: Final = 1 << 16
# What `heartbeat()` buffers for a caller that does not read. TCP then stops the server.
_MAX_BUFFERED_BYTES: Final = 1 << 20
# The backend rejects messages of more than 16 MiB. Below that, the limit leaves room for its own members.
_MAX_MESSAGE_BYTES: Final = 15 << 20
_MAX_MESSAGE_HEADER: Final = "x-codex-websocket-max-message-bytes"
# A header with a number that no message reaches is ignored.
_MAX_LIMIT_DIGITS: Final = 18
# What may arrive between two responses, in reads.
_MAX_LATE_READS: Final = 16
_MESSAGE_TOO_BIG: Final = 1009
_NORMAL_CLOSURE: Final = 1000
_UNREQUESTED: Final = "The server sends messages that were not requested."


Key: TypeAlias = "tuple[Hashable, ...]"


class Timing(NamedTuple):
    """The times of a connection, in seconds."""

    ping: float = 25.0  # after the last frame that was sent
    pong: float = 60.0
    retire: float = 45 * 60.0  # the server closes a connection after 60 minutes, even in the middle of a response


class ConnectionLostError(httpx2.ReadError):
    """The connection ended. `code` is that of the server's close frame, or None without one."""

    def __init__(self, problem: str, *, code: int | None = None) -> None:
        super().__init__(problem)
        self.code = code

    @property
    def is_message_too_big(self) -> bool:
        """Whether the server rejected a message because of its size."""
        return self.code == _MESSAGE_TOO_BIG


class BaseConnection:
    """The state of a connection, without I/O.

    Attributes:
        key: The calls that may use the connection have this key.
        timing: When to ping and to retire the connection.
        baseline: The last completed response, which the next request may continue.
        last_response_id: The id of the last response, completed or not.
        is_closed: Whether the connection is unusable.
        max_message_bytes: The largest message that the backend accepts.
        headers: The headers of the handshake response.
        bytes_sent: The number of bytes sent so far, without the handshake.
    """

    def __init__(self, response: httpx2.Response, *, key: Key, max_event_bytes: float, timing: Timing) -> None:
        compression = CompressionParameters.from_header(response.headers.get("sec-websocket-extensions"))
        self.key = key
        self.timing = timing
        self.baseline: Baseline | None = None
        self.last_response_id: str | None = None
        self.is_closed = False
        self.headers = response.headers
        self.bytes_sent = 0
        limit = response.headers.get(_MAX_MESSAGE_HEADER, "")
        is_number = limit.isascii() and limit.isdecimal() and len(limit) <= _MAX_LIMIT_DIGITS
        self.max_message_bytes = int(limit) if is_number else _MAX_MESSAGE_BYTES
        self._response = response  # closing it closes the connection
        self._stream: Any = response.extensions["network_stream"]
        self._decoder = FrameDecoder(max_message_bytes=max_event_bytes, compression=compression)
        self._encoder = FrameEncoder(create_mask=lambda: os.urandom(4), compression=compression)
        self._messages: list[bytes] = []
        self._error: httpx2.TransportError | None = None
        now = time.monotonic()
        self._opened_at = self._sent_at = now
        self._ping_sent_at: float | None = None

    @property
    def bytes_received(self) -> int:
        """The number of bytes received so far, without the handshake."""
        return self._decoder.bytes_received

    @property
    def stream(self) -> Any:
        """The network stream of the HTTP client."""
        return self._stream

    def is_usable(self) -> bool:
        """Return whether another request may be sent on this connection."""
        return not self.is_closed and self._error is None and time.monotonic() - self._opened_at < self.timing.retire

    def _feed(self, data: bytes) -> list[bytes]:
        """Read received data into `_messages` or `_error`. Return the frames to send in response."""
        self._ping_sent_at = None
        if not data:
            self._error = ConnectionLostError("The server closed the connection without a close frame.")
            return []
        try:
            self._decoder.feed(data, self._messages)
        except MessageTooLargeError as error:
            self._error = EventTooLargeError(str(error))
            return [self._encoder.close(error.code)]
        except FrameError as error:
            self._error = ConnectionLostError(f"The WebSocket connection is damaged: {error}.")
            return [self._encoder.close(error.code)]
        replies = [self._encoder.pong(payload) for opcode, payload in self._decoder.controls if opcode == PING]
        self._decoder.controls.clear()
        close_frame = self._decoder.close_frame
        if close_frame is not None:
            reason = f" ({close_frame.reason})" if close_frame.reason else ""
            self._error = ConnectionLostError(
                f"The server closed the WebSocket connection with code {close_frame.code}{reason}.",
                code=close_frame.code,
            )
            replies.append(self._encoder.close(_NORMAL_CLOSURE))
        return replies

    def _take_messages(self) -> list[bytes]:
        """Return the messages received so far. Raises the error that follows them."""
        messages, self._messages = self._messages, []
        if not messages and self._error is not None:
            raise self._error
        return messages

    def _is_ping_due(self, now: float) -> bool:
        """Return whether to send a ping. Raises ReadTimeout if no pong followed the last one in time."""
        if self._is_buffer_full():
            self._ping_sent_at = None  # the pong is behind messages that the caller has not read
        if self._ping_sent_at is not None:
            if now - self._ping_sent_at >= self.timing.pong:
                raise httpx2.ReadTimeout("The server does not respond to pings.")
            return False
        return now - self._sent_at >= self.timing.ping

    def _next_wakeup(self, now: float, silence_deadline: float) -> float:
        """Return the seconds for which a read may block. Raises ReadTimeout after the silence deadline."""
        if now >= silence_deadline:
            raise httpx2.ReadTimeout("No message arrived within the timeout.")
        due = self._sent_at + self.timing.ping if self._ping_sent_at is None else self._ping_sent_at + self.timing.pong
        return max(min(due, silence_deadline) - now, 0.001)

    def _is_buffer_full(self) -> bool:
        return sum(map(len, self._messages)) >= _MAX_BUFFERED_BYTES

    def _may_buffer(self) -> bool:
        return not self.is_closed and self._error is None and not self._is_buffer_full()

    def _is_late_data_expected(self) -> bool:
        """Drop the messages that no response is awaiting. Return whether to read for more."""
        self._messages.clear()
        if self._error is not None:
            raise ConnectionLostError(str(self._error)) from self._error
        return bool(self._stream.get_extra_info("is_readable"))

    def _record_sent(self, frame: bytes) -> None:
        self.bytes_sent += len(frame)
        self._sent_at = time.monotonic()


class Connection(BaseConnection):
    """A connection of the sync client. One thread reads; `heartbeat()` and `interrupt()` may run in others."""

    def __init__(self, response: httpx2.Response, *, key: Key, max_event_bytes: float, timing: Timing) -> None:
        super().__init__(response, key=key, max_event_bytes=max_event_bytes, timing=timing)
        self._read_lock = create_lock()
        self._write_lock = create_lock()

    def send(self, message: bytes, *, timeout_seconds: float | None) -> None:
        """Send a text message. Raises an exception of httpx2 if the connection is lost."""
        with self._write_lock:
            self._write(self._encoder.text(message), timeout_seconds)

    def discard_messages(self) -> None:
        """Discard what arrived since the last response. Raises ConnectionLostError if the server closed."""
        with self._read_lock:
            for _ in range(_MAX_LATE_READS):
                if not self._is_late_data_expected():
                    return
                self._read(0.001)
        raise ConnectionLostError(_UNREQUESTED)

    def receive(self, *, timeout_seconds: float | None) -> list[bytes]:
        """Return the next messages, at least one. Raises ReadTimeout if none arrives within `timeout_seconds`."""
        silence_deadline = inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            with self._read_lock:  # `heartbeat()` may be reading messages
                if messages := self._take_messages():
                    return messages
                now = time.monotonic()
                if self._is_ping_due(now):
                    self._send_frames([self._encoder.ping()], is_ping=True)
                    now = time.monotonic()
                self._read(self._next_wakeup(now, silence_deadline))

    def heartbeat(self) -> None:
        """Read what has arrived and send a ping if one is due, unless another thread is reading. Never raises."""
        if not self._read_lock.acquire(blocking=False):
            return  # that thread sends the pings, and must be the one to find out that the peer is dead
        try:
            while self._may_buffer() and self._stream.get_extra_info("is_readable"):
                self._read(0.001)
            if not self.is_closed and self._is_ping_due(time.monotonic()):
                self._send_frames([self._encoder.ping()], is_ping=True)
        except httpx2.TransportError as error:
            self._fail(error)
        finally:
            self._read_lock.release()

    def _fail(self, error: httpx2.TransportError) -> None:
        self._error = self._error or error
        self.close()

    def close(self) -> None:
        """Close the connection, without waiting for the server."""
        if not self.is_closed:
            self.is_closed = True
            with contextlib.suppress(Exception):  # the connection may be damaged in any way
                if self._error is None and self._write_lock.acquire(blocking=False):
                    try:
                        self._stream.write(self._encoder.close(_NORMAL_CLOSURE), 0.1)
                    finally:
                        self._write_lock.release()
            with contextlib.suppress(Exception):
                self._response.close()

    def _read(self, seconds: float) -> None:
        """Read once, for at most this many seconds."""
        with _transport_errors():
            try:
                data = self._stream.read(_READ_BYTES, seconds)
            except httpcore2.TimeoutException:
                return
        self._send_frames(self._feed(data))

    def _send_frames(self, frames: list[bytes], *, is_ping: bool = False) -> None:
        for frame in frames:
            with self._write_lock:
                self._write(frame, self.timing.pong)
        if is_ping:
            self._ping_sent_at = time.monotonic()

    def _write(self, frame: bytes, timeout_seconds: float | None) -> None:
        with _transport_errors():
            self._stream.write(frame, timeout_seconds)
        self._record_sent(frame)


class AsyncConnection(BaseConnection):
    """A connection of the async client. One task reads; `heartbeat()` and `interrupt()` may run in others."""

    def __init__(self, response: httpx2.Response, *, key: Key, max_event_bytes: float, timing: Timing) -> None:
        super().__init__(response, key=key, max_event_bytes=max_event_bytes, timing=timing)
        self._read_lock = anyio.Lock()
        self._write_lock = anyio.Lock()

    async def send(self, message: bytes, *, timeout_seconds: float | None) -> None:
        """Send a text message, as `Connection.send` does."""
        async with self._write_lock:
            await self._write(self._encoder.text(message), timeout_seconds)

    async def discard_messages(self) -> None:
        """Discard what arrived since the last response, as `Connection.discard_messages` does."""
        async with self._read_lock:
            for _ in range(_MAX_LATE_READS):
                if not self._is_late_data_expected():
                    return
                await self._read(0.001)
        raise ConnectionLostError(_UNREQUESTED)

    async def receive(self, *, timeout_seconds: float | None) -> list[bytes]:
        """Return the next messages, as `Connection.receive` does."""
        silence_deadline = inf if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            if messages := self._take_messages():
                return messages
            now = time.monotonic()
            if self._is_ping_due(now):
                await self._send_frames([self._encoder.ping()], is_ping=True)
                now = time.monotonic()
            async with self._read_lock:
                if not self._messages and self._error is None:
                    await self._read(self._next_wakeup(now, silence_deadline))

    async def heartbeat(self) -> None:
        """Read and send what is due, as `Connection.heartbeat` does."""
        try:
            if self._read_lock.locked():
                return
            async with self._read_lock:
                while self._may_buffer() and self._stream.get_extra_info("is_readable"):
                    await self._read(0.001)
                if not self.is_closed and self._is_ping_due(time.monotonic()):
                    await self._send_frames([self._encoder.ping()], is_ping=True)
        except httpx2.TransportError as error:
            self._error = self._error or error
            await self.close()

    async def close(self) -> None:
        """Close the connection, without waiting for the server."""
        if not self.is_closed:
            self.is_closed = True
            with anyio.CancelScope(shield=True), contextlib.suppress(Exception):  # it may be damaged in any way
                if self._error is None and not self._write_lock.locked():
                    await self._stream.write(self._encoder.close(_NORMAL_CLOSURE), 0.1)
            with anyio.CancelScope(shield=True), contextlib.suppress(Exception):
                await self._response.aclose()

    async def _read(self, seconds: float) -> None:
        with _transport_errors():
            try:
                data = await self._stream.read(_READ_BYTES, seconds)
            except httpcore2.TimeoutException:
                return
        await self._send_frames(self._feed(data))

    async def _send_frames(self, frames: list[bytes], *, is_ping: bool = False) -> None:
        for frame in frames:
            async with self._write_lock:
                await self._write(frame, self.timing.pong)
        if is_ping:
            self._ping_sent_at = time.monotonic()

    async def _write(self, frame: bytes, timeout_seconds: float | None) -> None:
        with _transport_errors():
            await self._stream.write(frame, timeout_seconds)
        self._record_sent(frame)


@contextlib.contextmanager
def _transport_errors() -> Iterator[None]:
    """Convert the exceptions of the network stream to those of the HTTP client."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise httpx2.WriteTimeout(str(error) or "The server does not accept data.") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, anyio.ClosedResourceError, OSError) as error:
        raise ConnectionLostError(str(error) or type(error).__name__) from error
