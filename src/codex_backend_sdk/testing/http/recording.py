"""Record every request with its decompressed body before the application processes it.

The middleware reads the whole body first and replays it to the application, so a recorded request is always complete.
It also adds an `x-request-id` to each response, as the backend does.
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
    """A request that the simulator received. Header names are in lower case, and the body is decompressed."""

    method: str
    path: str
    query: dict[str, str]
    # The headers contain tokens and the body contains prompts. The output of a failed test must not show them.
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
    """ASGI middleware that appends each request to `requests` and adds an `x-request-id` to its response."""

    def __init__(self, app: ASGIApp, *, requests: list[RecordedRequest], new_request_id: Callable[[], str]) -> None:
        self._app = app
        self._requests = requests
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
        self._requests.append(
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
    # `decompress` requires the content size, which is optional in a frame. A stream reader does not require it.
    "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read(),
}


def _decode(body: bytes, encoding: str) -> bytes:
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise _DecodingError(415, f"Unsupported content encoding: {encoding}. Use zstd, gzip or identity.")
    try:
        return decoder(body)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        raise _DecodingError(400, f"The body is not valid {encoding}.") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns the body as one message, and then calls the original `receive`."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed_receive() -> Any:
        return pending.pop() if pending else await receive()

    return replayed_receive


def _with_request_id(send: Send, request_id: str) -> Send:
    async def send_with_request_id(message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            if b"x-request-id" not in names:
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    return send_with_request_id
