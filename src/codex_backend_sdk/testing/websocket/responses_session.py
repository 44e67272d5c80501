"""Serve the messages of one client on a WebSocket: `response.create` and `response.interrupt`.

One response is in flight at a time. The session stores the input and the output of the most recent response, and of
prewarms, so that a later request can continue it with `previous_response_id` and new items only. As the documentation
of the Responses API says, the state exists on this connection only, and a request that fails removes the state that it
wanted to continue.

Not recorded and therefore invented here: the error codes for a second `response.create` in flight and for messages that
are not valid, and the close code for binary messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from ..http.delivery import CloseSocket, SimulatedResponse
from ..http.stream_transforms import end_after_events
from .socket_delivery import CONNECTION_LIMIT_EVENT, SentEvents, deliver, send_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .settings import WebSocketSettings
    from .socket_connection import Message, SocketConnection

__all__ = ["ModelMessage", "ResponseCallback", "ResponsesSession"]

_CLOSE_UNSUPPORTED_DATA: Final = 1003
_CLOSE_INTERNAL_ERROR: Final = 1011
_logger = logging.getLogger(__name__)
# Members of a message that are not members of a request (Codex CLI: codex-api/src/endpoint/responses_websocket.rs).
_MESSAGE_MEMBERS: Final = ("type", "previous_response_id", "generate")
# The client sends request headers as members of `client_metadata` with this prefix.
_HEADER_PREFIX: Final = "ws_request_header_"
_TURN_STATE: Final = "x-codex-turn-state"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMessage:
    """A `response.create` message as a model request.

    `body` has the complete input: the stored items and those of the message. `headers` are those that the message
    contains. `generates` is false for a prewarm. `plain_bytes` is the length of the message.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    previous_response_id: str | None
    generates: bool
    plain_bytes: int


class MessageHandler(Protocol):
    """Create the responses to the messages of one connection."""

    def __call__(self, message: ModelMessage) -> SimulatedResponse:
        """Return the response to a model request."""
        ...


class ResponseCallback(Protocol):
    """Report a response that was delivered."""

    def __call__(self, model: str, response: SimulatedResponse, seconds: float) -> None:
        """Receive the model of the request, the response, and how long the exchange took."""
        ...


@dataclass(frozen=True, slots=True)
class _StoredResponse:
    items: list[Any]
    is_prewarm: bool


class ResponsesSession:
    """The session of a client on one WebSocket. Create it before the WebSocket opens: its age begins then."""

    def __init__(
        self,
        *,
        handle: MessageHandler,
        clock: Callable[[], datetime],
        get_settings: Callable[[], WebSocketSettings],
        on_response: ResponseCallback,
    ) -> None:
        self._handle = handle
        self._on_response = on_response
        self._clock = clock
        self._get_settings = get_settings
        self._opened_at = clock()
        self._stored: dict[str, _StoredResponse] = {}
        self._sent = SentEvents()
        self._interrupted = anyio.Event()
        self._delivery: asyncio.Task[None] | None = None

    async def run(self, socket: SocketConnection) -> None:
        """Process messages until the connection ends."""
        self._socket = socket
        try:
            while (message := await self._socket.receive()) is not None:
                self._process(message)
        finally:
            if self._delivery is not None:
                self._delivery.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._delivery

    @property
    def has_expired(self) -> bool:
        """Whether the connection has reached its maximum age."""
        return self._clock() - self._opened_at >= self._get_settings().lifetime

    def _process(self, message: Message) -> None:
        if not message.is_text:
            self._socket.close(_CLOSE_UNSUPPORTED_DATA)
            return
        try:
            body = json.loads(message.frame.data)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self._send_error("invalid_json", "The message is not a JSON object.")
        elif body.get("type") == "response.interrupt":
            self._interrupt(body)
        elif body.get("type") != "response.create":
            self._send_error("invalid_value", f"Invalid value of 'type': {body.get('type')!r}.", param="type")
        elif self._delivery is not None and not self._delivery.done():
            self._send_error("response_already_in_flight", "A response is in flight on this connection.")
        else:
            self._create(body, len(message.frame.data))

    def _create(self, body: dict[str, Any], plain_bytes: int) -> None:
        started = time.perf_counter()
        previous_id = body.get("previous_response_id")
        stored = None if previous_id is None else self._stored.get(previous_id)
        request_body = {name: value for name, value in body.items() if name not in _MESSAGE_MEMBERS}
        request_body.setdefault("stream", True)  # the documentation of the Responses API: it is implicit
        if stored is not None and isinstance(body.get("input"), list):
            request_body["input"] = [*stored.items, *body["input"]]
        if self.has_expired:
            end = end_after_events(0, CONNECTION_LIMIT_EVENT, CloseSocket(1000))
            response = SimulatedResponse(status=200, headers=(), transforms=(end,))
        elif previous_id is not None and stored is None:
            response = _previous_response_error(previous_id)
        else:
            message = ModelMessage(
                body=request_body,
                headers=_headers_in(body.get("client_metadata")),
                previous_response_id=previous_id,
                generates=body.get("generate") is not False,
                plain_bytes=plain_bytes,
            )
            response = self._handle(message)
        self._sent, self._interrupted = SentEvents(), anyio.Event()
        self._delivery = asyncio.create_task(self._deliver_and_report(response, request_body, body, started))

    async def _deliver_and_report(
        self, response: SimulatedResponse, request_body: dict[str, Any], body: dict[str, Any], started: float
    ) -> None:
        is_prewarm = body.get("generate") is False
        try:
            await self._deliver(response, request_body.get("input"), body.get("previous_response_id"), is_prewarm)
        finally:
            self._on_response(str(body.get("model")), response, time.perf_counter() - started)

    async def _deliver(self, response: SimulatedResponse, items: Any, previous_id: Any, is_prewarm: bool) -> None:
        sent = self._sent
        try:
            await deliver(
                response, self._socket, sent, interrupted=self._interrupted, has_expired=lambda: self.has_expired
            )
        except Exception:  # a turn may contain a transform of the test, which can raise anything
            _logger.exception("A response on a WebSocket failed")
            self._socket.close(_CLOSE_INTERNAL_ERROR)
            return
        if self._interrupted.is_set() and sent.terminal_type is None and self._socket.is_open:
            self._finish_interrupted_response()
        response_id = sent.response.get("id")
        if not sent.is_continuable or not isinstance(response_id, str):
            self._stored.pop(previous_id, None)
        elif isinstance(items, list):
            self._stored = {name: stored for name, stored in self._stored.items() if stored.is_prewarm}
            self._stored[response_id] = _StoredResponse([*items, *sent.items], is_prewarm)

    def _interrupt(self, body: dict[str, Any]) -> None:
        response_id = body.get("response_id")
        is_in_flight = self._delivery is not None and not self._delivery.done()
        if not is_in_flight or response_id != self._sent.response.get("id") or self._interrupted.is_set():
            if response_id not in self._stored:  # the response may have ended before the message arrived
                self._send({"type": "response.interrupt.failed", "response_id": response_id})
            return
        self._interrupted.set()

    def _finish_interrupted_response(self) -> None:
        """Send the events that end an interrupted response. Partial items are discarded."""
        sent = self._sent
        response_id = sent.response["id"]
        self._send_next({"type": "response.interrupt.accepted", "response_id": response_id})
        for index, item in sent.partial_items.items():
            position = {"item_id": item.get("id"), "output_index": index}
            self._send_next({"type": "response.output_item.interrupted", "response_id": response_id, **position})
        response = {**sent.response, "status": "incomplete", "incomplete_details": {"reason": "interrupted"}}
        self._send_next({"type": "response.incomplete", "response": response})

    def _send_next(self, event: dict[str, Any]) -> None:
        self._send({"type": event["type"], "sequence_number": self._sent.sequence_number, **event})

    def _send(self, event: dict[str, Any]) -> None:
        send_event(event, self._socket, self._sent)

    def _send_error(self, code: str, message: str, *, param: str | None = None) -> None:
        event = {"type": "error", "status": 400, "error": _error_object(code, message, param)}
        send_event(event, self._socket, SentEvents())


def _headers_in(client_metadata: Any) -> dict[str, str]:
    """Return the request headers that a message contains in its `client_metadata`."""
    metadata = client_metadata if isinstance(client_metadata, dict) else {}
    headers = {
        name.removeprefix(_HEADER_PREFIX).replace("_", "-"): str(value)
        for name, value in metadata.items()
        if name.startswith(_HEADER_PREFIX)
    }
    return headers | ({_TURN_STATE: str(metadata[_TURN_STATE])} if _TURN_STATE in metadata else {})


def _error_object(code: str, message: str, param: str | None) -> dict[str, Any]:
    return {"type": "invalid_request_error", "code": code, "message": message, "param": param}


def _previous_response_error(response_id: object) -> SimulatedResponse:
    text = f"Previous response with id '{response_id}' not found."
    error = _error_object("previous_response_not_found", text, "previous_response_id")
    return SimulatedResponse.json(400, {"error": error})
