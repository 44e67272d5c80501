"""Event data → the final response; knows a finished answer from a cut one.

The backend ends an answer with `response.completed` whose `output` is empty, so the output is rebuilt here from the
`response.output_item.done` events. What had not been finished when an answer is cut is rebuilt from its deltas.
Codex CLI: codex-api/src/sse/responses.rs.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import SchemaValidator, ValidationError, core_schema

from .sse_batch import read_run

if TYPE_CHECKING:
    from .sse_batch import Reader

__all__ = ["TERMINAL", "Accumulator"]

# The events that end an answer. `error` ends it too, without a response.
TERMINAL: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "error"})
_FAILURES: Final = frozenset({"response.failed", "error"})
_ITEMS: Final = {"response.output_item.added": False, "response.output_item.done": True}
# Deltas, and the member of the item that they make up; None: a part of its content.
_DELTAS: Final = {
    "response.output_text.delta": None,
    "response.function_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
_LIFECYCLE: Final = frozenset({"response.created", "response.queued", "response.in_progress"})

# Members that the official types demand and the backend leaves out at times.
_USAGE_DETAILS: Final = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


@lru_cache(maxsize=64)  # a bound, because a server may make types up
def _delta_readers(kind: str) -> tuple[Reader, ...]:
    """Return what reads of a list of deltas where they belong and what they say, and nothing else."""
    if kind not in _DELTAS:
        return ()
    member = _DELTAS[kind]
    fields = {
        "type": core_schema.literal_schema([kind]),
        "output_index": core_schema.int_schema(),
        "content_index": core_schema.int_schema()
        if member is None
        else core_schema.with_default_schema(core_schema.literal_schema([member]), default=member),
        "delta": core_schema.str_schema(),
    }
    delta = core_schema.typed_dict_schema({name: core_schema.typed_dict_field(each) for name, each in fields.items()})
    return (SchemaValidator(core_schema.list_schema(delta)).validate_json,)


class _Slot:
    """One output item: as it was announced, or as it was finished."""

    __slots__ = ("index", "is_done", "item")

    def __init__(self, index: int, item: dict[str, Any] | None = None) -> None:
        self.index = index
        self.item = item or {}
        self.is_done = False


class Accumulator:
    """Gather one answer, event by event.

    `ended_by` is the type of the terminal event, or None while there was none.
    `failure` is the error object of a failed answer: `{"code": …, "message": …}` as far as the backend gave it.
    """

    def __init__(self, *, dropped: tuple[str, ...] | None = None) -> None:
        self.ended_by: str | None = None
        self.failure: dict[str, Any] | None = None
        self._dropped = dropped
        self._response: dict[str, Any] = {}
        self._slots: dict[float, _Slot] = {}  # by their index
        self._named: dict[Any, _Slot] = {}  # by the id of their item
        self._following = 0  # the index behind the last one
        # (output index, part of the item) → its deltas; the part is a content index, or the name of a member
        self._deltas: dict[tuple[int, int | str], list[str]] = {}

    def take(self, payload: dict[str, Any]) -> None:
        """Note one decoded event; a terminal one is repaired in place, so that it can be handed on as it should be."""
        kind = payload.get("type")
        if not isinstance(kind, str):
            return
        if kind in _ITEMS:
            self._take_item(payload.get("output_index"), payload.get("item"), is_done=_ITEMS[kind])
        elif kind in _DELTAS:
            part = _DELTAS[kind] or _index(payload.get("content_index"))
            self.take_delta(_index(payload.get("output_index")), part, payload.get("delta"))
        elif kind == "response.output_text.done":
            place = _index(payload.get("output_index")), _index(payload.get("content_index"))
            self.take_text(*place, payload.get("text"))
        elif kind in _LIFECYCLE and isinstance(payload.get("response"), dict):
            self._response = payload["response"]
        elif kind in TERMINAL and self.ended_by is None:
            self._end(kind, payload)

    def take_deltas(self, frames: bytes) -> int:
        """Note the text of frames that are deltas of one type; return how many, 0 when they are something else."""
        deltas = read_run(frames, _delta_readers)
        if deltas is None:
            return 0
        for (index, part), run in groupby(deltas, itemgetter("output_index", "content_index")):
            self.take_delta(index, part, "".join(map(itemgetter("delta"), run)))
        return len(deltas)

    def take_delta(self, output_index: int | None, part: int | str | None, delta: Any) -> None:
        """Note a piece of an item: it is needed only if the finished item never comes."""
        if type(delta) is str:
            self._deltas.setdefault((output_index or 0, part or 0), []).append(delta)

    def take_text(self, output_index: int | None, content_index: int | None, text: Any) -> None:
        """Note a whole text, of which there may have been no deltas."""
        if isinstance(text, str):
            self._deltas[output_index or 0, content_index or 0] = [text]

    @property
    def response(self) -> dict[str, Any]:
        """The final response, complete with its output."""
        return self._response

    @property
    def partial(self) -> dict[str, Any] | None:
        """What has arrived of an answer that did not end well, in the form of a response, or None if nothing has."""
        if not self._response and not self._slots and not self._deltas:
            return None
        status = "failed" if self.failure is not None else "in_progress"
        return {**self._response, "status": status, "output": self._output()}

    def _take_item(self, index: Any, item: Any, *, is_done: bool) -> None:
        if not isinstance(item, dict):  # an event may come without its item, which then is none
            return
        slot = self._slot_of(index, item, is_done=is_done)
        if slot is None:
            free = isinstance(index, int) and index not in self._slots
            slot = _Slot(index if free else self._following)
            self._slots[slot.index] = slot
            self._following = max(self._following, slot.index + 1)
        elif slot.is_done and not is_done:
            return
        self._named.pop(_name(slot.item), None)
        slot.item, slot.is_done = item, is_done
        self._named[_name(item)] = slot

    def _slot_of(self, index: Any, item: dict[str, Any], *, is_done: bool) -> _Slot | None:
        """Return where the item stands already: by its id, or by its index if nothing says that it is another one."""
        name = _name(item)
        if name is not None and name in self._named:
            return self._named[name]
        at_index = self._slots.get(index) if isinstance(index, (int, float)) else None
        if at_index is None or None in (name, _name(at_index.item)):
            return at_index
        # Two ids: the end of an announced item may come under another one, but nothing else may.
        return at_index if is_done and not at_index.is_done else None

    def _end(self, kind: str, payload: dict[str, Any]) -> None:
        self.ended_by = kind
        response = payload.get("response")
        if kind in _FAILURES:
            self.failure = _failure(payload)
        if kind != "error":
            payload["response"] = response if isinstance(response, dict) else {}
            self._repair(payload["response"], status=kind.removeprefix("response."))
            self._response = payload["response"]

    def _repair(self, response: dict[str, Any], *, status: str) -> None:
        """Fill in what the terminal event leaves out: the output, the status, and members known from the beginning."""
        for name, value in self._response.items():
            response.setdefault(name, value)
        if status != "completed" or response.get("status") in (None, "in_progress", "queued"):
            response["status"] = status
        given = response.get("output")
        items = [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []
        response["output"] = items or self._output()
        usage = response.get("usage")
        if isinstance(usage, dict):
            for name, details in _USAGE_DETAILS.items():
                given = usage.get(name)
                if given is None or isinstance(given, dict):
                    usage[name] = {**details, **(given or {})}
        if self._dropped is not None:
            response["dropped_parameters"] = list(self._dropped)

    def _output(self) -> list[dict[str, Any]]:
        """Return the items in their order, those that were never finished with what their deltas say."""
        deltas: dict[int, dict[int | str, list[str]]] = {}
        for (index, part), pieces in self._deltas.items():
            deltas.setdefault(index, {})[part] = pieces
        orphans = [_Slot(index, _unannounced()) for index in deltas if index not in self._slots]
        slots = sorted([*self._slots.values(), *orphans], key=lambda slot: slot.index)
        return [_as_far_as_known(slot, deltas.get(slot.index, {})) for slot in slots]


def _as_far_as_known(slot: _Slot, deltas: dict[int | str, list[str]]) -> dict[str, Any]:
    if slot.is_done and (slot.item.get("type") != "message" or slot.item.get("content")):
        return slot.item
    parts = {part: "".join(pieces) for part, pieces in deltas.items()}
    texts = [parts[part] for part in sorted(part for part in parts if isinstance(part, int))]
    item = {**slot.item, **{part: text for part, text in parts.items() if isinstance(part, str)}}
    if texts and not item.get("content"):
        item["content"] = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return item


def _name(item: dict[str, Any]) -> Any:
    """Return the id of an item, which may be anything, as a key."""
    name = item.get("id")
    return name if name is None or isinstance(name, str) else repr(name)


def _index(value: Any) -> int:
    """Return an index, 0 when there is none; a text with a number is one, as for the official types."""
    if type(value) is int:
        return value
    try:
        return int(_INDEX.validate_python(value))
    except ValidationError:
        return 0


_INDEX: Final = SchemaValidator(core_schema.int_schema())


def _failure(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the error object of a failed answer, wherever and however the backend put it."""
    response = payload.get("response")
    within = response.get("error") if isinstance(response, dict) else None
    error = within or payload.get("error")
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {name: value for name, value in payload.items() if name != "response"}


def _unannounced() -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": []}
