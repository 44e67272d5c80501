"""Test which requests of a connection send only the items that the backend does not know."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.responses import Response
from pydantic_core import from_json

from codex_backend_sdk._request.compression import Compression
from codex_backend_sdk._request.input_items import shape_input
from codex_backend_sdk._request.prompt_cache import TURN_STATE_HEADER, TurnState
from codex_backend_sdk._request.request_body import PreparedInput, RequestBody
from codex_backend_sdk._websocket.incremental import Baseline, CreateMessage, create_message

if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "How warm is it?"}]}
NEXT = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And tomorrow?"}]}
CALL_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "20 degrees"}
# The items of a response as the events have them.
OUTPUT: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "status": "completed",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "hm"}],
        "encrypted_content": "gAAA",
    },
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
        "content": [{"type": "output_text", "text": "I look it up.", "annotations": [], "logprobs": []}],
    },
    {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "weather",
        "arguments": "{}",
        "status": "completed",
    },
]
ASSISTANT = OUTPUT[1]
SETTINGS: dict[str, Any] = {
    "model": "gpt-5.5",
    "instructions": "Be brief.",
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    "tool_choice": "auto",
    "reasoning": {"effort": "low"},
    "store": False,
    "stream": True,
}


def plain(*items: Any, **settings: Any) -> RequestBody:
    """Return the body of a call with a list as its input."""
    return RequestBody({**SETTINGS, "input": shape_input(list(items)), **settings}, Compression())


def prepared(*items: Any, history: str = "h", generation: int = 1, **settings: Any) -> RequestBody:
    """Return the body of a call of a conversation."""
    value = PreparedInput(items, history=history, generation=generation)
    return RequestBody({**SETTINGS, "input": value, **settings}, Compression(), prepared_input=value)


def baseline_of(body: RequestBody, output: list[Any] | None = None) -> Baseline:
    baseline = create_message(body, None).completed("resp_1", OUTPUT if output is None else output)
    assert baseline is not None
    return baseline


def sent_members(message: CreateMessage) -> dict[str, Any]:
    members: dict[str, Any] = from_json(message.text)
    return members


@pytest.fixture(params=[plain, prepared])
def new_body(request: pytest.FixtureRequest) -> Callable[..., RequestBody]:
    function: Callable[..., RequestBody] = request.param
    return function


def test_first_message_has_the_whole_body(new_body: Callable[..., RequestBody]) -> None:
    message = create_message(new_body(QUESTION), None)
    assert sent_members(message) == {"type": "response.create", **SETTINGS, "input": [QUESTION]}
    assert next(iter(sent_members(message))) == "type"
    assert (message.items_sent, message.full_replay) == (1, "no response to continue on this connection")


def test_next_message_has_only_the_new_items(new_body: Callable[..., RequestBody]) -> None:
    message = create_message(new_body(QUESTION, *OUTPUT, CALL_OUTPUT, NEXT), baseline_of(new_body(QUESTION)))
    assert sent_members(message) == {
        "type": "response.create",
        **SETTINGS,
        "input": [CALL_OUTPUT, NEXT],
        "previous_response_id": "resp_1",
    }
    assert (message.items_sent, message.full_replay) == (2, None)


def test_many_turns_stay_incremental(new_body: Callable[..., RequestBody]) -> None:
    history: list[Any] = []
    baseline: Baseline | None = None
    for turn in range(5):
        history.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": str(turn)}]})
        message = create_message(new_body(*history), baseline)
        assert message.items_sent == 1
        assert (message.full_replay is None) == (turn > 0)
        baseline = message.completed(f"resp_{turn}", OUTPUT)
        history += OUTPUT


def test_request_may_add_nothing(new_body: Callable[..., RequestBody]) -> None:
    """A response may end with nothing to answer; the model continues."""
    message = create_message(new_body(QUESTION, *OUTPUT), baseline_of(new_body(QUESTION)))
    assert (message.items_sent, message.full_replay) == (0, None)


def test_body_is_not_changed(new_body: Callable[..., RequestBody]) -> None:
    body = new_body(QUESTION, *OUTPUT, NEXT)
    before = copy.deepcopy(body.members)
    create_message(body, baseline_of(new_body(QUESTION)))
    assert body.members == before


# --- output items as they come back ------------------------------------------------------------------------------


def as_received() -> list[Any]:
    return OUTPUT


def as_official_objects() -> list[Any]:
    response = Response.construct(output=OUTPUT)  # type: ignore[arg-type]
    return [item.to_dict() for item in response.output]


def as_dumped_objects() -> list[Any]:
    response = Response.construct(output=OUTPUT)  # type: ignore[arg-type]
    return [item.model_dump() for item in response.output]


def without(*names: str) -> Callable[[], list[Any]]:
    return lambda: [{name: value for name, value in item.items() if name not in names} for item in OUTPUT]


def with_member(name: str, value: Any) -> Callable[[], list[Any]]:
    return lambda: [{**item, name: value} for item in OUTPUT]


REPLAYS: dict[str, Callable[[], list[Any]]] = {
    "as received": as_received,
    "official objects": as_official_objects,
    "dumped objects": as_dumped_objects,
    "without ids": without("id"),
    "without status": without("status"),
    "without content of the reasoning": lambda: [{k: v for k, v in OUTPUT[0].items() if k != "content"}, *OUTPUT[1:]],
    "with a stamp": with_member("stamp", {"model": "gpt-5.5", "account_id": "acc-1"}),
    "with null members": with_member("namespace", None),
    "with a passthrough": with_member("internal_chat_message_metadata_passthrough", {"a": 1}),
    "other ids": with_member("id", "x_1"),
}


@pytest.mark.parametrize("case", REPLAYS)
def test_replayed_output_is_recognized(case: str) -> None:
    message = create_message(plain(QUESTION, *REPLAYS[case](), NEXT), baseline_of(plain(QUESTION)))
    assert (message.items_sent, message.full_replay) == (1, None)


# A conversation replays what it keeps: its items are not converted again.
@pytest.mark.parametrize("case", sorted(REPLAYS.keys() - {"dumped objects"}))
def test_replayed_output_is_recognized_in_prepared_input(case: str) -> None:
    message = create_message(prepared(QUESTION, *REPLAYS[case](), NEXT), baseline_of(prepared(QUESTION)))
    assert (message.items_sent, message.full_replay) == (1, None)


UNUSABLE_OUTPUT: dict[str, list[Any]] = {
    "reasoning without encrypted content": [{"type": "reasoning", "id": "rs_1", "summary": []}],
    "search with an unknown action": [{"type": "web_search_call", "id": "ws_1", "action": {"type": "other"}}],
}


@pytest.mark.parametrize("case", UNUSABLE_OUTPUT)
def test_output_that_is_never_sent_back_is_not_expected(case: str) -> None:
    baseline = baseline_of(plain(QUESTION), [*UNUSABLE_OUTPUT[case], *OUTPUT])
    message = create_message(plain(QUESTION, *UNUSABLE_OUTPUT[case], *OUTPUT, NEXT), baseline)
    assert (message.items_sent, message.full_replay) == (1, None)


def test_item_that_is_no_object_is_not_the_output() -> None:
    message = create_message(prepared(QUESTION, "text", NEXT), baseline_of(prepared(QUESTION), [ASSISTANT]))
    assert message.full_replay == "changed: output of the last response"


@pytest.mark.parametrize("item", [None, 7, [], {"object": "response", "output": []}])
def test_response_with_damaged_output_is_no_baseline(item: Any) -> None:
    assert create_message(plain(QUESTION), None).completed("resp_1", [*OUTPUT, item]) is None


def test_text_item_of_the_caller_is_compared_as_it_is_sent() -> None:
    message = create_message(plain("How warm is it?", *OUTPUT, NEXT), baseline_of(plain(QUESTION)))
    assert message.full_replay is None


# --- full replays ------------------------------------------------------------------------------------------------

OTHER_OUTPUT = {**ASSISTANT, "content": [{"type": "output_text", "text": "It is warm.", "annotations": []}]}
REPLAY_REASONS: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "model": ([QUESTION, *OUTPUT, NEXT], {"model": "gpt-5.4"}, "changed: model"),
    "instructions": ([QUESTION, *OUTPUT, NEXT], {"instructions": "Be long."}, "changed: instructions"),
    "tools": ([QUESTION, *OUTPUT, NEXT], {"tools": []}, "changed: tools"),
    "tool choice": ([QUESTION, *OUTPUT, NEXT], {"tool_choice": "none"}, "changed: tool_choice"),
    "two members": ([QUESTION, *OUTPUT, NEXT], {"model": "m", "store": True}, "changed: model, store"),
    "nested member": ([QUESTION, *OUTPUT, NEXT], {"reasoning": {"effort": "high"}}, "changed: reasoning"),
    "new member": ([QUESTION, *OUTPUT, NEXT], {"service_tier": "priority"}, "changed: service_tier"),
    "output changed": ([QUESTION, OUTPUT[0], OTHER_OUTPUT, *OUTPUT[2:], NEXT], {}, "changed: output"),
    "output reordered": ([QUESTION, OUTPUT[1], OUTPUT[0], OUTPUT[2], NEXT], {}, "changed: output"),
    "output dropped": ([QUESTION, *OUTPUT[:2], CALL_OUTPUT, NEXT], {}, "changed: output"),
    "no output": ([QUESTION], {}, "changed: input"),
    "half of the output": ([QUESTION, OUTPUT[0]], {}, "changed: input"),
    "nothing": ([], {}, "changed: input"),
}


@pytest.mark.parametrize("case", REPLAY_REASONS)
def test_changed_request_sends_the_whole_input(case: str, new_body: Callable[..., RequestBody]) -> None:
    items, settings, reason = REPLAY_REASONS[case]
    second = new_body(*items, **settings)
    message = create_message(second, baseline_of(new_body(QUESTION)))
    assert message.full_replay is not None
    assert message.full_replay.startswith(reason)
    assert message.items_sent == len(items)
    assert sent_members(message)["input"] == second.members["input"]
    assert "previous_response_id" not in sent_members(message)


def test_removed_member_sends_the_whole_input(new_body: Callable[..., RequestBody]) -> None:
    message = create_message(new_body(QUESTION, *OUTPUT), baseline_of(new_body(QUESTION, include=["a"])))
    assert message.full_replay == "changed: include"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (plain(QUESTION), plain(NEXT, *OUTPUT, NEXT)),
        (plain(QUESTION, NEXT), plain(QUESTION, *OUTPUT, NEXT, NEXT)),
        (prepared(QUESTION), prepared(QUESTION, *OUTPUT, NEXT, generation=2)),
        (prepared(QUESTION), prepared(QUESTION, *OUTPUT, NEXT, history="other")),
        (prepared(QUESTION), plain(QUESTION, *OUTPUT, NEXT)),
        (plain(QUESTION), prepared(QUESTION, *OUTPUT, NEXT)),
    ],
    ids=["item changed", "item removed", "generation", "history", "plain after prepared", "prepared after plain"],
)
def test_changed_history_sends_the_whole_input(first: RequestBody, second: RequestBody) -> None:
    message = create_message(second, baseline_of(first))
    assert message.full_replay == "changed: input"
    assert message.items_sent == len(second.members["input"])


def test_changed_metadata_stays_incremental(new_body: Callable[..., RequestBody]) -> None:
    baseline = baseline_of(new_body(QUESTION, client_metadata={"turn_id": "1"}))
    message = create_message(new_body(QUESTION, *OUTPUT, NEXT, client_metadata={"turn_id": "2"}), baseline)
    assert message.full_replay is None
    assert sent_members(message)["client_metadata"] == {"turn_id": "2"}


def test_caller_may_change_an_earlier_item_in_place() -> None:
    """The digest of an item is that at the time when it was sent."""
    question = copy.deepcopy(QUESTION)
    baseline = baseline_of(plain(question))
    question["content"][0]["text"] = "How cold is it?"  # type: ignore[index]
    assert create_message(plain(question, *OUTPUT, NEXT), baseline).full_replay == "changed: input"


def test_caller_may_change_a_tool_in_place(new_body: Callable[..., RequestBody]) -> None:
    tools = copy.deepcopy(SETTINGS["tools"])
    baseline = baseline_of(new_body(QUESTION, tools=tools))
    tools[0]["parameters"]["properties"] = {"city": {"type": "string"}}
    assert create_message(new_body(QUESTION, *OUTPUT, NEXT, tools=tools), baseline).full_replay == "changed: tools"


# --- prepared input ----------------------------------------------------------------------------------------------


class Untouchable(dict[str, Any]):
    """An item that may be neither read, compared nor encoded."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("an old item is compared")

    def __iter__(self) -> Any:
        raise AssertionError("an old item is read")

    def items(self) -> Any:
        raise AssertionError("an old item is read")

    __hash__ = None  # type: ignore[assignment]


def test_old_items_of_prepared_input_are_not_read() -> None:
    """The time of a turn does not grow with the history: only the output and the new items are read."""
    baseline = baseline_of(prepared(*[QUESTION] * 100))
    old_items = [Untouchable(value=object()) for _ in range(100)]
    message = create_message(prepared(*old_items, *OUTPUT, NEXT), baseline)
    assert (message.items_sent, message.full_replay) == (1, None)


DEVELOPER = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]}
TRIGGER = {"type": "compaction_trigger"}


def around(before: list[Any], items: list[Any], after: list[Any]) -> RequestBody:
    """Return the body of a call whose prepared input has items before or after it."""
    value = PreparedInput(items, history="h", generation=1)
    members = {**SETTINGS, "input": [*before, *items, *after]}
    return RequestBody(members, Compression(), prepared_input=value)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([DEVELOPER], [DEVELOPER], None),
        ([DEVELOPER], [{**DEVELOPER, "content": "Be long."}], "changed: input"),
        ([DEVELOPER], [], "changed: input"),
        ([], [DEVELOPER], "changed: input"),
        ([DEVELOPER], [DEVELOPER, DEVELOPER], "changed: input"),
    ],
)
def test_instructions_before_the_history_are_compared(first: list[Any], second: list[Any], reason: str | None) -> None:
    baseline = baseline_of(around(first, [QUESTION], []))
    message = create_message(around(second, [QUESTION, *OUTPUT, NEXT], []), baseline)
    assert message.full_replay == reason
    assert message.items_sent == (1 if reason is None else len(second) + 5)


def test_trigger_after_the_history_is_sent_incrementally() -> None:
    baseline = baseline_of(around([DEVELOPER], [QUESTION], []))
    message = create_message(around([DEVELOPER], [QUESTION, *OUTPUT], [TRIGGER]), baseline)
    assert (message.full_replay, sent_members(message)["input"]) == (None, [TRIGGER])


@pytest.mark.parametrize("items", [[QUESTION], []])
def test_request_with_a_trigger_cannot_be_continued(items: list[Any]) -> None:
    """The next history does not begin with the trigger."""
    message = create_message(around([], items, [TRIGGER]), None)
    usable = message.completed("resp_1", [])
    assert usable is None or create_message(around([], [*items, NEXT], []), usable).full_replay == "changed: input"


# --- the message -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "value", "expected"),
    [
        (None, "state", {TURN_STATE_HEADER: "state"}),
        ({"a": "b"}, "state", {"a": "b", TURN_STATE_HEADER: "state"}),
        ({"a": "b"}, None, {"a": "b"}),
        (None, None, None),
    ],
)
def test_message_has_the_state_of_the_turn(metadata: Any, value: str | None, expected: Any) -> None:
    turn = TurnState()
    turn.value = value
    settings = {} if metadata is None else {"client_metadata": metadata}
    message = create_message(plain(QUESTION, **settings), None, turn)
    assert sent_members(message).get("client_metadata") == expected


def test_lone_surrogate_is_rejected_with_its_place() -> None:
    """As over HTTP. The index is that in the whole input."""
    damaged = {"role": "user", "content": "\ud800"}
    with pytest.raises(ValueError, match=r"`input\[4\]\.content\[0\]\.text` contains a lone surrogate"):
        create_message(plain(QUESTION, *OUTPUT, damaged), baseline_of(plain(QUESTION)))


def test_lone_surrogate_in_the_turn_state_is_rejected() -> None:
    turn = TurnState()
    turn.value = "\ud800"
    with pytest.raises(ValueError, match=r"`client_metadata\.x-codex-turn-state` contains a lone surrogate"):
        create_message(plain(QUESTION), None, turn)
