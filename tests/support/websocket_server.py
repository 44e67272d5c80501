"""A small WebSocket server for responses, which records handshakes and messages."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from websockets.sync.server import Request, Response, ServerConnection

MESSAGE = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": []}],
}


@dataclass
class WebSocketServer:
    """The recorded requests. `statuses` are the statuses of the next handshakes; later ones are accepted."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    handshakes: list[Any] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/backend-api/codex"

    def check(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request)
        status = self.statuses.pop(0) if self.statuses else None
        return None if status is None else connection.respond(HTTPStatus(status), "{}")

    def answer(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):  # the Agents SDK closes without a close frame
            self._answer(connection)

    def _answer(self, connection: ServerConnection) -> None:
        for number, text in enumerate(connection, 1):
            message = json.loads(text)
            self.messages.append(message)
            if message["type"] != "response.create":
                continue
            response = {"id": f"resp_{number}", "object": "response", "model": message["model"], "output": []}
            events = [
                {"type": "response.created", "response": {**response, "status": "in_progress"}},
                {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
                {"type": "response.completed", "response": {**response, "status": "completed", "output": [MESSAGE]}},
            ]
            for sequence_number, event in enumerate(events):
                connection.send(json.dumps({**event, "sequence_number": sequence_number}))


@contextlib.contextmanager
def websocket_server(ssl_context: ssl.SSLContext | None = None) -> Iterator[WebSocketServer]:
    """Run a server in a thread."""
    state = WebSocketServer()
    with serve(state.answer, "127.0.0.1", 0, process_request=state.check, ssl=ssl_context) as server:
        state.port = server.socket.getsockname()[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join(10)
