"""A server that streams each prompt back, and records which prompts arrived on which connection."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["EchoServer"]


class EchoServer:
    """The server for a test. `connections` has the prompts of each connection.

    It completes the response to a prompt with "open" after `release` is set, and sets `opened` when it has sent the
    first half. `certificate` (of trustme) turns on TLS.
    """

    def __init__(self, certificate: Any = None) -> None:
        self.connections: list[list[str]] = []
        self.opened = threading.Event()
        self.release = threading.Event()
        self._certificate = certificate
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "http" if certificate is None else "https"
        self.base_url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/backend-api/codex"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        prompts: list[str] = []
        self.connections.append(prompts)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._certificate.configure_cert(context)
                connection = context.wrap_socket(connection, server_side=True)
            stack.enter_context(connection)
            received = b""
            while data := connection.recv(65536):
                received += data
                head, blank_line, body = received.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                if blank_line and length and len(body) >= int(length[1]):
                    received = b""
                    self._respond(connection, _prompt(json.loads(body)), prompts)

    def _respond(self, connection: socket.socket, prompt: str, prompts: list[str]) -> None:
        prompts.append(prompt)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        first, *rest = _events(prompt)
        connection.sendall(head + _chunk(first))
        if "open" in prompt:
            self.opened.set()
            self.release.wait(30)
        connection.sendall(b"".join(map(_chunk, rest)) + b"0\r\n\r\n")


def _prompt(body: dict[str, Any]) -> str:
    items = body["input"]
    content = items if isinstance(items, str) else items[-1]["content"]
    return str(content if isinstance(content, str) else content[-1]["text"])


def _events(text: str) -> list[dict[str, Any]]:
    response = {"id": "resp_1", "object": "response", "output": []}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
    return [
        {"type": "response.created", "response": {**response, "status": "in_progress"}},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.completed", "response": {**response, "status": "completed"}},
    ]


def _chunk(event: dict[str, Any]) -> bytes:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)
