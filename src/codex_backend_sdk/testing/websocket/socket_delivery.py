"""Deliver the response to a message on a WebSocket.

A turn creates one `SimulatedResponse` for both transports. Here its events become text messages, and an HTTP error
becomes an `error` event with a status (Codex CLI: codex-api/src/endpoint/responses_websocket.rs). The transforms of the
response apply to the frames.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import anyio

from ..http.delivery import CloseSocket, EncodedBytes, HttpWire, Pause, Ping

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..http.delivery import BodyEncoder, Event, SimulatedResponse, WireChunk
    from .socket_connection import SocketConnection

__all__ = ["CONNECTION_LIMIT_EVENT", "SentEvents", "deliver", "send_event"]

# The connection has reached its maximum age.
CONNECTION_LIMIT_EVENT: Final[dict[str, Any]] = {
    "type": "error",
    "status": 400,
    "error": {
        "type": "invalid_request_error",
        "code": "websocket_connection_limit_reached",
        "message": (
            "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue."
        ),
    },
}

_TERMINAL_TYPES: Final = ("response.completed", "response.failed", "response.incomplete")
_BODY_HEADERS: Final = ("content-type", "content-length")


class SentEvents:
    """The part of a response that its events contain so far: its id, complete items, partial items, and its end."""

    def __init__(self) -> None:
        self.response: dict[str, Any] = {}
        self.items: list[dict[str, Any]] = []
        self.partial_items: dict[int, dict[str, Any]] = {}
        self.terminal_type: str | None = None
        self.sequence_number = 0

    def add(self, event: Event) -> None:
        """Add an event that is sent."""
        event_type, index = event.get("type"), event.get("output_index")
        number = event.get("sequence_number")
        if isinstance(number, int):
            self.sequence_number = number + 1
        if event_type == "response.created" and isinstance(event.get("response"), dict):
            self.response = event["response"]
        elif event_type == "response.output_item.added" and isinstance(index, int):
            self.partial_items[index] = event.get("item") or {}
        elif event_type == "response.output_item.done":
            self.partial_items.pop(index, None)  # type: ignore[arg-type]
            if isinstance(event.get("item"), dict):
                self.items.append(event["item"])
        elif event_type in _TERMINAL_TYPES or (event_type == "error" and is_error_status(event.get("status"))):
            # A client ignores an `error` event without an error status.
            self.terminal_type = event_type

    @property
    def is_continuable(self) -> bool:
        """Whether a later request may continue this response."""
        return self.terminal_type in ("response.completed", "response.incomplete")


class _SocketWire:
    """The wire of a WebSocket: each event is a text message."""

    is_socket = True

    def __init__(self, socket: SocketConnection, sent: SentEvents) -> None:
        self._socket = socket
        self._sent = sent
        self._text = b""

    def encode(self, chunk: Event | bytes, *, fragment_bytes: int | None = None) -> bytes:
        """Return the frames of an event, or of the events in the text of an event stream."""
        if isinstance(chunk, bytes):
            return b"".join(self._encode_text(text, fragment_bytes) for text in self._split(chunk))
        self._sent.add(chunk)
        text = json.dumps(chunk, ensure_ascii=False, separators=(",", ":"))
        return self._socket.encode_text(text, fragment_bytes=fragment_bytes)

    def encode_binary(self, data: bytes) -> bytes:
        """Return the frame of a binary message."""
        return self._socket.encode_binary(data)

    def body_encoder(self, encoding: str) -> BodyEncoder:
        """Return an encoder that changes nothing: messages have no content encoding."""
        return _UnchangedBody()

    def _encode_text(self, text: str, fragment_bytes: int | None) -> bytes:
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if isinstance(event, dict):
            self._sent.add(event)
        return self._socket.encode_text(text, fragment_bytes=fragment_bytes)

    def _split(self, chunk: bytes) -> list[str]:
        """Return the data of the server-sent events that are complete."""
        *blocks, self._text = (self._text + chunk).split(b"\n\n")
        texts: list[str] = []
        for block in blocks:
            lines = [line.removeprefix(b"data:").strip() for line in block.split(b"\n") if line.startswith(b"data:")]
            if lines:
                texts.append(b"\n".join(lines).decode(errors="replace"))
        return texts


class _UnchangedBody:
    def encode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


async def deliver(
    response: SimulatedResponse,
    socket: SocketConnection,
    sent: SentEvents,
    *,
    interrupted: anyio.Event,
    has_expired: Callable[[], bool],
) -> None:
    """Send a response. Stop at the next event after `interrupted` is set or the connection has expired.

    Afterwards the connection is open if a terminal event was sent or the response was interrupted. Otherwise it is
    closed as the response requires, because the client would wait for its end.
    """
    if response.is_raw:
        chunks = response.encoded_chunks(HttpWire())
    else:
        if not 200 <= response.status < 300:
            response = replace(response, chunks=[error_event(response)])
        chunks = response.encoded_chunks(_SocketWire(socket, sent))
    async for chunk in chunks:
        await _send(chunk, socket, interrupted)
        if not socket.is_open:
            break
        if not socket.is_at_frame_boundary or sent.terminal_type is not None:
            continue
        if interrupted.is_set():
            return
        if has_expired():
            send_event(CONNECTION_LIMIT_EVENT, socket, sent)
            socket.close(1000)
            return
    socket.write(response.after)
    if response.ending == "reset":
        # A reset discards the bytes in asyncio's write buffer, which the client must receive.
        await socket.flush()
    if response.ending != "close" or response.is_raw:
        socket.end(reset=response.ending == "reset")
    elif sent.terminal_type is None:
        socket.close(1000)


def send_event(event: Event, socket: SocketConnection, sent: SentEvents) -> None:
    """Send an event that is not part of a response."""
    socket.write(_SocketWire(socket, sent).encode(event))


async def _send(chunk: WireChunk, socket: SocketConnection, interrupted: anyio.Event) -> None:
    if isinstance(chunk, Pause):
        if chunk.is_deaf:
            socket.become_silent()
        with anyio.move_on_after(chunk.seconds):
            await interrupted.wait()
    elif isinstance(chunk, Ping):
        socket.ping()
    elif isinstance(chunk, CloseSocket):
        if chunk.code == 1006:
            socket.end(reset=False)
        else:
            socket.close(chunk.code)
    elif isinstance(chunk, EncodedBytes):
        socket.write(chunk.data)
        await socket.drain()


def is_error_status(status: object) -> bool:
    """Return whether a client treats an `error` event with this status as an error."""
    return isinstance(status, int) and not 200 <= status < 300


def error_event(response: SimulatedResponse) -> Event:
    """Return the `error` event for an HTTP error."""
    body = b"".join(chunk for chunk in response.chunks if isinstance(chunk, bytes))
    try:
        document = json.loads(body)
    except ValueError:
        document = {"detail": body.decode(errors="replace")}
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        # The shape of a `detail` on a WebSocket is not recorded. Clients read `error.message`.
        detail = document.get("detail", document) if isinstance(document, dict) else document
        message = detail if isinstance(detail, str) else json.dumps(detail)
        error = {"type": "invalid_request_error", "code": None, "message": message, "param": None}
    headers = {name: value for name, value in response.headers if name.lower() not in _BODY_HEADERS}
    return {"type": "error", "status": response.status, "error": error, "headers": headers}
