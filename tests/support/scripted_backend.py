"""A backend on 127.0.0.1 whose WebSocket follows a script. The protocol is that of the `websockets` package."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import socket
import ssl
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

__all__ = ["OVER_HTTP", "ScriptedServer", "Session", "message_item", "reply", "response_events", "wait_until"]

# The text of every response over HTTP.
OVER_HTTP = "over HTTP"
_WAIT_SECONDS = 30.0


def wait_until(condition: Callable[[], Any], what: str = "the condition") -> None:
    """Wait until the condition holds. Raises AssertionError after half a minute."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"timeout: {what}"
        time.sleep(0.005)


def message_item(text: str) -> dict[str, Any]:
    """Return the output item of a text."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }


def response_events(text: str, response_id: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of a response with a text and further output items."""
    response = {"id": response_id, "object": "response", "output": []}
    output = [message_item(text), *items]
    return [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**output[0], "content": []}},
        {
            "type": "response.output_text.delta",
            "output_index": 0,
            "content_index": 0,
            "item_id": "msg_1",
            "delta": text,
        },
        *(
            {"type": "response.output_item.done", "output_index": index, "item": item}
            for index, item in enumerate(output)
        ),
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    ]


def reply(text: str = "hello", *items: dict[str, Any]) -> Callable[[Session], None]:
    """Return an entry of the script that sends a complete response."""
    return lambda session: session.send(*response_events(text, session.new_response_id(), *items))


class _Refusal(NamedTuple):
    status: int
    body: bytes
    headers: Mapping[str, str]


class Session:
    """One WebSocket connection, with what the client sent on it.

    Attributes:
        headers: The headers of the upgrade request.
        messages: The messages of the client.
        pings: The number of pings of the client.
        pongs: The payloads of its pongs.
        close_code: The code of its close frame, or None.
        bytes_received: The size of its frames so far.
        is_closed: Set when the client has closed the connection.
    """

    def __init__(self, connection: socket.socket, protocol: ServerProtocol, server: ScriptedServer) -> None:
        self.headers: dict[str, str] = {}
        self.messages: list[dict[str, Any]] = []
        self.pings = 0
        self.pongs: list[bytes] = []
        self.close_code: int | None = None
        self.bytes_received = 0
        self.is_closed = threading.Event()
        self._connection = connection
        self._protocol = protocol
        self._server = server
        self._lock = threading.Lock()
        self._is_frozen = False
        self._received: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def new_response_id(self) -> str:
        """Return the id of the next response."""
        return self._server.new_response_id()

    def send(self, *events: dict[str, Any]) -> None:
        """Send each event as a message, all with one write."""
        with self._lock, contextlib.suppress(InvalidState):
            for event in events:
                self._protocol.send_text(json.dumps(event).encode())
            self._flush()

    def send_raw(self, data: bytes) -> None:
        """Send bytes that need not be a frame."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.sendall(data)

    def ping(self, payload: bytes) -> None:
        """Send a ping."""
        with self._lock:
            self._protocol.send_ping(payload)
            self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame."""
        with self._lock, contextlib.suppress(InvalidState):
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Reset the TCP connection."""
        with contextlib.suppress(OSError):
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._connection.shutdown(socket.SHUT_RD)  # wakes the thread that reads
        self._connection.close()

    def end(self) -> None:
        """Close the TCP connection without a close frame."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def freeze(self) -> None:
        """Send nothing more, not even pongs, and keep the connection open."""
        self._is_frozen = True

    def next_message(self) -> dict[str, Any] | None:
        """Return the next message of the client, or None after the last one."""
        return self._received.get(timeout=_WAIT_SECONDS)

    def _flush(self) -> None:
        data = b"".join(self._protocol.data_to_send())
        if data and not self._is_frozen:
            with contextlib.suppress(OSError):
                self._connection.sendall(data)

    def read_all(self) -> None:
        """Read until the connection ends."""
        try:
            while data := self._connection.recv(65536):
                self.bytes_received += len(data)
                with self._lock:
                    self._protocol.receive_data(data)
                    self._flush()
                    for event in self._protocol.events_received():
                        self._record(event)
        except OSError:
            pass
        finally:
            self.is_closed.set()
            self._received.put(None)

    def _record(self, event: Any) -> None:
        assert isinstance(event, Frame)
        if event.opcode is Opcode.TEXT:
            message = json.loads(bytes(event.data))
            self.messages.append(message)
            self._server.messages.append(message)
            self._received.put(message)
        elif event.opcode is Opcode.PING:
            self.pings += 1
        elif event.opcode is Opcode.PONG:
            self.pongs.append(bytes(event.data))
        elif event.opcode is Opcode.CLOSE:
            self.close_code = int.from_bytes(event.data[:2]) if event.data else None


class ScriptedServer:
    """The server for a test. After the end of the script, it replies "hello" to every message.

    Attributes:
        sessions: The WebSocket connections.
        messages: The messages of all of them.
        posts: The bodies of the requests over HTTP.
        upgrades: The headers of all upgrade requests, with those that were refused.
        accept_headers: Headers of the responses to upgrade requests.
        is_compressed: Whether to accept compression.
        post_headers: The headers of the requests over HTTP.
    """

    def __init__(self, certificate: Any = None) -> None:
        self.sessions: list[Session] = []
        self.messages: list[dict[str, Any]] = []
        self.posts: list[dict[str, Any]] = []
        self.post_headers: list[dict[str, str]] = []
        self.upgrades: list[dict[str, str]] = []
        self.accept_headers: dict[str, str] = {}
        self.is_compressed = True
        self._script: deque[Callable[[Session], None]] = deque()
        self._refusals: deque[_Refusal] = deque()
        self._responses = 0
        self._certificate = certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if certificate is None else "https"
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"{scheme}://127.0.0.1:{self.port}/backend-api/codex"

    def script(self, *turns: Callable[[Session], None]) -> None:
        """Append functions, one for each message that will be received."""
        self._script.extend(turns)

    def refuse(self, status: int, body: Any = None, *, times: int = 1, **headers: str) -> None:
        """Refuse the next upgrade requests with this status and this body as JSON."""
        encoded = b"" if body is None else json.dumps(body).encode()
        self._refusals.extend([_Refusal(status, encoded, headers)] * times)

    def new_response_id(self) -> str:
        """Return the id of the next response."""
        self._responses += 1
        return f"resp_{self._responses}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            session.end()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._certificate.configure_cert(context)
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                self._serve_requests(connection)

    def _serve_requests(self, connection: socket.socket) -> None:
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                data = connection.recv(65536)
                if not data:
                    return
                received += data
            head, _, received = received.partition(b"\r\n\r\n")
            if head.startswith(b"GET"):
                if self._serve_upgrade(connection, head):
                    return
                continue
            match = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            length = int(match[1]) if match else 0
            while len(received) < length:
                received += connection.recv(65536)
            body, received = received[:length], received[length:]
            self.posts.append(json.loads(body))
            self.post_headers.append(_headers(head))
            events = response_events(OVER_HTTP, self.new_response_id())
            stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
            connection.sendall(_http_response(200, stream, {"Content-Type": "text/event-stream"}))

    def _serve_upgrade(self, connection: socket.socket, head: bytes) -> bool:
        """Serve a WebSocket until its end, or refuse it and return False."""
        self.upgrades.append(_headers(head))
        if self._refusals:
            status, body, headers = self._refusals.popleft()
            connection.sendall(_http_response(status, body, {"Content-Type": "application/json", **headers}))
            return False
        extensions = [ServerPerMessageDeflateFactory()] if self.is_compressed else []
        protocol = ServerProtocol(extensions=extensions, max_size=None)
        protocol.receive_data(head + b"\r\n\r\n")
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        response = protocol.accept(request)
        for name, value in self.accept_headers.items():
            if name in response.headers:
                del response.headers[name]
            response.headers[name] = value
        protocol.send_response(response)
        session = Session(connection, protocol, self)
        session.headers = self.upgrades[-1]
        self.sessions.append(session)
        connection.sendall(b"".join(protocol.data_to_send()))
        assert protocol.state is State.OPEN
        threading.Thread(target=session.read_all, daemon=True).start()
        with contextlib.suppress(queue.Empty):
            while session._received.get() is not None:
                turn = self._script.popleft() if self._script else reply()
                turn(session)
        session.is_closed.wait()
        return True


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _http_response(status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
