"""Convert the items of `input` to the form that the Codex backend accepts. Pure.

An item comes from many places: the output of an earlier response, the same output after `model_dump()`, a file with a
saved history, or a message that the caller wrote. `_ITEM_SHAPERS` has the rules for each type of item. The sources are
reports of users of the backend: it stores nothing, so it cannot look up an item by its id, and it rejects members that
it sent itself.

A history is long and mostly valid, so an item is copied only if it changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["COMPACTION_TYPES", "STAMP", "shape_input", "shape_item"]

# The member that `history.stamp` adds: the model and the account for which an item is encrypted. It is never sent.
STAMP: Final = "stamp"
# Codex CLI: protocol/src/models.rs; the second is an alias of the first.
COMPACTION_TYPES: Final = ("compaction", "compaction_summary", "context_compaction")

_TEXT_PART_TYPES: Final = {"assistant": "output_text"}  # any other role: input_text
# 400 "Invalid value: 'other'. Supported values are: 'search', 'open_page', and 'find_in_page'." The backend itself
# returns other actions (openai/codex#7085).
_WEB_SEARCH_ACTIONS: Final = ("search", "open_page", "find_in_page")
# Members that openai's `parse()` adds for the caller. `model_dump()` includes them.
_PARSED_MEMBERS: Final = ("parsed", "parsed_arguments")
# openai's attribute → the name on the wire, which is a keyword of Python. Only `model_dump()` writes the attribute.
_WIRE_NAMES: Final = {"async_": "async"}
# `model_dump()` writes null for members that the server did not send. A null that the server sent is sent back, so only
# these are removed from items without a sign of `model_dump()`.
_NEVER_NULL: Final = ("phase", "logprobs", "queries", "sources")
_CHECKED_MEMBERS: Final = frozenset({*_PARSED_MEMBERS, *_WIRE_NAMES, *_NEVER_NULL})


def shape_input(value: Any) -> list[Any]:
    """Return `input` as a list of items that the backend accepts. Raises TypeError if it is missing or not valid."""
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    elif isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        problem = "`input` is required" if value is None else f"`input` is {type(value).__name__}"
        raise TypeError(
            f"{problem}. Pass a string, or a list of messages and items such as {{'role': 'user', 'content': '...'}}."
        )
    return [item for item in map(shape_item, value, range(len(value))) if item is not None]


def shape_item(item: Any, index: int = 0) -> Any:
    """Return the input item as the backend accepts it, or None if the backend would reject it in any form.

    Raises TypeError if the item is not a mapping, or is a whole response. `index` is its position in `input`, for the
    error.
    """
    if isinstance(item, str):
        item = {"role": "user", "content": item}
    if not isinstance(item, dict):
        raise TypeError(f"`input[{index}]` must be a mapping or an official object, not {type(item).__name__}.")
    if "output" in item and item.get("object") == "response":
        raise TypeError(
            f"`input[{index}]` is a response. Pass its items instead: `input=[*history, *response.output, ...]`."
        )
    item_type = item.get("type", "message" if "role" in item else None)
    shaper = _ITEM_SHAPERS.get(str(item_type))
    shaped: dict[str, Any] | None = item if shaper is None else shaper(item)
    if shaped is None:
        return None
    return shaped if _CHECKED_MEMBERS.isdisjoint(shaped) else _as_on_the_wire(shaped)


def _shape_message(item: dict[str, Any]) -> dict[str, Any]:
    role, content = item.get("role"), item.get("content")
    # 400 "System messages are not allowed"; the role `developer` has the same effect.
    accepted_role = "developer" if role == "system" else role
    accepted_content = content
    if isinstance(content, str):
        accepted_content = [{"type": _TEXT_PART_TYPES.get(str(role), "input_text"), "text": content}]
    elif isinstance(content, list):
        parts = [_as_on_the_wire(part) for part in content]
        accepted_content = content if parts == content else parts
    if "type" in item and accepted_role is role and accepted_content is content:
        return item
    return {"type": "message", **item, "role": accepted_role, "content": accepted_content}


def _shape_reasoning(item: dict[str, Any]) -> dict[str, Any] | None:
    # "Item with id 'rs_...' not found. Items are not persisted when store is set to false.": the backend reads only the
    # encrypted content. It rejects `status`, and any element of `content` (400 `array_above_max_length`).
    if not item.get("encrypted_content"):
        return None
    return _without(item, "status", "content", STAMP)


def _shape_compaction(item: dict[str, Any]) -> dict[str, Any]:
    return _without(item, STAMP)


def _shape_web_search_call(item: dict[str, Any]) -> dict[str, Any] | None:
    action = item.get("action")
    if not isinstance(action, dict) or action.get("type") not in _WEB_SEARCH_ACTIONS:
        return None
    accepted_action = _as_on_the_wire(action)
    return item if accepted_action is action else {**item, "action": accepted_action}


_ITEM_SHAPERS: Final = {
    "message": _shape_message,
    "reasoning": _shape_reasoning,
    "web_search_call": _shape_web_search_call,
    **dict.fromkeys(COMPACTION_TYPES, _shape_compaction),
}


def _without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    if item.keys().isdisjoint(names):
        return item
    return {name: value for name, value in item.items() if name not in names}


def _as_on_the_wire(value: Any) -> Any:
    """Return an item or a content part with the names and members that the server would send."""
    if not isinstance(value, dict) or _CHECKED_MEMBERS.isdisjoint(value):
        return value
    is_dumped = not value.keys().isdisjoint(_WIRE_NAMES)
    return {
        _WIRE_NAMES.get(name, name): member
        for name, member in value.items()
        if name not in _PARSED_MEMBERS and not (member is None and (is_dumped or name in _NEVER_NULL))
    }
