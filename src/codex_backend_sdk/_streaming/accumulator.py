"""Build the final response from the data of its events.

The backend's final `response.completed` event has an empty `output`. The accumulator therefore adds the items of the
`response.output_item.done` events. For unfinished items it uses their deltas, so that an interrupted response still
contains everything received (`partial`).
Source: Codex CLI, codex-api/src/sse/responses.rs.

The accumulator does not rely on the order or the types of the events: an item may have no index or no id, occur twice,
or have another id in its `done` event; an index may be a string.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import SchemaValidator, ValidationError, core_schema

from .sse import read_batch

if TYPE_CHECKING:
    from .sse import BatchParser

__all__ = ["TERMINAL_EVENTS", "Accumulator"]

# The events that end a response. `error` has no response object.
TERMINAL_EVENTS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_FAILURE_EVENTS: Final = frozenset({"response.failed", "error"})
_SNAPSHOT_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
# Item event → whether the item is finished.
_ITEM_EVENTS: Final = {"response.output_item.added": False, "response.output_item.done": True}
# Delta event → the item field that its deltas form; None means the text of a content part.
_DELTA_EVENTS: Final = {
    "response.output_text.delta": None,
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}

# Members that the official types require, and that are optional in the Codex CLI (codex-api/src/sse/responses.rs).
_USAGE_DETAILS: Final = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
_INTEGER: Final = SchemaValidator(core_schema.int_schema())


@lru_cache(maxsize=64)  # bounded, because the server determines the types
def _delta_parsers(event_type: str) -> tuple[BatchParser, ...]:
    """Return the parsers for lists of this event type: one for a delta type, none for others.

    The parser reads only the position and the text of each delta.
    """
    if event_type not in _DELTA_EVENTS:
        return ()
    member = _DELTA_EVENTS[event_type]
    fields = {
        "type": core_schema.literal_schema([event_type]),
        "output_index": core_schema.int_schema(),
        "content_index": core_schema.int_schema()
        if member is None
        else core_schema.with_default_schema(core_schema.literal_schema([member]), default=member),
        "delta": core_schema.str_schema(),
    }
    delta = core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schema) for name, schema in fields.items()}
    )
    return (SchemaValidator(core_schema.list_schema(delta)).validate_json,)


class _OutputItem:
    """One output item, with the data of the last event about it."""

    __slots__ = ("data", "index", "is_done")

    def __init__(self, index: int, data: dict[str, Any] | None = None) -> None:
        self.index = index
        self.data = data or {}
        self.is_done = False

    def with_deltas(self, deltas: dict[int | str, list[str]]) -> dict[str, Any]:
        """Return the item, with missing content filled in from the deltas."""
        if self.is_done and (self.data.get("type") != "message" or self.data.get("content")):
            return self.data
        parts = {part: "".join(chunks) for part, chunks in deltas.items()}
        texts = [parts[part] for part in sorted(part for part in parts if isinstance(part, int))]
        item = {**self.data, **{part: text for part, text in parts.items() if isinstance(part, str)}}
        if texts and not item.get("content"):
            item["content"] = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
        return item


class Accumulator:
    """Accumulator for the events of one response.

    `terminal_event_type` is the type of the terminal event, or None before it. `response` is the final response with
    its output. `failure` is the error object of a failed response as the backend sent it: `{"code": …, "message": …}`.
    `dropped_parameters` are the request parameters that were dropped, or None with `unsupported="raise"`.
    """

    def __init__(self, *, dropped_parameters: tuple[str, ...] | None = None) -> None:
        self.terminal_event_type: str | None = None
        self.failure: dict[str, Any] | None = None
        self.response: dict[str, Any] = {}
        self._dropped_parameters = dropped_parameters
        self._items: dict[float, _OutputItem] = {}  # by index; the lookup also accepts a float
        self._items_by_id: dict[Any, _OutputItem] = {}
        self._next_index = 0
        # (output index, part) → deltas; the part is a content index or the name of an item field
        self._deltas: dict[tuple[int, int | str], list[str]] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Add one decoded event. A terminal event is completed in place, so that it can be delivered to the caller."""
        event_type = event.get("type")
        if not isinstance(event_type, str):
            return
        if event_type in _ITEM_EVENTS:
            self._add_item(event.get("output_index"), event.get("item"), is_done=_ITEM_EVENTS[event_type])
        elif event_type in _DELTA_EVENTS:
            part = _DELTA_EVENTS[event_type] or _as_index(event.get("content_index"))
            self.add_delta(_as_index(event.get("output_index")), part, event.get("delta"))
        elif event_type == "response.output_text.done":
            position = _as_index(event.get("output_index")), _as_index(event.get("content_index"))
            self.set_text(*position, event.get("text"))
        elif event_type in _SNAPSHOT_EVENTS and isinstance(event.get("response"), dict):
            self.response = event["response"]
        elif event_type in TERMINAL_EVENTS and self.terminal_event_type is None:
            self._end(event_type, event)

    def add_deltas(self, frames: bytes) -> int:
        """Add frames that are all deltas of one type. Return their number, or 0 if they have another form."""
        deltas = read_batch(frames, _delta_parsers)
        if deltas is None:
            return 0
        for (output_index, part), group in groupby(deltas, itemgetter("output_index", "content_index")):
            self.add_delta(output_index, part, "".join(map(itemgetter("delta"), group)))
        return len(deltas)

    def add_delta(self, output_index: int | None, part: int | str | None, delta: Any) -> None:
        """Buffer a delta, for the case that the finished item is never received."""
        if type(delta) is str:
            self._deltas.setdefault((output_index or 0, part or 0), []).append(delta)

    def set_text(self, output_index: int | None, content_index: int | None, text: Any) -> None:
        """Replace the deltas of a content part by its whole text, which may be received without deltas."""
        if isinstance(text, str):
            self._deltas[output_index or 0, content_index or 0] = [text]

    @property
    def partial(self) -> dict[str, Any] | None:
        """The response received so far, if it failed or was interrupted; None if nothing was received."""
        if not self.response and not self._items and not self._deltas:
            return None
        status = "failed" if self.failure is not None else "in_progress"
        return {**self.response, "status": status, "output": self._output()}

    def _add_item(self, index: Any, data: Any, *, is_done: bool) -> None:
        if not isinstance(data, dict):  # the event has no item
            return
        item = self._find_item(index, data, is_done=is_done)
        if item is None:
            is_free_index = isinstance(index, int) and index not in self._items
            item = _OutputItem(index if is_free_index else self._next_index)
            self._items[item.index] = item
            self._next_index = max(self._next_index, item.index + 1)
        elif item.is_done and not is_done:
            return
        self._items_by_id.pop(_id_key(item.data), None)
        item.data, item.is_done = data, is_done
        self._items_by_id[_id_key(data)] = item

    def _find_item(self, index: Any, data: dict[str, Any], *, is_done: bool) -> _OutputItem | None:
        """Return the known item with this id, or the one at this index unless its id shows that it is another item."""
        key = _id_key(data)
        if key is not None and key in self._items_by_id:
            return self._items_by_id[key]
        item_at_index = self._items.get(index) if isinstance(index, (int, float)) else None
        if item_at_index is None or None in (key, _id_key(item_at_index.data)):
            return item_at_index
        # The ids differ. A finished item may have another id than in its `output_item.added` event; otherwise these are
        # two items.
        return item_at_index if is_done and not item_at_index.is_done else None

    def _end(self, event_type: str, event: dict[str, Any]) -> None:
        self.terminal_event_type = event_type
        if event_type in _FAILURE_EVENTS:
            self.failure = _error_object(event)
        if event_type != "error":
            response = event.get("response")
            event["response"] = response if isinstance(response, dict) else {}
            self._complete(event["response"], status=event_type.removeprefix("response."))
            self.response = event["response"]

    def _complete(self, response: dict[str, Any], *, status: str) -> None:
        """Add what the terminal event lacks: the output, the status, and members of the earlier snapshots."""
        for name, value in self.response.items():
            response.setdefault(name, value)
        # The event type takes precedence: the response of `response.incomplete` must not be reported as completed.
        if status != "completed" or response.get("status") in (None, "in_progress", "queued"):
            response["status"] = status
        output = response.get("output")
        items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
        response["output"] = items or self._output()
        usage = response.get("usage")
        if isinstance(usage, dict):
            for name, defaults in _USAGE_DETAILS.items():
                details = usage.get(name)
                if details is None or isinstance(details, dict):
                    usage[name] = {**defaults, **(details or {})}
        if self._dropped_parameters is not None:
            response["dropped_parameters"] = list(self._dropped_parameters)

    def _output(self) -> list[dict[str, Any]]:
        """Return the items in the order of their indexes. Unfinished items have the text of their deltas."""
        deltas: dict[int, dict[int | str, list[str]]] = {}
        for (index, part), chunks in self._deltas.items():
            deltas.setdefault(index, {})[part] = chunks
        missing_items = [
            _OutputItem(index, {"type": "message", "role": "assistant", "content": []})
            for index in deltas
            if index not in self._items
        ]
        items = sorted([*self._items.values(), *missing_items], key=lambda item: item.index)
        return [item.with_deltas(deltas.get(item.index, {})) for item in items]


def _id_key(item: dict[str, Any]) -> Any:
    """Return the id of an item in a hashable form, because an invalid id can be any JSON value."""
    item_id = item.get("id")
    return item_id if item_id is None or isinstance(item_id, str) else repr(item_id)


def _as_index(value: Any) -> int:
    """Return an index, which may be a numeric string as in the official types.

    An invalid index is 0: nearly all responses have one message with one content part.
    """
    if type(value) is int:
        return value
    try:
        return int(_INTEGER.validate_python(value))
    except ValidationError:
        return 0


def _error_object(event: dict[str, Any]) -> dict[str, Any]:
    """Return the error object of a failed response, from the response, the event, or the event's own members."""
    response = event.get("response")
    error = (response.get("error") if isinstance(response, dict) else None) or event.get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {name: value for name, value in event.items() if name != "response"}
