"""Convert the messages of a WebSocket to the HTTP response that the rest of the client reads. Pure.

Each message is the JSON object that an event stream has in a `data` line, so the body of the response is an event
stream. Its head is known when the response begins or fails: an `error` message before it becomes a response with the
status, the headers and the body of that error, as the Codex CLI maps it (codex-api/src/sse/responses_error.rs). An
error message without a status, or with one of success, is ignored, as there.

    codex.rate_limits, codex.response.metadata, …    kept until the head is known; then the first events of the body
    error with a status                              the head is the error
    any other message                                the head is 200

A message may arrive late: an event of the last response after its end, or that end once more. It must not become a part
of the next response on the connection, so that response begins with an event that names it.

The messages of deltas are not decoded here. All others are, because the client needs the response id and the output
items for its next request, and the end of the response.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from .._json import decode, encode
from .._streaming.accumulator import TERMINAL_EVENTS

__all__ = ["ResponseHead", "ResponseMessages"]

_DELTA_PREFIX: Final = b'{"type":"response.'
_DELTA_SUFFIX: Final = b".delta"
# The connection is 60 minutes old, or is not the one that produced the previous response.
_CONNECTION_CODES: Final = ("websocket_connection_limit_reached", "previous_response_not_found")
# Types of messages that may precede the response and do not begin it.
_PRELIMINARY_TYPES: Final = ("response.metadata", "keepalive", "response.heartbeat")
_PRELIMINARY_PREFIXES: Final = ("codex.", "responsesapi.")
_BODY_HEADER_PREFIXES: Final = ("content-", "transfer-encoding")


class ResponseHead(NamedTuple):
    """The status and the headers of a response, and the body of an error."""

    status: int
    headers: dict[str, str]
    error_body: bytes | None = None


class ResponseMessages:
    """The messages of one response.

    `previous_id` is the id of the response before it on the same connection. Messages that belong to that one may still
    arrive: they are ignored until this response begins.

    Attributes:
        head: The head of the response, or None until it is known.
        is_finished: Whether the last message was received.
        is_completed: Whether the response was completed, so that a later request may continue it.
        response_id: The id of the response, or None if it is not known yet.
        lost_because: The code of an error that concerns the connection and not the request, or None. The request has to
            be sent again on another connection.
    """

    def __init__(self, *, previous_id: str | None = None) -> None:
        self.head: ResponseHead | None = None
        self.is_finished = False
        self.is_completed = False
        self.response_id: str | None = None
        self.lost_because: str | None = None
        self._previous_id = previous_id
        self._output: list[tuple[int, Any]] = []
        self._headers: dict[str, str] = {}

    @property
    def output(self) -> list[Any]:
        """The finished output items, in the order of their index."""
        return [item for _, item in sorted(self._output, key=lambda entry: entry[0])]

    def feed(self, messages: list[bytes]) -> bytes:
        """Return the part of the event stream for these messages. Messages after the last one are ignored."""
        accepted: list[bytes] = []
        for message in messages:
            if self.is_finished or self.lost_because is not None:
                break
            if (self.head is not None and _is_delta(message)) or self._read(message):
                # A line break is valid between the tokens of JSON, and ends a line of an event stream.
                has_lines = b"\n" in message or b"\r" in message
                accepted.append(b"\ndata: ".join(message.splitlines()) if has_lines else message)
        if not accepted:
            return b""
        return b"data: " + b"\n\ndata: ".join(accepted) + b"\n\n"

    def _read(self, message: bytes) -> bool:
        """Read a message other than a delta, and return whether it belongs to the body."""
        try:
            event = decode(message)
        except ValueError:  # the reader of the body reports damaged data
            event = None
        if not isinstance(event, dict):
            self.begin()
            return True
        event_type = event.get("type")
        if self._previous_id is not None and self._is_late(event_type, event.get("response")):
            return False
        if event_type == "error" and not self._read_error(event, message):
            return False
        if event_type == "response.output_item.done":
            self._output.append((_index(event.get("output_index")), event.get("item")))
        self._read_response(event.get("response"))
        if isinstance(event_type, str) and event_type in TERMINAL_EVENTS:
            self.is_finished = True
            self.is_completed = event_type == "response.completed"
        elif event_type == "codex.response.metadata" and isinstance(event.get("headers"), dict):
            self._headers |= _header_values(event["headers"])
        if not _is_preliminary(event_type):
            self.begin()
        return True

    def _is_late(self, event_type: Any, response: Any) -> bool:
        """Return whether an event belongs to the previous response.

        Only the end of that one is recognized by its id, because a server for tests may give all responses the same.
        """
        if isinstance(response, dict):
            is_of_previous = response.get("id") == self._previous_id != self.response_id
            return is_of_previous and (self.head is not None or event_type in TERMINAL_EVENTS)
        is_of_a_response = isinstance(event_type, str) and event_type.startswith("response.")
        return self.head is None and is_of_a_response and not _is_preliminary(event_type)

    def _read_response(self, response: Any) -> None:
        if isinstance(response, dict) and isinstance(response.get("id"), str):
            self.response_id = response["id"]

    def _read_error(self, event: dict[str, Any], message: bytes) -> bool:
        """Read an error message, and return whether it is a failure."""
        status = event.get("status", event.get("status_code"))
        if not isinstance(status, int) or isinstance(status, bool) or status < 400:
            return False
        error = event.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        if code in _CONNECTION_CODES:
            self.lost_because = code
            return False
        if self.head is None:
            headers = event.get("headers") if isinstance(event.get("headers"), dict) else {}
            self.head = ResponseHead(
                status,
                {"content-type": "application/json", **self._headers, **_header_values(headers or {})},
                encode({name: value for name, value in event.items() if name not in ("type", "headers")}),
            )
        return True

    def begin(self) -> None:
        """Set the head of a response that has begun, unless it is known already."""
        if self.head is None:
            self.head = ResponseHead(200, {"content-type": "text/event-stream", **self._headers})


def _is_delta(message: bytes) -> bool:
    start = len(_DELTA_PREFIX)
    return message.startswith(_DELTA_PREFIX) and message.endswith(_DELTA_SUFFIX, start, message.find(b'"', start))


def _is_preliminary(event_type: Any) -> bool:
    return isinstance(event_type, str) and (
        event_type in _PRELIMINARY_TYPES or event_type.startswith(_PRELIMINARY_PREFIXES)
    )


def _index(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _header_values(headers: dict[str, Any]) -> dict[str, str]:
    """Return valid headers, without those that describe another body. A value may be a text, a number or a boolean."""
    return {
        name.lower(): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in headers.items()
        if isinstance(value, (str, int, float))
        and f"{name}{value}".isascii()
        and f"{name}{value}".isprintable()
        and not name.lower().startswith(_BODY_HEADER_PREFIXES)
    }
