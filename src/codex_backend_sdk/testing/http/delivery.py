"""Send an answer: the one place where bytes leave, and where a connection can be ended before its time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import anyio

from .connection import EXTENSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.types import Receive, Scope, Send

    from .connection import Connection

__all__ = ["Answer", "Chunk", "Ending", "Headers", "Pause", "each"]

Headers = tuple[tuple[str, str], ...]

# close: the answer is complete. cut: the connection is closed in the middle, without the final chunk.
# reset: the connection is reset there, and what the client has not read may be lost.
Ending = Literal["close", "cut", "reset"]

# Between two looks at a buffer that has to be empty before a connection is reset.
_FLUSH_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Pause:
    """Stands among the chunks of a body: nothing is sent for so long; None is until the client gives up."""

    seconds: float | None


Chunk = bytes | Pause
# RFC 9110, 15.3.5 and 15.4.5: the server refuses to send one.
_WITHOUT_BODY: Final = (204, 304)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is sent for one request. An ASGI application, so that a route can return it.

    The head is sent with the first bytes of the body, be they none. `before` and `after` are bytes of the connection:
    sent before the head, and behind the end of the answer. With `bare` the chunks are all that is sent.
    """

    status: int
    headers: Headers
    chunks: AsyncIterator[Chunk]
    ending: Ending = "close"
    before: bytes = b""
    after: bytes = b""
    bare: bool = False

    @classmethod
    def json(cls, status: int, body: object, headers: Headers = ()) -> Answer:
        """Return a JSON answer of known length."""
        data = json.dumps(body, ensure_ascii=False).encode()
        own = (("content-type", "application/json"), ("content-length", str(len(data))))
        return cls(status=status, headers=(*own, *headers), chunks=each([data]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, as far as there is somebody to read it."""
        connection: Connection = scope["extensions"][EXTENSION]
        if await self._send_all(connection, receive, send):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            connection.write(self.after)
            return
        connection.end(reset=self.ending == "reset")
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _send_all(self, connection: Connection, receive: Receive, send: Send) -> bool:
        """Send the head and the chunks; False when the connection has to end with that, or has ended."""
        connection.write(self.before)
        head_is_due = not self.bare
        async for chunk in self.chunks:
            if head_is_due and isinstance(chunk, bytes):
                await self._send_head(send)
                head_is_due = False
            if isinstance(chunk, Pause):
                if await connection.is_idle_for(chunk.seconds, receive):
                    return False
            elif self.bare:
                connection.write(chunk)
            elif chunk and self.status not in _WITHOUT_BODY:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            # Writing to a client that is gone raises nothing: asyncio logs a line for each attempt instead.
            if connection.is_gone():
                return False
        if head_is_due:
            await self._send_head(send)
        if self.ending == "reset":
            await _flushed(connection)
        return self.ending == "close" and not self.bare

    async def _send_head(self, send: Send) -> None:
        head = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": head})


async def each(chunks: Iterable[Chunk]) -> AsyncIterator[Chunk]:
    """Yield the chunks."""
    for chunk in chunks:
        yield chunk


async def _flushed(connection: Connection) -> None:
    """Wait until everything was handed to the operating system: a reset drops what is still in the buffer."""
    while not connection.is_flushed():  # noqa: ASYNC110 -- a transport tells nobody when its buffer becomes empty
        await anyio.sleep(_FLUSH_SECONDS)
