"""Record WebSockets: their upgrade requests, the messages of the clients, and the number of bytes on the wire."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..http.recording import RecordedRequest

__all__ = ["RecordedFrame", "RecordedWebSocket", "WebSocketLog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFrame:
    """A message that a client sent.

    `connection` is the number of its WebSocket: 1 is the first one that the simulator accepted. `data` is the
    decompressed message. `wire_bytes` is its size on the wire in bytes, with frame headers and after compression.
    """

    connection: int
    wire_bytes: int
    # The message contains prompts. The output of a failed test must not show them.
    data: bytes = field(repr=False)

    def json(self) -> Any:
        """Parse the message as JSON."""
        return json.loads(self.data)


@dataclass(slots=True, kw_only=True)
class RecordedWebSocket:
    """A WebSocket that the simulator accepted.

    - `number`: 1 for the first WebSocket.
    - `request`: the upgrade request.
    - `uses_deflate`: whether permessage-deflate was negotiated.
    - `received_bytes`, `sent_bytes`: the bytes on the wire after the upgrade, with frame headers and control frames.
    - `close_code`: the code of the first close frame, or 1006 if the connection ended without one. None while the
      connection is open.
    """

    number: int
    request: RecordedRequest
    uses_deflate: bool
    received_bytes: int = 0
    sent_bytes: int = 0
    close_code: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection is open."""
        return self.close_code is None


class WebSocketLog:
    """The last WebSockets and messages, with messages of at most `max_bytes` in total. The class is thread-safe."""

    def __init__(self, max_frames: int, *, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._count = 0
        self._sockets: deque[RecordedWebSocket] = deque(maxlen=max_frames)
        self._frames: deque[RecordedFrame] = deque()
        self._byte_count = 0

    def open(self, request: RecordedRequest, *, uses_deflate: bool) -> RecordedWebSocket:
        """Add a WebSocket and return its record, which the connection updates."""
        with self._lock:
            self._count += 1
            socket = RecordedWebSocket(number=self._count, request=request, uses_deflate=uses_deflate)
            self._sockets.append(socket)
            return socket

    def append(self, frame: RecordedFrame) -> None:
        """Add a message, and remove the oldest ones that exceed a limit."""
        with self._lock:
            self._frames.append(frame)
            self._byte_count += len(frame.data)
            while self._frames and (len(self._frames) > self._max_frames or self._byte_count > self._max_bytes):
                self._byte_count -= len(self._frames.popleft().data)

    def sockets(self) -> list[RecordedWebSocket]:
        """Return the WebSockets in the order in which they were accepted."""
        with self._lock:
            return list(self._sockets)

    def frames(self) -> list[RecordedFrame]:
        """Return the messages in the order of arrival."""
        with self._lock:
            return list(self._frames)

    def clear(self) -> None:
        """Remove all messages and WebSockets. The numbers of later WebSockets begin with 1 again."""
        with self._lock:
            self._count = 0
            self._sockets.clear()
            self._frames.clear()
            self._byte_count = 0
