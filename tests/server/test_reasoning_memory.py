"""The memory for reasoning: what is added again, its bounds, and both routes with programs that do not send it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.server.api_errors import ApiError
from codex_backend_sdk.server.reasoning_memory import ReasoningMemory
from codex_backend_sdk.testing import Turn
from codex_backend_sdk.testing.parsed_request import encode_encrypted_content

from .model_calls import CHAT, RESPONSES, data_of

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

OWNER = ("gpt-5.5", "account")
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
SECOND_CALL = {**CALL, "id": "fc_2", "call_id": "c2"}
MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "1"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c3", "name": "g", "input": "x"}


def filled(max_calls: int = 10, **options: Any) -> ReasoningMemory:
    memory = ReasoningMemory(max_calls, **options)
    memory.remember_items([REASONING, CALL, SECOND_CALL, MESSAGE], owner=OWNER)
    memory.remember_items([REASONING, CUSTOM], owner=OWNER)
    return memory


def without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


ITEMS: list[tuple[str, list[Any], list[Any]]] = [
    ("call that came back", [without_id(CALL), OUTPUT], [REASONING, without_id(CALL), OUTPUT]),
    ("custom call", [CUSTOM], [REASONING, CUSTOM]),
    ("reasoning that came back", [REASONING, CALL, OUTPUT], [REASONING, CALL, OUTPUT]),
    ("reasoning before a message", [REASONING, MESSAGE, CALL], [REASONING, MESSAGE, CALL]),
    ("second call", [SECOND_CALL], [SECOND_CALL]),
    ("changed arguments", [{**CALL, "arguments": "[]"}], [{**CALL, "arguments": "[]"}]),
    ("unknown call", [{**CALL, "call_id": "other"}], [{**CALL, "call_id": "other"}]),
    ("text", ["hi"], ["hi"]),
    ("reference", [{"type": "item_reference", "id": "msg_1"}], [MESSAGE]),
    ("short reference", [{"id": "rs_1"}, {"id": "fc_1"}, OUTPUT], [REASONING, CALL, OUTPUT]),
    ("reference to unknown reasoning", [{"type": "item_reference", "id": "rs_2"}, MESSAGE], [MESSAGE]),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in ITEMS], ids=[row[0] for row in ITEMS])
def test_items_are_completed(given: list[Any], expected: list[Any]) -> None:
    assert filled().complete_items(given, owner=OWNER) == expected


@pytest.mark.parametrize("item_id", ["msg_2", None, 7])
def test_unknown_reference_is_refused(item_id: Any) -> None:
    with pytest.raises(ApiError, match="`store` to false") as caught:
        filled().complete_items([MESSAGE, {"type": "item_reference", "id": item_id}], owner=OWNER)
    assert caught.value.param == "input[1]"


@pytest.mark.parametrize("owner", [("gpt-5.4", "account"), ("gpt-5.5", "other"), None])
def test_reasoning_of_another_owner_is_not_added(owner: Any) -> None:
    assert filled().complete_items([CALL], owner=owner) == [CALL]


@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ('{"city": "Paris", "n": [1, 2]}', '{"city":"Paris","n":[1,2]}', True),
        ('{"a":1,"b":2}', '{"b":2,"a":1}', True),
        ('{"n":1.0,"m":1e2,"k":0.5}', '{"n":1,"m":100,"k":0.50}', True),
        ('{"city":"K\\u00f6ln"}', '{"city":"Köln"}', True),
        ('{"n":1e999}', '{"n":1e999}', True),
        ("not JSON", "not JSON", True),
        ("[" * 100_000, "[" * 100_000, True),
        ("not JSON", "not  JSON", False),
        ('{"n":1}', '{"n":"1"}', False),
        ('{"n":[1,2]}', '{"n":[2,1]}', False),
    ],
    ids=lambda value: str(value)[:30],
)
def test_arguments_are_compared_as_json(first: str, second: str, is_same: bool) -> None:
    memory = ReasoningMemory(10)
    memory.remember_items([REASONING, {**CALL, "arguments": first}], owner=OWNER)
    memory.remember_message(
        {"tool_calls": [{**CHAT_CALL, "function": {"name": "f", "arguments": first}}], "reasoning_details": DETAILS},
        owner=OWNER,
    )
    call = {**CALL, "arguments": second}
    assert memory.complete_items([call], owner=OWNER) == ([REASONING] if is_same else []) + [call]
    message = {"tool_calls": [{**CHAT_CALL, "function": {"name": "f", "arguments": second}}]}
    (completed,) = memory.complete_messages([message], owner=OWNER)
    assert ("reasoning_details" in completed) is is_same


def test_input_of_a_custom_call_is_compared_as_text() -> None:
    memory = ReasoningMemory(10)
    memory.remember_items([REASONING, {**CUSTOM, "input": "[1, 2]"}], owner=OWNER)
    call = {**CUSTOM, "input": "[1,2]"}
    assert memory.complete_items([call], owner=OWNER) == [call]


DETAILS = [{"type": "reasoning.encrypted", "data": "secret"}]
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT_CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}}
KNOWN = {"role": "assistant", "tool_calls": [CHAT_CALL, CHAT_CUSTOM]}
MESSAGES: list[tuple[Any, bool]] = [
    (KNOWN, True),
    ({"role": "assistant", "tool_calls": [CHAT_CUSTOM]}, True),
    ({**KNOWN, "reasoning_details": [{"type": "other"}]}, False),
    ({"role": "assistant", "tool_calls": [{**CHAT_CALL, "function": {"name": "f", "arguments": "[]"}}]}, False),
    ({"role": "assistant", "content": "hi"}, False),
    ("no message", False),
]


@pytest.mark.parametrize(("message", "is_completed"), MESSAGES)
def test_messages_are_completed(message: Any, is_completed: bool) -> None:
    memory = ReasoningMemory(10)
    memory.remember_message({**KNOWN, "reasoning_details": DETAILS}, owner=OWNER)
    expected = {**message, "reasoning_details": DETAILS} if is_completed else message
    assert memory.complete_messages([message], owner=OWNER) == [expected]


@pytest.mark.parametrize("item", [{"type": []}, {"type": {}}, {"type": None}, {"type": 3, "call_id": []}, "text", None])
def test_items_of_a_wrong_type_are_left_alone(item: Any) -> None:
    memory = ReasoningMemory(10)
    memory.remember_items([item], owner=None)
    assert memory.complete_items([item, item], owner=None) == [item, item]


def test_message_without_reasoning_is_not_kept() -> None:
    memory = ReasoningMemory(10)
    memory.remember_message(KNOWN, owner=OWNER)
    assert len(memory) == 0


def test_memory_that_is_off_keeps_nothing() -> None:
    memory = filled(0)
    memory.remember_message({**KNOWN, "reasoning_details": DETAILS}, owner=OWNER)
    assert not memory.is_enabled
    assert len(memory) == 0


def test_oldest_entries_are_dropped() -> None:
    memory = ReasoningMemory(1)
    for number in range(20):
        memory.remember_items([{**MESSAGE, "id": f"msg_{number}"}], owner=OWNER)
        assert memory.complete_items([{"id": "msg_0"}], owner=OWNER)  # used, so it is kept
    assert len(memory) == 4
    with pytest.raises(ApiError):
        memory.complete_items([{"id": "msg_1"}], owner=OWNER)


def test_bytes_are_bounded() -> None:
    memory = ReasoningMemory(1000, max_bytes=1000)
    for number in range(20):
        memory.remember_items([{**MESSAGE, "id": f"msg_{number}", "content": "x" * 300}], owner=OWNER)
    assert len(memory) == 2
    memory.remember_items([{**MESSAGE, "id": "msg_large", "content": "x" * 2000}], owner=OWNER)
    assert len(memory) == 2
    memory.remember_items([{**MESSAGE, "id": "msg_19", "content": "y" * 300}], owner=OWNER)
    assert len(memory) == 2


# On the server


def encrypted(body: dict[str, Any]) -> list[str]:
    return [item["encrypted_content"] for item in body["input"] if item["type"] == "reasoning"]


def calling(sim: Simulator) -> Turn:
    """Return a turn that reasons and calls a function."""
    encrypted_content = encode_encrypted_content(account=sim.account.account_id, model="gpt-5.5", item="rs_1")
    return Turn.items({**REASONING, "encrypted_content": encrypted_content}, {**CALL, "status": "completed"})


TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("memory", [0, 10])
def test_chat_continues_the_reasoning(serve: Any, sim: Simulator, bodies: Any, stream: bool, memory: int) -> None:
    server = serve(reasoning_memory=memory)
    sim.script(calling(sim), "Done")
    first = server.post(CHAT.path, json=CHAT.body(tools=TOOLS, stream=stream))
    if stream:
        chunks = [chunk["choices"][0]["delta"] for chunk in data_of(first)]
        assert any("tool_calls" in delta for delta in chunks)
    call = {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]}
    messages = [{"role": "user", "content": "hi"}, call, {"role": "tool", "tool_call_id": "c1", "content": "1"}]
    assert server.post(CHAT.path, json=CHAT.body(tools=TOOLS, messages=messages)).status_code == 200
    assert len(encrypted(bodies()[1])) == bool(memory)


def test_references_to_items_are_resolved(server: Any, sim: Simulator, bodies: Any) -> None:
    sim.script(Turn.call("f", {}, call_id="c1"), "Done")
    output = server.post(RESPONSES.path, json=RESPONSES.body(tools=TOOLS)).json()["output"]
    references = [{"type": "item_reference", "id": item["id"]} for item in output]
    again = RESPONSES.body(tools=TOOLS, input=[{"role": "user", "content": "hi"}, *references, OUTPUT])
    assert server.post(RESPONSES.path, json=again).status_code == 200
    assert [item["type"] for item in bodies()[1]["input"]][-2:] == ["function_call", "function_call_output"]
    unknown = server.post(RESPONSES.path, json=RESPONSES.body(input=[{"type": "item_reference", "id": "msg_x"}]))
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "local_unknown_item")
