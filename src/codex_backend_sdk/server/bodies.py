"""Read the JSON body of a request, within a limit.

The limit applies to the decompressed size. A decompressor returns no more than what the limit still allows, so a small
compressed body cannot fill the memory. Codings: zstd (which the Codex CLI sends), gzip and deflate.

A server that responds before it has read the body, for example with 401 or 413, and then closes the connection makes
the client report a reset connection instead of the response. `BodyDrain` first reads and discards the rest of the body,
within limits of its own.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final

import anyio

from .._json import decode
from .api_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BodyDrain", "read_json"]

_MAX_DISCARDED_BYTES: Final = 200_000_000
_MAX_DISCARD_SECONDS: Final = 10.0
_DETECT_FORMAT: Final = 47  # `wbits` of zlib for both gzip and deflate
_MAX_WINDOW_LOG: Final = 25  # of zstd: 32 MB. The default would let a frame allocate 128 MB.


async def read_json(request: Request, *, max_bytes: int, idle_seconds: float) -> dict[str, Any]:
    """Read a body and return its JSON object. `max_bytes` is the limit of its decompressed size.

    Raises ApiError: 408 if no byte arrives for `idle_seconds`, 413 for a larger body, 415 for an unknown coding, 400
    for a damaged body or another JSON value.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(max_bytes)
    decompressor = _decompressor(request.headers.get("content-encoding", "identity"))
    data = bytearray()
    try:
        async for part in _parts(request, idle_seconds):
            # One byte more than the limit shows that the body is too large.
            data += (
                part if decompressor is None or not part else decompressor.decompress(part, max_bytes + 1 - len(data))
            )
            if len(data) > max_bytes:
                raise _too_large(max_bytes)
        is_whole = decompressor is None or (decompressor.eof and not decompressor.unused_data)
    except (zlib.error, EOFError, _zstd().ZstdError):
        is_whole = False
    if not is_whole:
        raise _invalid("The compressed body of the request is damaged or incomplete. Send it again, or uncompressed.")
    try:
        value = decode(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _invalid("The body of the request is not a JSON object. Send one, encoded in UTF-8.")
    return value


async def _parts(request: Request, idle_seconds: float) -> AsyncIterator[bytes]:
    stream = request.stream()
    while True:
        try:
            with anyio.fail_after(idle_seconds):
                part = await anext(stream, None)
        except TimeoutError:
            raise _too_slow(idle_seconds) from None
        if part is None:
            return
        yield part


def _decompressor(coding: str) -> Any:
    """Return a decompressor for a `Content-Encoding`, or None if there is nothing to decompress."""
    match coding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(_DETECT_FORMAT)
        case "zstd":
            zstd = _zstd()
            return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_LOG})
    raise ApiError(
        415,
        "codex-backend serve does not know the content coding of the request. Send the body uncompressed, or with "
        "zstd, gzip or deflate.",
        code="local_unknown_coding",
        headers={"accept-encoding": "zstd, gzip, deflate"},
    )


def _zstd() -> Any:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _too_slow(idle_seconds: float) -> ApiError:
    return ApiError(
        408,
        f"codex-backend serve received no bytes of the request body for {idle_seconds:g} seconds. Send the request "
        "again.",
        code="local_upload_timeout",
        headers={"connection": "close"},
    )


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"The body of the request has more than {max_bytes:,} bytes, decompressed, which is the limit of codex-backend "
        "serve. Images in the history are most of a large body: remove older ones, or start the server with a higher "
        "`--max-body-mb`.",
        code="local_body_too_large",
    )


def _invalid(message: str) -> ApiError:
    return ApiError(400, message, code="local_invalid_body")


class BodyDrain:
    """ASGI middleware: read and discard the rest of a body before a response begins."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""
        if scope["type"] != "http" or any(name == b"expect" for name, _ in scope["headers"]):
            # With `Expect: 100-continue`, the client waits for the response before it sends the body.
            await self.app(scope, receive, send)
            return
        is_read = False

        async def counted_receive() -> Message:
            nonlocal is_read
            message = await receive()
            is_read = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def drained_send(message: Message) -> None:
            # After a 408, which means that the client sends nothing, do not wait for the rest of the body.
            if message["type"] == "http.response.start" and not is_read and message["status"] != 408:
                await _discard(counted_receive, lambda: is_read)
            await send(message)

        await self.app(scope, counted_receive, drained_send)


async def _discard(receive: Receive, is_read: Callable[[], bool]) -> None:
    size = 0
    with anyio.move_on_after(_MAX_DISCARD_SECONDS):
        while not is_read() and size <= _MAX_DISCARDED_BYTES:
            size += len((await receive()).get("body", b""))
