"""Read one response: chunks of its event stream in, events or the final response out. No I/O.

`ResponseReader` is the core that the event streams (`streams`) and the calls without a stream (`buffered`) share, sync
and async. It knows what the official decoder does not: whether a response is complete. The rules:

- Only a terminal event ends a response. A stream that ends without one was interrupted, and the error has the part
  that arrived (`partial`).
- A failed response is an exception, the same one as for an HTTP error of that code.
- The terminal event is held back until the stream was read to its end (`body.read_chunks`), because a caller may stop
  at that event and the connection could then serve no other call.
- Data behind the terminal event is ignored, and so is an exception of the transport there.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import httpx2
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
from .._upstream import timeout_exceptions
from .accumulator import Accumulator
from .events import build_event, build_response, read_events
from .sse import EventDecoder, frame_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import openai
    from openai import BaseModel

    from .._request.context import RequestContext

__all__ = ["ResponseReader"]

_MESSAGES: Final = {
    StreamInterruptedError: "The response was interrupted: its stream ended {} and without `response.completed`.",
    IdleTimeoutError: "The response was interrupted {}: the backend sent nothing for longer than `idle_timeout`.",
    TotalTimeoutError: "The response was interrupted {}: the call took longer than `total_timeout`.",
}
_PARTIAL_HINT: Final = (
    "The part that arrived is in `partial` of this error. Send the request again for a complete response."
)
_DAMAGE_HINT: Final = (
    "Send the request again. If it happens again, a proxy between this machine and the backend changes the data."
)
_DONE: Final = b"[DONE]"  # chat completions end with it; a gateway may add it
_RATE_LIMITS: Final = "codex.rate_limits"
# The event class of a delta → its position: the index of the item, and the part of the item.
_DELTA_POSITIONS: Final[dict[type, Callable[[Any], tuple[int | None, int | str | None]]]] = {
    ResponseTextDeltaEvent: attrgetter("output_index", "content_index"),
    ResponseFunctionCallArgumentsDeltaEvent: lambda event: (event.output_index, "arguments"),
    ResponseCustomToolCallInputDeltaEvent: lambda event: (event.output_index, "input"),
}


class ResponseReader:
    """Read one response chunk by chunk: `events` and `last_events` for a stream, or `collect` and `final_response`.

    `has_ended` tells whether the terminal event has arrived.
    """

    def __init__(self, response: httpx2.Response, context: RequestContext) -> None:
        self.has_ended = False
        self._response = response
        self._context = context
        self._decoder = EventDecoder()
        self._accumulator = Accumulator(dropped_parameters=context.dropped_parameters)
        self._event_count = 0
        self._terminal_event: BaseModel | None = None
        self._failure: openai.APIError | None = None

    @property
    def can_restart(self) -> bool:
        """Whether the request may be sent again: the caller has seen no event, or wants `on_interrupt="restart"`."""
        delivered = self._event_count - (1 if self.has_ended else 0)
        return delivered == 0 or self._context.restarts_on_interrupt

    # As a stream

    def events(self, chunk: bytes) -> Iterable[BaseModel]:
        """Return the events that this chunk completes.

        UnexpectedResponseError for a damaged event, raised by the iteration after the events before it.
        """
        text = self._decoder.feed(chunk)
        if not text:
            return ()
        return self._read_batch(text) or self._read_frames(text)

    def last_events(self) -> Iterator[BaseModel]:
        """Yield the terminal event, after the end of the stream; raise an error when the response has no good end."""
        try:
            yield from self._read_frames(self._decoder.finish())
        except UnexpectedResponseError as error:  # half an event: the stream broke off inside it
            raise self.interruption() from error
        self._raise_failure()
        if self._terminal_event is not None:
            yield self._terminal_event

    def _read_batch(self, text: bytes) -> list[BaseModel] | None:
        """Return the events of frames of one type; these are most of a long response."""
        events = None if self.has_ended else read_events(text)
        if events is not None:
            self._event_count += len(events)
            kind = type(events[0])
            position = _DELTA_POSITIONS.get(kind)
            if position is not None:
                groups = groupby(events, position) if len(events) > 1 else ((position(events[0]), events),)
                for (index, part), group in groups:
                    # An event that lacks its `delta` is delivered with None.
                    deltas = [event.delta for event in group if event.delta is not None]
                    self._accumulator.add_delta(index, part, "".join(deltas) if deltas else None)
            elif kind is ResponseTextDoneEvent:
                for event in events:
                    self._accumulator.set_text(event.output_index, event.content_index, event.text)
        return events

    def _read_frames(self, text: bytes) -> Iterator[BaseModel]:
        for data in self._event_data(text):
            payload = self._read_event(data)
            if not self.has_ended:
                yield build_event(payload)
            elif self._failure is None:
                self._terminal_event = build_event(payload)

    # As a whole

    def collect(self, chunk: bytes) -> None:
        """Read a chunk for the final response. No event object is built."""
        text = self._decoder.feed(chunk)
        if not text or self.has_ended:
            return
        count = self._accumulator.add_deltas(text)
        self._event_count += count
        if not count:
            self._collect_frames(text)

    def final_response(self) -> dict[str, Any]:
        """Return the final response, after the end of the stream; raise an error when it has no good end."""
        try:
            self._collect_frames(self._decoder.finish())
        except UnexpectedResponseError as error:
            raise self.interruption() from error
        self._raise_failure()
        return self._accumulator.response

    def _collect_frames(self, text: bytes) -> None:
        for data in self._event_data(text):
            self._read_event(data)

    # Both

    def _event_data(self, text: bytes) -> Iterator[bytes]:
        for data in frame_data(text):
            if self.has_ended:
                return
            if not data.startswith(_DONE):
                yield data

    def _read_event(self, data: bytes) -> Any:
        """Decode one event and keep what it says of the response."""
        self._event_count += 1
        try:
            payload = decode(data)
        except (ValueError, RecursionError) as error:
            raise UnexpectedResponseError(
                f"Event {self._event_count} of the response is damaged: it is not JSON ({error}). {_DAMAGE_HINT}",
                response=self._response,
            ) from error
        if isinstance(payload, dict):
            if payload.get("type") == _RATE_LIMITS and self._context.limits is not None:
                self._context.limits.record_event(payload, account_id=self._context.account_id)
            self._accumulator.add(payload)
            if self._accumulator.ended_by is not None:
                self.has_ended = True
                self._failure = self._failure_of(payload)
        return payload

    def _failure_of(self, terminal: dict[str, Any]) -> openai.APIError | None:
        """Return the exception for a terminal event that does not end the response well."""
        failure, response = self._accumulator.failure, self._accumulator.response
        if failure is not None:
            return from_stream(
                classify(None, {"error": failure}, self._response.headers, now=datetime.now(UTC)),
                self._response,
                partial=build_response(self._accumulator.partial),
            )
        if response.get("id") or response.get("output"):
            return None
        return UnexpectedResponseError(
            "The response ended with an event that names no response, after no other event. Send the request again.",
            response=self._response,
            body=terminal,
        )

    def _raise_failure(self) -> None:
        if not self.has_ended:
            raise self.interruption()
        if self._failure is not None:
            raise self._failure

    # Interruptions

    def interruption(self, kind: type[StreamInterruptedError] = StreamInterruptedError) -> StreamInterruptedError:
        """Return the error for a stream that broke off here."""
        count = {0: "before any event", 1: "after one event"}.get(
            self._event_count, f"after {self._event_count} events"
        )
        partial = build_response(self._accumulator.partial)
        hint = "Send the request again." if partial is None else _PARTIAL_HINT
        error = kind(
            f"{_MESSAGES[kind].format(count)} {hint}",
            request=self._response.request,
            partial=partial,
            events_seen=self._event_count,
        )
        error.status_code = self._response.status_code
        attach_failure(error, response=self._response)
        return error

    def interrupted_by(self, error: Exception) -> openai.APIError | None:
        """Return the error for an exception of the transport; None after the terminal event, where it does no harm."""
        if self.has_ended:
            return None
        if isinstance(error, httpx2.DecodingError):
            return self._undecodable(error)
        if not isinstance(error, timeout_exceptions()):
            return self.interruption()
        deadline = self._context.deadline
        is_past_deadline = deadline is not None and time.monotonic() >= deadline
        return self.interruption(TotalTimeoutError if is_past_deadline else IdleTimeoutError)

    def _undecodable(self, error: Exception) -> UnexpectedResponseError:
        encoding = self._response.headers.get("content-encoding")
        undecodable = UnexpectedResponseError(
            f"The response cannot be decompressed as {encoding}: {error}. {_DAMAGE_HINT}",
            response=self._response,
        )
        undecodable.partial = build_response(self._accumulator.partial)
        return undecodable
