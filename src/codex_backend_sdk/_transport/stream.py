"""The official event streams, reading with `Answer` instead of the official decoder and union.

On an official client they behave as the official streams do; on ours they also tell the truth about the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

import openai

from .._seam import request_exceptions, timeout_exceptions
from .answer import Answer
from .drain import async_drain, drain
from .timeouts import async_within, within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


__all__ = ["AsyncCodexStream", "CodexStream"]

_T = TypeVar("_T")


class CodexStream(openai.Stream[_T]):
    """A stream of official events; `dropped_parameters` names the parameters that were left out of the request.

    `restarts` counts how often the answer broke and was asked for anew. It begins with `response.created` each time,
    and what had come before is void.
    """

    dropped_parameters: tuple[str, ...] = ()
    restarts = 0
    again: Callable[[openai.APIError], Any] | None = None

    def __iter__(self) -> Iterator[_T]:
        return self._iterator

    def __stream__(self) -> Iterator[_T]:
        while True:
            response = self.response
            answer = Answer(response)
            self.dropped_parameters = answer.dropped or ()
            try:
                try:
                    chunks = within(answer.until, response.iter_bytes(), response)
                    for chunk in chunks:
                        yield from cast("Iterator[_T]", answer.events(chunk))
                        if answer.is_over:
                            drain(chunks, response)
                            break
                except (*timeout_exceptions(), *request_exceptions()) as error:
                    broken = answer.broken_by(error)
                    if broken is not None:
                        raise broken from error
                finally:
                    response.close()
                yield from cast("Iterator[_T]", answer.last_events())
            except openai.APIError as error:
                if self.again is None or not answer.may_begin_again:
                    raise
                self.response = self.again(error).response
                self.restarts += 1
            else:
                return


class AsyncCodexStream(openai.AsyncStream[_T]):
    """A stream of official events, as `CodexStream` is."""

    dropped_parameters: tuple[str, ...] = ()
    restarts = 0
    again: Callable[[openai.APIError], Awaitable[Any]] | None = None

    def __aiter__(self) -> AsyncIterator[_T]:
        return self._iterator

    async def __stream__(self) -> AsyncIterator[_T]:
        while True:
            response = self.response
            answer = Answer(response)
            self.dropped_parameters = answer.dropped or ()
            try:
                try:
                    chunks = async_within(answer.until, response.aiter_bytes(), response)
                    async for chunk in chunks:
                        for event in answer.events(chunk):
                            yield cast("_T", event)
                        if answer.is_over:
                            await async_drain(chunks)
                            break
                except (*timeout_exceptions(), *request_exceptions()) as error:
                    broken = answer.broken_by(error)
                    if broken is not None:
                        raise broken from error
                finally:
                    await response.aclose()
                for event in answer.last_events():
                    yield cast("_T", event)
            except openai.APIError as error:
                if self.again is None or not answer.may_begin_again:
                    raise
                self.response = (await self.again(error)).response
                self.restarts += 1
            else:
                return
