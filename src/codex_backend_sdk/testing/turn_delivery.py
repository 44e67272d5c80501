"""Modify the delivery of a turn: interrupt it, slow it down, compress it, or insert invalid data.

The modifications apply over HTTP and on a WebSocket. There, an event is a text message, the bytes of the body are those
of the frames, and headers and compression have no effect. The last group of methods applies on a WebSocket only.

Each method returns a new turn and leaves the original unchanged. Modifications apply in the order of the calls:
`.compressed("gzip").cut_after_bytes(40)` sends 40 compressed bytes. The functions that transform the body are in
`http.stream_transforms`. A modification of the body removes the header `Content-Length`, unless its purpose is a body
that is shorter than this header, or it does not change the length.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from .http import stream_transforms
from .http.delivery import CloseSocket, Pause, Ping, SimulatedResponse, body_encoder
from .websocket.socket_delivery import CONNECTION_LIMIT_EVENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .backend.turn_context import TurnContext
    from .http.delivery import ChunkTransform

__all__ = ["BaseTurn", "DeliveryModifiers"]

_KEEPALIVE = b': keepalive\n\nevent: keepalive\ndata: {"type":"keepalive"}\n\n'
_INVALID_DATA = b'data: {"type":"response.output_te\n\n' + bytes(range(128, 256)) + b"\n\ndata: 42\n\n"


@dataclass(frozen=True, slots=True)
class BaseTurn:
    """A function that returns the response to a request.

    `modifies_default` is true if the function needs the simulator's default response, which must then be created first.
    """

    respond: Callable[[TurnContext], SimulatedResponse]
    modifies_default: bool = False


class DeliveryModifiers(BaseTurn):
    """The methods of a turn that return a copy with another delivery."""

    __slots__ = ()

    # Interrupted responses

    def cut_after_bytes(self, count: int = 200) -> Self:
        """Send the headers and `count` bytes of the body, then close the connection."""
        return self._with_body(stream_transforms.first_bytes(count), keep_length=True, ending="cut")

    def cut_after_events(self, count: int = 4) -> Self:
        """Send the headers and `count` events, then close the connection."""
        return self._with_body(stream_transforms.first_events(count), keep_length=True, ending="cut")

    def clean_end_after_events(self, count: int = 4) -> Self:
        """Send `count` events, then complete the HTTP response: the stream has no terminal event.

        On a WebSocket, a close frame follows the events.
        """
        return self._with_body(stream_transforms.first_events(count))

    def reset(self, after_bytes: int | None = None) -> Self:
        """Reset the connection after this many bytes of the body. With None, reset it before any byte is sent."""
        if after_bytes is None:
            return self._modified(
                lambda response: replace(response, chunks=(), transforms=(), is_raw=True, ending="reset")
            )
        return self._with_body(stream_transforms.first_bytes(after_bytes), keep_length=True, ending="reset")

    # Slow responses

    def delayed(self, seconds: float = 1.0) -> Self:
        """Wait this long before the response begins."""
        return self._with_body(stream_transforms.insert_after_events(0, Pause(seconds)), keep_length=True)

    def stalled(self, after_events: int = 0, seconds: float | None = None) -> Self:
        """Send the headers and `after_events` events, pause for `seconds`, then send the rest.

        If `seconds` is None, the pause lasts until the client closes the connection.
        """
        # The empty chunk sends the headers before the pause begins.
        return self._with_body(
            stream_transforms.insert_after_events(after_events, b"", Pause(seconds)), keep_length=True
        )

    def throttled(self, chunk_bytes: int = 16, delay_seconds: float = 0.01) -> Self:
        """Send the body in chunks of `chunk_bytes`, with a pause before each chunk."""
        if chunk_bytes < 1:
            raise ValueError(f"Invalid chunk size of throttled(): {chunk_bytes}. Pass 1 or more bytes.")
        return self._with_body(stream_transforms.split(chunk_bytes, delay_seconds), keep_length=True)

    def byte_by_byte(self) -> Self:
        """Send the body one byte at a time."""
        return self.throttled(1, 0)

    def keepalives(self, seconds: float = 1.0, interval_seconds: float = 0.05) -> Self:
        """Send SSE comments and `keepalive` events for this long before the events of the response."""
        count = max(1, round(seconds / interval_seconds))
        chunks = [chunk for _ in range(count) for chunk in (_KEEPALIVE, Pause(interval_seconds))]
        return self._with_body(stream_transforms.insert_after_events(0, *chunks))

    # Status and headers

    def with_headers(self, headers: Mapping[str, str] | None = None, /, **named: str) -> Self:
        """Add or replace headers. Underscores in the names of keyword arguments become hyphens."""
        new_headers = {**(headers or {}), **{name.replace("_", "-"): value for name, value in named.items()}}
        new_names = {name.lower() for name in new_headers}

        def modify(response: SimulatedResponse) -> SimulatedResponse:
            other_headers = [(name, value) for name, value in response.headers if name.lower() not in new_names]
            return replace(response, headers=(*other_headers, *new_headers.items()))

        return self._modified(modify)

    def with_status(self, status: int) -> Self:
        """Change the status. The body stays the same."""
        return self._modified(lambda response: replace(response, status=status))

    def content_type(self, media_type: str = "text/html") -> Self:
        """Change the content type. The body stays the same."""
        return self.with_headers(content_type=media_type)

    def huge_header(self, size: int = 100_000) -> Self:
        """Add a header whose value has `size` bytes."""
        return self.with_headers(x_simulator_padding="x" * size)

    def informational(self, status: int = 103, times: int = 1) -> Self:
        """Send 1xx responses before this one (RFC 9110, 15.2)."""
        responses = f"HTTP/1.1 {status} Informational\r\nx-simulator: not the final response\r\n\r\n".encode() * times
        return self._modified(lambda response: replace(response, before=response.before + responses))

    def compressed(self, encoding: str = "gzip") -> Self:
        """Compress the body with `gzip`, `zstd` or `br`. Later modifications apply to the compressed bytes."""
        body_encoder(encoding)  # raises ValueError for an unknown encoding immediately, not at the request
        return self.with_headers(content_encoding=encoding)._with_body(stream_transforms.compress(encoding))

    # Additional data

    def huge_event(self, size: int = 1_000_000) -> Self:
        """Insert an event of an unknown type and about `size` bytes before the terminal event."""
        padding = {"type": "simulator.padding", "padding": "x" * size}
        return self._with_body(stream_transforms.replace_last(lambda last_event: [padding, last_event]))

    def repeated_last_event(self, times: int = 2) -> Self:
        """Send the terminal event `times` times in total."""
        return self._with_body(stream_transforms.replace_last(lambda last_event: [last_event] * times))

    def data_after_end(self, data: bytes | None = None) -> Self:
        """Send these bytes after the terminal event. The default is an event with a text delta."""
        late_delta = {"item_id": "msg_late", "output_index": 0, "content_index": 0, "delta": "Too late."}
        late_data = data or {"type": "response.output_text.delta", **late_delta}
        return self._with_body(stream_transforms.replace_last(lambda last_event: [last_event, late_data]))

    def garbage(self, after_events: int = 3) -> Self:
        """Insert bytes that are neither valid events nor valid UTF-8 after `after_events` events."""
        return self._with_body(stream_transforms.insert_after_events(after_events, _INVALID_DATA))

    def bytes_after_response(self, data: bytes = b"\x00garbage\r\n\r\n") -> Self:
        """Send these bytes after the end of the response, where the next response on the connection would begin."""
        return self._modified(lambda response: replace(response, after=response.after + data))

    # Response objects

    def with_input_transformations(self, reason: str = "model_mismatch", ids: Sequence[str] | None = None) -> Self:
        """Report in `input_transformations` that the backend removed reasoning items of the input.

        `reason` is organization_mismatch, end_user_mismatch, model_mismatch, prefix_mismatch or turn_boundary. `ids`
        are the ids of the items. They default to those of all reasoning items of the input.
        """

        def respond(context: TurnContext) -> SimulatedResponse:
            items = [item for item in context.request.items() if item["type"] == "reasoning"]
            removed_ids = [item.get("id") for item in items] if ids is None else ids
            transformations = [
                {"type": "reasoning", "id": item_id, "action": "removed", "reason": reason} for item_id in removed_ids
            ]
            response = self.respond(context)
            transform = stream_transforms.update_responses({"input_transformations": transformations})
            return replace(response, transforms=(*response.transforms, transform))

        return replace(self, respond=respond)

    # WebSockets only

    def close_after_events(self, code: int = 1000, count: int = 0) -> Self:
        """On a WebSocket, send `count` events, then a close frame with this code. 1006: close the connection only."""
        return self._on_socket(stream_transforms.end_after_events(count, CloseSocket(code)))

    def connection_limit(self, after_events: int = 0) -> Self:
        """On a WebSocket, send `after_events` events, then `websocket_connection_limit_reached` and a close frame."""
        end = (CONNECTION_LIMIT_EVENT, CloseSocket(1000))
        return self._on_socket(stream_transforms.end_after_events(after_events, *end))

    def silent(self, after_events: int = 0) -> Self:
        """On a WebSocket, send `after_events` events, then nothing, as a peer that has disappeared.

        The simulator keeps the connection open and does not respond to pings.
        """
        return self._on_socket(stream_transforms.end_after_events(after_events, Pause(None, is_deaf=True)))

    def fragmented(self, frame_bytes: int = 16) -> Self:
        """On a WebSocket, divide each message into frames of at most `frame_bytes` bytes."""
        if frame_bytes < 1:
            raise ValueError(f"Invalid frame size of fragmented(): {frame_bytes}. Pass 1 or more bytes.")
        return self._on_socket(stream_transforms.fragment(frame_bytes))

    def binary_message(self, after_events: int = 3) -> Self:
        """On a WebSocket, insert a binary message after `after_events` events."""
        return self._on_socket(stream_transforms.insert_binary_message(after_events, b"\x00binary"))

    def pings(self, count: int = 1000, after_events: int = 3) -> Self:
        """On a WebSocket, send `count` pings after `after_events` events."""
        return self._on_socket(stream_transforms.insert_after_events(after_events, *[Ping()] * count))

    def error_without_status(self, after_events: int = 3) -> Self:
        """On a WebSocket, insert an `error` event without a status, which clients ignore."""
        event = {"type": "error", "error": {"code": "ignored", "message": "An error event without a status."}}
        return self._on_socket(stream_transforms.insert_after_events(after_events, event))

    def _on_socket(self, transform: ChunkTransform) -> Self:
        return self._with_body(stream_transforms.on_socket(transform), keep_length=True)

    def _modified(self, modify: Callable[[SimulatedResponse], SimulatedResponse]) -> Self:
        return replace(self, respond=lambda context: modify(self.respond(context)))

    def _with_body(self, transform: ChunkTransform, *, keep_length: bool = False, **changes: Any) -> Self:
        def modify(response: SimulatedResponse) -> SimulatedResponse:
            headers = tuple(pair for pair in response.headers if keep_length or pair[0].lower() != "content-length")
            return replace(response, transforms=(*response.transforms, transform), headers=headers, **changes)

        return self._modified(modify)
