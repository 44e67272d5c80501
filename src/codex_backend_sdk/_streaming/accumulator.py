"""Build the final response from the data of its events.

The backend's final `response.completed` event has an empty `output`. The accumulator therefore collects the output from
all other events. One rule decides between them: the last event that has a value for a member wins, and an empty value
never replaces a value. Deltas count as earlier than the events that finish something. An interrupted response is built
by the same rule (`partial`).

A terminal event with a list of items decides which items, members and parts exist, as with the official client. Only a
streamed value (a text, the arguments of a call, …) that is empty or missing there is completed from the stream.
Source: Codex CLI, codex-api/src/sse/responses.rs, which reads the items of `response.output_item.done` only. Some
gateways send the arguments of a call only in `response.function_call_arguments.done`.

The accumulator does not rely on the order or the types of the events: an item may have no index or no id, occur twice,
or have another id in its `done` event; an index may be a string.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import SchemaValidator, ValidationError, core_schema

from .sse import read_batch

if TYPE_CHECKING:
    from .sse import BatchParser

__all__ = ["DELTA_EVENTS", "TERMINAL_EVENTS", "WHOLE_EVENTS", "Accumulator", "Place", "malformed_member"]

# The events that end a response. `error` has no response object. `response.done` is the name of some gateways for the
# first two.
TERMINAL_EVENTS: Final = frozenset(
    {
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.done",
        "error",
    }
)
_FAILURE_EVENTS: Final = frozenset({"response.failed", "response.cancelled", "error"})
_SNAPSHOT_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})

# Status in the terminal event → the outcome of `response.completed` (or `response.done`), and of `response.incomplete`.
# Event and status may contradict each other; a response is completed only if both agree, or if the status is missing or
# unknown. The other terminal events are failures with every status, and so is a response with an error.
_COMPLETED, _INCOMPLETE, _FAILED, _CONTRADICTORY = "completed", "incomplete", "failed", "contradictory"
_OUTCOMES: Final = {
    "completed": (_COMPLETED, _INCOMPLETE),
    "incomplete": (_INCOMPLETE, _INCOMPLETE),
    "in_progress": (_CONTRADICTORY, _INCOMPLETE),
    "queued": (_CONTRADICTORY, _INCOMPLETE),
    "failed": (_FAILED, _FAILED),
    "cancelled": (_FAILED, _FAILED),
}
_OUTCOMES_OF_OTHER_STATUS: Final = (_COMPLETED, _INCOMPLETE)


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """The place of a streamed value: a member of an output item, or of a part in one of its lists.

    Attributes:
        item_type: The type of the item, if no event contains the item.
        member: The member, or "" for the whole part or the whole item.
        list_name: The member of the item that contains the part; "" for a member of the item itself.
        index_name: The member of the event that has the index of the part.
        part_type: The type of the part, if no event contains the part.
    """

    item_type: str
    member: str
    list_name: str = ""
    index_name: str = ""
    part_type: str = ""


_ITEM: Final = Place("", "")
_CONTENT_PART: Final = Place("message", "", "content", "content_index")
_SUMMARY_PART: Final = Place("reasoning", "", "summary", "summary_index")
_ANNOTATIONS: Final = Place("message", "annotations", "content", "content_index", "output_text")
# Event type without `.delta` or `.done` → the place of its value. The value of `.done` has the name of the member.
_VALUES: Final = {
    "response.output_text": Place("message", "text", "content", "content_index", "output_text"),
    "response.refusal": Place("message", "refusal", "content", "content_index", "refusal"),
    "response.reasoning_text": Place("reasoning", "text", "content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text": Place("reasoning", "text", "summary", "summary_index", "summary_text"),
    "response.function_call_arguments": Place("function_call", "arguments"),
    "response.mcp_call_arguments": Place("mcp_call", "arguments"),
    "response.custom_tool_call_input": Place("custom_tool_call", "input"),
    "response.code_interpreter_call_code": Place("code_interpreter_call", "code"),
}
_ITEM_TYPES: Final = frozenset(place.item_type for place in _VALUES.values())
# Item type → the members of the item that have a streamed value, or parts with one. Part type → those of a part.
_MEMBERS_OF_ITEMS: Final = {
    item_type: {place.list_name or place.member for place in _VALUES.values() if place.item_type == item_type}
    for item_type in _ITEM_TYPES
}
_MEMBERS_OF_PARTS: Final = {
    part_type: {place.member for place in (*_VALUES.values(), _ANNOTATIONS) if place.part_type == part_type}
    for part_type in {place.part_type for place in _VALUES.values() if place.part_type}
}
# A delta is appended to the text at its place.
DELTA_EVENTS: Final = {f"{event_type}.delta": place for event_type, place in _VALUES.items()}
_DELTA_POSITIONS: Final = {
    place: itemgetter("output_index", place.index_name or "output_index") for place in DELTA_EVENTS.values()
}
_DELTA_TEXT: Final = itemgetter("delta")
# Event type → the place of its value, the member of the event that has the value, and whether it is a finished value.
_VALUE_EVENTS: Final = {
    **{f"{event_type}.done": (place, place.member, True) for event_type, place in _VALUES.items()},
    "response.output_item.added": (_ITEM, "item", False),
    "response.output_item.done": (_ITEM, "item", True),
    "response.content_part.added": (_CONTENT_PART, "part", False),
    "response.content_part.done": (_CONTENT_PART, "part", True),
    "response.reasoning_summary_part.added": (_SUMMARY_PART, "part", False),
    "response.reasoning_summary_part.done": (_SUMMARY_PART, "part", True),
}
_ANNOTATION_EVENT: Final = "response.output_text.annotation.added"
# The events that must be added one by one (`Accumulator.add`).
WHOLE_EVENTS: Final = frozenset({*_VALUE_EVENTS, _ANNOTATION_EVENT, *TERMINAL_EVENTS})

# Members that the official types require, in items that no event contains.
_DEFAULT_MEMBERS: Final[dict[str, dict[str, Any]]] = {
    "message": {"role": "assistant", "content": []},
    "reasoning": {"summary": []},
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
    place = DELTA_EVENTS.get(event_type)
    if place is None:
        return ()
    fields = {
        "type": core_schema.literal_schema([event_type]),
        "output_index": core_schema.int_schema(),
        "delta": core_schema.str_schema(),
    }
    if place.index_name:
        fields[place.index_name] = core_schema.int_schema()
    delta = core_schema.typed_dict_schema(
        {name: core_schema.typed_dict_field(schema) for name, schema in fields.items()}
    )
    return (SchemaValidator(core_schema.list_schema(delta)).validate_json,)


class _OutputItem:
    """One output item: the values of its events, by their place and the index of their part.

    `data` is the item in the last event that contains it. `is_done` is True after its `response.output_item.done`.
    """

    __slots__ = ("_deltas", "_finished", "_unfinished", "data", "default", "index", "is_done")

    def __init__(self, index: int) -> None:
        self.index = index
        self.default: dict[str, Any] = {}
        self.data: dict[str, Any] = {}
        self.is_done = False
        # All in the order of the last change. Lists are joined; other values are whole.
        self._unfinished: dict[tuple[Place, int], Any] = {}
        self._deltas: dict[tuple[Place, int], list[Any]] = {}
        self._finished: dict[tuple[Place, int], Any] = {}

    def append(self, place: Place, part_index: int, delta: Any) -> None:
        """Add a text delta or an annotation to those at a place."""
        if not self.default:
            self._set_default(place)
        key = place, part_index
        chunks = self._finished.get(key)
        if chunks is None:
            chunks = self._deltas.setdefault(key, [])
        chunks.append(delta)

    def set(self, place: Place, part_index: int, value: Any, *, is_finished: bool) -> None:
        """Set the whole value of a place."""
        self._set_default(place)
        key = place, part_index
        if place is _ITEM:
            self.data = value
            self.is_done = is_finished
        elif isinstance(value, str):
            value = [value]  # further deltas are appended
        values = self._finished if is_finished else self._unfinished
        values.pop(key, None)
        values[key] = value

    def build(self) -> dict[str, Any]:
        """Return the item with all values."""
        item = self.default
        for values in (self._unfinished, self._deltas, self._finished):
            for (place, part_index), value in values.items():
                item = _with_value(item, place, part_index, value)
        return _with_part_lists(item)

    def _set_default(self, place: Place) -> None:
        if not self.default and place is not _ITEM:
            self.default = {"type": place.item_type, **_DEFAULT_MEMBERS.get(place.item_type, {place.member: ""})}


class Accumulator:
    """Accumulator for the events of one response.

    `terminal_event_type` is the type of the terminal event, or None before it. `response` is the final response with
    its output. `failure` is the error object of a failed response as the backend sent it: `{"code": …, "message": …}`.
    `is_contradictory` is True if the response ended, but its status says that it did not. `dropped_parameters` are the
    request parameters that were dropped, or None with `unsupported="raise"`.
    """

    def __init__(self, *, dropped_parameters: tuple[str, ...] | None = None) -> None:
        self.terminal_event_type: str | None = None
        self.failure: dict[str, Any] | None = None
        self.is_contradictory = False
        self.response: dict[str, Any] = {}
        self._dropped_parameters = dropped_parameters
        self._items: dict[float, _OutputItem] = {}  # by index; the lookup also accepts a float
        self._items_by_id: dict[Any, _OutputItem] = {}
        self._next_index = 0

    def add(self, event: dict[str, Any]) -> None:
        """Add one decoded event.

        A terminal event is completed in place, so that it can be delivered to the caller. Its type becomes that of its
        outcome: `response.incomplete` if `response.completed` has an incomplete response.
        """
        event_type = event.get("type")
        if not isinstance(event_type, str):
            return
        if event_type in DELTA_EVENTS:
            place = DELTA_EVENTS[event_type]
            part_index = _part_index(event, place)
            self.add_delta(
                event.get("output_index"), place, part_index, event.get("delta"), item_id=event.get("item_id")
            )
        elif event_type in _VALUE_EVENTS:
            self._add_value(event, *_VALUE_EVENTS[event_type])
        elif event_type == _ANNOTATION_EVENT:
            if isinstance(event.get("annotation"), dict):
                item = self._item_at(event.get("output_index"), item_id=event.get("item_id"))
                item.append(_ANNOTATIONS, _part_index(event, _ANNOTATIONS), event["annotation"])
        elif event_type in _SNAPSHOT_EVENTS and isinstance(event.get("response"), dict):
            self._add_snapshot(event["response"])
        elif self.terminal_event_type is None and _is_terminal(event_type, event):
            self._end(event_type, event)

    def add_deltas(self, frames: bytes) -> list[dict[str, Any]]:
        """Add frames that are all deltas of one type. Return their data, or an empty list if they have another form.

        The data has only the type, the position and the text.
        """
        deltas = read_batch(frames, _delta_parsers)
        if not deltas:
            return []
        place = DELTA_EVENTS[deltas[0]["type"]]
        position = _DELTA_POSITIONS[place]
        groups = groupby(deltas, position) if len(deltas) > 1 else ((position(deltas[0]), deltas),)
        for (output_index, part_index), group in groups:
            text = "".join(map(_DELTA_TEXT, group))
            self.add_delta(output_index, place, part_index if place.index_name else 0, text)
        return deltas

    def add_delta(
        self, output_index: Any, place: Place, part_index: int | None, delta: Any, *, item_id: Any = None
    ) -> None:
        """Append a delta to the text at a place. The item is found by its index, or else by its id."""
        if type(delta) is str:
            # Nearly all deltas belong to a known item.
            item = self._items.get(output_index) if type(output_index) is int else None
            if item is None:
                item = self._item_at(output_index, item_id=item_id)
            item.append(place, part_index or 0, delta)

    @property
    def partial(self) -> dict[str, Any] | None:
        """The response received so far, if it failed or was interrupted; None if nothing was received."""
        if not self.response and not self._items:
            return None
        status = "in_progress"
        if self.failure is not None:
            status = "cancelled" if self.response.get("status") == "cancelled" else "failed"
        return {**self.response, "status": status, "output": self._output(self.response.get("output"))}

    # Items

    def _add_snapshot(self, response: dict[str, Any]) -> None:
        self.response = {name: value for name, value in response.items() if name != "output"}
        for index, item in enumerate(_as_items(response.get("output"))):
            self._add_item(index, item, is_done=False)

    def _add_value(self, event: dict[str, Any], place: Place, value_name: str, is_finished: bool) -> None:
        value = event.get(value_name)
        if place is _ITEM:
            self._add_item(event.get("output_index"), value, is_done=is_finished)
        elif not _is_empty(value) and isinstance(value, str if place.member else dict):
            item = self._item_at(event.get("output_index"), item_id=event.get("item_id"))
            item.set(place, _part_index(event, place), value, is_finished=is_finished)

    def _item_at(self, index: Any, *, item_id: Any = None) -> _OutputItem:
        """Return the item at an index, or with an id if there is no index. Add it if it is missing."""
        if index is None and item_id is not None:
            known_item = self._items_by_id.get(_id_key({"id": item_id}))
            if known_item is not None:
                return known_item
        number = _as_index(index)
        item = self._items.get(number)
        if item is None:
            item = self._items[number] = _OutputItem(number)
            self._next_index = max(self._next_index, number + 1)
        return item

    def _add_item(self, index: Any, data: Any, *, is_done: bool) -> None:
        if not isinstance(data, dict):  # the event has no item
            return
        item = self._find_item(index, data, is_done=is_done)
        if item is None:
            is_free_index = isinstance(index, int) and index not in self._items
            item = self._item_at(index if is_free_index else self._next_index)
        elif item.is_done and not is_done:
            return
        self._items_by_id.pop(_id_key(item.data), None)
        item.set(_ITEM, 0, data, is_finished=is_done)
        if (key := _id_key(data)) is not None:
            self._items_by_id[key] = item

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
        is_same_type = item_at_index.data.get("type") == data.get("type")
        return item_at_index if is_done and not item_at_index.is_done and is_same_type else None

    # The end

    def _end(self, event_type: str, event: dict[str, Any]) -> None:
        outcome = _FAILED
        if event_type != "error":
            response = event["response"] = _as_object(event.get("response"))
            status = response.pop("status", None)
            for name, value in self.response.items():
                response.setdefault(name, value)
            outcome = _outcome(event_type, status, response.get("error"))
            response["status"] = _final_status(event_type, status, outcome)
            self._complete(response)
            self.response = response
        if outcome == _FAILED:
            self.failure = _error_object(event)
        elif outcome == _CONTRADICTORY:
            self.is_contradictory = True
        else:
            event_type = event["type"] = f"response.{outcome}"
        self.terminal_event_type = event_type

    def _complete(self, response: dict[str, Any]) -> None:
        """Add what the terminal event lacks: the output, and required members."""
        response["output"] = self._output(response.get("output"))
        usage = response.get("usage")
        if isinstance(usage, dict):
            for name, defaults in _USAGE_DETAILS.items():
                details = usage.get(name)
                if details is None or isinstance(details, dict):
                    usage[name] = {**defaults, **(details or {})}
        if self._dropped_parameters is not None:
            response["dropped_parameters"] = list(self._dropped_parameters)

    def _output(self, final: Any) -> list[dict[str, Any]]:
        """Return the items of the terminal event, with the streamed values that they lack, or else those streamed."""
        streamed = [item.build() for item in sorted(self._items.values(), key=lambda item: item.index)]
        output = _as_items(final)
        if not output:
            return streamed
        for position, item in _match(streamed, output).items():
            output[position] = _with_streamed_values(output[position], item, _MEMBERS_OF_ITEMS)
        return output


def _part_index(event: dict[str, Any], place: Place) -> int:
    return _as_index(event.get(place.index_name)) if place.index_name else 0


def _is_terminal(event_type: str, event: dict[str, Any]) -> bool:
    """Return whether an event ends the response. `response.done` does if it has a response."""
    return event_type in TERMINAL_EVENTS and (event_type != "response.done" or bool(_as_object(event.get("response"))))


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_items(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _outcome(event_type: str, status: Any, error: Any) -> str:
    """Return the outcome of a response with this terminal event, status and error."""
    if event_type in _FAILURE_EVENTS or (any(error.values()) if isinstance(error, dict) else error):
        return _FAILED
    known = _OUTCOMES.get(status) if isinstance(status, str) else None
    return (known or _OUTCOMES_OF_OTHER_STATUS)[event_type == "response.incomplete"]


def _final_status(event_type: str, status: Any, outcome: str) -> Any:
    if outcome == _FAILED:
        return "cancelled" if "cancelled" in (status, event_type.removeprefix("response.")) else "failed"
    is_unknown = isinstance(status, str) and status not in _OUTCOMES
    return status if is_unknown or outcome == _CONTRADICTORY else outcome


def _match(streamed: list[dict[str, Any]], output: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return, by position in `output`, the same item in `streamed`.

    The same item has the same id, or else the same rank among the remaining items of its type: a gateway may change the
    ids.
    """
    matches: dict[int, dict[str, Any]] = {}
    free = dict(enumerate(streamed))
    for key_of in (_id_key, _type_key):
        by_key: dict[Any, list[int]] = {}
        for rank, item in reversed(free.items()):
            by_key.setdefault(key_of(item), []).append(rank)
        for position, item in enumerate(output):
            key = key_of(item)
            if position not in matches and key is not None and by_key.get(key):
                matches[position] = free.pop(by_key[key].pop())
    return matches


def _with_streamed_values(final: Any, streamed: Any, members: dict[str, set[str]]) -> Any:
    """Return an item or part of the terminal event with the streamed values that are empty or missing there.

    `members` has the names of these values by type.
    """
    if not isinstance(final, dict) or not isinstance(streamed, dict) or _type_key(final) != _type_key(streamed):
        return final
    names = members.get(_type_key(final) or "", set())
    values = {name: streamed[name] for name in names if not _is_empty(streamed.get(name))}
    return {**final, **{name: _last_value(final.get(name), value) for name, value in values.items()}}


def _last_value(final: Any, streamed: Any) -> Any:
    if _is_empty(final):
        return streamed
    if not isinstance(final, list) or not isinstance(streamed, list):
        return final
    parts = [_with_streamed_values(*pair, _MEMBERS_OF_PARTS) for pair in zip(final, streamed, strict=False)]
    return parts + final[len(parts) :]


# Values


class _Parts(dict[int, Any]):
    """The parts of an item by index, while the item is built. Indexes may have gaps."""


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _with_value(item: dict[str, Any], place: Place, part_index: int, value: Any) -> dict[str, Any]:
    """Return the item with a later value at a place."""
    if place is _ITEM:
        return _merge_items(item, value)
    if place.part_type and _type_key(item) in _ITEM_TYPES - {place.item_type}:
        return item  # the event has no index, or a wrong one
    value = _join(value)
    if not place.list_name:
        return _merge_members(item, {place.member: value})
    parts = _as_parts(item.get(place.list_name))
    part = {"type": place.part_type, place.member: value} if place.member else value
    if place.part_type == "output_text" and part_index not in parts:
        part = {"annotations": [], **part}
    parts[part_index] = _merge_parts(parts.get(part_index), part)
    return {**item, place.list_name: parts}


def _join(value: Any) -> Any:
    """Return the text of deltas. A whole value, and a list of annotations, is returned unchanged."""
    return "".join(value) if isinstance(value, list) and isinstance(value[0], str) else value


def _with_part_lists(item: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [value[index] for index in sorted(value)] if isinstance(value, _Parts) else value
        for name, value in item.items()
    }


def _as_parts(value: Any) -> _Parts:
    if isinstance(value, _Parts):
        return value
    return _Parts(enumerate(value)) if isinstance(value, list) else _Parts()


def _merge_items(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    if earlier.get("type") is not None and later.get("type") not in (None, earlier["type"]):
        return later
    if earlier.get("status") == "in_progress":
        earlier = {name: value for name, value in earlier.items() if name != "status"}
    merged = _merge_members(earlier, later)
    for name in ("content", "summary"):
        if isinstance(later.get(name), list) and isinstance(earlier.get(name), (list, _Parts)):
            parts = _as_parts(earlier[name])
            for index, part in enumerate(later[name]):
                parts[index] = _merge_parts(parts.get(index), part)
            merged[name] = parts
    return merged


def _merge_parts(earlier: Any, later: Any) -> Any:
    if not isinstance(later, dict) or not isinstance(earlier, dict):
        return earlier if _is_empty(later) else later
    has_same_type = earlier.get("type") in (None, later.get("type")) or later.get("type") is None
    return _merge_members(earlier, later) if has_same_type else later


def _merge_members(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Return the members of both. An empty member of `later` does not replace one of `earlier`."""
    return {**earlier, **{name: value for name, value in later.items() if name not in earlier or not _is_empty(value)}}


def _id_key(item: dict[str, Any]) -> Any:
    """Return the id of an item in a hashable form, because an invalid id can be any JSON value."""
    item_id = item.get("id")
    return item_id if item_id is None or isinstance(item_id, str) else repr(item_id)


def _type_key(item: dict[str, Any]) -> str | None:
    item_type = item.get("type")
    return item_type if isinstance(item_type, str) else None


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
    response = _as_object(event.get("response"))
    error = response.get("error") or event.get("error")
    if isinstance(error, str):
        return {"message": error}
    if not error and response.get("status") == "cancelled":
        return {"message": "The response was cancelled."}
    return error if isinstance(error, dict) else {name: value for name, value in event.items() if name != "response"}


# Type of an item → its member that programs parse as text.
_TEXT_MEMBERS: Final = {"function_call": "arguments", "custom_tool_call": "input"}


def malformed_member(response: dict[str, Any]) -> str | None:
    """Return the path of the first member that has a value which no program could read, else None."""
    output = response.get("output")
    for index, item in enumerate(output if isinstance(output, list) else ()):
        if not isinstance(item, dict):
            continue
        place, item_type = f"output[{index}]", item.get("type")
        text_member = _TEXT_MEMBERS.get(item_type) if isinstance(item_type, str) else None
        if text_member is not None and not isinstance(item.get(text_member, ""), str):
            return f"{place}.{text_member}"
        if item_type == "message" and (part := _malformed_part(item.get("content"))) is not None:
            return f"{place}.content{part}"
    return None


def _malformed_part(content: Any) -> str | None:
    if content is None:  # as in openai's client, no content
        return None
    if not isinstance(content, list):
        return ""
    for index, part in enumerate(content):
        if not isinstance(part, dict):
            return f"[{index}]"
        for name in ("text", "refusal"):
            if not isinstance(part.get(name), (str, type(None))):
                return f"[{index}].{name}"
    return None
