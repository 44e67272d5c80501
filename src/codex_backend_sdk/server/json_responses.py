"""Send whole JSON responses. `send_error` sends every error response of the server, and notes its code for the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._json import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from starlette.types import Scope, Send

    from .api_errors import ApiError

__all__ = ["send_error", "send_head", "send_json"]


async def send_error(scope: Scope, send: Send, error: ApiError, *, headers: Mapping[str, str] | None = None) -> None:
    """Send an error response, also to the handshake of a WebSocket, and note its code for the log."""
    scope["state"]["record"].note_error(error)
    # ASGI extension "WebSocket Denial Response": the messages of HTTP, with a prefix.
    prefix = "websocket." if scope["type"] == "websocket" else ""
    await send_json(send, error.body, status=error.status, headers={**(headers or {}), **error.headers}, prefix=prefix)


async def send_json(send: Send, body: Any, *, status: int = 200, headers: Mapping[str, str], prefix: str = "") -> None:
    """Send a JSON response. `prefix` begins the types of its ASGI messages."""
    content = encode(body)
    headers = {**headers, "content-type": "application/json", "content-length": str(len(content))}
    await send_head(send, status, headers, prefix=prefix)
    await send({"type": f"{prefix}http.response.body", "body": content})


def send_head(send: Send, status: int, headers: Mapping[str, str], *, prefix: str = "") -> Awaitable[None]:
    """Send the status and the headers of a response."""
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return send({"type": f"{prefix}http.response.start", "status": status, "headers": encoded})
