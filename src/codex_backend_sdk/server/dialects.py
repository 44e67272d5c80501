"""The two forms of a response, Responses and Chat Completions: how its events are read, written and ended by an error.

A dialect is made for one response. It reads the JSON data that the client's reader delivers, which it does not change,
keeps what an error needs, and calls back with the model, the usage and the output for the log and the reasoning memory.
No I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic_core import to_json

from .._coerce import as_count, as_list, as_mapping
from .._json import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .api_errors import ApiError

__all__ = ["ChatDialect", "Dialect", "Observer", "ResponsesDialect"]

Data = dict[str, Any]

_SNAPSHOTS: Final = ("response.created", "response.queued", "response.in_progress")
_ENDS: Final = ("response.completed", "response.incomplete")


class Observer(Protocol):
    """Receives the model, the usage and the output of a response."""

    def record_model(self, name: str) -> None:
        """Record the model of a response."""

    def record_usage(self, input_tokens: int, cached_tokens: int, output_tokens: int) -> None:
        """Record the tokens of a response."""

    def record_output(self, output: list[Any]) -> None:
        """Record the output items of a response, or the message of a completion in a list."""


class Dialect(Protocol):
    """The form of one response. `path` is the path of the client's call."""

    path: str

    def visible(self, batch: list[Data]) -> list[Data]:
        """Record events, and return those that the caller gets."""
        ...

    def decides(self, data: Data) -> bool:
        """Return whether an event shows that the response has begun, so that its status is 200."""
        ...

    def encode(self, batch: Iterable[Data]) -> bytes:
        """Return events as server-sent events."""
        ...

    def failure(self, error: ApiError, partial: Data | None) -> list[Data]:
        """Return the events that end a response with an error. `partial` is the output so far."""
        ...

    def final(self, body: Data) -> None:
        """Record a response that is not streamed."""

    @property
    def ending(self) -> bytes:
        """The bytes after the last event."""
        ...


class ResponsesDialect:
    """The events of the Responses API.

    An interrupted response ends with `response.failed`, with the next sequence number, after open items were closed as
    `incomplete`: programs would otherwise wait for them.
    """

    path = "/responses"
    ending = b""

    def __init__(self, observer: Observer, *, new_id: Callable[[], str]) -> None:
        self._observer = observer
        self._new_id = new_id
        self._snapshot: Data | None = None
        self._open: dict[int, Data] = {}
        self._next_number = 0

    def visible(self, batch: list[Data]) -> list[Data]:
        """Record events, and return those with a type."""
        events = [event for event in batch if isinstance(event.get("type"), str)]
        for event in events:
            handler = _HANDLERS.get(event["type"])
            if handler is not None:
                handler(self, event)
        number = events[-1].get("sequence_number") if events else None
        self._next_number = number + 1 if type(number) is int else self._next_number + len(events)
        return events

    def _add_snapshot(self, event: Data) -> None:
        self._snapshot = as_mapping(event.get("response")) or self._snapshot
        _record_model(self._observer, self._snapshot)

    def _open_item(self, event: Data) -> None:
        index = event.get("output_index")
        if isinstance(index, int):
            self._open[index] = as_mapping(event.get("item"))

    def _close_item(self, event: Data) -> None:
        index = event.get("output_index")
        if isinstance(index, int):
            self._open.pop(index, None)

    def _end(self, event: Data) -> None:
        response = as_mapping(event.get("response"))
        response.pop("dropped_parameters", None)  # a member of our client; the header names them
        self.final(response)

    def final(self, body: Data) -> None:
        """Record a final response."""
        _record_model(self._observer, body)
        usage = as_mapping(body.get("usage"))
        if usage:
            cached = as_mapping(usage.get("input_tokens_details")).get("cached_tokens")
            self._observer.record_usage(
                as_count(usage.get("input_tokens")) or 0,
                as_count(cached) or 0,
                as_count(usage.get("output_tokens")) or 0,
            )
        self._observer.record_output(as_list(body.get("output")))

    def decides(self, data: Data) -> bool:
        """Return False for the events with which every response begins: they do not decide the status."""
        return data.get("type") not in _SNAPSHOTS

    def encode(self, batch: Iterable[Data]) -> bytes:
        """Return events as server-sent events."""
        return b"".join([b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _to_json(event)) for event in batch])

    def failure(self, error: ApiError, partial: Data | None) -> list[Data]:
        """Return `output_item.done` for each open item, and `response.failed`.

        Without `partial`, only the beginnings of the items are known. An item without its text would look complete, so
        the method closes none.
        """
        events: list[Data] = []
        if self._snapshot is None:  # programs expect `response.created` first
            self._snapshot = {"id": self._new_id(), "object": "response", "created_at": 0, "output": []}
            events.append({"type": "response.created", "response": {**self._snapshot, "status": "in_progress"}})
        output = [_closed(item) for item in map(as_mapping, as_list((partial or {}).get("output")))]
        by_id = {item["id"]: item for item in output if isinstance(item.get("id"), str)}
        for index, item in self._open.items() if partial is not None else ():
            closed = by_id.get(item.get("id"), _closed(item))
            events.append({"type": "response.output_item.done", "output_index": index, "item": closed})
        failed = {
            **self._snapshot,
            "status": "failed",
            "error": {**error.details, "code": error.code or "server_error", "message": error.message},
            "output": output,
        }
        events.append({"type": "response.failed", "response": failed})
        first = self._next_number
        return [{**event, "sequence_number": first + count} for count, event in enumerate(events)]


_HANDLERS: Final[dict[str, Callable[[ResponsesDialect, Data], None]]] = {
    **dict.fromkeys(_SNAPSHOTS, ResponsesDialect._add_snapshot),
    "response.output_item.added": ResponsesDialect._open_item,
    "response.output_item.done": ResponsesDialect._close_item,
    **dict.fromkeys(_ENDS, ResponsesDialect._end),
}


def _closed(item: Data) -> Data:
    return {**item, "status": "incomplete"} if item.get("status") == "in_progress" else item


class ChatDialect:
    """The chunks of a chat completion.

    An error is an event of its own, which the official client raises, and there is no finish reason. The chunk with the
    usage is always requested, and hidden unless the caller asked for it: chunks without choices confuse programs.
    """

    path = "/chat/completions"
    ending = b"data: [DONE]\n\n"

    def __init__(self, observer: Observer, *, shows_usage: bool) -> None:
        self._observer = observer
        self._shows_usage = shows_usage
        self._calls: dict[Any, Data] = {}
        self._details: list[Any] = []

    def visible(self, batch: list[Data]) -> list[Data]:
        """Record chunks, and return those that the caller gets."""
        has_usage = False
        for chunk in batch:
            if chunk["choices"]:
                delta = chunk["choices"][0]["delta"]
                if "role" in delta:  # the first chunk
                    _record_model(self._observer, chunk)
                if "tool_calls" in delta:
                    self._add_call(delta["tool_calls"][0])
                self._details += delta.get("reasoning_details", ())
                if chunk["choices"][0]["finish_reason"] is not None:
                    self._record_message({"tool_calls": [*self._calls.values()], "reasoning_details": self._details})
            else:
                has_usage = True
                self._record_usage(chunk)
        return batch if self._shows_usage or not has_usage else [chunk for chunk in batch if chunk["choices"]]

    def _add_call(self, delta: Data) -> None:
        kind = "custom" if "custom" in delta else "function"
        known = self._calls.setdefault(delta["index"], {**delta, kind: {}})
        for name, text in delta[kind].items():
            known[kind][name] = known[kind].get(name, "") + text

    def _record_message(self, message: Data) -> None:
        self._observer.record_output([message])

    def _record_usage(self, data: Data) -> None:
        usage = as_mapping(data.get("usage"))
        if usage:
            cached = usage["prompt_tokens_details"]["cached_tokens"]
            self._observer.record_usage(usage["prompt_tokens"], cached, usage["completion_tokens"])

    def final(self, body: Data) -> None:
        """Record a completion."""
        _record_model(self._observer, body)
        self._record_usage(body)
        self._record_message(body["choices"][0]["message"])

    def decides(self, data: Data) -> bool:
        """Return False for the first chunk, which is built from `response.created`."""
        return not (data["choices"] and "role" in data["choices"][0]["delta"])

    def encode(self, batch: Iterable[Data]) -> bytes:
        """Return chunks as server-sent events."""
        return b"".join([b"data: %b\n\n" % _to_json(chunk) for chunk in batch])

    def failure(self, error: ApiError, partial: Data | None) -> list[Data]:
        """Return the error as an event."""
        return [error.body]


def _record_model(observer: Observer, data: Data | None) -> None:
    name = (data or {}).get("model")
    if isinstance(name, str) and name:
        observer.record_model(name)


def _to_json(data: Data) -> bytes:
    try:
        return to_json(data)
    except ValueError:  # text with a lone surrogate
        return encode(data)
