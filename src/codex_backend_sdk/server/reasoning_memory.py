"""Keep the reasoning of recent responses for programs that do not send it back. Pure.

A model reasons before it calls a tool, and continues that reasoning when it gets the result. The backend stores
nothing, so the reasoning must be in the next request, in encrypted form. Most programs for Chat Completions have no
place for it, and the model then reasons again at each step. Programs for Responses may send the id of an item instead
of the item (`item_reference`), because the official API stores items.

The memory maps the id of a call to the reasoning before it, and the id of an item to the item. The reasoning is added
again if the call comes back unchanged and the model and the account are the same: the backend rejects reasoning of
others. A call is unchanged if its arguments are the same JSON value, because many programs parse them, and
write them with other spaces. The memory is bounded, the oldest entries are dropped first, and nothing is written to a
disk.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .._coerce import as_list, as_mapping
from .._json import encode
from .api_errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

__all__ = ["ReasoningMemory"]

Item = dict[str, Any]

_MAX_BYTES: Final = 64_000_000
_ITEMS_PER_CALL: Final = 4
_CALLS: Final = ("function_call", "custom_tool_call")


class _Entry(NamedTuple):
    values: list[Any]
    size: int


class ReasoningMemory:
    """A memory for the reasoning of `max_calls` calls. With 0, nothing is kept.

    `owner` is what the reasoning is bound to: the model and the account.
    """

    def __init__(self, max_calls: int, *, max_bytes: int = _MAX_BYTES) -> None:
        self._max_entries = max_calls * _ITEMS_PER_CALL
        self._max_bytes = max_bytes
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    @property
    def is_enabled(self) -> bool:
        """Whether anything is kept."""
        return self._max_entries > 0

    # Responses

    def remember_items(self, output: Iterable[Any], *, owner: Hashable) -> None:
        """Keep the output items of a response."""
        if not self.is_enabled:
            return
        reasoning: list[Item] = []
        for item in map(as_mapping, output):
            if isinstance(item.get("id"), str):
                self._put(("item", owner, item["id"]), [item])
            if item.get("type") == "reasoning":
                reasoning.append(item)
            elif _is_call(item):
                if reasoning:
                    self._put(("items", owner, _signature_of_item(item)), reasoning)
                reasoning = []

    def complete_items(self, items: list[Any], *, owner: Hashable) -> list[Any]:
        """Return input items with the items that references stand for, and the reasoning of calls that lack it.

        Raises ApiError for a reference to an unknown item. A reference to unknown reasoning is left out.
        """
        completed: list[Any] = []
        for index, each in enumerate(items):
            item = as_mapping(each)
            if item.get("type") == "item_reference" or (item.keys() == {"id"}):
                completed += self._referenced(item, index, owner)
                continue
            if _is_call(item) and not (completed and _belongs_to_reasoning(completed[-1])):
                known = self._get(("items", owner, _signature_of_item(item)))
                sent = [as_mapping(before).get("encrypted_content") for before in completed]
                completed += [each for each in known if each.get("encrypted_content") not in sent]
            completed.append(each)
        return completed

    def _referenced(self, item: Item, index: int, owner: Hashable) -> list[Any]:
        item_id = item.get("id")
        known = self._get(("item", owner, item_id)) if isinstance(item_id, str) else []
        if not known and not str(item_id).startswith("rs_"):
            raise ApiError(
                400,
                f"`input[{index}]` refers to an item that codex-backend serve does not have: the backend stores no "
                "items, and the server keeps a limited number until it stops. Send the item itself; in most "
                "programs, set `store` to false.",
                param=f"input[{index}]",
                code="local_unknown_item",
            )
        return list(known)

    # Chat Completions

    def remember_message(self, message: Mapping[str, Any], *, owner: Hashable) -> None:
        """Keep the `reasoning_details` of the message of a completion for its calls."""
        details, calls = as_list(message.get("reasoning_details")), as_list(message.get("tool_calls"))
        if self.is_enabled and details:
            for call in map(as_mapping, calls):
                self._put(("message", owner, _signature_of_call(call)), details)

    def complete_messages(self, messages: list[Any], *, owner: Hashable) -> list[Any]:
        """Return messages with the `reasoning_details` of those whose calls are known."""
        return [self._completed_message(message, owner) for message in messages]

    def _completed_message(self, message: Any, owner: Hashable) -> Any:
        calls = as_list(as_mapping(message).get("tool_calls"))
        if not calls or message.get("reasoning_details"):
            return message
        details = self._get(("message", owner, _signature_of_call(as_mapping(calls[0]))))
        return {**message, "reasoning_details": details} if details else message

    # Entries

    def _put(self, key: Hashable, values: list[Any]) -> None:
        self._remove(key)
        entry = _Entry(values, len(encode(values)))
        if entry.size > self._max_bytes:
            return
        self._entries[key] = entry
        self._size += entry.size
        while len(self._entries) > self._max_entries or self._size > self._max_bytes:
            self._remove(next(iter(self._entries)))

    def _remove(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size

    def _get(self, key: Hashable) -> list[Any]:
        entry = self._entries.get(key)
        if entry is None:
            return []
        self._entries.move_to_end(key)
        return entry.values


def _belongs_to_reasoning(item: Any) -> bool:
    """Return whether a call after this item has its reasoning: this is the reasoning, or an earlier call."""
    item = as_mapping(item)
    return item.get("type") == "reasoning" or _is_call(item)


def _is_call(item: Mapping[str, Any]) -> bool:
    item_type = item.get("type")  # of any JSON type
    return isinstance(item_type, str) and item_type in _CALLS


def _signature_of_item(item: Mapping[str, Any]) -> tuple[str, ...]:
    if item["type"] == "function_call":
        return _signature(item.get("call_id"), item, item.get("arguments"))
    return _signature(item.get("call_id"), item, item.get("input"), is_json=False)


def _signature_of_call(call: Mapping[str, Any]) -> tuple[str, ...]:
    if call.get("type") == "custom":
        custom = as_mapping(call.get("custom"))
        return _signature(call.get("id"), custom, custom.get("input"), is_json=False)
    function = as_mapping(call.get("function"))
    return _signature(call.get("id"), function, function.get("arguments"))


def _signature(call_id: Any, named: Mapping[str, Any], text: Any, *, is_json: bool = True) -> tuple[str, ...]:
    return (str(call_id), str(named.get("name")), _canonical(str(text)) if is_json else str(text))


def _canonical(text: str) -> str:
    """Return the same text for the same JSON value. Text that is not JSON is returned as it is."""
    try:
        return json.dumps(json.loads(text, parse_float=_number), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _number(text: str) -> int | float:
    """Return a number as JavaScript writes it: `1.0` as `1`."""
    number = float(text)
    return int(number) if number.is_integer() else number
