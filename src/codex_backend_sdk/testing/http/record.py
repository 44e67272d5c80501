"""Remember every request, with its body decompressed."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import zstandard

from .delivery import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from ..issuer.token_mint import Ids

__all__ = ["RecordedRequest", "Recorder", "Records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A request as it arrived; header names are lower-case, the body is decompressed."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the body, read as JSON."""
        return json.loads(self.body)


class Records:
    """The requests so far; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[RecordedRequest] = []

    def add(self, request: RecordedRequest) -> None:
        """Append a request."""
        with self._lock:
            self._requests.append(request)

    def all(self) -> list[RecordedRequest]:
        """Return a copy of the list."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._requests.clear()


class Recorder:
    """ASGI middleware: reads the body, records the request, names it with an `x-request-id`."""

    def __init__(self, app: ASGIApp, *, records: Records, ids: Ids) -> None:
        self._app = app
        self._records = records
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request and pass it on."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = self._ids.new("req")
        scope["state"] = {"request_id": request_id}
        given = await _body(receive)
        try:
            body = _decompressed(given, headers.get("content-encoding", ""))
        except _Undecodable as problem:
            answer = Answer.json(problem.status, {"detail": str(problem)}, (("x-request-id", request_id),))
            await answer(scope, receive, send)
            return
        self._records.add(
            RecordedRequest(
                method=scope["method"],
                path=scope["path"],
                query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
                headers=headers,
                body=body,
            )
        )
        await self._app(scope, _again(body, receive), _named(send, request_id))


class _Undecodable(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _decompressed(body: bytes, encoding: str) -> bytes:
    decoders: dict[str, Callable[[bytes], bytes]] = {
        "": bytes,
        "identity": bytes,
        "gzip": gzip.decompress,
        # A frame need not say how long its content is, so it is read as a stream.
        "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(BytesIO(data)).read(),
    }
    decode = decoders.get(encoding.strip().lower())
    if decode is None:
        raise _Undecodable(415, f"Unsupported content encoding: {encoding}")
    try:
        return decode(body)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        raise _Undecodable(400, f"The body is not valid {encoding}") from None


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body once and then what the real one gives."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Any:
        return waiting.pop() if waiting else await receive()

    return receive_again


def _named(send: Send, request_id: str) -> Send:
    async def send_named(message: Any) -> None:
        if message["type"] == "http.response.start":
            names = {name for name, _ in message["headers"]}
            if b"x-request-id" not in names:
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
        await send(message)

    return send_named
