"""Test the conversion of the items of `input`."""

from __future__ import annotations

import dataclasses
import json
from collections import UserDict
from collections.abc import Iterator
from typing import Any

import pytest
from openai.types.responses import ParsedResponseFunctionToolCall, Response, ResponseFunctionToolCall
from openai.types.responses.parsed_response import ParsedResponseOutputMessage, ParsedResponseOutputText
from pydantic import BaseModel

from codex_backend_sdk._request.input_items import shape_input
from codex_backend_sdk._request.shaping import to_json_data

HI = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}


def wire_items(items: Any) -> list[Any]:
    return shape_input(to_json_data(items, "input"))


def generated() -> Iterator[dict[str, Any]]:
    yield {"role": "user", "content": "hi"}


@dataclasses.dataclass
class Message:
    role: str
    content: str


@pytest.mark.parametrize(
    "given",
    [
        "hi",
        [{"role": "user", "content": "hi"}],
        ({"role": "user", "content": "hi"},),
        {"role": "user", "content": "hi"},
        generated(),
        ["hi"],
        [UserDict(role="user", content="hi")],
        [Message("user", "hi")],
        [HI],
    ],
    ids=lambda given: type(given).__name__,
)
def test_every_form_of_input_is_sent_as_items(given: Any) -> None:
    assert wire_items(given) == [HI]


@pytest.mark.parametrize(
    ("role", "sent", "part"),
    [
        ("user", "user", "input_text"),
        ("system", "developer", "input_text"),
        ("developer", "developer", "input_text"),
        ("assistant", "assistant", "output_text"),
    ],
)
def test_role_is_sent_as_the_backend_accepts_it(role: str, sent: str, part: str) -> None:
    (item,) = wire_items([{"role": role, "content": "x"}])
    assert item == {"type": "message", "role": sent, "content": [{"type": part, "text": "x"}]}


def test_content_list_is_sent_unchanged() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}
    (item,) = wire_items([{"role": "user", "content": [image]}])
    assert item["content"] == [image]


@pytest.mark.parametrize("wrong", [5, None, 1.5])
def test_missing_input_raises(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"`input` is .*Pass a string, or a list of messages"):
        wire_items(wrong)


RESPONSE = {"object": "response", "id": "resp_1", "output": []}


@pytest.mark.parametrize(
    ("given", "position"),
    [
        (RESPONSE, 0),
        ([RESPONSE], 0),
        ([HI, RESPONSE], 1),
        ([HI, HI, Response.model_construct(**RESPONSE)], 2),
    ],
)
def test_response_among_the_items_raises(given: Any, position: int) -> None:
    with pytest.raises(
        TypeError, match=rf"`input\[{position}\]` is a response\. Pass its items instead: .*response\.output"
    ):
        wire_items(given)


@pytest.mark.parametrize("wrong", [[5], [None], [["x"]]])
def test_invalid_item_raises(wrong: Any) -> None:
    with pytest.raises(TypeError, match="must be a mapping or an official object"):
        wire_items(wrong)


def test_official_item_round_trips() -> None:
    call = ResponseFunctionToolCall.model_validate(
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
    )
    output = {"type": "function_call_output", "call_id": "call_1", "output": "18"}
    assert wire_items([call, output]) == [call.to_dict(), output]


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}", "async": True}
CUSTOM_CALL = {
    "type": "custom_tool_call",
    "id": "ctc_1",
    "call_id": "call_2",
    "name": "g",
    "input": "x",
    "async": False,
}
TEXT_PART = {"type": "output_text", "text": "hi", "annotations": []}
ANSWER = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [TEXT_PART]}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"}
OUTPUT = [REASONING, SEARCH, CALL, CUSTOM_CALL, ANSWER]


class Place(BaseModel):
    city: str


def test_stored_output_is_sent_as_received() -> None:
    response = Response.model_validate(
        {
            **RESPONSE,
            "created_at": 1,
            "model": "m",
            "output": OUTPUT,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
    )
    dumped = [item.model_dump() for item in response.output]
    assert "async_" in dumped[2]
    assert dumped[2]["namespace"] is None
    for stored in (response.output, dumped, response.to_dict()["output"], json.loads(response.to_json())["output"]):
        assert wire_items(stored) == OUTPUT


@pytest.mark.parametrize("dump", [lambda item: item, BaseModel.model_dump, BaseModel.model_dump_json])
def test_parsed_members_are_not_sent(dump: Any) -> None:
    parsed_call = ParsedResponseFunctionToolCall.model_construct(**CALL, parsed_arguments=Place(city="Rome"))
    parsed_part = ParsedResponseOutputText[Place].model_construct(**TEXT_PART, parsed=Place(city="Rome"))
    parsed_answer = ParsedResponseOutputMessage[Place].model_construct(**{**ANSWER, "content": [parsed_part]})
    stored = [dump(parsed_call), dump(parsed_answer)]
    assert wire_items([json.loads(item) if isinstance(item, str) else item for item in stored]) == [CALL, ANSWER]


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ({}, [REASONING]),
        ({"status": "completed"}, [REASONING]),
        ({"status": None}, [REASONING]),
        ({"content": []}, [REASONING]),
        ({"content": [{"type": "reasoning_text", "text": "x"}]}, [REASONING]),
        ({"encrypted_content": None}, []),
        ({"encrypted_content": ""}, []),
        ({"id": None, "encrypted_content": None}, []),
    ],
)
def test_reasoning_is_sent_with_its_blob_only(added: dict[str, Any], expected: list[Any]) -> None:
    assert wire_items([{**REASONING, **added}]) == expected


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"type": "search", "query": "q"}, {"type": "search", "query": "q"}),
        ({"type": "search", "query": "q", "sources": None}, {"type": "search", "query": "q"}),
        ({"type": "open_page", "url": "https://example.com"}, {"type": "open_page", "url": "https://example.com"}),
        ({"type": "find_in_page", "pattern": "p"}, {"type": "find_in_page", "pattern": "p"}),
        ({"type": "other"}, None),
        ({}, None),
        ("search", None),
        (None, None),
    ],
)
def test_web_search_needs_an_accepted_action(action: Any, expected: Any) -> None:
    items = wire_items([{**SEARCH, "action": action}])
    assert items == ([] if expected is None else [{**SEARCH, "action": expected}])


@pytest.mark.parametrize(
    "item",
    [
        {"type": "code_interpreter_call", "id": "ci_1", "code": None, "outputs": None, "container_id": "c"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "caller": None},
        {**SEARCH, "action": {"type": "open_page", "url": None}},
        {**ANSWER, "phase": "commentary"},
    ],
)
def test_null_of_the_server_is_sent_back(item: dict[str, Any]) -> None:
    assert wire_items([item]) == [item]


def test_mixed_parts_are_cleaned_separately() -> None:
    (item,) = wire_items([{"role": "user", "content": ["z", {"type": "output_text", "text": "x", "logprobs": None}]}])
    assert item["content"] == ["z", {"type": "output_text", "text": "x"}]


def test_valid_items_are_not_copied() -> None:
    assert all(given is item for given, item in zip(OUTPUT, wire_items(OUTPUT), strict=True))


def test_item_without_type_is_sent_unchanged() -> None:
    assert wire_items([{"id": "x"}]) == [{"id": "x"}]


@pytest.mark.parametrize("content", [None, 5, {}])
def test_content_of_another_type_is_sent_unchanged(content: Any) -> None:
    message = {"type": "message", "role": "user", "content": content}
    assert wire_items([message]) == [message]
