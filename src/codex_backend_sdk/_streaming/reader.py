"""Read the chunks of one event stream, and return its events or its final response. No I/O.

The sync and async event streams (`streams`) and the buffered calls (`buffered`) share `ResponseReader`. It checks what
the official decoder does not check: whether a response is complete. The rules:

- Only a terminal event ends a response. A stream that ends without a terminal event was interrupted; `partial` of the
  error contains the output received so far.
- A failed response raises the same exception as an HTTP error of that code. So does one whose terminal event reports
  success, but whose status or error does not; the table is in `accumulator`.
- The terminal event is delivered only after the stream was read to its end (`body.read_chunks`). A caller may stop at
  that event, and the connection could then not be reused.
- Data after the terminal event is ignored, and so is an exception of the transport after it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import httpx2

from .._coerce import as_list, as_mapping
from .._connections import DeadlineExceededError, fork_generation
from .._errors.advice import Interface, advise_error
from .._errors.classify import Failure, FailureKind, classify
from .._errors.exception_mapping import attach_failure, from_stream
from .._exceptions import IdleTimeoutError, StreamInterruptedError, TotalTimeoutError, UnexpectedResponseError
from .._json import decode
from .._redaction import excerpt
from .._safe_errors import redact_causes
from .._upstream import timeout_exceptions
from .accumulator import DELTA_EVENTS, Accumulator, malformed_member
from .events import build_event, build_response, is_codex_event, read_events
from .sse import EventDecoder, parse_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import openai

    from .._request.context import RequestContext

__all__ = ["EventTooLargeError", "ResponseReader"]

_log = logging.getLogger("codex_backend_sdk")

_MESSAGES: Final = {
    StreamInterruptedError: "The response was interrupted: its stream ended {} without a terminal event.",
    IdleTimeoutError: "The response was interrupted {}: no data arrived for longer than `idle_timeout`.",
    TotalTimeoutError: "The response was interrupted {}: the call took longer than `total_timeout`.",
}
_FORK_MESSAGE: Final = (
    "This stream was opened before the process was forked, and its connection belongs to the parent process. "
    "Open a stream in the process that reads it."
)
_PARTIAL_HINT: Final = "`error.partial` has the output received before the interruption. Send the request again."
_DAMAGE_HINT: Final = (
    "Send the request again. If the error persists, a proxy may be changing the data: check HTTPS_PROXY and `base_url`."
)
_LIMIT_HINT: Final = (
    "If the event is valid, pass a larger `max_event_bytes` to the client. Otherwise check `base_url`, and whether a "
    "proxy changes the data."
)
_DONE: Final = b"[DONE]"  # the last data of a chat completion; a gateway may add it
_DELTA_POSITIONS: Final = {
    place: attrgetter("output_index", place.index_name or "output_index", "item_id") for place in DELTA_EVENTS.values()
}
_RATE_LIMITS: Final = "codex.rate_limits"
# The reason for which models before GPT-5.6 always remove the reasoning of earlier turns.
_EXPECTED_REMOVAL: Final = "turn_boundary"


class EventTooLargeError(httpx2.ReadError):
    """A transport received an event that is larger than `max_event_bytes`, and did not read it."""


class ResponseReader:
    """Reader of one response: use `events` and `last_events` for a stream, or `collect` and `final_response`.

    `has_terminal_event` is True after the terminal event was received. With `yields_data`, events are JSON data.
    """

    def __init__(self, response: httpx2.Response, context: RequestContext, *, yields_data: bool = False) -> None:
        self.has_terminal_event = False
        self._response = response
        self._context = context
        self._decoder = EventDecoder(max_event_bytes=context.max_event_bytes)
        self._accumulator = Accumulator(dropped_parameters=context.dropped_parameters)
        self._event_count = 0
        self._hidden_count = 0
        # The chunks of a chat completion are built from the data of the events.
        self._yields_data = yields_data or context.chat is not None
        self._build: Callable[[Any], Any] = _as_object if self._yields_data else build_event
        self._terminal_event: Any = None
        self._failure: openai.APIError | None = None

    @property
    def can_restart(self) -> bool:
        """Whether to send the request again: no event was delivered, or the caller set `on_interrupt="restart"`."""
        delivered_count = self._event_count - self._hidden_count - (1 if self.has_terminal_event else 0)
        return delivered_count == 0 or self._context.restarts_on_interrupt

    # Streaming

    def events(self, chunk: bytes) -> Iterable[Any]:
        """Return the events that this chunk completes: official objects, or JSON data (always for a chat completion).

        The iteration raises UnexpectedResponseError at a damaged or too large event, after the events before it.
        """
        frames = self._decoder.feed(chunk)
        if self._decoder.is_too_large:
            return self._read_up_to_limit(frames)
        if not frames:
            return ()
        return self._read_batch(frames) or self._read_frames(frames)

    def last_events(self) -> Iterator[Any]:
        """Yield the terminal event. Call this after the end of the stream.

        Raises StreamInterruptedError if the response was interrupted, and the exception of the failure if it failed.
        """
        try:
            yield from self._read_frames(self._decoder.finish())
        except UnexpectedResponseError as error:  # the stream ended in the middle of an event
            raise self.interruption_error() from error
        self._raise_failure()
        if self._terminal_event is not None:
            yield self._terminal_event

    def _read_batch(self, frames: bytes) -> list[Any] | None:
        """Parse frames that all have one event type. Return None if the frames must be read one by one."""
        if self._context.chat is not None:
            added = [] if self.has_terminal_event else self._accumulator.add_deltas(frames)
            self._event_count += len(added)
            return added
        if self._yields_data:  # a batch would lack most members
            return None
        events = None if self.has_terminal_event else read_events(frames)
        if events is not None:
            self._event_count += len(events)
            place = DELTA_EVENTS.get(events[0].type)
            if place is not None:
                position = _DELTA_POSITIONS[place]
                groups = groupby(events, position) if len(events) > 1 else ((position(events[0]), events),)
                for (output_index, part_index, item_id), group in groups:
                    # `delta` is None in an event without this member.
                    deltas = [event.delta for event in group if event.delta is not None]
                    self._accumulator.add_delta(
                        output_index,
                        place,
                        part_index if place.index_name else 0,
                        "".join(deltas) if deltas else None,
                        item_id=item_id,
                    )
        return events

    def _read_up_to_limit(self, frames: bytes) -> Iterator[Any]:
        yield from self._read_frames(frames)
        self._raise_if_too_large()

    def _read_frames(self, frames: bytes) -> Iterator[Any]:
        for name, data in self._event_data(frames):
            payload = self._read_event(name, data)
            if not self.has_terminal_event:
                if self._context.delivers_codex_events or not is_codex_event(payload):
                    yield self._build(payload)
                else:
                    self._hidden_count += 1
            elif self._failure is None:
                self._terminal_event = self._build(payload)

    # Without streaming

    def collect(self, chunk: bytes) -> None:
        """Read a chunk for the final response, without building event objects."""
        frames = self._decoder.feed(chunk)
        if frames and not self.has_terminal_event:
            deltas = self._accumulator.add_deltas(frames)
            self._event_count += len(deltas)
            if not deltas:
                self._collect_frames(frames)
        self._raise_if_too_large()

    def final_response(self) -> dict[str, Any]:
        """Return the final response. Call this after the end of the stream. Raises as `last_events` does."""
        try:
            self._collect_frames(self._decoder.finish())
        except UnexpectedResponseError as error:
            raise self.interruption_error() from error
        self._raise_failure()
        return self._accumulator.response

    def _collect_frames(self, frames: bytes) -> None:
        for name, data in self._event_data(frames):
            self._read_event(name, data)

    # Shared

    def _event_data(self, frames: bytes) -> Iterator[tuple[bytes, bytes]]:
        for name, data in parse_frames(frames):
            if self.has_terminal_event:
                return
            if not data.startswith(_DONE):
                yield name, data

    def _raise_if_too_large(self) -> None:
        if self._decoder.is_too_large and not self.has_terminal_event:
            raise self._too_large_error()

    def _too_large_error(self) -> UnexpectedResponseError:
        return self._unexpected_response(
            f"Event {self._event_count + 1} of the response is larger than {self._context.max_event_bytes:,} bytes, "
            f"the limit of `max_event_bytes`. {_LIMIT_HINT}"
        )

    def _read_event(self, name: bytes, data: bytes) -> Any:
        """Decode one event, and update the accumulator, the limits and the terminal state.

        `name` is the type in the event line. It applies if the JSON has no type.
        """
        self._event_count += 1
        try:
            payload = decode(data)
        except ValueError as error:
            raise UnexpectedResponseError(
                f"Event {self._event_count} of the response is damaged: it is not JSON ({error}). {_DAMAGE_HINT}",
                response=self._response,
            ) from error
        if isinstance(payload, dict):
            if name and payload.get("type") in (None, ""):
                payload["type"] = name.decode(errors="replace")
            if payload.get("type") == _RATE_LIMITS and self._context.limits_tracker is not None:
                self._context.limits_tracker.record_event(payload, account_id=self._context.account_id)
            if self._context.uses_websocket and self._context.turn is not None:
                self._context.turn.record_event(payload)  # over HTTP, a header has the state
            self._accumulator.add(payload)
            if self._accumulator.terminal_event_type is not None:
                self.has_terminal_event = True
                self._failure = self._failure_of(payload)
                _log_removed_reasoning(self._accumulator.response)
        return payload

    def _failure_of(self, terminal_event: dict[str, Any]) -> openai.APIError | None:
        """Return the exception for a terminal event of a failed or empty response, else None."""
        failure, response = self._accumulator.failure, self._accumulator.response
        if failure is not None:
            classified = classify(None, {"error": failure}, self._response.headers, now=datetime.now(UTC))
            tracker, limit = self._context.limits_tracker, classified.limit
            if tracker is not None and limit is not None and limit.limits is not None:
                tracker.record_refusal(limit.limits, account_id=self._context.account_id)
            error = from_stream(classified, self._response, partial=build_response(self._accumulator.partial))
            if self._context.chat is not None:
                advise_error(error, Interface.CHAT)
            return error
        if self._accumulator.is_contradictory:
            return self._unexpected_response(
                f"The response ended with `{self._accumulator.terminal_event_type}`, but its status is "
                f"`{response['status']}`. `error.partial` has its output, which may be incomplete. "
                "Send the request again.",
                body=terminal_event,
            )
        if (member := malformed_member(response)) is not None:
            return self._unexpected_response(
                f"The response is damaged: `{member}` has an invalid type. {_DAMAGE_HINT}", body=terminal_event
            )
        if response.get("id") or response.get("output"):
            return None
        return UnexpectedResponseError(
            "The only event of the response has no response id and no output. Send the request again.",
            response=self._response,
            body=terminal_event,
        )

    def _raise_failure(self) -> None:
        if not self.has_terminal_event:
            raise self.interruption_error()
        if self._failure is not None:
            raise self._failure

    # Interruptions

    def interruption_error(
        self, error_class: type[StreamInterruptedError] = StreamInterruptedError
    ) -> StreamInterruptedError:
        """Return the error for a stream that was interrupted after the events received so far."""
        failure: Failure | None = None
        position = {0: "before any event", 1: "after one event"}.get(
            self._event_count, f"after {self._event_count} events"
        )
        partial = build_response(self._accumulator.partial)
        hint = "Send the request again." if partial is None else _PARTIAL_HINT
        message = f"{_MESSAGES[error_class].format(position)} {hint}"
        if self.is_from_parent_process:
            message = _FORK_MESSAGE
            failure = Failure(kind=FailureKind.CLIENT_ERROR, status=None, message=message, is_retryable=False)
        error = error_class(message, request=self._response.request, partial=partial, events_seen=self._event_count)
        error.status_code = self._response.status_code
        attach_failure(error, failure, response=self._response)
        return error

    @property
    def is_from_parent_process(self) -> bool:
        """Whether this process was forked after the request was sent. Only the parent can then read the response."""
        return self._context.fork_generation not in (None, fork_generation())

    def require_own_process(self) -> None:
        """Raise StreamInterruptedError if this process was forked after the request was sent."""
        if self.is_from_parent_process:
            raise self.interruption_error()

    def error_for_transport_exception(self, error: Exception) -> openai.APIError | None:
        """Return the error for an exception of the transport, or None after the terminal event.

        After the terminal event the response is already complete.
        """
        if self.has_terminal_event:
            return None
        redact_causes(error, self._response.request)
        if isinstance(error, EventTooLargeError):
            return self._too_large_error()
        if isinstance(error, httpx2.DecodingError):
            encoding = self._response.headers.get("content-encoding")
            return self._unexpected_response(
                f"The response cannot be decompressed as {encoding}: {error}. {_DAMAGE_HINT}"
            )
        if not isinstance(error, timeout_exceptions()):
            return self.interruption_error()
        deadline = self._context.deadline
        is_past_deadline = deadline is not None and time.monotonic() >= deadline
        is_past_deadline = is_past_deadline or isinstance(error, DeadlineExceededError)
        return self.interruption_error(TotalTimeoutError if is_past_deadline else IdleTimeoutError)

    def _unexpected_response(self, message: str, *, body: object | None = None) -> UnexpectedResponseError:
        """Return an error with the output received so far."""
        error = UnexpectedResponseError(message, response=self._response, body=body)
        error.partial = build_response(self._accumulator.partial)
        return error


def _as_object(payload: Any) -> dict[str, Any]:
    return payload if isinstance(payload, dict) else {}


def _log_removed_reasoning(response: dict[str, Any]) -> None:
    """Log how many reasoning items the backend removed from the input of a response, and why."""
    entries = map(as_mapping, as_list(response.get("input_transformations")))
    reasons = Counter(
        excerpt(str(entry.get("reason")))
        for entry in entries
        if entry.get("type") == "reasoning" and entry.get("action") == "removed"
    )
    if reasons:
        _log.log(
            logging.INFO if set(reasons) == {_EXPECTED_REMOVAL} else logging.WARNING,
            "The backend removed reasoning items from the input of this response: %s. "
            "`response.input_transformations` lists them.",
            ", ".join(f"{count} for {reason}" for reason, count in sorted(reasons.items())),
        )
