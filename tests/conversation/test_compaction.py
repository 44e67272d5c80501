"""When a history is compacted, what stays, and how a request becomes smaller."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codex_backend_sdk.conversation.compaction import (
    compaction_limit,
    estimate_tokens,
    find_boundary,
    kept_indexes,
    kept_tokens,
    shrink,
    trim,
)


def message(role: str, text: str = "x", **members: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}], **members}


USER, ASSISTANT, DEVELOPER = message("user"), message("assistant"), message("developer")
UPDATE = {"type": "configuration_update", "reasoning": {"effort": "high"}}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "y" * 4000}
COMPACTION = {"type": "compaction", "encrypted_content": "gAAA"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 100_000}


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (None, 244_800),
        ({}, 244_800),
        ({"context_window": 100_000}, 90_000),
        ({"context_window": 100_000, "auto_compact_token_limit": 70_000}, 70_000),
        ({"context_window": 100_000, "auto_compact_token_limit": 99_000}, 90_000),
        ({"context_window": "?", "auto_compact_token_limit": None}, 244_800),
    ],
)
def test_limit_is_at_most_90_percent_of_the_window(model: Any, limit: int) -> None:
    assert compaction_limit(model) == limit


@pytest.mark.parametrize(
    ("item", "low", "high"),
    [
        (message("user", "x" * 4000), 1000, 1030),
        ({"type": "message", "role": "user", "content": [IMAGE, IMAGE]}, 3000, 3050),
        ({"type": "function_call_output", "call_id": "c", "output": [IMAGE]}, 1500, 1550),
        ({"type": "image_generation_call", "id": "ig_1", "result": "A" * 100_000}, 1500, 1550),
    ],
    ids=["text", "images", "image of a tool", "generated image"],
)
def test_estimate_counts_text_by_length_and_images_by_number(item: Any, low: int, high: int) -> None:
    assert low <= estimate_tokens(item) <= high


LONG = message("user", "z" * 40_000)


@pytest.mark.parametrize(
    ("items", "boundary"),
    [
        ([], 0),
        ([USER], 0),
        ([USER, ASSISTANT, USER], 2),
        ([USER, ASSISTANT, UPDATE, USER, USER], 2),
        ([LONG, ASSISTANT, USER, CALL, OUTPUT], 2),
        ([USER, ASSISTANT, USER, CALL, OUTPUT], 5),
        ([USER, ASSISTANT, LONG], 2),
        ([ASSISTANT], 1),
    ],
    ids=["empty", "first", "next", "several", "working", "much work", "long input", "no user"],
)
def test_last_turn_is_not_compacted(items: Any, boundary: int) -> None:
    assert find_boundary(items) == boundary


@pytest.mark.parametrize(
    ("items", "max_tokens", "kept"),
    [
        ([DEVELOPER, USER, ASSISTANT, USER], 64_000, [0, 1, 3]),
        ([DEVELOPER, LONG, ASSISTANT, USER], 100, [0, 3]),
        ([USER, LONG, USER], 100, [2]),
        ([CALL, OUTPUT, COMPACTION], 64_000, []),
    ],
)
def test_newest_user_messages_stay_in_order(items: Any, max_tokens: int, kept: list[int]) -> None:
    assert kept_indexes(items, max_tokens=max_tokens) == kept


@pytest.mark.parametrize(("limit", "tokens"), [(1_000, 500), (20_000, 10_000), (128_000, 64_000), (400_000, 64_000)])
def test_compaction_keeps_at_most_half_of_the_limit(limit: int, tokens: int) -> None:
    assert kept_tokens(limit) == tokens


def test_shrinking_begins_with_the_oldest() -> None:
    with_image = {"type": "message", "role": "user", "content": [IMAGE, {"type": "input_text", "text": "?"}]}
    short = {**OUTPUT, "output": "short"}
    items = [USER, with_image, CALL, OUTPUT, short, OUTPUT]
    smaller = shrink(items)
    assert [old == new for old, new in zip(items, smaller, strict=True)] == [True, False, True, False, True, True]
    assert smaller[1]["content"][0]["text"] == "[omitted image]"
    assert smaller[3]["output"].startswith("[omitted")
    assert shrink(items, share=1) == items
    parts = {**OUTPUT, "output": [IMAGE]}
    assert isinstance(shrink([parts], share=0)[0]["output"], str)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"max_tokens": 100_000}, [0, 1, 2, 3, 4, 5]),
        ({"max_tokens": 150}, [0, 1, 4, 5]),
        ({"max_bytes": 500}, [0, 1, 4, 5]),
        ({"max_tokens": 1}, None),
        ({"max_bytes": 1}, None),
    ],
)
def test_trimming_keeps_whole_turns(limits: Any, expected: list[int] | None) -> None:
    items = [DEVELOPER, COMPACTION, LONG, ASSISTANT, message("user", "last"), ASSISTANT]
    trimmed = trim(items, **limits)
    assert trimmed == (None if expected is None else [items[index] for index in expected])


@pytest.mark.parametrize(("turns", "images"), [(0, 0), (1, 1), (2, 2), (5, 2)])
def test_trimming_replaces_images_of_older_turns(turns: int, images: int) -> None:
    with_image = {"type": "message", "role": "user", "content": [IMAGE]}
    trimmed = trim([with_image, ASSISTANT, with_image], image_turns=turns)
    assert trimmed is not None
    assert sum(part["type"] == "input_image" for item in trimmed for part in item["content"]) == images


def test_trimming_a_long_history_takes_linear_time() -> None:
    roles = [{"role": "user"}, {"role": "assistant"}]
    items = [{"type": "message", **role, "content": [{"type": "input_text", "text": "x"}]} for role in roles * 10_000]
    start = time.process_time()
    trimmed = trim(items, max_tokens=1000)
    assert trimmed is not None
    assert 0 < len(trimmed) < 1000
    assert time.process_time() - start < 10  # it takes 0.3 s; it took a minute when each turn was counted again
