"""What the backend is known to refuse in a body that the parameter policy lets pass: members and input items.

Known from the answers that users of the backend have published; items and their members: Codex CLI,
protocol/src/models.rs. One row below for each rule. Tools have a module of their own.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .._coerce import items, mapping
from .explanation import Finding
from .tool_refusals import TOOL_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["known_refusals"]

_Body = dict[str, Any]
_Call = tuple[str, str]

_PLACES_SHOWN: Final = 3
_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CACHE_KEY_LENGTH: Final = 64
# Asks for the shape in which the Codex CLI sends its own requests. Codex CLI: core/src/client.rs.
_LITE_HEADER: Final = "x-openai-internal-codex-responses-lite"

_MEMBERS: Final = frozenset(
    {
        "access_programs",
        "client_metadata",
        "include",
        "input",
        "instructions",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "service_tier",
        "store",
        "stream",
        "text",
        "tool_choice",
        "tools",
    }
)

# Members besides `type` and `id` of the items that most histories are made of.
_ITEM_MEMBERS: Final[dict[str, frozenset[str]]] = {
    "message": frozenset({"role", "content", "phase", "status"}),
    "reasoning": frozenset({"summary", "content", "encrypted_content"}),
    "function_call": frozenset(
        {"name", "namespace", "arguments", "call_id", "status", "encrypted_function_args", "caller", "async"}
    ),
    "function_call_output": frozenset({"call_id", "output", "name", "namespace", "status", "caller"}),
    "custom_tool_call": frozenset({"status", "call_id", "name", "namespace", "input", "caller", "async"}),
    "custom_tool_call_output": frozenset({"call_id", "name", "namespace", "output", "status", "caller"}),
}
_ON_ALL_ITEMS: Final = frozenset({"type", "id", "internal_chat_message_metadata_passthrough"})
_ITEM_TYPES: Final = frozenset(_ITEM_MEMBERS) | {
    "additional_tools",
    "agent_message",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "configuration_update",
    "context_compaction",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
}
_OUTPUT_OF: Final = {
    "function_call_output": "function_call",
    "custom_tool_call_output": "custom_tool_call",
}
_INPUT_PARTS: Final = frozenset({"input_text", "input_image", "input_file", "input_audio", "encrypted_content"})
_PARTS: Final = {"assistant": frozenset({"output_text", "refusal"})}  # every other role: those above


def known_refusals(body: _Body, headers: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a warning for each rule that a request breaks, with the first places where it does."""
    for rule in (*_RULES, *TOOL_RULES):
        yield from rule(body)
    if headers.get(_LITE_HEADER) == "true" and body.get("parallel_tool_calls") is not False:
        yield _warning(
            f"The header `{_LITE_HEADER}` does not go with parallel calls of tools.",
            "The backend answers 400.",
            "Leave the header out, or pass `parallel_tool_calls=False`.",
        )


def _members(body: _Body) -> Iterator[Finding]:
    for name in body:
        if name not in _MEMBERS:
            yield _warning(
                f"The backend is not known to take `{name}`.",
                f"It is likely to answer 400 `Unsupported parameter: {name}`.",
                "Leave it out.",
            )


def _cache_key(body: _Body) -> Iterator[Finding]:
    key = body.get("prompt_cache_key")
    if isinstance(key, str) and len(key) > _CACHE_KEY_LENGTH:
        yield _warning(
            f"`prompt_cache_key` has {len(key)} characters.",
            f"The backend takes {_CACHE_KEY_LENGTH}.",
            "Use a shorter one, a hash for example.",
        )


def _item_type(body: _Body) -> Iterator[Finding]:
    for kind, places in _by_kind(_items(body), lambda item: str(item.get("type")) not in _ITEM_TYPES):
        if kind == "item_reference":
            yield _warning(
                f"{places} only names an item.",
                "With `store=false` the backend keeps none: `Item with id … not found`.",
                "Pass the item itself.",
            )
        else:
            yield _warning(
                f"{places} is of the type {kind!r}, which the backend is not known to take.",
                "",
                "Leave it out, or say the same in a message.",
            )


def _item_members(body: _Body) -> Iterator[Finding]:
    strange: dict[str, list[str]] = {}
    for place, item in _items(body):
        known = _ITEM_MEMBERS.get(str(item.get("type")))
        for name in () if known is None else item.keys() - known - _ON_ALL_ITEMS:
            strange.setdefault(name, []).append(f"`{place}.{name}`")
    for name in sorted(strange):
        yield _warning(
            f"{_listed(strange[name])} is not a member of such an item.",
            "The backend answers 400 `unknown_parameter`.",
            "Leave it out.",
        )


def _parts(body: _Body) -> Iterator[Finding]:
    messages = ((place, item) for place, item in _items(body) if item.get("type") == "message")
    wrong: dict[tuple[str, str], list[str]] = {}
    for place, item in messages:
        role = str(item.get("role"))
        for number, part in enumerate(items(item.get("content"))):
            kind = str(mapping(part).get("type"))
            if kind not in _PARTS.get(role, _INPUT_PARTS):
                wrong.setdefault((role, kind), []).append(f"`{place}.content[{number}]`")
    for (role, kind), places in wrong.items():
        yield _warning(
            f"{_listed(places)} is of the type {kind!r}, which a message of the role {role!r} does not have.",
            "The backend answers 400 `invalid_value`.",
            f"Use one of: {', '.join(sorted(_PARTS.get(role, _INPUT_PARTS)))}.",
        )


def _call_ids(body: _Body) -> Iterator[Finding]:
    ids = ((place, item.get("call_id")) for place, item in _items(body))
    wrong = [place for place, given in ids if isinstance(given, str) and not _CALL_ID.fullmatch(given)]
    if wrong:
        yield _warning(
            f"{_listed(f'`{place}.call_id`' for place in wrong)} is no id that the backend takes.",
            "It takes up to 64 letters, digits, `_` and `-`.",
            "Shorten it, the same way in the call and in its output.",
        )


def _orphaned_outputs(body: _Body) -> Iterator[Finding]:
    seen: set[_Call] = set()
    orphans = []
    for place, item in _items(body):
        kind, call_id = _call(item)
        seen.add((kind, call_id))
        if kind in _OUTPUT_OF and (_OUTPUT_OF[kind], call_id) not in seen:
            orphans.append(place)
    if orphans:
        yield _warning(
            f"{_places(orphans)} is the output of a call that does not come before it.",
            "The backend answers 400 `No tool call found`.",
            "Pass the call, too, before its output.",
        )


def _unanswered_calls(body: _Body) -> Iterator[Finding]:
    calls = [(place, *_call(item)) for place, item in _items(body)]
    answered = {(_OUTPUT_OF.get(kind), call_id) for _, kind, call_id in calls}
    open_calls = [
        place for place, kind, call_id in calls if kind in _OUTPUT_OF.values() and (kind, call_id) not in answered
    ]
    if open_calls:
        yield _warning(
            f"{_places(open_calls)} is a call without an output.",
            "The backend answers 400 `No tool output found`.",
            "Pass an output for each call, `aborted` for example.",
        )


_RULES: Final[tuple[Callable[[_Body], Iterator[Finding]], ...]] = (
    _members,
    _cache_key,
    _item_type,
    _item_members,
    _parts,
    _call_ids,
    _orphaned_outputs,
    _unanswered_calls,
)


def _items(body: _Body) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the items with their places."""
    for number, item in enumerate(items(body.get("input"))):
        if isinstance(item, dict):
            yield f"input[{number}]", item


def _call(item: Mapping[str, Any]) -> _Call:
    """Return the type of an item, and the id of the call that it is or answers."""
    return str(item.get("type")), str(item.get("call_id"))


def _by_kind(
    placed: Iterable[tuple[str, Mapping[str, Any]]], is_meant: Callable[[Mapping[str, Any]], bool]
) -> Iterator[tuple[Any, str]]:
    """Yield each type that is meant, with the places where it is."""
    found: dict[Any, list[str]] = {}
    for place, item in placed:
        if is_meant(item):
            found.setdefault(str(item.get("type")), []).append(place)
    for kind, places in found.items():
        yield kind, _places(places)


def _places(places: Iterable[str]) -> str:
    return _listed(f"`{place}`" for place in places)


def _listed(places: Iterable[str]) -> str:
    """Name the first places, and how many more there are."""
    every = list(places)
    more = len(every) - _PLACES_SHOWN
    shown = " and ".join(every) if more <= 0 else ", ".join(every[:_PLACES_SHOWN]) + f" and {more} more"
    return shown if len(every) == 1 else f"Each of {shown}"


def _warning(what: str, why: str, remedy: str | None) -> Finding:
    return Finding(level="warning", what=what, why=why, remedy=remedy)
