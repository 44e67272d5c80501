"""One streamed answer, from bytes to events or to the final response, without I/O.

The event streams and the collected answers, sync and async, are shells around `ResponseReader`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import httpx2
import openai
from openai.types.responses import (
    ResponseCustomToolCallInputDeltaEvent,
    ResponseFunctionCallArgumentsDeltaEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)

from .._errors.classify import classify
from .._errors.exception_mapping import attach_failure, from_stream
from .._exceptions import IdleTimeoutError, StreamInterruptedError, TotalTimeoutError, UnexpectedResponseError
from .._json import decode
from .._request.context import context_of
from .._upstream import timeout_exceptions
from .accumulator import Accumulator
from .events import build_event, build_response, read_events
from .sse import EventDecoder
from .sse_batch import halves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from openai import BaseModel

__all__ = ["ResponseReader"]


_CUTS: Final = {
    StreamInterruptedError: "The answer was cut: its stream ended {} and without `response.completed`.",
    IdleTimeoutError: "The answer fell silent {}: nothing came for longer than `idle_timeout`.",
    TotalTimeoutError: "The call took longer than `total_timeout` and was ended {}.",
}
_HELPS: Final = "What had arrived is in this error's `partial`; send the request again for a whole answer."
_RATE_LIMITS: Final = "codex.rate_limits"
# Where a delta belongs: its item, and the part of it.
_PLACES: Final[dict[type, Callable[[Any], tuple[int | None, int | str | None]]]] = {
    ResponseTextDeltaEvent: attrgetter("output_index", "content_index"),
    ResponseFunctionCallArgumentsDeltaEvent: lambda event: (event.output_index, "arguments"),
    ResponseCustomToolCallInputDeltaEvent: lambda event: (event.output_index, "input"),
}
_DELTA: Final = attrgetter("delta")


class ResponseReader:
    """Read one answer chunk by chunk.

    For a request without a context, one of an official client, it does what the official client does: an empty output
    stays empty, a failed answer is an event like any other, and the end of the stream is the end of the answer.
    `dropped` names the parameters that were left out of the request, None when none may be. `until` is the monotonic
    time at which the whole call has to be over.
    """

    def __init__(self, response: httpx2.Response) -> None:
        context = context_of(response.request)
        self.dropped = context.dropped if context is not None else None
        self.until = context.until if context is not None else None
        self._restarts = context is not None and context.restarts
        self._response = response
        self._truthful = context is not None
        self._context = context
        self._decoder = EventDecoder()
        self._collector = Accumulator(dropped=self.dropped)
        self._events = 0
        self._is_over = False
        self._last: BaseModel | None = None
        self._failure: openai.APIError | None = None

    @property
    def is_over(self) -> bool:
        """Whether the terminal event has arrived."""
        return self._is_over

    @property
    def may_begin_again(self) -> bool:
        """Whether a broken answer may be asked for anew: nobody has seen an event of it, or the caller wants that."""
        handed_out = self._events - (1 if self._is_over else 0)
        return handed_out == 0 or self._restarts

    def events(self, chunk: bytes) -> Iterable[BaseModel]:
        """Return the events that this chunk completes; damage is raised when the events before it were taken."""
        frames = self._decoder.complete(chunk)
        return (self._run(frames) or self._divided(frames)) if frames else ()

    def last_events(self) -> Iterator[BaseModel]:
        """Yield the terminal event, or raise what it says; StreamInterruptedError when there was none."""
        if not self._truthful:
            return
        frame = self._decoder.finish()
        if frame is not None and not self.is_over:
            try:
                event = self._event(frame.data)
            except UnexpectedResponseError as error:
                raise self.interrupted() from error  # half an event: the stream was cut inside of it
            if event is not None:
                yield event
        if not self.is_over:
            raise self.interrupted()
        if self._failure is not None:
            raise self._failure
        if self._last is not None:
            yield self._last

    def collect(self, chunk: bytes) -> None:
        """Read a chunk for the final response only; nothing is built for an event that nobody sees."""
        waiting = [self._decoder.complete(chunk)]
        while waiting:
            part = waiting.pop()
            if self._collect_run(part):
                continue
            if (both := halves(part)) is not None:
                waiting += reversed(both)
            elif (frame := self._decoder.frame(part)) is not None:
                self._note(frame.data)

    def _collect_run(self, frames: bytes) -> int:
        count = 0 if self._is_over else self._collector.take_deltas(frames)  # nearly all of a long answer
        self._events += count
        return count

    def collected(self) -> dict[str, Any]:
        """Return the final response; StreamInterruptedError or ResponseFailedError when there is none."""
        frame = self._decoder.finish()
        if frame is not None:
            try:
                self._note(frame.data)
            except UnexpectedResponseError as error:
                raise self.interrupted() from error
        if not self.is_over:
            raise self.interrupted()
        if self._failure is not None:
            raise self._failure
        return self._collector.response

    def broken_by(self, error: Exception) -> openai.APIError | None:
        """Return what an exception of the transport means here; None after the answer, when it breaks nothing."""
        if self._is_over:
            return None
        if self._truthful and isinstance(error, httpx2.DecodingError):
            return self._undecodable(error)
        is_timeout = isinstance(error, timeout_exceptions())
        if self._truthful:
            return self.interrupted(self._which_timeout() if is_timeout else StreamInterruptedError)
        broken = openai.APITimeoutError if is_timeout else openai.APIConnectionError
        return broken(request=self._response.request)

    def _undecodable(self, error: Exception) -> UnexpectedResponseError:
        encoding = self._response.headers.get("content-encoding")
        undecodable = UnexpectedResponseError(
            f"The answer cannot be decompressed, though it says that it is {encoding}: {error}. "
            "Send the request again; if it happens again, something between here and the backend changes the data.",
            response=self._response,
        )
        undecodable.partial = build_response(self._collector.partial)
        return undecodable

    def _which_timeout(self) -> type[StreamInterruptedError]:
        is_out_of_time = self.until is not None and time.monotonic() >= self.until
        return TotalTimeoutError if is_out_of_time else IdleTimeoutError

    def interrupted(self, kind: type[StreamInterruptedError] = StreamInterruptedError) -> StreamInterruptedError:
        """Return the error for a stream that ended here."""
        count = {0: "before any event", 1: "after one event"}.get(self._events, f"after {self._events} events")
        partial = build_response(self._collector.partial)
        helps = "Send the request again." if partial is None else _HELPS
        error = kind(
            f"{_CUTS[kind].format(count)} {helps}",
            request=self._response.request,
            partial=partial,
            events_seen=self._events,
        )
        error.status_code = self._response.status_code
        attach_failure(error, response=self._response)
        return error

    def _run(self, frames: bytes) -> list[BaseModel] | None:
        """Return the events of frames that are all alike and need no closer look."""
        if not self._truthful and b'"error"' in frames:
            return None
        events = read_events(frames)
        if events is not None:
            self._events += len(events)
            place = _PLACES.get(type(events[0]))
            if place is not None:
                runs = groupby(events, place) if len(events) > 1 else ((place(events[0]), events),)
                for (index, part), run in runs:
                    deltas = [delta for delta in map(_DELTA, run) if delta is not None]
                    self._collector.take_delta(index, part, "".join(deltas) if deltas else None)
            elif type(events[0]) is ResponseTextDoneEvent:
                for event in events:
                    self._collector.take_text(event.output_index, event.content_index, event.text)
        return events

    def _divided(self, frames: bytes) -> Iterator[BaseModel]:
        """Yield the events of frames that are no run: of the runs in them, and of those that are in none."""
        waiting = [frames]
        while waiting and not (self._is_over and self._truthful):
            part = waiting.pop()
            events = self._run(part) if part is not frames else None  # all of them were tried already
            if events is not None:
                yield from events
            elif (both := halves(part)) is not None:
                waiting += reversed(both)
            elif (frame := self._decoder.frame(part)) is not None and (event := self._event(frame.data)) is not None:
                yield event

    def _event(self, data: bytes) -> BaseModel | None:
        if not data or data.startswith(b"[DONE]"):
            return None
        self._events += 1
        payload = self._decode(data)
        if not self._truthful:
            self._raise_as_upstream(payload)
            return build_event(payload)
        self._take(payload)
        if self._is_over:
            # Held back until the stream was read to its end: a caller may stop at this event.
            self._last = None if self._failure is not None else build_event(payload)
            return None
        return build_event(payload)

    def _note(self, data: bytes) -> None:
        if data and not data.startswith(b"[DONE]") and not self._is_over:
            self._events += 1
            self._take(self._decode(data))

    def _take(self, payload: Any) -> None:
        if not isinstance(payload, dict):
            return
        if payload.get("type") == _RATE_LIMITS and self._context is not None and self._context.limits is not None:
            self._context.limits.record_event(payload, account_id=self._context.account_id)
        self._collector.take(payload)
        self._is_over = self._collector.ended_by is not None
        failure = self._collector.failure
        if failure is not None:
            self._failure = self._failed(failure)
        elif self._is_over and not (self._collector.response.get("id") or self._collector.response.get("output")):
            self._failure = UnexpectedResponseError(
                "The answer ended with an event that names no response, and nothing had come before it. "
                "Send the request again.",
                response=self._response,
                body=payload,
            )

    def _failed(self, failure: dict[str, Any]) -> openai.APIError:
        return from_stream(
            classify(None, {"error": failure}, self._response.headers, now=datetime.now(UTC)),
            self._response,
            partial=build_response(self._collector.partial),
        )

    def _decode(self, data: bytes) -> Any:
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponseError(
                f"Event {self._events} of the answer is damaged, it is not JSON: {error}. "
                "Send the request again; if it happens again, something between here and the backend changes the data.",
                response=self._response,
            ) from error

    def _raise_as_upstream(self, payload: Any) -> None:
        error = payload.get("error") if isinstance(payload, dict) else None
        if error:
            message = error.get("message") if isinstance(error, dict) else None
            raise openai.APIError(
                message if isinstance(message, str) and message else "An error occurred during streaming",
                request=self._response.request,
                body=error,
            )
