"""Send an answer: the one place where bytes leave, and where a connection can be ended before its time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.types import Receive, Scope, Send

__all__ = ["Answer", "Connection", "Ending", "Headers", "each"]

Headers = tuple[tuple[str, str], ...]

# close: the answer is complete. cut: the connection is closed in the middle, without the final chunk.
Ending = Literal["close", "cut"]

_EXTENSION = "codex_simulator.connection"


class Connection(H11Protocol):
    """A server connection that the application can reach, to end it as no application may."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})[_EXTENSION] = self
            await inner(scope, receive, send)

        self.app = app


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent for one request. An ASGI application, so that a route can return it."""

    status: int
    headers: Headers
    chunks: AsyncIterator[bytes]
    ending: Ending = "close"

    @classmethod
    def json(cls, status: int, body: object, headers: Headers = ()) -> Answer:
        """Return a JSON answer of known length."""
        data = json.dumps(body, ensure_ascii=False).encode()
        own = (("content-type", "application/json"), ("content-length", str(len(data))))
        return cls(status=status, headers=(*own, *headers), chunks=each([data]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        head = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": head})
        async for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if self.ending == "cut":
            await _cut(scope, receive, send)
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def each(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


async def _cut(scope: Scope, receive: Receive, send: Send) -> None:
    # uvicorn holds the head back until the first part of a body: an answer cut before that would be none at all.
    await send({"type": "http.response.body", "body": b"", "more_body": True})
    connection: Connection = scope["extensions"][_EXTENSION]
    # Closes after what is in the buffer was sent; nothing marks the body's end.
    connection.transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
