"""Record the last requests with their decompressed bodies, before the application processes them.

The middleware reads the whole body first and replays it to the application, so a recorded request is always complete.
It also adds an `x-request-id` and the `date` to each response, as the backend does.

A simulator may run for days, and any program of the machine can send requests to it. So the memory is bounded: the log
drops its oldest requests, and a body that is too long, also after decompression, is rejected and not kept.
"""

from __future__ import annotations

import json
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar
from urllib.parse import parse_qsl

import zstandard

from .delivery import SimulatedResponse
from .request_summary import RequestSummary, ResponseSummary

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_LOG_BYTES",
    "RecordedModelRequest",
    "RecordedRequest",
    "RecordingMiddleware",
    "RequestLog",
]

# The longest body of a request. A whole context window with images has a few megabytes.
MAX_BODY_BYTES: Final = 32 * 2**20
# The log keeps fewer requests if their bodies are long.
MAX_LOG_BYTES: Final = 4 * MAX_BODY_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRequest:
    """A request that the simulator received. Header names are in lower case, and the body is decompressed.

    `wire_bytes` is the length of the body as it was sent, before decompression. The messages of WebSockets are in
    `Simulator.websocket_frames`.
    """

    method: str
    path: str
    query: dict[str, str]
    # The headers contain tokens and the body contains prompts. The output of a failed test must not show them.
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    wire_bytes: int = 0

    def json(self) -> Any:
        """Parse the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedModelRequest:
    """A model request over either transport, as the backend understands it.

    Over a WebSocket, the input of `body` is complete: it has the items that the message continues, and `headers` has
    those of the upgrade and of the message. A prewarm is a model request, too. `plain_bytes` is the length of the body
    or of the message, decompressed.
    """

    transport: Literal["http", "websocket"]
    plain_bytes: int
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any] = field(repr=False)


_Entry = TypeVar("_Entry", RecordedRequest, RecordedModelRequest)


def _length(entry: RecordedRequest | RecordedModelRequest) -> int:
    return len(entry.body) if isinstance(entry, RecordedRequest) else entry.plain_bytes


class RequestLog(Generic[_Entry]):
    """The last `max_requests` requests, with bodies of at most `max_bytes` in total. The class is thread-safe."""

    def __init__(self, max_requests: int, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._requests: deque[_Entry] = deque()
        self._byte_count = 0

    def append(self, request: _Entry) -> None:
        """Add a request, and remove the oldest ones that exceed a limit."""
        with self._lock:
            self._requests.append(request)
            self._byte_count += _length(request)
            while self._requests and (len(self._requests) > self._max_requests or self._byte_count > self._max_bytes):
                self._byte_count -= _length(self._requests.popleft())

    def copy(self) -> list[_Entry]:
        """Return the requests in the order of arrival."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Remove all requests."""
        with self._lock:
            self._requests.clear()
            self._byte_count = 0


class _BodyError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RecordingMiddleware:
    """ASGI middleware that adds each request to `log`, and an `x-request-id` and a `date` to its response.

    `on_request` is called with the summary of each exchange when it ends. The application may add the `model` and the
    `response` (`ResponseSummary`) to the state of the scope.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        log: RequestLog[RecordedRequest],
        new_request_id: Callable[[], str],
        clock: Callable[[], datetime],
        on_request: Callable[[RequestSummary], None],
    ) -> None:
        self._app = app
        self._log = log
        self._new_request_id = new_request_id
        self._clock = clock
        self._on_request = on_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the request, call the application, and report the summary of the exchange."""
        started, time_of_arrival = time.perf_counter(), self._clock()
        state: dict[str, Any] = {"request_id": self._new_request_id()}
        scope["state"] = state
        statuses: list[int] = []
        is_complete = False

        async def observed_send(message: Any) -> None:
            nonlocal is_complete
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        try:
            await self._handle(scope, receive, self._with_headers(observed_send, state["request_id"]))
        finally:
            response: ResponseSummary = state.get("response", ResponseSummary())
            if not is_complete and response.problem is None and statuses:
                response = replace(response, problem="client disconnected")
            self._on_request(
                RequestSummary(
                    time=time_of_arrival,
                    method=scope["method"],
                    path=scope["path"],
                    status=statuses[0] if statuses else state.get("upgrade_status"),
                    seconds=time.perf_counter() - started,
                    model=state.get("model"),
                    response=response,
                )
            )

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            encoded_body = await _read_body(receive)
            body = _decode(encoded_body, headers.get("content-encoding", ""))
        except _BodyError as error:
            response = SimulatedResponse.json(error.status, {"detail": str(error)})
            await response(scope, receive, send)
            return
        request = RecordedRequest(
            method=scope["method"],
            path=scope["path"],
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=headers,
            body=body,
            wire_bytes=len(encoded_body),
        )
        self._log.append(request)
        scope["state"]["recorded_request"] = request
        await self._app(scope, _replay(body, receive), send)

    def _with_headers(self, send: Send, request_id: str) -> Send:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                # A client compares the `date` with the times in the response, so both must be of one clock.
                added = {
                    b"x-request-id": request_id,
                    b"date": format_datetime(self._clock().astimezone(UTC), usegmt=True),
                }
                names = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value.encode()) for name, value in added.items() if name not in names),
                ]
            await send(message)

        return send_with_headers


async def _read_body(receive: Receive) -> bytes:
    """Return the body. Read also a body that is too long to its end, so that the client receives the response."""
    parts: list[bytes] = []
    byte_count, has_more = 0, True
    while has_more:
        message = await receive()
        part = message.get("body", b"")
        byte_count += len(part)
        if byte_count <= MAX_BODY_BYTES:
            parts.append(part)
        else:
            parts.clear()
        has_more = message.get("more_body", False)
    return _bounded(b"".join(parts), byte_count)


def _bounded(body: bytes, byte_count: int) -> bytes:
    if byte_count > MAX_BODY_BYTES:
        raise _BodyError(413, f"The body is too long. The simulator accepts {MAX_BODY_BYTES:,} bytes, decompressed.")
    return body


def _decode(body: bytes, encoding: str) -> bytes:
    decoder = _DECODERS.get(encoding.strip().lower())
    if decoder is None:
        raise _BodyError(415, f"Unsupported content encoding: {encoding}. Use zstd, gzip or identity.")
    try:
        decoded = decoder(body)
    except (EOFError, zlib.error, zstandard.ZstdError):
        raise _BodyError(400, f"The body is not valid {encoding}.") from None
    return _bounded(decoded, len(decoded))


# The decoders stop at the first byte that is too much, so that a small body cannot fill the memory.
_MAX_DECODED_BYTES: Final = MAX_BODY_BYTES + 1


def _decode_gzip(body: bytes) -> bytes:
    """Decompress all members of a gzip body (RFC 1952, 2.2)."""
    decoded, rest = bytearray(), body
    while rest and len(decoded) < _MAX_DECODED_BYTES:
        member = zlib.decompressobj(wbits=31)  # 31: with a gzip header
        decoded += member.decompress(rest, _MAX_DECODED_BYTES - len(decoded))
        if not member.eof and len(decoded) < _MAX_DECODED_BYTES:
            raise EOFError("the body ends within a member")
        rest = member.unused_data
    return bytes(decoded)


def _decode_zstd(body: bytes) -> bytes:
    # `decompress` requires the content size, which is optional in a frame. A stream reader does not require it.
    return zstandard.ZstdDecompressor().stream_reader(BytesIO(body)).read(_MAX_DECODED_BYTES)


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "identity": bytes,
    "gzip": _decode_gzip,
    "zstd": _decode_zstd,
}


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns the body as one message, and then calls the original `receive`."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed_receive() -> Any:
        return pending.pop() if pending else await receive()

    return replayed_receive
