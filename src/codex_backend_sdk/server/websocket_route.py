"""`/v1/responses` as a WebSocket, which the Codex CLI and other programs try first.

A message `response.create` is the body of a request, and each event is a message. `previous_response_id` continues a
response of the same connection: the message then has only the new items. The backend stores nothing, so the connection
keeps the items of its last responses, and of prewarms (`generate: false`), which send nothing to the backend. A message
that fails removes the response that it wanted to continue, as the OpenAI API does.

One response is in flight at a time. Errors are `error` events with a status; the connection stays open after them. When
the server stops, it ends the response in flight, and closes the connection.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from starlette.websockets import WebSocketDisconnect

from .._coerce import as_list, as_mapping
from .._json import decode, encode
from .api_errors import SHUTTING_DOWN, ApiError
from .model_routes import ModelCall, new_response_id
from .request_log import CLIENT_LEFT

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.websockets import WebSocket

    from .dialects import Data, Dialect
    from .request_log import RequestLog, RequestRecord

__all__ = ["responses_socket"]

_MAX_STORED: Final = 4
_SERVICE_RESTART: Final = 1012  # https://www.iana.org/assignments/websocket
_CONTINUABLE_EVENTS: Final = ("response.completed", "response.incomplete")
_TERMINAL_EVENTS: Final = (*_CONTINUABLE_EVENTS, "response.failed", "error")
# Members of a message that are not members of a request over HTTP.
_MESSAGE_MEMBERS: Final = frozenset({"type", "generate", "previous_response_id", "stream", "stream_id"})


async def responses_socket(websocket: WebSocket) -> None:
    """Accept a WebSocket, and respond to its messages until it closes."""
    await websocket.accept()
    await _Connection(websocket).run()


class _SocketSink:
    """The messages of one response.

    `has_ended` is set with its last message, `response_id` if a later message can continue it. `record` is that of the
    response, and gets the status that it would have over HTTP. `on_closed` is called if the WebSocket is closed.
    """

    def __init__(self, websocket: WebSocket, record: RequestRecord, on_closed: Callable[[], object]) -> None:
        self.record = record
        self.has_ended = False
        self.response_id: str | None = None
        self._websocket = websocket
        self._on_closed = on_closed

    async def send(self, event: Data) -> None:
        """Send an event as a message."""
        self.record.status = self.record.status or 200
        if event["type"] in _TERMINAL_EVENTS:
            self.has_ended = True
            if event["type"] in _CONTINUABLE_EVENTS:
                self.response_id = as_mapping(event.get("response")).get("id")
        try:
            await self._websocket.send_text(encode(event).decode())
        except WebSocketDisconnect:
            self._on_closed()
            await anyio.lowlevel.checkpoint()

    async def start(self) -> None:
        """Do nothing: a message has no status."""

    async def write(self, batch: list[Data], dialect: Dialect) -> None:
        """Send each event as a message."""
        for event in batch:
            await self.send(event)

    async def keep_alive(self) -> None:
        """Do nothing: the WebSocket has pings of its own."""

    async def reject(self, error: ApiError) -> None:
        """Send an `error` event with the status and the headers."""
        self.record.status = error.status
        self.record.note_error(error)
        await self.send({"type": "error", "status": error.status, "error": error.error, "headers": error.headers})

    async def end(self, dialect: Dialect) -> None:
        """Do nothing: the terminal event is the end."""


class _Connection:
    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._state = websocket.app.state
        self._log: RequestLog = self._state.log
        self._stored: dict[str, list[Any]] = {}
        self._group = anyio.create_task_group()
        self._current: _SocketSink | None = None
        self._lock = anyio.Lock()

    async def run(self) -> None:
        async with self._group:
            self._group.start_soon(self._close_when_stopping)
            while (message := await self._websocket.receive())["type"] != "websocket.disconnect":
                await self._process(message)
            self._leave()

    def _leave(self) -> None:
        if (sink := self._in_flight()) is not None:
            sink.record.note_end(CLIENT_LEFT)
        self._group.cancel_scope.cancel()

    def _in_flight(self) -> _SocketSink | None:
        return None if self._current is None or self._current.has_ended else self._current

    async def _close_when_stopping(self) -> None:
        await self._state.slots.closed.wait()
        async with self._lock:  # after the response that is in flight
            with contextlib.suppress(WebSocketDisconnect):  # the client closed it first
                await self._websocket.close(_SERVICE_RESTART)

    async def _process(self, data: Any) -> None:
        sink = _SocketSink(self._websocket, replace(self._websocket.state.record, status=None), self._leave)
        try:
            message = self._message(data)
        except ApiError as error:
            with self._log.timed(sink.record):
                await sink.reject(error)
            return
        if message["type"] == "response.interrupt":
            # The Codex CLI then closes the connection, which cancels the response.
            await sink.send({"type": "response.interrupt.failed", "response_id": message.get("response_id")})
        else:
            self._current = sink
            self._group.start_soon(self._respond, message, sink)

    def _message(self, data: Any) -> Data:
        """Return a message of the client. Raises ApiError if it cannot be processed."""
        text = data.get("text")
        try:
            message = decode(text.encode() if text is not None else data.get("bytes") or b"")
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise _error("The message is not a JSON object.", "local_invalid_message")
        message_type = message.get("type")
        if message_type not in ("response.create", "response.interrupt"):
            raise _error(f"`type` is {message_type!r:.60}. Send response.create.", "local_invalid_message")
        if message_type == "response.create" and self._in_flight() is not None:
            problem = "A response is in flight on this connection. Wait for its end, or open another connection."
            raise _error(problem, "response_already_in_flight")
        return message

    async def _respond(self, message: Data, sink: _SocketSink) -> None:
        # The client may send the next message before the last response is stored.
        async with self._lock:
            with self._log.timed(sink.record):
                try:
                    body = self._whole_body(message)
                except ApiError as error:
                    await sink.reject(error)
                    return
                if message.get("generate") is False:
                    output = await _prewarm(body, sink)
                else:
                    output = await self._call_model(body, sink)
            previous_id = message.get("previous_response_id")
            if sink.response_id is None:
                self._stored.pop(previous_id or "", None)
            elif isinstance(body.get("input"), list):
                self._stored[sink.response_id] = [*body["input"], *output]
                while len(self._stored) > _MAX_STORED:
                    del self._stored[next(iter(self._stored))]

    async def _call_model(self, body: Data, sink: _SocketSink) -> list[Any]:
        """Send the events of a response, and return its output."""
        call = ModelCall(self._state, sink.record, self._websocket.headers, is_chat=False)
        try:
            await call.stream(body, sink)
        except anyio.get_cancelled_exc_class():  # the client left, or the server stops
            if not sink.has_ended:
                sink.record.note_end(SHUTTING_DOWN)
            raise
        return call.output

    def _whole_body(self, message: Data) -> Data:
        """Return a message as the body of a request, with the items of the response that it continues."""
        body = {name: value for name, value in message.items() if name not in _MESSAGE_MEMBERS}
        if isinstance(body.get("input"), str):
            body["input"] = [body["input"]]
        previous_id = message.get("previous_response_id")
        if previous_id is None:
            return body
        stored = self._stored.get(previous_id) if isinstance(previous_id, str) else None
        if stored is None:
            raise ApiError(
                400,
                f"Previous response with id {previous_id!r:.80} not found. codex-backend serve keeps the last "
                f"{_MAX_STORED} responses of a connection. Send the whole input.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        return {**body, "input": [*stored, *as_list(body.get("input"))]}


def _error(message: str, code: str) -> ApiError:
    return ApiError(400, f"codex-backend serve: {message}", code=code)


async def _prewarm(body: Data, sink: _SocketSink) -> list[Any]:
    """Send the events of a response that generates nothing, so that a later message can continue it."""
    response: Data = {
        "id": new_response_id(),
        "object": "response",
        "created_at": int(time.time()),
        "model": body.get("model"),
        "output": [],
    }
    created, completed = ({**response, "status": status} for status in ("in_progress", "completed"))
    await sink.send({"type": "response.created", "sequence_number": 0, "response": created})
    await sink.send({"type": "response.completed", "sequence_number": 1, "response": completed})
    return []
