"""Mode `stream`: the official Stream, reading what our decoder of server-sent events decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from openai._base_client import BaseClient
from openai._streaming import ServerSentEvent

from codex_backend_sdk._streaming.sse import EventDecoder, Frame


class OfficialEvents:
    """Our decoder behind the interface of the official one.

    The official decoder drops a last frame without its blank line, so `finish()` is not asked here.
    """

    def iter_bytes(self, iterator: Iterator[bytes]) -> Iterator[ServerSentEvent]:
        """Decode the chunks of a synchronous body."""
        decoder = EventDecoder()
        for chunk in iterator:
            yield from map(official_event, decoder.feed(chunk))

    async def aiter_bytes(self, iterator: AsyncIterator[bytes]) -> AsyncIterator[ServerSentEvent]:
        """Decode the chunks of an asynchronous body."""
        decoder = EventDecoder()
        async for chunk in iterator:
            for frame in decoder.feed(chunk):
                yield official_event(frame)


def official_event(frame: Frame) -> ServerSentEvent:
    """One frame as the official class spells it: text instead of bytes."""
    event = None if frame.event is None else frame.event.decode()
    last_id = None if frame.id is None else frame.id.decode()
    return ServerSentEvent(event=event, data=frame.data.decode(), id=last_id, retry=frame.retry)


def make_decoder(client: BaseClient[Any, Any]) -> OfficialEvents:
    """Stand in for `BaseClient._make_sse_decoder`."""
    return OfficialEvents()


def install() -> None:
    """Make every official client decode with our decoder."""
    setattr(BaseClient, "_make_sse_decoder", make_decoder)  # noqa: B010 - mypy refuses to assign a method
