"""Build the final response from the data of its events.

The backend ends a response with `response.completed` whose `output` is empty. The accumulator therefore collects the
items of the `response.output_item.done` events and puts them there. For items that were never finished it uses their
deltas, so that a response that breaks off still has everything that arrived (`partial`).
Source: Codex CLI, codex-api/src/sse/responses.rs.

Nothing here trusts the order or the types of the backend's data: an item may come without an index or an id, twice, or
under another id when it is finished; an index may be a string.
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

# The events that end a response. `error` ends it too, without a response object.
TERMINAL_EVENTS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_FAILURE_EVENTS: Final = frozenset({"response.failed", "error"})
_SNAPSHOT_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
# The events about a whole item → whether the item is finished.
_ITEM_EVENTS: Final = {"response.output_item.added": False, "response.output_item.done": True}
# The delta events → the member of the item that the deltas make up; None: the text of a content part.
_DELTA_EVENTS: Final = {
    "response.output_text.delta": None,
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}

# Members that the official types require and that the backend sometimes leaves out.
_USAGE_DETAILS: Final = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
_INTEGER: Final = SchemaValidator(core_schema.int_schema())


@lru_cache(maxsize=64)  # bounded, because a server may invent types
def _delta_parsers(kind: str) -> tuple[BatchParser, ...]:
    """Return a parser that takes only the position and the text out of a list of deltas."""
    if kind not in _DELTA_EVENTS:
        return ()
    member = _DELTA_EVENTS[kind]
    fields = {
        "type": core_schema.literal_schema([kind]),
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
    """One output item at its index, as the last event described it."""

    __slots__ = ("data", "index", "is_done")

    def __init__(self, index: int, data: dict[str, Any] | None = None) -> None:
        self.index = index
        self.data = data or {}
        self.is_done = False

    def with_deltas(self, deltas: dict[int | str, list[str]]) -> dict[str, Any]:
        """Return the item; what its last event left open is filled in from the deltas."""
        if self.is_done and (self.data.get("type") != "message" or self.data.get("content")):
            return self.data
        parts = {part: "".join(pieces) for part, pieces in deltas.items()}
        texts = [parts[part] for part in sorted(part for part in parts if isinstance(part, int))]
        item = {**self.data, **{part: text for part, text in parts.items() if isinstance(part, str)}}
        if texts and not item.get("content"):
            item["content"] = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
        return item


class Accumulator:
    """Accumulate one response, event by event.

    `ended_by` is the type of the terminal event, None until it arrives. `response` is the final response, complete
    with its output. `failure` is the error object of a failed response: `{"code": …, "message": …}` as far as the
    backend sent it. `dropped_parameters` names the request parameters that were left out, None when the client drops none.
    """

    def __init__(self, *, dropped_parameters: tuple[str, ...] | None = None) -> None:
        self.ended_by: str | None = None
        self.failure: dict[str, Any] | None = None
        self.response: dict[str, Any] = {}
        self._dropped_parameters = dropped_parameters
        self._items: dict[float, _OutputItem] = {}  # by their index
        self._items_by_id: dict[Any, _OutputItem] = {}
        self._next_index = 0
        # (output index, part of the item) → its deltas; the part is a content index, or the name of a member
        self._deltas: dict[tuple[int, int | str], list[str]] = {}

    def add(self, event: dict[str, Any]) -> None:
        """Add one decoded event. A terminal event is completed in place, so that it can be delivered to the caller."""
        kind = event.get("type")
        if not isinstance(kind, str):
            return
        if kind in _ITEM_EVENTS:
            self._add_item(event.get("output_index"), event.get("item"), is_done=_ITEM_EVENTS[kind])
        elif kind in _DELTA_EVENTS:
            part = _DELTA_EVENTS[kind] or _as_index(event.get("content_index"))
            self.add_delta(_as_index(event.get("output_index")), part, event.get("delta"))
        elif kind == "response.output_text.done":
            position = _as_index(event.get("output_index")), _as_index(event.get("content_index"))
            self.set_text(*position, event.get("text"))
        elif kind in _SNAPSHOT_EVENTS and isinstance(event.get("response"), dict):
            self.response = event["response"]
        elif kind in TERMINAL_EVENTS and self.ended_by is None:
            self._end(kind, event)

    def add_deltas(self, text: bytes) -> int:
        """Add frames that are all deltas of one type. Return their number, 0 when they have another form."""
        deltas = read_batch(text, _delta_parsers)
        if deltas is None:
            return 0
        for (index, part), group in groupby(deltas, itemgetter("output_index", "content_index")):
            self.add_delta(index, part, "".join(map(itemgetter("delta"), group)))
        return len(deltas)

    def add_delta(self, output_index: int | None, part: int | str | None, delta: Any) -> None:
        """Keep a piece of an item. It is needed only if the finished item never comes."""
        if type(delta) is str:
            self._deltas.setdefault((output_index or 0, part or 0), []).append(delta)

    def set_text(self, output_index: int | None, content_index: int | None, text: Any) -> None:
        """Keep the whole text of a content part, which may have come without deltas."""
        if isinstance(text, str):
            self._deltas[output_index or 0, content_index or 0] = [text]

    @property
    def partial(self) -> dict[str, Any] | None:
        """The part that has arrived of a response without a good end, in the form of a response; None if empty."""
        if not self.response and not self._items and not self._deltas:
            return None
        status = "failed" if self.failure is not None else "in_progress"
        return {**self.response, "status": status, "output": self._output()}

    def _add_item(self, index: Any, data: Any, *, is_done: bool) -> None:
        if not isinstance(data, dict):  # the event came without its item
            return
        item = self._find_item(index, data, is_done=is_done)
        if item is None:
            is_free = isinstance(index, int) and index not in self._items
            item = _OutputItem(index if is_free else self._next_index)
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
        at_index = self._items.get(index) if isinstance(index, (int, float)) else None
        if at_index is None or None in (key, _id_key(at_index.data)):
            return at_index
        # The ids differ. A finished item may have another id than its announcement had; otherwise these are two items.
        return at_index if is_done and not at_index.is_done else None

    def _end(self, kind: str, event: dict[str, Any]) -> None:
        self.ended_by = kind
        if kind in _FAILURE_EVENTS:
            self.failure = _error_object(event)
        if kind != "error":
            response = event.get("response")
            event["response"] = response if isinstance(response, dict) else {}
            self._complete(event["response"], status=kind.removeprefix("response."))
            self.response = event["response"]

    def _complete(self, response: dict[str, Any], *, status: str) -> None:
        """Fill in what the terminal event leaves out: output, status, and members of the earlier snapshots."""
        for name, value in self.response.items():
            response.setdefault(name, value)
        # The event decides: a response of `response.incomplete` must not pass for a completed one.
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
        """Return the items in the order of their indexes, unfinished ones with the text of their deltas."""
        deltas: dict[int, dict[int | str, list[str]]] = {}
        for (index, part), pieces in self._deltas.items():
            deltas.setdefault(index, {})[part] = pieces
        unannounced = [
            _OutputItem(index, {"type": "message", "role": "assistant", "content": []})
            for index in deltas
            if index not in self._items
        ]
        items = sorted([*self._items.values(), *unannounced], key=lambda item: item.index)
        return [item.with_deltas(deltas.get(item.index, {})) for item in items]


def _id_key(item: dict[str, Any]) -> Any:
    """Return the id of an item in a hashable form; the wire may carry any JSON value there."""
    item_id = item.get("id")
    return item_id if item_id is None or isinstance(item_id, str) else repr(item_id)


def _as_index(value: Any) -> int:
    """Return an index, 0 when there is none; the official types accept a numeric string as well."""
    if type(value) is int:
        return value
    try:
        return int(_INTEGER.validate_python(value))
    except ValidationError:
        return 0


def _error_object(event: dict[str, Any]) -> dict[str, Any]:
    """Return the error object of a failed response, wherever the backend put it."""
    response = event.get("response")
    error = (response.get("error") if isinstance(response, dict) else None) or event.get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {name: value for name, value in event.items() if name != "response"}
