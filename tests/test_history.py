"""Test the functions for the items of a saved history."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import HistoryError, history


def call(call_id: str, **members: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **members}


def output(call_id: str, **members: Any) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "done", **members}


def reasoning(**members: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA", **members}


def test_call_without_output_is_named() -> None:
    with pytest.raises(
        HistoryError, match=r"`input\[1\]` \(function_call, call_id 'call_1'\) has no output.*repair"
    ) as error:
        history.pair(["hi", call("call_1")])
    assert error.value.indexes == (1,)


def test_call_without_output_is_repaired() -> None:
    assert history.pair([call("a"), "go on"], repair=True) == [
        call("a"),
        output("a", output="[no output: the call was interrupted]"),
        {"role": "user", "content": "go on"},
    ]


def test_reasoning_of_another_model_is_stripped() -> None:
    items = history.stamp([reasoning(), "hi"], model="m", account_id="a")
    assert history.strip(items, model="m", account_id="a") == items
    assert history.strip(items, model="n", account_id="a") == items[1:]
