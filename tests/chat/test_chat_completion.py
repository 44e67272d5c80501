"""Test the translation of a final response to a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from codex_backend_sdk._chat.chat_completion import (
    ChatSettings,
    account_digest,
    build_completion,
    call_of,
    find_stop,
    is_commentary,
    usage_of,
)

SETTINGS = ChatSettings(model="requested")
NO_SETTINGS: Mapping[str, Any] = {}
USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
    "total_tokens": 57,
}


def message(*texts: str, **members: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []} for text in texts]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content, **members}


def function_call(call_id: str = "call_1", arguments: str = '{"a":1}') -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "f", "arguments": arguments}


def reasoning(*summaries: str, encrypted: str = "gAAA") -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text} for text in summaries]
    return {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": encrypted}


def response(*output: Any, **members: Any) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 12.7, "model": "actual", "status": "completed"}
    return {**head, "output": list(output), "usage": USAGE, **members}


def complete(*output: Any, settings: Mapping[str, Any] = NO_SETTINGS, **members: Any) -> dict[str, Any]:
    chosen = ChatSettings(**{"model": "requested", **settings})
    completion = build_completion(response(*output, **members), chosen, account_id="acc-1")
    ChatCompletion.model_validate(completion, strict=True)
    assert len(completion["choices"]) == 1
    return completion


def answer(*output: Any, settings: Mapping[str, Any] = NO_SETTINGS, **members: Any) -> dict[str, Any]:
    """Return the message with the finish reason, without members that are null."""
    choice = complete(*output, settings=settings, **members)["choices"][0]
    present = {name: value for name, value in choice["message"].items() if value is not None and name != "role"}
    return {**present, "finish_reason": choice["finish_reason"]}


def test_members_of_a_completion() -> None:
    assert complete(message("hi")) == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 12,
        "model": "actual",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "hi", "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": 50,
            "completion_tokens": 7,
            "total_tokens": 57,
            "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 5},
        },
    }


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"service_tier": "priority"}, {"service_tier": "priority"}),
        ({"service_tier": "strange"}, {"service_tier": None}),
        ({"dropped_parameters": ["seed"]}, {"dropped_parameters": ["seed"]}),
        ({"usage": None}, {"usage": None}),
        ({"model": None}, {"model": "requested"}),
        ({"id": None}, {"id": "chatcmpl-"}),
        ({"created_at": "x"}, {"created": 0}),
    ],
    ids=str,
)
def test_other_members_of_the_response(members: dict[str, Any], expected: dict[str, Any]) -> None:
    completion = complete(message("hi"), **members)
    assert {name: completion.get(name) for name in expected} == expected


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
REFUSAL = {"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}
ANSWERS: list[tuple[list[Any], dict[str, Any]]] = [
    ([message("a", "b"), message("c")], {"content": "abc", "finish_reason": "stop"}),
    ([], {"content": "", "finish_reason": "stop"}),
    ([message()], {"content": "", "finish_reason": "stop"}),
    ([message("hidden", phase="commentary"), message("a", phase="final_answer")], {"content": "a"}),
    ([function_call()], {"tool_calls": [CALL], "finish_reason": "tool_calls"}),
    ([message("a"), function_call()], {"content": "a", "tool_calls": [CALL], "finish_reason": "tool_calls"}),
    ([function_call(arguments="")], {"tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{}"}}]}),
    (
        [{"type": "custom_tool_call", "call_id": "c", "name": "sh", "input": "ls"}],
        {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]},
    ),
    ([REFUSAL], {"refusal": "no", "finish_reason": "stop"}),
    ([message("a"), REFUSAL], {"content": "a", "refusal": "no"}),
    ([{"type": "web_search_call", "id": "ws_1"}, message("a"), 5, None], {"content": "a", "finish_reason": "stop"}),
]


@pytest.mark.parametrize(("output", "expected"), ANSWERS)
def test_output_items_become_a_message(output: list[Any], expected: dict[str, Any]) -> None:
    actual = answer(*output, settings={"returns_details": False})
    assert actual == {**expected, "finish_reason": actual["finish_reason"]}
    assert actual["finish_reason"] == expected.get("finish_reason", actual["finish_reason"])
    assert (actual["finish_reason"] == "tool_calls") == ("tool_calls" in expected)


@pytest.mark.parametrize(
    ("reason", "output", "finish_reason"),
    [
        ("max_output_tokens", [message("a")], "length"),
        ("max_output_tokens", [function_call(arguments='{"a')], "length"),
        ("content_filter", [message("a")], "content_filter"),
        ("interrupted", [message("a")], "length"),
        (None, [], "length"),
    ],
)
def test_incomplete_response(reason: str | None, output: list[Any], finish_reason: str) -> None:
    details = None if reason is None else {"reason": reason}
    completion = complete(*output, status="incomplete", incomplete_details=details)
    assert completion["choices"][0]["finish_reason"] == finish_reason
    assert completion["usage"]["prompt_tokens_details"]["cached_tokens"] == 40


def test_functions_of_the_old_form() -> None:
    assert answer(function_call(), function_call("call_2"), settings={"uses_functions": True}) == {
        "function_call": CALL["function"],
        "finish_reason": "function_call",
    }


# Reasoning


def test_reasoning_is_returned_if_summaries_were_asked_for() -> None:
    output = [reasoning("One.", "Two."), message("Look", "ing.", phase="commentary"), message("a")]
    expected = "One.\n\nTwo.\n\nLooking."
    assert answer(*output, settings={"shows_reasoning": True})["reasoning_content"] == expected
    assert "reasoning_content" not in answer(*output)


def test_reasoning_details_have_model_and_account() -> None:
    output = [
        reasoning(encrypted="gAAA"),
        message("Looking.", phase="commentary"),
        reasoning(encrypted="gBBB"),
        reasoning(encrypted=""),
        message("a"),
    ]
    common = {"format": "openai-responses-v1", "model": "requested"}
    account = {"account": account_digest("acc-1")}
    assert answer(*output)["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "gAAA", "index": 0, **common, **account},
        {"type": "reasoning.text", "phase": "commentary", "text": "Looking.", "index": 1, **common},
        {"type": "reasoning.encrypted", "data": "gBBB", "index": 2, **common, **account},
    ]
    assert "reasoning_details" not in answer(*output, settings={"returns_details": False})
    unknown = build_completion(response(*output), SETTINGS, account_id=None)
    assert all("account" not in each for each in unknown["choices"][0]["message"]["reasoning_details"])


def test_account_digest_does_not_contain_the_account() -> None:
    assert account_digest("acc-1") == account_digest("acc-1") != account_digest("acc-2")
    assert "acc" not in account_digest("acc-1")


# Annotations


def citation(start: Any, end: Any, **members: Any) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": "https://a.b",
        "title": "A",
        **members,
    }


def cited(text: str, *annotations: dict[str, Any], **members: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": list(annotations)}
    return {"type": "message", "content": [part], **members}


def test_indexes_of_citations_are_those_in_the_content() -> None:
    annotations = answer(
        cited("hidden", citation(0, 3), phase="commentary"), cited("first ", citation(0, 5)), cited("x", citation(0, 1))
    )["annotations"]
    assert [each["url_citation"] for each in annotations] == [
        {"start_index": 0, "end_index": 5, "title": "A", "url": "https://a.b"},
        {"start_index": 6, "end_index": 7, "title": "A", "url": "https://a.b"},
    ]
    assert {each["type"] for each in annotations} == {"url_citation"}


@pytest.mark.parametrize(
    "annotation", [{"type": "file_citation"}, citation(None, 1), citation(0, None), citation(0, 99), {}, "x"]
)
def test_other_annotations_are_left_out(annotation: Any) -> None:
    assert "annotations" not in answer(cited("text", annotation))


# Stop sequences


@pytest.mark.parametrize(
    ("text", "stop", "position"),
    [
        ("abc", (), None),
        ("abc", ("x",), None),
        ("abc", ("b",), 1),
        ("abcabc", ("c", "b"), 1),
        ("xaby", ("abyz", "b"), 2),
        ("xaby", ("aby", "y"), 1),  # both end at the same character
        ("abc", ("abc",), 0),
    ],
)
def test_first_complete_stop_sequence_cuts(text: str, stop: tuple[str, ...], position: int | None) -> None:
    assert find_stop(text, stop) == position


def test_stop_ends_the_message() -> None:
    output = [message("one STOP two"), function_call(), message("three")]
    cut = answer(*output, settings={"stop": ("STOP",)}, status="incomplete", incomplete_details={"reason": "x"})
    assert cut == {"content": "one ", "finish_reason": "stop"}


def test_stop_spans_parts_and_messages() -> None:
    assert answer(message("one ST"), message("OP two"), settings={"stop": ("STOP",)})["content"] == "one "


def test_stop_does_not_cut_arguments() -> None:
    output = [message("STO"), function_call(arguments='{"a":"STOP"}'), message("x")]
    assert answer(*output, settings={"stop": ("STOP",)})["content"] == "STOx"


def test_citations_after_the_stop_are_left_out() -> None:
    item = cited("one two", citation(0, 3), citation(4, 7))
    assert len(answer(item, settings={"stop": (" two",)})["annotations"]) == 1


# Parts


@pytest.mark.parametrize("usage", [None, {}, 5])
def test_response_without_usage(usage: Any) -> None:
    assert usage_of({"usage": usage}) is None


def test_missing_counts_are_zero() -> None:
    assert usage_of({"usage": {"input_tokens": 3, "output_tokens": 4}}) == {
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def test_call_without_call_id_has_the_id_of_the_item() -> None:
    call = call_of({"type": "function_call", "id": "fc_1", "name": "f"})
    assert call is not None
    assert call["id"] == "fc_1"
    assert call_of({"type": "web_search_call"}) is None


def test_commentary_is_a_message_of_that_phase() -> None:
    assert is_commentary({"type": "message", "phase": "commentary"})
    assert not is_commentary({"type": "message", "phase": "final_answer"})
    assert not is_commentary({"type": "reasoning", "phase": "commentary"})


def test_malformed_content_is_left_out() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": 5}, "x", {"type": "refusal", "refusal": []}]}
    assert answer(item) == {"content": "", "finish_reason": "stop"}
    summary = {"type": "reasoning", "summary": [{"text": 5}, "x"], "encrypted_content": 5}
    assert answer(summary, settings={"shows_reasoning": True}) == {"content": "", "finish_reason": "stop"}
