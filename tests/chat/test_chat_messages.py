"""Test the translation of messages to input items."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import CodexBackendUnsupportedParameterError, InvalidChatRequestError
from codex_backend_sdk._chat.chat_messages import translate_messages
from codex_backend_sdk._coerce import hashed_call_id

PNG = "data:image/png;base64,iVBORw0KGgo="
HI = {"role": "user", "content": "hi"}
LONG_ID = "call_" + "x" * 70


def translate(*messages: Any, **arguments: Any) -> list[dict[str, Any]]:
    return translate_messages(list(messages), **{"model": "m", **arguments}).items


def message(role: str, *parts: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, **members, "content": list(parts)}


def text(value: str) -> dict[str, Any]:
    return {"type": "input_text", "text": value}


def output_text(value: str) -> dict[str, Any]:
    return {"type": "output_text", "text": value}


def calls(*ids: str, content: Any = None, **members: Any) -> dict[str, Any]:
    functions = [{"id": each, "type": "function", "function": {"name": "f", "arguments": "{}"}} for each in ids]
    return {"role": "assistant", "content": content, "tool_calls": functions, **members}


def result(call_id: str, content: Any = "ok") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def call_item(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}


def output_item(call_id: str, output: Any = "ok") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def test_messages_stay_in_place_and_in_order() -> None:
    items = translate(
        {"role": "system", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
        {"role": "developer", "content": "d"},
        {"role": "system", "content": "e"},
    )
    assert items == [
        message("developer", text("a")),
        message("user", text("b")),
        message("assistant", output_text("c")),
        message("developer", text("d")),
        message("developer", text("e")),
    ]


USER_PARTS: list[tuple[Any, Any]] = [
    ("hi", [text("hi")]),
    ([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}], [text("hi")]),
    (["hi"], [text("hi")]),
    ([text("hi")], [text("hi")]),
    (
        [{"type": "image_url", "image_url": {"url": PNG}}],
        [{"type": "input_image", "image_url": PNG, "detail": "auto"}],
    ),
    (
        [{"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "high"}}],
        [{"type": "input_image", "image_url": "https://a.b/c.png", "detail": "high"}],
    ),
    ([{"type": "image_url", "image_url": PNG}], [{"type": "input_image", "image_url": PNG, "detail": "auto"}]),
    (
        [{"type": "input_image", "image_url": PNG, "detail": "low"}],
        [{"type": "input_image", "image_url": PNG, "detail": "low"}],
    ),
    (
        [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}}],
        [{"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}],
    ),
    (
        [{"type": "input_file", "file_data": "data:application/pdf;base64,AA=="}],
        [{"type": "input_file", "file_data": "data:application/pdf;base64,AA=="}],
    ),
    ([{"type": "text", "text": " \n"}, {"type": "text", "text": "hi"}], [text("hi")]),
]


@pytest.mark.parametrize(("content", "parts"), USER_PARTS)
def test_parts_of_a_user_message(content: Any, parts: list[dict[str, Any]]) -> None:
    assert translate({"role": "user", "name": "bob", "_internal": 1, "content": content}) == [message("user", *parts)]


@pytest.mark.parametrize("content", ["", " \n\t", None, [], [{"type": "text", "text": ""}]])
def test_message_without_text_is_left_out(content: Any) -> None:
    assert translate({"role": "user", "content": content}, HI) == [message("user", text("hi"))]
    with pytest.raises(InvalidChatRequestError, match="every text is empty"):
        translate({"role": "user", "content": content})


ASSISTANT: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
    ({"content": "a"}, [output_text("a")]),
    ({"content": [{"type": "text", "text": "a"}, "b"]}, [output_text("a"), output_text("b")]),
    ({"content": [output_text("a")]}, [output_text("a")]),
    ({"content": [{"type": "refusal", "refusal": "no"}]}, [{"type": "refusal", "refusal": "no"}]),
    ({"content": None, "refusal": "no"}, [{"type": "refusal", "refusal": "no"}]),
    ({"content": [{"type": "thinking", "thinking": "…"}, {"type": "text", "text": "a"}]}, [output_text("a")]),
    ({"content": "a", "reasoning_content": "…", "reasoning": "…", "annotations": []}, [output_text("a")]),
]


@pytest.mark.parametrize(("members", "parts"), ASSISTANT)
def test_parts_of_an_assistant_message(members: dict[str, Any], parts: list[dict[str, Any]]) -> None:
    assert translate({"role": "assistant", **members}) == [message("assistant", *parts)]


@pytest.mark.parametrize("content", [None, "", " ", []])
def test_empty_content_beside_calls_is_no_message(content: Any) -> None:
    assert translate(calls("a", content=content), result("a")) == [call_item("a"), output_item("a")]


def test_text_precedes_calls() -> None:
    items = translate(calls("a", "b", content="text"), result("b"), result("a"))
    assert items == [
        message("assistant", output_text("text")),
        call_item("a"),
        call_item("b"),
        output_item("b"),
        output_item("a"),
    ]


OUTPUTS: list[tuple[Any, Any]] = [
    ("sunny", "sunny"),
    ("", ""),
    (None, ""),
    ({"a": 1}, '{"a": 1}'),
    ([], ""),
    ([{"type": "text", "text": "sunny"}], [text("sunny")]),
    (
        [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}],
        [text("see"), {"type": "input_image", "image_url": PNG, "detail": "auto"}],
    ),
]


@pytest.mark.parametrize(("content", "output"), OUTPUTS)
def test_content_of_a_tool_message(content: Any, output: Any) -> None:
    assert translate(calls("a"), result("a", content))[-1] == output_item("a", output)


@pytest.mark.parametrize(
    ("arguments", "sent"), [('{"a":1}', '{"a":1}'), ("", "{}"), (None, "{}"), ({"a": "é"}, '{"a": "é"}')]
)
def test_arguments_are_json_text(arguments: Any, sent: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    assert translate({"role": "assistant", "tool_calls": [call]}, result("a"))[0]["arguments"] == sent


def test_custom_call_gets_an_output_of_its_type() -> None:
    call = {"id": "a", "type": "custom", "custom": {"name": "shell", "input": "ls"}}
    assert translate({"role": "assistant", "tool_calls": [call]}, result("a")) == [
        {"type": "custom_tool_call", "call_id": "a", "name": "shell", "input": "ls"},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "ok"},
    ]


def test_functions_of_the_old_form_are_paired() -> None:
    old_call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    old_result = {"role": "function", "name": "f", "content": "ok"}
    items = translate(old_call, old_result, old_call, old_result)
    assert [item["call_id"] for item in items] == ["call_function_1"] * 2 + ["call_function_2"] * 2


def test_long_call_ids_become_the_same_digest() -> None:
    other = LONG_ID + "y"
    items = translate(calls(LONG_ID, other, "x" * 64), result(LONG_ID), result(other), result("x" * 64))
    ids = [item["call_id"] for item in items]
    assert ids[:3] == ids[3:] == [hashed_call_id(LONG_ID), hashed_call_id(other), "x" * 64]
    assert len(set(ids)) == 3
    assert all(len(each) <= 64 for each in ids)


def test_call_id_can_be_used_again_in_a_later_turn() -> None:
    assert len(translate(calls("a"), result("a"), calls("a"), result("a"))) == 4


# Calls and outputs without a counterpart

ORPHANS: list[tuple[list[Any], str, str]] = [
    ([HI, calls("a")], r"messages\[1\] \(call 'a'\) has no tool message", "messages[1]"),
    ([HI, result("b")], r"messages\[1\] \(tool_call_id 'b'\) has no call before it", "messages[1]"),
    ([result("a"), calls("a")], r"messages\[0\] .*; messages\[1\] ", "messages[0]"),
    ([calls("a"), result("a"), result("a")], r"messages\[2\] \(tool_call_id 'a'\)", "messages[2]"),
    ([calls("a", "a"), result("a")], r"messages\[0\] \(call 'a'\) repeats the id", "messages[0]"),
    ([HI, {"role": "tool", "content": "x"}], r"messages\[1\] \(tool_call_id None\)", "messages[1]"),
    ([HI, {"role": "function", "name": "f", "content": "x"}], r"messages\[1\]", "messages[1]"),
    ([result(str(n)) for n in range(8)], "; and 3 more", "messages[0]"),
]


@pytest.mark.parametrize(("messages", "text", "param"), ORPHANS)
def test_orphans_are_named(messages: list[Any], text: str, param: str) -> None:
    with pytest.raises(InvalidChatRequestError, match=text) as caught:
        translate(*messages)
    assert caught.value.param == param


def test_repair_keeps_calls_and_drops_outputs() -> None:
    translated = translate_messages([calls("a", "b", "c"), result("b"), result("x"), HI], model="m", repair=True)
    unknown = "[no output: the result of this call is unknown]"
    assert translated.items == [
        call_item("a"),
        output_item("a", unknown),
        call_item("b"),
        call_item("c"),
        output_item("c", unknown),
        output_item("b"),
        message("user", text("hi")),
    ]
    assert translated.repairs == [
        ("messages[2]", "messages[2] (tool_call_id 'x') has no call before it"),
        ("messages[0]", "messages[0] (call 'a') has no tool message with its output"),
        ("messages[0]", "messages[0] (call 'c') has no tool message with its output"),
    ]


def test_repair_of_a_complete_chat_changes_nothing() -> None:
    chat = [HI, calls("a"), result("a")]
    assert translate(*chat, repair=True) == translate(*chat)


# Reasoning

ENCRYPTED = {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "model": "m"}
COMMENTARY = {"type": "reasoning.text", "phase": "commentary", "text": "Looking.", "format": "openai-responses-v1"}
REASONING_ITEM = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}


def test_reasoning_details_precede_the_message_and_calls() -> None:
    items = translate(calls("a", content="t", reasoning_details=[ENCRYPTED, COMMENTARY]), result("a"))
    assert items == [
        REASONING_ITEM,
        message("assistant", output_text("Looking."), phase="commentary"),
        message("assistant", output_text("t")),
        call_item("a"),
        output_item("a"),
    ]


@pytest.mark.parametrize(
    "details",
    [
        None,
        "gAAA",
        ["gAAA"],
        [{**ENCRYPTED, "model": "other"}],
        [{**ENCRYPTED, "format": "anthropic-claude-v1"}],
        [{**ENCRYPTED, "data": ""}],
        [{**ENCRYPTED, "data": None}],
        [{**COMMENTARY, "phase": None}],
        [{**COMMENTARY, "text": ""}],
    ],
)
def test_other_reasoning_details_are_left_out(details: Any) -> None:
    assert translate({"role": "assistant", "content": "t", "reasoning_details": details}) == [
        message("assistant", output_text("t"))
    ]


def test_reasoning_without_a_following_item_is_left_out() -> None:
    assert translate({"role": "assistant", "content": None, "reasoning_details": [ENCRYPTED]}, HI) == [
        message("user", text("hi"))
    ]


def test_accounts_of_reasoning_are_returned() -> None:
    details = [{**ENCRYPTED, "account": "digest"}, {**ENCRYPTED, "data": "gBBB"}]
    translated = translate_messages([{"role": "assistant", "content": "t", "reasoning_details": details}], model="m")
    assert translated.accounts == {"gAAA": "digest"}
    assert [item.get("encrypted_content") for item in translated.items] == ["gAAA", "gBBB", None]


# Messages that cannot be sent

INVALID: list[tuple[Any, str]] = [
    (None, "messages"),
    ("hi", "messages"),
    ([], "messages"),
    (["hi"], "messages[0]"),
    ([{"content": "hi"}], "messages[0].role"),
    ([{"role": "critic", "content": "hi"}], "messages[0].role"),
    ([{"role": ["user"], "content": "hi"}], "messages[0].role"),
    ([HI, {"role": "user", "content": [{"type": "video"}]}], "messages[1].content[0].type"),
    ([{"role": "user", "content": [5]}], "messages[0].content[0].type"),
    ([{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}], "messages[0].content[0].image_url"),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "/tmp/a.png"}]}],
        "messages[0].content[0].image_url",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image;base64,AA=="}]}],
        "messages[0].content[0].image_url",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:text/plain;base64,AA=="}]}],
        "messages[0].content[0].image_url",
    ),
    (
        [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png;base64,"}]}],
        "messages[0].content[0].image_url",
    ),
    ([{"role": "user", "content": [{"type": "file", "file": {}}]}], "messages[0].content[0].file.file_data"),
    ([{"role": "assistant", "content": [{"type": "image_url"}]}], "messages[0].content[0].type"),
    ([{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}], "messages[0].tool_calls[0].id"),
    ([{"role": "assistant", "tool_calls": ["f"]}], "messages[0].tool_calls[0].id"),
    ([{"role": "assistant", "tool_calls": [{"id": "a"}]}], "messages[0].tool_calls[0].function.name"),
    (
        [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {}}]}],
        "messages[0].tool_calls[0].custom.name",
    ),
]


@pytest.mark.parametrize(("messages", "param"), INVALID)
def test_invalid_message_is_named(messages: Any, param: str) -> None:
    with pytest.raises(InvalidChatRequestError) as caught:
        translate_messages(messages, model="m")
    assert caught.value.param == param
    assert param in str(caught.value) or param.rpartition(".")[0] in str(caught.value)


UNSUPPORTED: list[tuple[dict[str, Any], str]] = [
    (
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]},
        "messages[0].content[0].input_audio",
    ),
    (
        {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]},
        "messages[0].content[0].file.file_id",
    ),
    ({"role": "assistant", "audio": {"id": "audio_1"}}, "messages[0].audio"),
]


@pytest.mark.parametrize(("message", "path"), UNSUPPORTED)
def test_unsupported_content_is_named(message: dict[str, Any], path: str) -> None:
    with pytest.raises(CodexBackendUnsupportedParameterError) as caught:
        translate_messages([message], model="m", repair=True)
    assert caught.value.parameters == (path,)
    assert "Instead, pass" in str(caught.value)
