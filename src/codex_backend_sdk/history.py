"""Stamp, strip, pair, validate and prepare the items of a saved history. Pure.

    from codex_backend_sdk import OpenAI, history

    response = client.responses.create(input=history.prepare(items))
    items += response.output

The backend stores nothing, so every call sends the whole history, and a single bad item makes every later call fail.
A history should therefore be kept as it came, and be prepared at every call:

- `stamp` records for which model and account reasoning and compaction items are encrypted. `strip` removes the
  reasoning that another model or account cannot read. The client removes the stamps before it sends the items.
- `pair` finds calls without an output and outputs without a call, and repairs them with `repair=True`.
- `validate` lists what the backend would reject. It changes nothing.
- `prepare` does all that is safe: it strips, pairs, and corrects ids. `PreparedHistory` does the same for a history
  that grows.

Items are plain dicts as on the wire; official objects are converted. No function changes its argument.

**Prefix stability.** Items are prepared from the first to the last, and what was decided about an item is not changed
by later ones: if every call in `items[:n]` has its output there, `prepare(items[:n])` is a prefix of `prepare(items)`.
The prompt cache of the backend depends on it, and so does a WebSocket, on which only new items are sent. The exception
is a `configuration_update` at the end, which is merged with the one that follows.

Source for the types and ids of items: Codex CLI, protocol/src/models.rs.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ._coerce import hashed_call_id
from ._constants import MAX_ID_LENGTH
from ._exceptions import HistoryError
from ._request.input_items import COMPACTION_TYPES, STAMP, shape_item
from ._request.shaping import to_json_data

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "PreparedHistory",
    "Problem",
    "compaction_indexes",
    "failed_item_index",
    "finished_items",
    "pair",
    "prepare",
    "stamp",
    "strip",
    "validate",
    "without_reasoning",
]

Item = dict[str, Any]

# The output that `repair` adds for a call without one.
_MISSING_OUTPUT: Final = "[no output: the call was interrupted]"

# Item type → the prefix of its id. The backend rejects other prefixes (earendil-works/pi#5151). `id` is optional for
# all of them.
_ID_PREFIXES: Final = {
    "agent_message": "amsg_",
    "compaction": "cmp_",
    "compaction_summary": "cmp_",
    "context_compaction": "cmp_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "image_generation_call": "ig_",
    "local_shell_call": "lsh_",
    "message": "msg_",
    "reasoning": "rs_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "web_search_call": "ws_",
}
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")

# Call type → the type of its output, and the members of an output without a result.
_OUTPUTS: Final[dict[str, tuple[str, Item]]] = {
    "function_call": ("function_call_output", {"output": _MISSING_OUTPUT}),
    "custom_tool_call": ("custom_tool_call_output", {"output": _MISSING_OUTPUT}),
    "local_shell_call": ("function_call_output", {"output": _MISSING_OUTPUT}),
    "tool_search_call": ("tool_search_output", {"status": "completed", "execution": "client", "tools": []}),
}
_OUTPUT_TYPES: Final = frozenset(output_type for output_type, _ in _OUTPUTS.values())
_EXECUTED_BY_THE_SERVER: Final = ("tool_search_call", "tool_search_output")  # they may have no call id

_ROLES: Final = ("user", "assistant", "developer", "system")
_CONTENT_PARTS: Final = (
    "input_text", "input_image", "input_audio", "output_text", "refusal", "input_file", "computer_screenshot",
    "summary_text", "encrypted_content",
)  # fmt: skip
_ASSISTANT_PARTS: Final = ("output_text", "refusal")
_MAX_LISTED: Final = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """An item that the backend would reject: its position in the list, and a sentence with the remedy."""

    index: int
    message: str


# --- encrypted items -------------------------------------------------------------------------------------------------


def stamp(items: Iterable[Any], *, model: str, account_id: str | None) -> list[Item]:
    """Add `{"stamp": {"model": ..., "account_id": ...}}` to reasoning and compaction items that have no stamp.

    Call it with the items of a response. `model` is the model of the request, because a response may name a variant of
    it. `account_id` is None if it is unknown.
    """
    value = {"model": model, "account_id": account_id}
    return [
        {**item, STAMP: value} if _is_encrypted(item) and not isinstance(item.get(STAMP), dict) else item
        for item in _to_items(items)
    ]


def strip(
    items: Iterable[Any], *, model: str | None = None, account_id: str | None = None, drop_compaction: bool = False
) -> list[Item]:
    """Remove the reasoning that was stamped for another model or another account. Keep items without a stamp.

    A compaction item of another account cannot be removed silently, because it replaces the items before it: raises
    HistoryError. Pass the items that it replaced instead. If the list still contains them, `drop_compaction=True`
    removes it. A compaction item of another model is kept: every model of the account can read it. None for `model` or
    `account_id` means any.
    """
    data = _to_items(items)
    foreign = [] if drop_compaction else compaction_indexes(data, not_of_account=account_id)
    if foreign:
        raise _foreign_compaction_error([(index, data[index]) for index in foreign])
    return [item for item in data if not _is_foreign(item, model, account_id)]


def without_reasoning(items: Iterable[Any]) -> list[Item]:
    """Remove all reasoning items. Call it once after `InvalidEncryptedContentError`, and send the rest.

    If that fails, too, a compaction item is the cause: see `compaction_indexes`.
    """
    return [item for item in _to_items(items) if _type(item) != "reasoning"]


def compaction_indexes(items: Iterable[Any], *, not_of_account: str | None = None) -> list[int]:
    """Return the positions of the compaction items; with `not_of_account` only those stamped for other accounts."""
    return [
        index
        for index, item in enumerate(_to_items(items))
        if _type(item) in COMPACTION_TYPES and (not_of_account is None or _is_foreign(item, None, not_of_account))
    ]


def _is_encrypted(item: Item) -> bool:
    return _type(item) == "reasoning" or _type(item) in COMPACTION_TYPES


def _is_foreign(item: Item, model: str | None, account_id: str | None) -> bool:
    """Return whether an item is encrypted for another account, or is the reasoning of another model."""
    value = item.get(STAMP)
    if not _is_encrypted(item) or not isinstance(value, dict):
        return False
    if _type(item) == "reasoning" and _differs(value.get("model"), model):
        return True
    return _differs(value.get("account_id"), account_id)


def _differs(stamped: Any, current: str | None) -> bool:
    return stamped is not None and current is not None and stamped != current


def _foreign_compaction_error(sourced: list[tuple[int, Item]]) -> HistoryError:
    names = ", ".join(_name(index, item) for index, item in sourced)
    return HistoryError(
        f"{names}: this compaction was made with another account, and the current account cannot read it. Pass the "
        "items that it replaced instead. If the list already contains them, remove it with "
        "`strip(..., drop_compaction=True)`.",
        indexes=[index for index, _ in sourced],
    )


# --- calls and outputs -----------------------------------------------------------------------------------------------


class _Pairing(NamedTuple):
    """The positions of calls and outputs that have no counterpart, and the outputs to move behind their call."""

    without_id: list[int]
    calls: list[int]
    repeated_calls: list[int]
    outputs: list[int]
    moved: dict[int, int]  # call → output


def pair(items: Iterable[Any], *, repair: bool = False) -> list[Item]:
    """Check that every call has one output and every output a call before it.

    An output before its call is moved behind it. Raises HistoryError that names the calls and outputs without a
    counterpart. With `repair=True`, such a call gets the output "[no output: the call was interrupted]", and such an
    output, a call that is repeated before its output, and a call or output without `call_id` is removed.
    """
    return [item for _, item in _pair(list(enumerate(_to_items(items))), repair=repair)]


def _pair(sourced: list[tuple[int, Item]], *, repair: bool) -> list[tuple[int, Item]]:
    """Pair items that are given with their positions in the caller's list."""
    items = [item for _, item in sourced]
    pairing = _find_pairs(items)
    if not repair and any(pairing[:-1]):
        raise _pairing_error(sourced, pairing)
    open_positions = set(pairing.calls)
    skipped = {*pairing.without_id, *pairing.repeated_calls, *pairing.outputs, *pairing.moved.values()}
    paired = []
    for position, (source, item) in enumerate(sourced):
        if position in skipped:
            continue
        paired.append((source, item))
        if position in pairing.moved:
            paired.append(sourced[pairing.moved[position]])
        elif position in open_positions:
            output_type, members = _OUTPUTS[_type(item)]
            paired.append((source, {"type": output_type, "call_id": item["call_id"], **members}))
    return paired


def _find_pairs(items: list[Item]) -> _Pairing:
    """Pair each output with the call of the same id that precedes it, else with the next one: ids may be used again."""
    pairing = _Pairing([], [], [], [], {})
    open_calls = dict[tuple[str, Any], int]()
    early_outputs = defaultdict[tuple[str, Any], deque[int]](deque)
    for index, item in enumerate(items):
        item_type, call_id = _type(item), item.get("call_id")
        if _is_missing_call_id(item):
            pairing.without_id.append(index)
        elif not isinstance(call_id, str):
            continue
        elif item_type in _OUTPUTS:
            key = _OUTPUTS[item_type][0], call_id
            if key in open_calls:
                pairing.repeated_calls.append(index)
            elif early_outputs[key]:
                pairing.moved[index] = early_outputs[key].popleft()
            else:
                open_calls[key] = index
        elif item_type in _OUTPUT_TYPES:
            key = item_type, call_id
            if open_calls.pop(key, None) is None:
                early_outputs[key].append(index)
    pairing.calls.extend(open_calls.values())
    pairing.outputs.extend(sorted(index for indexes in early_outputs.values() for index in indexes))
    return pairing


def _pairing_error(sourced: list[tuple[int, Item]], pairing: _Pairing) -> HistoryError:
    clauses = (
        ("has no `call_id`", pairing.without_id),
        ("has no output", pairing.calls),
        ("is repeated before its output", pairing.repeated_calls),
        ("has no call before it", pairing.outputs),
    )
    named = [
        (sourced[position][0], f"{_name(*sourced[position])} {clause}")
        for clause, positions in clauses
        for position in positions
    ]
    named.sort()
    more = f"; and {len(named) - _MAX_LISTED} more" if len(named) > _MAX_LISTED else ""
    return HistoryError(
        f"{'; '.join(text for _, text in named[:_MAX_LISTED])}{more}. The backend would reject the history. Add the "
        "outputs or remove the items, or pass `repair=True`, which adds the output "
        f'"{_MISSING_OUTPUT}" to such calls and removes outputs without a call.',
        indexes=[index for index, _ in named],
    )


# --- preparation -----------------------------------------------------------------------------------------------------


def prepare(
    items: Iterable[Any], *, model: str | None = None, account_id: str | None = None, repair: bool = False
) -> list[Item]:
    """Return the items as they should be sent: stripped, paired, with valid ids, in the form that the backend accepts.

    - Reasoning of another model or account, and reasoning without encrypted content, is left out (`strip`). The items
      of its response are then sent without ids, because the backend may reject an item whose reasoning is missing.
    - Calls and outputs are paired (`pair`).
    - An id of the server is kept, as the Codex CLI does. One with the wrong prefix or with more than 64 characters is
      left out; `id` is optional. An item with the same id and content as an earlier one is left out, and of two
      different items with the same id, the second loses it.
    - A call id that the backend would reject is replaced by a hash, the same in the call and its output.
    - Consecutive `configuration_update` items, which the backend rejects, are merged.

    Raises HistoryError as `strip` and `pair` do, and for an `item_reference`, because the backend stores no items.
    With `repair=True` it is left out.
    """
    prepared = PreparedHistory(model=model, account_id=account_id, repair=repair)
    prepared.extend(items)
    return prepared.items


@dataclass(slots=True)
class _Seen:
    """The state after the items so far, on which the preparation of the next item depends."""

    items_by_id: dict[str, Item] = field(default_factory=dict)
    # Keys of outputs: of calls that have no output yet, and of calls that were left out as copies.
    open_calls: set[tuple[str, str]] = field(default_factory=set)
    copied_calls: set[tuple[str, str]] = field(default_factory=set)
    is_reasoning_missing: bool = False

    def copy(self) -> _Seen:
        return _Seen(
            self.items_by_id.copy(), self.open_calls.copy(), self.copied_calls.copy(), self.is_reasoning_missing
        )


class PreparedHistory:
    """A history that grows, prepared once for each item as `prepare` does.

    `items` are the items to send. `sources` has for each of them the position of the item that it comes from, counted
    over all items that were passed. `generation` changes whenever an item changed that was returned before.
    """

    def __init__(self, *, model: str | None = None, account_id: str | None = None, repair: bool = False) -> None:
        self.items: list[Item] = []
        self.sources: list[int] = []
        self.generation = 0
        self._model = model
        self._account_id = account_id
        self._repair = repair
        self._count = 0
        self._seen = _Seen()

    def extend(self, items: Iterable[Any]) -> None:
        """Add items. The calls among them must have their outputs among them, unless the history is repaired.

        Raises HistoryError as `prepare` does, and adds nothing then.
        """
        data = _to_list(items)
        seen = self._seen.copy()
        additions = _pair(list(self._prepare_each(data, seen)), repair=self._repair)
        self._seen = seen
        self._count += len(data)
        for source, item in additions:
            self._append(source, item)

    def _prepare_each(self, data: list[Any], seen: _Seen) -> Iterator[tuple[int, Item]]:
        for index, given in enumerate(data):
            item: Item | None = shape_item(given, index)
            if isinstance(given, dict) and self._is_left_out(given, self._count + index):
                item = None
            if item is None:
                seen.is_reasoning_missing |= isinstance(given, dict) and _type(given) == "reasoning"
                continue
            if not _is_of_the_model(item):
                seen.is_reasoning_missing = False
            accepted = _with_valid_id(item, seen)
            if not _is_copied(item, seen, is_copy=accepted is None) and accepted is not None:
                yield self._count + index, _with_valid_call_id(accepted)

    def _is_left_out(self, item: Item, position: int) -> bool:
        problem = None
        if _type(item) == "item_reference":
            problem = "refers to a stored item, and the backend stores none. Pass the item itself"
        elif _is_missing_call_id(item):
            problem = "has no `call_id`. Add it"
        if problem is not None:
            if not self._repair:
                message = f"{_name(position, item)} {problem}, or leave it out with `repair=True`."
                raise HistoryError(message, indexes=[position])
            return True
        if not _is_foreign(item, self._model, self._account_id):
            return False
        if _type(item) != "reasoning":
            raise _foreign_compaction_error([(position, item)])
        return True

    def _append(self, source: int, item: Item) -> None:
        last = self.items[-1] if self.items else {}
        if _type(item) == _type(last) == "configuration_update":
            self.items[-1], self.sources[-1] = _merged_update(last, item), source
            self.generation += 1
        else:
            self.items.append(item)
            self.sources.append(source)


def _is_of_the_model(item: Item) -> bool:
    return item.get("role") == "assistant" if _type(item) == "message" else _type(item) not in _OUTPUT_TYPES


def _with_valid_id(item: Item, seen: _Seen) -> Item | None:
    """Return the item with an id that the backend accepts, or without id; None for a copy of an earlier one."""
    if "id" not in item:
        return item
    if _is_valid_id(item["id"], _type(item)):
        earlier = seen.items_by_id.get(item["id"])
        if earlier == item:
            return None
        if earlier is None:
            seen.items_by_id[item["id"]] = item
            if not seen.is_reasoning_missing:
                return item
    return {name: value for name, value in item.items() if name != "id"}


def _is_copied(item: Item, seen: _Seen, *, is_copy: bool) -> bool:
    """Return whether an item is a copy, or the output of a call that was left out as a copy. It may have no id."""
    item_type, call_id = _type(item), str(item.get("call_id"))
    if item_type in _OUTPUTS:
        key = _OUTPUTS[item_type][0], call_id
        if not is_copy:
            seen.open_calls.add(key)
        elif key not in seen.open_calls:
            seen.copied_calls.add(key)
    elif item_type in _OUTPUT_TYPES:
        key = item_type, call_id
        if key in seen.open_calls:
            seen.open_calls.remove(key)
        elif key in seen.copied_calls:
            seen.copied_calls.remove(key)
            return True
    return is_copy


def _is_valid_id(item_id: Any, item_type: str) -> bool:
    prefix = _ID_PREFIXES.get(item_type, "")
    return isinstance(item_id, str) and item_id.startswith(prefix) and len(prefix) < len(item_id) <= MAX_ID_LENGTH


def _is_missing_call_id(item: Item) -> bool:
    item_type = _type(item)
    is_paired = item_type in _OUTPUTS or item_type in _OUTPUT_TYPES
    return is_paired and item_type not in _EXECUTED_BY_THE_SERVER and not isinstance(item.get("call_id"), str)


def _with_valid_call_id(item: Item) -> Item:
    # A hash, so that the call and its output are mapped to the same id without a table.
    call_id = item.get("call_id")
    is_valid = not isinstance(call_id, str) or _CALL_ID.fullmatch(call_id)
    return item if is_valid else {**item, "call_id": hashed_call_id(str(call_id))}


def _merged_update(first: Item, second: Item) -> Item:
    merged = {**first, **second}
    if isinstance(first.get("reasoning"), dict) and isinstance(second.get("reasoning"), dict):
        merged["reasoning"] = {**first["reasoning"], **second["reasoning"]}
    return merged


# --- validation ------------------------------------------------------------------------------------------------------


def validate(items: Iterable[Any]) -> list[Problem]:
    """Return the problems for which the backend would reject the items as `input`, in the order of the items.

    Problems that the client corrects in every call are not listed, such as reasoning with `content`. Each message names
    the item by index, type and call id, and the remedy.
    """
    data = _to_list(items)
    problems = [
        Problem(index, f"{_name(index, item)} {text}")
        for index, item in enumerate(data)
        for text in _find_problems(item)
    ]
    data = [item if isinstance(item, dict) else {} for item in data]
    problems += _find_duplicate_ids(data)
    problems += [
        Problem(index + 1, f"{_name(index + 1, second)} follows another one. `prepare` merges them.")
        for index, (first, second) in enumerate(pairwise(data))
        if _type(first) == _type(second) == "configuration_update"
    ]
    problems += _find_unpaired(data)
    return sorted(problems, key=lambda problem: problem.index)


def _find_duplicate_ids(items: list[Item]) -> Iterator[Problem]:
    first_index = dict[str, int]()
    for index, item in enumerate(items):
        item_id = item.get("id")
        if isinstance(item_id, str) and first_index.setdefault(item_id, index) != index:
            text = f"has the id of `input[{first_index[item_id]}]`. `prepare` leaves it out, or its id."
            yield Problem(index, f"{_name(index, item)} {text}")


def _find_unpaired(items: list[Item]) -> Iterator[Problem]:
    pairing = _find_pairs(items)
    for positions, text in (
        (pairing.calls, "has no output. Add it, or call `pair(..., repair=True)`."),
        (pairing.repeated_calls, "is repeated before its output. Remove one, or call `pair(..., repair=True)`."),
        (pairing.outputs, "has no call before it. Remove it, or call `pair(..., repair=True)`."),
        (pairing.moved.values(), "precedes its call. Move it, or call `pair`."),
    ):
        yield from (Problem(index, f"{_name(index, items[index])} {text}") for index in positions)


def _find_problems(item: Any) -> Iterator[str]:
    """Yield the problems of a single item, as the rest of a sentence."""
    if isinstance(item, str):
        return  # a message of the user
    if not isinstance(item, dict):
        yield f"is {type(item).__name__}, not an item. Remove it."
        return
    item_type = _type(item)
    if not item_type:
        yield "has neither a `type` nor a `role`. Add one of them, or remove it."
    if item_type == "item_reference":
        yield "refers to a stored item, and the backend stores none. Pass the item itself."
    if item.get("id") is not None and not _is_valid_id(item["id"], item_type):
        prefix = _ID_PREFIXES.get(item_type)
        rule = f"an id that begins with `{prefix}` and has" if prefix else "an id with"
        yield f"needs {rule} at most {MAX_ID_LENGTH} characters. `prepare` leaves the id out."
    if item_type == "message":
        yield from _find_message_problems(item)
    elif item_type in _OUTPUTS or item_type in _OUTPUT_TYPES:
        yield from _find_call_problems(item, item_type)


def _find_message_problems(item: Item) -> Iterator[str]:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        yield f"has the role {role!r}. Use one of {', '.join(_ROLES)}."
    if content is not None and not isinstance(content, (str, list)):
        yield "has a `content` that is neither text nor a list of parts."
    accepted = _ASSISTANT_PARTS if role == "assistant" else _CONTENT_PARTS
    for index, part in enumerate(content if isinstance(content, list) else ()):
        part_type = part.get("type") if isinstance(part, dict) else None
        if part_type not in accepted:
            yield f"has the content part {index} of type {part_type!r}. Use one of {', '.join(accepted)}."
        elif part_type == "input_image" and not isinstance(part.get("image_url", ""), str):
            yield f"has the content part {index} with an `image_url` that is not text. Pass a URL or a data URL."


def _find_call_problems(item: Item, item_type: str) -> Iterator[str]:
    call_id, name = item.get("call_id"), item.get("name")
    if _is_missing_call_id(item):
        yield "has no `call_id`. Add it, or remove the item."
    elif call_id is not None and not (isinstance(call_id, str) and _CALL_ID.fullmatch(call_id)):
        yield (
            f"needs a `call_id` of at most {MAX_ID_LENGTH} letters, digits, underscores and hyphens. `prepare` "
            "replaces it, and that of its counterpart."
        )
    if name is not None and not (isinstance(name, str) and _TOOL_NAME.fullmatch(name)):
        yield f"has the `name` {name!r}. Use letters, digits, underscores and hyphens."
    if item_type == "function_call" and not isinstance(item.get("arguments"), str):
        yield "needs `arguments` as a JSON string."
    if item_type.endswith("_call_output") and not isinstance(item.get("output"), (str, list)):
        yield "needs an `output` that is text or a list of content parts."


# --- errors and events -----------------------------------------------------------------------------------------------

_INDEX_IN_MESSAGE: Final = re.compile(r"\binput\[(\d{1,9})\]")
# "No tool call found for function call output with call_id call_1.", "No tool output found for function call call_1.",
# "Item with id 'rs_1' not found.", "Duplicate item found with id msg_1."
_ID_IN_MESSAGE: Final = re.compile(
    r"(?:No tool (?:call|output) found for [a-z_ ]+ |Item with id '?|Duplicate item found with id '?)([A-Za-z0-9_-]+)"
)


def failed_item_index(message: str, items: Iterable[Any] = ()) -> int | None:
    """Return the position of the item that an error of the backend names, None if it names none.

    `message` is the text of the error; `f"{error.param} {error}"` also finds `input[3]` in its parameter. Some errors
    name an id or a call id instead: `items`, as they were sent, finds the last item with that id.
    """
    match = _INDEX_IN_MESSAGE.search(message)
    if match is not None:
        return int(match[1])
    match = _ID_IN_MESSAGE.search(message)
    if match is None:
        return None
    data = _to_items(items)
    named = [index for index, item in enumerate(data) if match[1] in (item.get("id"), item.get("call_id"))]
    if match[0].startswith("No tool"):  # the call and its output have the same call id
        is_output = match[0].startswith("No tool call")
        named = [index for index in named if (_type(data[index]) in _OUTPUT_TYPES) is is_output]
    return named[-1] if named else None


def finished_items(events: Iterable[Any]) -> list[Item]:
    """Return the output items that a history may keep, given the events of a response that may be interrupted.

    An item is finished with its own `response.output_item.done`. A reasoning item is useless without the item that
    follows it: it is left out if that one is not finished, unless the response has completed. Events are official
    objects or mappings; other events than those of items are ignored. The items are in the order of `output_index`.
    """
    finished = dict[int, Item]()
    indexes = set[int]()
    is_completed = False
    for event in events:
        data = event if isinstance(event, Mapping) else vars(event)
        event_type = data.get("type")
        is_completed |= event_type == "response.completed"
        if event_type in ("response.output_item.added", "response.output_item.done"):
            indexes.add(data["output_index"])
        if event_type == "response.output_item.done":
            finished[data["output_index"]] = to_json_data(data["item"], "item")
    kept: list[Item] = []
    is_followed = is_completed
    for index in sorted(indexes, reverse=True):
        item = finished.get(index)
        if item is not None and (_type(item) != "reasoning" or is_followed):
            kept.append(item)
            is_followed = True
        else:
            is_followed = False
    return kept[::-1]


# --- items and their names -------------------------------------------------------------------------------------------


def _to_list(items: Iterable[Any]) -> list[Any]:
    """Return items as JSON data, in a new list. Text, or a single item, is a list of one."""
    data: list[Any] = to_json_data([items] if isinstance(items, (str, Mapping)) else list(items), "input")
    return data


def _to_items(items: Iterable[Any]) -> list[Item]:
    """Return items as dicts. Text is a message of the user, as in `input`. Raises TypeError for anything else."""
    data = _to_list(items)
    for index, item in enumerate(data):
        if isinstance(item, str):
            data[index] = {"role": "user", "content": item}
        elif not isinstance(item, dict):
            raise TypeError(f"`input[{index}]` must be a mapping or an official object, not {type(item).__name__}.")
    return data


def _type(item: Item) -> str:
    """Return the type of an item, or "" if it has none. A message may have only a role."""
    item_type = item.get("type")
    return item_type if isinstance(item_type, str) else "message" if item_type is None and "role" in item else ""


def _name(index: int, item: Any) -> str:
    """Return the name of an item in messages: its index, type and call id."""
    members = item if isinstance(item, dict) else {}
    item_type = members.get("type") or members.get("role") or "no type"
    call_id = members.get("call_id")
    return f"`input[{index}]` ({item_type}{'' if call_id is None else f', call_id {call_id!r}'})"
