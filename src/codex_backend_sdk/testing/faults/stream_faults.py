"""Disturb the delivery of an answer: functions from chunks to chunks, one for each way in which it can go wrong.

A chunk is one event of a stream, or the whole of another body, until something divides it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..http.delivery import Pause, body_encoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ..http.delivery import Chunk

__all__ = [
    "Change",
    "compressed",
    "divided",
    "end_followed_by",
    "end_preceded_by",
    "end_repeated",
    "first_bytes",
    "first_events",
    "followed_after",
]

if TYPE_CHECKING:
    Change = Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]]


def first_bytes(count: int) -> Change:
    """Give so many bytes and no more."""

    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        left = count
        async for chunk in chunks:
            if isinstance(chunk, Pause):
                yield chunk
            elif left > 0:
                yield chunk[:left]
                left -= len(chunk)
            if left <= 0:
                return

    return change


def first_events(count: int) -> Change:
    """Give so many chunks and no more."""

    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        left = count
        async for chunk in chunks:
            if _is_event(chunk):
                if left == 0:
                    return
                left -= 1
            yield chunk

    return change


def followed_after(count: int, *more: Chunk) -> Change:
    """Put something in after so many chunks, or at the end of an answer that has fewer."""

    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        left, done = count, False
        async for chunk in chunks:
            if left == 0 and not done:
                done = True
                for each in more:
                    yield each
            if _is_event(chunk):
                left -= 1
            yield chunk
        if not done:
            for each in more:
                yield each

    return change


def divided(size: int, delay: float) -> Change:
    """Send so many bytes at a time, each time after so many seconds."""

    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        async for chunk in chunks:
            if isinstance(chunk, Pause):
                yield chunk
                continue
            for start in range(0, len(chunk), size):
                # Even a pause of no time lets what was written leave on its own.
                yield Pause(delay)
                yield chunk[start : start + size]

    return change


def compressed(encoding: str) -> Change:
    """Compress each chunk."""

    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        inner = body_encoder(encoding)
        async for chunk in chunks:
            yield inner.encode(chunk) if isinstance(chunk, bytes) and chunk else chunk
        yield inner.finish()

    return change


def end_preceded_by(*more: Chunk) -> Change:
    """Put something in before the last chunk, which ends the answer."""
    return _at_the_end(lambda last: [*more, last])


def end_followed_by(*more: Chunk) -> Change:
    """Put something behind the last chunk."""
    return _at_the_end(lambda last: [last, *more])


def end_repeated(times: int) -> Change:
    """Send the last chunk so many times in all."""
    return _at_the_end(lambda last: [last] * times)


def _at_the_end(ending: Callable[[Chunk], list[Chunk]]) -> Change:
    async def change(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
        last: Chunk | None = None
        async for chunk in chunks:
            if last is not None:
                yield last
            last = chunk
        if last is not None:
            for each in ending(last):
                yield each

    return change


def _is_event(chunk: Chunk) -> bool:
    """Tell what counts: a pause does not, nor does an empty chunk, which only has the head sent."""
    return isinstance(chunk, bytes) and chunk != b""
