from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk.resources.known_refusals import known_refusals

HI = {"type": "message", "role": "user", "content": "hi"}


def call(call_id: str = "c_1", kind: str = "function_call") -> dict[str, Any]:
    return {"type": kind, "call_id": call_id}


def output(call_id: str = "c_1", kind: str = "function_call_output") -> dict[str, Any]:
    return {"type": kind, "call_id": call_id, "output": "ok"}


def told(*items: Any, headers: dict[str, str] | None = None, **members: Any) -> list[str]:
    body = {"model": "m", "input": list(items), **members}
    found = list(known_refusals(body, headers or {}))
    assert all(finding.level == "warning" for finding in found)
    return [str(finding) for finding in found]


@pytest.mark.parametrize(
    "items",
    [
        (),
        (HI, "text", {**HI, "id": "msg_1", "status": "completed", "phase": "final_answer"}),
        ({**HI, "content": [{"type": "input_text"}, {"type": "input_image"}]},),
        ({"type": "message", "role": "assistant", "content": [{"type": "output_text"}, {"type": "refusal"}]},),
        (call(), output(), call("c_2", "custom_tool_call"), output("c_2", "custom_tool_call_output")),
        ({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},),
        ({"type": "web_search_call", "whatever": 1}, {"type": "compaction_trigger"}),
    ],
)
def test_what_is_taken(items: tuple[Any, ...]) -> None:
    assert told(*items) == []


def test_no_input_at_all_breaks_nothing() -> None:
    assert list(known_refusals({"input": None}, {})) == []


ITEMS: list[tuple[tuple[Any, ...], str]] = [
    (({"type": "item_reference", "id": "msg_1"},), "`input[0]` only names an item."),
    ((HI, {"type": "odd"}), "`input[1]` is of the type 'odd'"),
    (({**HI, "reasoning_content": "x"},), "`input[0].reasoning_content` is not a member"),
    (({**HI, "content": [{"type": "text"}]},), "`input[0].content[0]` is of the type 'text'"),
    (({**HI, "content": ["text"]},), "is of the type 'None'"),
    (({**HI, "role": "assistant", "content": [{"type": "input_text"}]},), "Use one of: output_text, refusal."),
    ((call("c" * 65), output("c" * 65)), "Each of `input[0].call_id` and `input[1].call_id` is no id"),
    ((call("c|1"), output("c|1")), "is no id that the backend takes"),
    ((output(), call()), "`input[0]` is the output of a call that does not come before it"),
    ((call(), output(kind="custom_tool_call_output")), "`input[1]` is the output of a call"),
    ((HI, call()), "`input[1]` is a call without an output"),
]


@pytest.mark.parametrize(("items", "words"), ITEMS)
def test_what_is_refused_in_items(items: tuple[Any, ...], words: str) -> None:
    assert any(words in text for text in told(*items))


def test_many_places_are_named_in_part() -> None:
    (text,) = told(*[{"type": "odd"}] * 5)
    assert text.startswith("Each of `input[0]`, `input[1]`, `input[2]` and 2 more is of the type")


def test_members_of_the_body() -> None:
    (text,) = told(HI, session_id="x")
    assert "`Unsupported parameter: session_id`" in text
    (text,) = told(HI, prompt_cache_key="k" * 65)
    assert "has 65 characters" in text
    assert told(HI, prompt_cache_key="k" * 64) == []


def test_the_header_of_the_other_shape_of_requests() -> None:
    lite = {"x-openai-internal-codex-responses-lite": "true"}
    (text,) = told(HI, headers=lite)
    assert "does not go with parallel calls" in text
    assert told(HI, headers=lite, parallel_tool_calls=False) == []
