"""The state of a conversation: the fold of its records. Pure.

Everything that happens to a conversation is a record, a JSON object with a `type`. A conversation in memory and one
that was loaded from its file are therefore the same: `ConversationState.apply` of each record, in order. Unknown types
and members are ignored, so a file of a newer version can be read.

    settings      {settings}                    model, instructions, tools and parameters; those not named stay
    item          {item, position, response}    an item follows the others; `response` if it is part of one
    response      {id, model, status, usage}    the response to the items before it is finished
    call_started  {call_id, name}               a tool is about to run; its output is an item
    call_finished {call_id, item}               the output of a call, while an earlier call of the response has none
    call_decided  {call_id, decision, reason}   `on_call` decided while another call was paused: allow, deny or pause
    compaction    {item, kept, before, usage}   `kept` and `item` replace the items before `before`
    edit          {drop, insert}                items are removed, or inserted before others
    expand        {compaction}                  the replaced items replace their compaction
    rollback      {to} or {view, to, undo}      the history is again what it was

Items are never copied and never change. Each item has a position: the count of items before it in all records. The
history is a list of positions, the view. Records that refer to items contain positions, so a compaction or a fork costs
a few numbers. A record that removes items first saves the view, so `rollback` can restore it; it has the number of
views saved before it, `views`. So a lost line affects its own items and edits only.

`prepared` returns the history as it is sent. It prepares only the items that are new since the last call, so that the
cost of a call does not grow with the history; after a change before the end, it prepares all items again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .. import history
from .._coerce import as_count, as_mapping
from ..tools.calls import CALL_TYPES, MAY_HAVE_RUN, NOT_RUN, output_item
from .compaction import estimate_tokens, is_user_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["ConversationState", "ConversationUsage", "Item", "Record", "find_problem", "resendable_items"]

Item = dict[str, Any]
Record = dict[str, Any]

TYPES_WITH_OUTPUT: Final = ("function_call", "custom_tool_call", "local_shell_call", "tool_search_call")
_MAX_COUNT: Final = 10_000_000  # of the items of a conversation; a larger position is an error
_MEASURED_STATUSES: Final = ("completed", "incomplete")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationUsage:
    """The sums over all responses of a conversation, including those that were rolled back later: they were paid.

    Attributes:
        responses: The number of finished responses.
        compactions: The number of compactions. Their tokens are in the sums.
        input_tokens: The input tokens, including the cached ones.
        cached_tokens: The input tokens that the prompt cache contained.
        output_tokens: The output tokens, including those of the reasoning.
        reasoning_tokens: The output tokens of the reasoning.
    """

    responses: int = 0
    compactions: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens

    @property
    def cache_hit_ratio(self) -> float:
        """The share of the input tokens that the prompt cache contained, from 0 to 1."""
        return self.cached_tokens / self.input_tokens if self.input_tokens else 0.0

    def _plus(self, usage: Any, **counts: int) -> ConversationUsage:
        usage = as_mapping(usage)
        values = {
            "input_tokens": usage.get("input_tokens"),
            "cached_tokens": as_mapping(usage.get("input_tokens_details")).get("cached_tokens"),
            "output_tokens": usage.get("output_tokens"),
            "reasoning_tokens": as_mapping(usage.get("output_tokens_details")).get("reasoning_tokens"),
            **counts,
        }
        return replace(self, **{name: getattr(self, name) + (as_count(value) or 0) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class _Mark:
    """The end of a response: its place, which is a view and the number of items in it, and the tokens up to there.

    `record` is the record of a response that the backend ended, `output` the positions of its items, and `end` the
    position of the next item.
    """

    response_id: str | None
    place: tuple[int, int]
    tokens: int | None
    record: Mapping[str, Any] | None = None
    output: tuple[int, ...] = ()
    end: int = 0


class ConversationState:
    """The settings, the items and the sums of a conversation. See the module for its records."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.usage = ConversationUsage()
        self.started_calls: dict[str, str] = {}  # call id → name of the tool
        self.finished_calls: dict[str, Item] = {}  # call id → the output of the record `call_finished`
        self.decisions: dict[str, Mapping[str, Any]] = {}  # call id → the record `call_decided`
        self._compactions_of_turn = 0
        self._last_gain = 1.0  # the share of the tokens that the last compaction saved
        self._tokens_after_compaction = 0
        self._items: list[Item | None] = []  # by position; None for an item that a damaged file has lost
        self._item_types: set[Any] = set()
        self._active: list[int] = []
        self._saved_views: list[list[int]] = []
        self._marks: list[_Mark] = []
        self._replaced: dict[int, list[int]] = {}  # position of a compaction item → the positions that it replaced
        self._received: list[int] = []  # the items of the response that is not finished
        self._prepared: history.PreparedHistory | None = None
        self._prepared_for: tuple[str, str | None] | None = None
        self._prepared_count = 0  # of the items of the view
        self._generation = 0

    # Reading

    @property
    def items(self) -> list[Item]:
        """The items that the model sees, in order. They are not copied."""
        return self.tail(0)

    def tail(self, start: int) -> list[Item]:
        """Return the items that the model sees from this index on, at the cost of their number."""
        return [self.item_at(position) for position in islice(self._active, start, None)]

    @property
    def all_items(self) -> list[Item]:
        """All items since the beginning, including those that were compacted or rolled back."""
        return [item for item in self._items if item is not None]

    @property
    def count(self) -> int:
        """The number of items that the model sees."""
        return len(self._active)

    @property
    def last_response_id(self) -> str | None:
        """The ID of the newest response, or None."""
        return self._marks[-1].response_id if self._marks else None

    @property
    def context_tokens(self) -> int:
        """The tokens of the history: those that the last response reported, and an estimate of the items after it."""
        mark = self._marks[-1] if self._marks else None
        if mark is None or mark.tokens is None or mark.place[0] != len(self._saved_views):
            return sum(map(estimate_tokens, self.items))
        return mark.tokens + sum(map(estimate_tokens, self.tail(mark.place[1])))

    def position(self, index: int) -> int | None:
        """Return the position of the item at this index of the history, or None at its end."""
        return self._active[index] if index < len(self._active) else None

    def item_at(self, position: int) -> Item:
        """Return the item at this position of the records."""
        item = self._items[position]
        assert item is not None  # a view has known items only
        return item

    @property
    def unsent_index(self) -> int:
        """The index of the first item that was not prepared for sending."""
        return self._prepared_count

    def expandable_compactions(self) -> list[int]:
        """Return the positions of the compaction items in the history whose replaced items are known."""
        return [position for position in self._active if position in self._replaced] if self._replaced else []

    def is_compaction_useless(self, *, min_gain: float, at_most: int) -> bool:
        """Return whether another compaction within the same turn of the user would be part of a loop."""
        if not self._compactions_of_turn:
            return False
        return self._compactions_of_turn >= at_most or self._last_gain < min_gain

    def is_compaction_early(self, tokens: int, *, min_gain: float) -> bool:
        """Return whether the last compaction saved little, and the history has not grown by that share since."""
        return self._last_gain < min_gain and tokens < self._tokens_after_compaction * (1 + min_gain)

    def foreign_compactions(self, account_id: str | None) -> list[int]:
        """Return the positions of the compaction items that only another account can read."""
        if account_id is None or not self._replaced:
            return []
        indexes = history.compaction_indexes(self.items, not_of_account=account_id)
        return [self._active[index] for index in indexes if self._active[index] in self._replaced]

    def positions(self, *item_types: str) -> list[int]:
        """Return the positions of the items of these types that the model sees."""
        if self._item_types.isdisjoint(item_types):
            return []  # most histories have no item of the types that every turn looks for
        return [position for position in self._active if self.item_at(position).get("type") in item_types]

    def place_of(self, response_id: str) -> tuple[int, int]:
        """Return `view` and `to` of the rollback to the end of this response. Raises KeyError if it is unknown."""
        for mark in reversed(self._marks):
            if mark.response_id == response_id:
                return mark.place
        raise KeyError(response_id)

    @property
    def place(self) -> tuple[int, int]:
        """The number of the present view and of the items in it: `view` and `to` of a later rollback to here."""
        return len(self._saved_views), len(self._active)

    def pending_calls(self) -> list[Item]:
        """Return the calls that have no output in the history, in their order."""
        pending: dict[Any, Item] = {}
        for item in self.items:
            item_type, call_id = str(item.get("type")), item.get("call_id")
            if item_type in TYPES_WITH_OUTPUT and call_id is not None:
                pending[call_id] = item
            elif item_type.endswith("_output"):
                pending.pop(call_id, None)
        return list(pending.values())

    def interrupted_outputs(self) -> list[Item]:
        """Return outputs for the open calls of a response whose calls were being run when the run was interrupted.

        An output says what the tool returned, if that was recorded, or whether the call may have run. If no call of the
        response was started, there are none: the calls are still to be decided.
        """
        pending = [item for item in self.pending_calls() if item["type"] in CALL_TYPES]
        if not pending:
            return []
        items = self.items
        first = last = next(index for index, item in enumerate(items) if item is pending[0])
        while first and _is_output_of_model(items[first - 1]):
            first -= 1
        while last < len(items) and _is_output_of_model(items[last]):
            last += 1
        response = items[first:last]
        if not any(item.get("call_id") in self.started_calls for item in response):
            return []
        return [self._output_of(call) for call in pending if any(call is item for item in response)]

    def finished_response(self) -> dict[str, Any] | None:
        """Return the members of the response that ends the history, or None if something follows it.

        A compaction may follow it. A response that was interrupted does not count.
        """
        mark = self._marks[-1] if self._marks else None
        if mark is None or mark.record is None:
            return None
        later = (item for item in self._items[mark.end :] if item is not None)
        if mark.place != self.place and any(item.get("type") != "compaction" for item in later):
            return None
        members = {name: mark.record.get(name) for name in ("id", "created_at", "model", "status", "usage")}
        return {**members, "object": "response", "output": [self.item_at(position) for position in mark.output]}

    def _output_of(self, call: Item) -> Item:
        call_id = str(call["call_id"])
        text = MAY_HAVE_RUN if call_id in self.started_calls else NOT_RUN
        return self.finished_calls.get(call_id) or output_item(call, text)

    def last_turn_index(self) -> int:
        """Return the index of the first of the last messages of the user, 0 if there is none."""
        index = self.count
        items = self.items
        while index and not is_user_message(items[index - 1]):
            index -= 1
        while index and is_user_message(items[index - 1]):
            index -= 1
        return index

    def copy(self) -> ConversationState:
        """Return a state that changes independently. The items are shared, because they never change."""
        copied = ConversationState()
        for name, value in vars(self).items():
            setattr(copied, name, value.copy() if isinstance(value, (dict, list, set)) else value)
        copied._saved_views = [view.copy() for view in self._saved_views]
        copied._prepared = None
        copied._invalidate()
        return copied

    # Records that depend on the state

    def edit_record(self, items: Sequence[Item], *, start: int = 0) -> Record | None:
        """Return the record that replaces the history from index `start` on, or None if the items are the same.

        An item of the history is recognized by its identity.
        """
        old = self._active[start:]
        index_of = {id(self.item_at(position)): index for index, position in enumerate(old)}
        kept: set[int] = set()
        insertions: list[tuple[int, Item]] = []  # index of the kept item that precedes it → item
        last = -1
        for item in items:
            index = index_of.get(id(item), -1)
            if index > last:
                last = index
                kept.add(index)
            else:
                insertions.append((last, item))
        following = {}
        next_kept: int | None = None
        for index in range(len(old) - 1, -2, -1):
            following[index] = next_kept
            if index in kept:
                next_kept = old[index]
        drop = [position for index, position in enumerate(old) if index not in kept]
        if not drop and not insertions:
            return None
        insert = [{"before": following[index], "item": item} for index, item in insertions]
        return {"type": "edit", "drop": drop, "insert": insert}

    def open_response_records(self) -> list[Record]:
        """Return the records that end a response during which the process was killed; none if there is no such one."""
        received = [position for position in self._received if position in self._active]
        if not received:
            return []
        start = self._active.index(received[0])
        kept = resendable_items([self.item_at(position) for position in received])
        others = [self.item_at(position) for position in self._active[start:] if position not in received]
        edit = self.edit_record([*kept, *others], start=start)
        record = {"type": "response", "id": None, "status": "interrupted"}
        return [record] if edit is None else [edit, record]

    def with_positions(self, records: Sequence[Record]) -> list[Record]:
        """Return new records with the positions that their items will have, so that a damaged line moves no others.

        A record that saves the view has the number of saved views, for the same reason. Raises TypeError for a record
        that could not be applied.
        """
        position, views = len(self._items), len(self._saved_views)
        positioned: list[Record] = []
        for record in records:
            if (problem := find_problem(record)) is not None:
                raise TypeError(f"Invalid record of the type {record['type']!r}: {problem}.")
            if record["type"] in ("compaction", "edit", "expand") or "view" in record:
                record = {**record, "views": views}
                views += 1
            if record["type"] in ("item", "compaction"):
                record = {**record, "position": position}
                position += 1
            elif record["type"] == "edit":
                insert = list(record["insert"])
                for index, insertion in enumerate(insert):
                    insert[index] = {**insertion, "position": position + index}
                position += len(insert)
                record = {**record, "insert": insert}
            positioned.append(record)
        return positioned

    # The fold

    def apply(self, record: Mapping[str, Any]) -> None:
        """Change the state by one record. A record of an unknown type, or with a problem, changes nothing."""
        fold = self._FOLDS.get(str(record.get("type")))
        if fold is not None and find_problem(record) is None:
            missing = (record.get("views") or 0) - len(self._saved_views)
            if missing > 0:  # lines of the file before it are lost
                self._saved_views += [list(self._active)] * missing
            fold(self, record)

    def _apply_settings(self, record: Mapping[str, Any]) -> None:
        self.settings.update(as_mapping(record.get("settings")))

    def _apply_item(self, record: Mapping[str, Any]) -> None:
        item, position = record["item"], self._add(record["item"], record.get("position"))
        self._active.append(position)
        if "response" in record:
            self._received.append(position)
        if item.get("role") == "user":
            self._compactions_of_turn = 0
        if item.get("type") in CALL_TYPES:  # an ID that was used before belongs to the new call
            for of_calls in (self.started_calls, self.finished_calls, self.decisions):
                of_calls.pop(str(item.get("call_id")), None)

    def _apply_response(self, record: Mapping[str, Any]) -> None:
        usage = as_mapping(record.get("usage"))
        is_measured = record.get("status") in _MEASURED_STATUSES
        tokens = as_count(usage.get("total_tokens")) if is_measured else None
        output = self._output_positions()
        ended = record if is_measured else None
        self._marks.append(_Mark(record.get("id"), self.place, tokens, ended, output, len(self._items)))
        self.usage = self.usage._plus(usage, responses=1 if is_measured else 0)
        self._received.clear()
        if not is_measured:  # the server and this history differ about the output of the response
            self._invalidate()

    def _output_positions(self) -> tuple[int, ...]:
        """Return the positions of the items of the response that ends the history."""
        view, first = self._marks[-1].place if self._marks else (0, 0)
        first = first if view == self.place[0] else 0
        end = self.count
        while end > first and str(self.item_at(self._active[end - 1]).get("type")).endswith("_output"):
            end -= 1
        start = end
        while start > first and _is_output_of_model(self.item_at(self._active[start - 1])):
            start -= 1
        return tuple(self._active[start:end])

    def _apply_call_started(self, record: Mapping[str, Any]) -> None:
        call_id = str(record.get("call_id"))
        self.started_calls[call_id] = str(record.get("name"))
        self.finished_calls.pop(call_id, None)

    def _apply_call_finished(self, record: Mapping[str, Any]) -> None:
        self.finished_calls[str(record.get("call_id"))] = record["item"]

    def _apply_call_decided(self, record: Mapping[str, Any]) -> None:
        self.decisions[str(record.get("call_id"))] = record

    def _apply_compaction(self, record: Mapping[str, Any]) -> None:
        before = record.get("before")
        end = self._active.index(before) if before in self._active else len(self._active)
        replaced, rest = self._active[:end], self._active[end:]
        self._save_view()
        position = self._add(record["item"], record.get("position"))
        self._replaced[position] = replaced
        kept = [each for each in record.get("kept", ()) if self._is_known(each)]
        self._active = [*kept, position, *rest]
        self.usage = self.usage._plus(record.get("usage"), compactions=1)
        self._compactions_of_turn += 1
        before_tokens = as_count(record.get("tokens_before"))
        self._tokens_after_compaction = as_count(record.get("tokens_after")) or 0
        self._last_gain = 1 - self._tokens_after_compaction / before_tokens if before_tokens else 1.0

    def _apply_edit(self, record: Mapping[str, Any]) -> None:
        self._save_view()
        dropped = set(record.get("drop", ()))
        inserted: dict[int | None, list[int]] = {}
        for insertion in record.get("insert", ()):
            inserted.setdefault(insertion.get("before"), []).append(
                self._add(insertion["item"], insertion.get("position"))
            )
        old, self._active = self._active, []
        for position in (*old, None):
            self._active += inserted.get(position, ())
            if position is not None and position not in dropped:
                self._active.append(position)

    def _apply_expand(self, record: Mapping[str, Any]) -> None:
        position = record["compaction"]
        if position not in self._replaced or position not in self._active:
            return
        index = self._active.index(position)
        replaced = self._replaced[position]
        self._save_view()
        # The items before the compaction item are those of `replaced` that the compaction kept.
        self._active = [*replaced, *self._active[index + 1 :]]

    def _apply_rollback(self, record: Mapping[str, Any]) -> None:
        to, view = record["to"], record.get("view")
        if view is None:  # the end of the history was not sent, or its response failed
            del self._active[to:]
            self._invalidate()
        elif record.get("undo"):
            self._active = self._view(view)[:to]
            del self._saved_views[view:]
            self._invalidate()
        else:
            target = self._view(view)[:to]
            last = next(
                (mark for mark in reversed(self._marks) if mark.place == (view, to)), _Mark(None, (view, to), None)
            )
            self._save_view()
            self._active = target
            self._marks.append(replace(last, place=self.place))
        self._marks = [mark for mark in self._marks if mark.place <= self.place]
        self._received.clear()

    _FOLDS: Final[dict[str, Callable[[ConversationState, Mapping[str, Any]], None]]] = {
        "settings": _apply_settings,
        "item": _apply_item,
        "response": _apply_response,
        "call_started": _apply_call_started,
        "call_finished": _apply_call_finished,
        "call_decided": _apply_call_decided,
        "compaction": _apply_compaction,
        "edit": _apply_edit,
        "expand": _apply_expand,
        "rollback": _apply_rollback,
    }

    def _add(self, item: Item, position: int | None) -> int:
        """Add an item at its position. A line of the file before it may be lost."""
        if position is not None:
            self._items += [None] * (position - len(self._items))
        self._items.append(item)
        self._item_types.add(item.get("type"))
        return len(self._items) - 1

    def _is_known(self, position: Any) -> bool:
        return isinstance(position, int) and position < len(self._items) and self._items[position] is not None

    def _view(self, number: int) -> list[int]:
        return self._saved_views[number] if number < len(self._saved_views) else self._active

    def _save_view(self) -> None:
        self._saved_views.append(list(self._active))
        self._invalidate()

    # Sending

    def prepared(self, *, model: str, account_id: str | None) -> list[Item]:
        """Return the history as it is sent to this model by this account. Do not change the list.

        The next call appends to the list while `generation` stays the same. Raises HistoryError for a call without an
        output and an output without a call.
        """
        if self._prepared is None or self._prepared_for != (model, account_id):
            self._invalidate()
            self._prepared = history.PreparedHistory(model=model, account_id=account_id)
            self._prepared_for = (model, account_id)
        prepared, sent_count = self._prepared, len(self._prepared.items)
        prepared.extend(self.tail(self._prepared_count))
        if len(prepared.items) - sent_count != self.count - self._prepared_count:
            self._generation += 1  # the server does not know that an item of its response is missing in the history
        self._prepared_count = self.count
        return prepared.items

    def source_index(self, index: int) -> int | None:
        """Return the index in the history of the item at this index of `prepared`, or None."""
        sources = self._prepared.sources if self._prepared is not None else []
        return sources[index] if 0 <= index < len(sources) else None

    @property
    def generation(self) -> int:
        """A number that changes when an item of `prepared` changes or is removed, and when one is not sent at all."""
        return self._generation + (self._prepared.generation if self._prepared else 0)

    def _invalidate(self) -> None:
        self._generation = self.generation + 1
        self._prepared, self._prepared_count = None, 0


def _is_output_of_model(item: Item) -> bool:
    return item.get("role") in (None, "assistant") and not str(item.get("type")).endswith("_output")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _is_count_or_none(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_counts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_count, value))


def _is_item(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _is_insertions(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(each, dict)
        and _is_item(each.get("item"))
        and _is_count_or_none(each.get("before"))
        and _is_count_or_none(each.get("position"))
        for each in value
    )


# Type of a record → its members that must be valid, whether or not they must exist.
_MEMBERS: Final[dict[str, dict[str, Callable[[Any], bool]]]] = {
    "item": {"item": _is_item, "position": _is_count_or_none},
    "call_finished": {"item": _is_item},
    "compaction": {
        "item": _is_item,
        "kept": _is_counts,
        "before": _is_count_or_none,
        "position": _is_count_or_none,
        "views": _is_count_or_none,
    },
    "edit": {"drop": _is_counts, "insert": _is_insertions, "views": _is_count_or_none},
    "expand": {"compaction": _is_count, "views": _is_count_or_none},
    "rollback": {"to": _is_count, "view": _is_count_or_none, "views": _is_count_or_none},
}


def find_problem(record: Mapping[str, Any]) -> str | None:
    """Return why a record cannot be applied, or None if it can. A file may have been edited by hand."""
    for name, is_valid in _MEMBERS.get(str(record.get("type")), {}).items():
        if not is_valid(record.get(name)):
            return f"the member `{name}` is missing or invalid"
    return None


def resendable_items(output: Sequence[Item]) -> list[Item]:
    """Return the items of an interrupted response that can be sent again, with an output for each call.

    Reasoning is valid only together with the item that follows it.
    """
    kept = [item for item in output if not (item.get("status") == "incomplete" and "call_id" in item)]
    while kept and kept[-1].get("type") == "reasoning":
        kept.pop()
    return history.pair(kept, repair=True)
