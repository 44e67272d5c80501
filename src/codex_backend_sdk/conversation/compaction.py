"""Decide when to compact a conversation, which items to keep, and how to shorten the request. Pure.

A compaction is a request whose input ends with a `compaction_trigger`. The response has one `compaction` item, which
stands for all items before the trigger. Source: Codex CLI, core/src/compact_remote_v2.rs.

The history is divided at the beginning of its last turn: the last messages of the user and everything after them. Only
the items before it are compacted, so the model does not take the current request for a finished one, and no call is
separated from its output. The newest messages of the user before it are kept, too, in their order, and all messages of
the developer. If the last turn itself is most of the history, everything is compacted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .._coerce import as_count
from .._json import encode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "TRIGGER",
    "compaction_limit",
    "estimate_tokens",
    "find_boundary",
    "kept_indexes",
    "kept_tokens",
    "shrink",
    "trim",
]

TRIGGER: Final = {"type": "compaction_trigger"}
_DEFAULT_WINDOW_TOKENS: Final = 272_000  # of most models; for one that the catalog does not describe
_LIMIT_SHARE: Final = 0.9  # Codex CLI: at most 90 % of the window
_KEPT_TOKENS: Final = 64_000
_BYTES_PER_TOKEN: Final = 4
_IMAGE_TOKENS: Final = 1_500
# A last turn with a larger share of the history is compacted, too.
_MAX_OPEN_SHARE: Final = 0.75
_USER_ROLES: Final = ("user", "developer", "system")
_SHORT_OUTPUT: Final = 200  # characters
_OMITTED_OUTPUT: Final = "[omitted: this output was removed to make room for the compaction]"
_OMITTED_IMAGE: Final = {"type": "input_text", "text": "[omitted image]"}


def compaction_limit(model: Mapping[str, Any] | None) -> int:
    """Return the number of tokens from which a history is compacted, for an entry of the model catalog."""
    model = model or {}
    window = as_count(model.get("context_window")) or _DEFAULT_WINDOW_TOKENS
    at_most = int(window * _LIMIT_SHARE)
    return min(as_count(model.get("auto_compact_token_limit")) or at_most, at_most)


def estimate_tokens(item: Mapping[str, Any]) -> int:
    """Estimate the tokens of an item from its length. An image counts 1,500 tokens, whatever its bytes are."""
    images = 0

    def count_image(value: Any) -> Any:
        nonlocal images
        if isinstance(value, dict):
            if value.get("type") in ("input_image", "input_file", "input_audio"):
                images += 1
                return None
            return {name: count_image(member) for name, member in value.items()}
        return [count_image(member) for member in value] if isinstance(value, list) else value

    text = {name: count_image(member) if isinstance(member, (dict, list)) else member for name, member in item.items()}
    if text.get("type") == "image_generation_call":
        text["result"], images = None, images + 1
    return len(encode(text)) // _BYTES_PER_TOKEN + images * _IMAGE_TOKENS


def is_user_message(item: Mapping[str, Any]) -> bool:
    """Return whether an item is a message of the user or the developer."""
    return item.get("role") in _USER_ROLES


def find_boundary(items: Sequence[Mapping[str, Any]]) -> int:
    """Return the index of the last turn: the items before it are compacted.

    It is the number of items if the model has worked on the last turn, and this work is most of the history.
    """
    end = len(items)
    while end and not is_user_message(items[end - 1]):
        end -= 1
    start = end
    while start and (is_user_message(items[start - 1]) or items[start - 1].get("type") == "configuration_update"):
        start -= 1
    if end == len(items):  # the model has not seen this turn
        return start
    before = sum(map(estimate_tokens, items[:start]))
    since = sum(map(estimate_tokens, items[start:]))
    return len(items) if since > _MAX_OPEN_SHARE * (before + since) else start


def kept_tokens(limit: int) -> int:
    """Return how many tokens of user messages a compaction keeps, so that at least half of the limit is free."""
    return min(_KEPT_TOKENS, limit // 2)


def kept_indexes(items: Sequence[Mapping[str, Any]], *, max_tokens: int = _KEPT_TOKENS) -> list[int]:
    """Return the indexes of the items that stay beside the compaction item, in their order.

    These are the messages of the developer, and the newest messages of the user that have at most `max_tokens`.
    """
    kept: list[int] = []
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if item.get("role") in ("developer", "system"):
            kept.append(index)
        elif item.get("role") == "user" and max_tokens > 0:
            max_tokens -= estimate_tokens(item)
            if max_tokens >= 0:
                kept.append(index)
    return kept[::-1]


def shrink(items: Sequence[dict[str, Any]], *, share: float = 0.5) -> list[dict[str, Any]]:
    """Return the items with the oldest tool outputs and images replaced, until `share` of their tokens is left."""
    tokens = [estimate_tokens(item) for item in items]
    excess = sum(tokens) * (1 - share)
    smaller: list[dict[str, Any]] = []
    for item, count in zip(items, tokens, strict=True):
        if excess > 0:
            item = _without_bulk(item)
            excess -= count - estimate_tokens(item)
        smaller.append(item)
    return smaller


def trim(
    items: Sequence[dict[str, Any]],
    *,
    max_tokens: int | None = None,
    max_bytes: int | None = None,
    image_turns: int | None = None,
) -> list[dict[str, Any]] | None:
    """Return the items without the oldest turns, so that they fit; None if the last turn alone does not.

    Messages of the developer and compaction items stay. With `image_turns`, images of the user and of tools before that
    many last turns are first replaced by a short text.
    """
    starts = [
        index
        for index, item in enumerate(items)
        if is_user_message(item) and not (index and is_user_message(items[index - 1]))
    ]
    if image_turns is not None:
        kept_from = len(items) if image_turns <= 0 else starts[-image_turns] if image_turns <= len(starts) else 0
        items = [*map(_without_images, items[:kept_from]), *items[kept_from:]]
    tokens = [estimate_tokens(item) for item in items]
    sizes = [len(encode(item)) for item in items]
    pinned = list(map(_is_pinned, items))
    left_tokens, left_bytes, position = sum(tokens), sum(sizes), 0
    for start in sorted({0, *starts}):
        for index in range(position, start):
            if not pinned[index]:
                left_tokens -= tokens[index]
                left_bytes -= sizes[index]
        position = start
        if (max_tokens is None or left_tokens <= max_tokens) and (max_bytes is None or left_bytes <= max_bytes):
            return [item for index, item in enumerate(items) if index >= start or pinned[index]]
    return None


def _is_pinned(item: Mapping[str, Any]) -> bool:
    return item.get("role") in ("developer", "system") or item.get("type") in ("compaction", "compaction_summary")


def _without_images(item: dict[str, Any]) -> dict[str, Any]:
    for member in ("content", "output"):
        parts = item.get(member)
        if isinstance(parts, list) and any(map(_is_image, parts)):
            return {**item, member: [dict(_OMITTED_IMAGE) if _is_image(part) else part for part in parts]}
    return item


def _without_bulk(item: dict[str, Any]) -> dict[str, Any]:
    output = item.get("output")
    if output is not None and str(item.get("type")).endswith("_output"):
        is_long = len(output if isinstance(output, str) else json.dumps(output)) > _SHORT_OUTPUT
        return {**item, "output": _OMITTED_OUTPUT} if is_long else item
    return _without_images(item)


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "input_image"
