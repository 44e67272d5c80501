"""The official event streams, reading with `ResponseReader` instead of the official decoder and union.

On an official client they behave as the official streams do; on ours they also tell the truth about the end.
"""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import openai

from .._request.timeouts import async_within, within
from .._upstream import request_exceptions, timeout_exceptions
from .drain import async_drain, drain, leave
from .reader import ResponseReader

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator

    import httpx2


__all__ = ["AsyncCodexStream", "CodexStream"]

_T = TypeVar("_T")


class _Reading:
    """What a stream and the generator that reads it share.

    The generator does not hold the stream: a stream that is forgotten frees its connection at once, and not when the
    garbage collector comes to a cycle.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.dropped: tuple[str, ...] = ()
        self.restarts = 0
        self.is_left = False
        self.again: Callable[..., Any] | None = None

    def answer(self) -> ResponseReader:
        """Begin to read the response."""
        answer = ResponseReader(self.response)
        self.dropped = answer.dropped or ()
        return answer

    def opener(self, answer: ResponseReader) -> Callable[[openai.APIError], Any] | None:
        """Return what asks for a broken answer anew, or raises what broke it; None when there is nobody to ask."""
        if self.again is None or self.is_left:
            return None
        self.restarts += answer.may_begin_again
        return partial(self.again, may_repeat=answer.may_begin_again)


class _Shared:
    """The members of a stream that its reading has."""

    _reading: _Reading

    @property
    def response(self) -> httpx2.Response:
        """The answer that is read; another one after a restart."""
        return self._reading.response

    @response.setter
    def response(self, response: httpx2.Response) -> None:
        self._reading = _Reading(response)

    @property
    def dropped_parameters(self) -> tuple[str, ...]:
        """The names of the parameters that were left out of the request."""
        return self._reading.dropped

    @property
    def restarts(self) -> int:
        """How often the answer broke and was asked for anew.

        It begins with `response.created` each time, and what had come before is void.
        """
        return self._reading.restarts

    def repeat_with(self, again: Callable[..., Any]) -> None:
        """Ask for a broken answer anew with a function that waits and returns another stream, or raises the error.

        It is called with the error and `may_repeat`: false once the caller has seen an event.
        """
        self._reading.again = again


class CodexStream(openai.Stream[_T], _Shared):
    """A stream of official events."""

    def __iter__(self) -> Iterator[_T]:
        return self._iterator

    def __stream__(self) -> Iterator[_T]:
        return cast("Iterator[_T]", _read(self._reading))

    def close(self) -> None:
        """Free the connection; also from another thread, which the reading one notices as a broken answer."""
        self._reading.is_left = True
        try:
            cast("Generator[_T]", self._iterator).close()
        except ValueError:  # it is being read just now
            _wake(self._reading.response)
        super().close()


class AsyncCodexStream(openai.AsyncStream[_T], _Shared):
    """A stream of official events, as `CodexStream` is."""

    def __aiter__(self) -> AsyncIterator[_T]:
        return self._iterator

    def __stream__(self) -> AsyncIterator[_T]:
        return cast("AsyncIterator[_T]", _async_read(self._reading))

    async def close(self) -> None:
        """Free the connection."""
        self._reading.is_left = True
        with contextlib.suppress(RuntimeError):  # it is being read just now
            await cast("AsyncGenerator[_T]", self._iterator).aclose()
        await super().close()


def _wake(response: httpx2.Response) -> None:
    """End a read of another thread, which would not notice that its socket is closed."""
    connection = response.extensions.get("network_stream")
    if connection is None or response.is_closed or not response.http_version.startswith("HTTP/1"):
        return
    if isinstance(found := connection.get_extra_info("socket"), socket.socket):
        with contextlib.suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)  # not that of TLS, which the other thread is using


def _read(reading: _Reading) -> Iterator[Any]:
    while True:
        response, answer = reading.response, reading.answer()
        try:
            try:
                chunks = within(answer.until, response.iter_bytes(), response)
                for chunk in chunks:
                    yield from answer.events(chunk)
                    if answer.is_over:
                        drain(chunks, response)
                        break
            except (*timeout_exceptions(), *request_exceptions()) as error:
                broken = answer.broken_by(error)
                if broken is not None:
                    raise broken from error
            finally:
                response.close()
            yield from answer.last_events()
        except openai.APIError as error:
            again = reading.opener(answer)
            if again is None:
                raise
            reading.response = again(error).response
            if reading.is_left:
                reading.response.close()
                raise
        else:
            return


async def _async_read(reading: _Reading) -> AsyncIterator[Any]:
    while True:
        response, answer = reading.response, reading.answer()
        chunks = async_within(answer.until, response.aiter_bytes(), response)
        try:
            try:
                async for chunk in chunks:
                    for event in answer.events(chunk):
                        yield event
                    if answer.is_over:
                        await async_drain(chunks)
                        break
            except (*timeout_exceptions(), *request_exceptions()) as error:
                broken = answer.broken_by(error)
                if broken is not None:
                    raise broken from error
            finally:
                await leave(chunks)
                await response.aclose()
            for event in answer.last_events():
                yield event
        except openai.APIError as error:
            again = reading.opener(answer)
            if again is None:
                raise
            reading.response = (await again(error)).response
            if reading.is_left:
                await reading.response.aclose()
                raise
        else:
            return
