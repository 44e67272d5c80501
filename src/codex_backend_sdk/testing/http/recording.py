"""Record every request, with its body decompressed, before the application handles it.

The middleware reads the whole body first, so a recorded request is always complete, and replays it to the
application. It also gives each response an `x-request-id`, as the backend does.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import zstandard

from .delivery import SimulatedResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["RecordedRequest", "RecordingMiddleware"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """One request that the simulator received; header names are lower-case, the body is decompressed."""

    method: str
    path: str
    query: dict[str, str]
    # A login is in the headers, a prompt in the body: neither belongs into the output of a failed test.
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


class _DecodingError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RecordingMiddleware:
    """ASGI middleware that records each request in `log` and adds an `x-request-id` to its response."""

    def __init__(self, app: ASGIApp, *, log: list[RecordedRequest], new_request_id: Callable[[], str]) -> None:
        self._app = app
        self._log = log
        self._new_request_id = new_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request, then call the application."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = self._new_request_id()
        scope["state"] = {"request_id": request_id}
        encoded_body = await _read_body(receive)
        try:
            body = _decode(encoded_body, headers.get("content-encoding", ""))
        except _DecodingError as error:
            response = SimulatedResponse.json(error.status, {"detail": str(error)}, (("x-request-id", request_id),))
            await response(scope, receive, send)
            return
        self._log.append(
            RecordedRequest(
                method=scope["method"],
                path=scope["path"],
                query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
                headers=headers,
                body=body,
            )
        )
        await self._app(scope, _replay(body, receive), _with_request_id(send, request_id))


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": gzip.decompress,
    # `decompress` needs the size of the content, which a frame may omit; a stream reader does not.
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read(),
}


def _decode(body: bytes, encoding: str) -> bytes:
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise _DecodingError(415, f"Unsupported content encoding: {encoding}")
    try:
        return decoder(body)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        raise _DecodingError(400, f"The body is not valid {encoding}") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body as one message, and then the messages of the real one."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Any:
        return pending.pop() if pending else await receive()

    return receive_again


def _with_request_id(send: Send, request_id: str) -> Send:
    async def send_with_request_id(message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            if b"x-request-id" not in names:
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    return send_with_request_id
