"""Test the functions for the items of a saved history."""

from __future__ import annotations

import copy
import re
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseFunctionToolCall

from codex_backend_sdk import HistoryError, history

Item = dict[str, Any]
NO_OUTPUT = "[no output: the call was interrupted]"


def call(call_id: Any, **members: Any) -> Item:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}", **members}


def output(call_id: Any, **members: Any) -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": "done", **members}


def reasoning(**members: Any) -> Item:
    return {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA", **members}


def user(text: str = "hi") -> Item:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str = "yes", **members: Any) -> Item:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **members}


def update(**settings: Any) -> Item:
    return {"type": "configuration_update", "reasoning": settings}


COMPACTION = {"type": "compaction", "encrypted_content": "gAAAA"}
SEARCH_CALL = {"type": "tool_search_call", "execution": "server", "arguments": {}}


# --- encrypted items -------------------------------------------------------------------------------------------------


def test_only_encrypted_items_are_stamped() -> None:
    items = [user(), reasoning(), call("a"), output("a"), COMPACTION, {"type": "compaction_summary"}]
    stamped = history.stamp(items, model="m", account_id=None)
    assert [item.get("stamp") for item in stamped] == [
        {"model": "m", "account_id": None} if index in (1, 4, 5) else None for index in range(6)
    ]


def test_first_stamp_is_kept() -> None:
    stamped = history.stamp([reasoning(), reasoning(stamp="damaged")], model="m", account_id="a")
    assert history.stamp(stamped, model="n", account_id="b") == stamped


@pytest.mark.parametrize(
    ("stamped", "current", "is_kept"),
    [
        (("m", "a"), ("m", "a"), True),
        (("m", "a"), ("n", "a"), False),
        (("m", "a"), ("m", "b"), False),
        (("m", None), ("m", "b"), True),
        (("m", "a"), (None, None), True),
        (("m", "a"), (None, "b"), False),
        (None, ("m", "a"), True),
    ],
)
def test_reasoning_is_stripped_after_a_switch(stamped: Any, current: Any, is_kept: bool) -> None:
    items = [user(), reasoning(), assistant()]
    if stamped:
        items = history.stamp(items, model=stamped[0], account_id=stamped[1])
    expected = items if is_kept else [user(), assistant()]
    assert history.strip(items, model=current[0], account_id=current[1]) == expected


def test_compaction_of_another_account_is_an_error() -> None:
    items = history.stamp([user(), COMPACTION, user()], model="m", account_id="a")
    for function in (history.strip, history.prepare):
        with pytest.raises(
            HistoryError, match=r"`input\[1\]` \(compaction\): .*another account.*items that it"
        ) as error:
            function(items, model="m", account_id="b")
        assert error.value.indexes == (1,)
    assert history.strip(items, account_id="b", drop_compaction=True) == [user(), user()]


def test_compaction_is_readable_by_other_models() -> None:
    items = history.stamp([COMPACTION, user()], model="m", account_id="a")
    assert history.strip(items, model="n", account_id="a") == items
    assert history.compaction_indexes(items) == [0]
    assert history.compaction_indexes(items, not_of_account="a") == []
    assert history.compaction_indexes(items, not_of_account="b") == [0]


def test_reasoning_can_be_removed_altogether() -> None:
    assert history.without_reasoning([reasoning(), user(), COMPACTION]) == [user(), COMPACTION]


# --- calls and outputs -----------------------------------------------------------------------------------------------


PAIRED: list[list[Item]] = [
    [],
    [call("a"), output("a")],
    [call("a"), call("b"), output("b"), output("a")],
    [call("a"), user(), output("a")],
    [call("a"), output("a"), call("a"), output("a")],  # some models number the calls of each response
    [{**call("a"), "type": "custom_tool_call"}, {**output("a"), "type": "custom_tool_call_output"}],
    [{"type": "local_shell_call", "call_id": "a"}, output("a")],
    [SEARCH_CALL, {"type": "tool_search_output", "tools": []}],
    [{"type": "computer_call", "call_id": "a"}],  # of the public API: not known here
    [{**SEARCH_CALL, "call_id": "a"}, {"type": "tool_search_output", "call_id": "a", "tools": []}],
]


@pytest.mark.parametrize("items", PAIRED, ids=lambda items: "-".join(item["type"] for item in items) or "empty")
@pytest.mark.parametrize("repair", [False, True])
def test_paired_items_stay_as_they_are(items: list[Item], repair: bool) -> None:
    assert history.pair(items, repair=repair) == items


BROKEN: dict[str, tuple[list[Item], str, list[Item]]] = {
    "no output": (
        [user(), call("a"), user()],
        r"`input\[1\]` \(function_call, call_id 'a'\) has no output",
        [user(), call("a"), output("a", output=NO_OUTPUT), user()],
    ),
    "one of two outputs": (
        [call("a"), call("b"), output("b")],
        r"`input\[0\]` \(function_call, call_id 'a'\) has no output\. ",
        [call("a"), output("a", output=NO_OUTPUT), call("b"), output("b")],
    ),
    "no output of a search": (
        [{**SEARCH_CALL, "call_id": "a"}],
        r"tool_search_call, call_id 'a'",
        [
            {**SEARCH_CALL, "call_id": "a"},
            {"type": "tool_search_output", "call_id": "a", "status": "completed", "execution": "client", "tools": []},
        ],
    ),
    "no call": (
        [output("a"), user()],
        r"`input\[0\]` \(function_call_output, call_id 'a'\) has no call before it",
        [user()],
    ),
    "output of another type": (
        [call("a"), {**output("a"), "type": "custom_tool_call_output"}],
        r"`input\[0\]` .* has no output; `input\[1\]` .* has no call before it",
        [call("a"), output("a", output=NO_OUTPUT)],
    ),
    "two outputs": ([call("a"), output("a"), output("a")], r"`input\[2\]`", [call("a"), output("a")]),
    "repeated call": (
        [call("a"), call("a"), output("a")],
        r"`input\[1\]` .* is repeated before its output",
        [call("a"), output("a")],
    ),
    "no call id": (
        [call(None), user(), output(7)],
        r"`input\[0\]` \(function_call\) has no `call_id`; `input\[2\]` .* has no `call_id`",
        [user()],
    ),
    "many": (
        [call(f"c{number}") for number in range(8)],
        r"; and 3 more\. ",
        [item for number in range(8) for item in (call(f"c{number}"), output(f"c{number}", output=NO_OUTPUT))],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_pairs_are_named_and_repaired(name: str) -> None:
    items, message, repaired = BROKEN[name]
    before = copy.deepcopy(items)
    with pytest.raises(HistoryError, match=f"{message}.*`repair=True`"):
        history.pair(items)
    assert history.pair(items, repair=True) == repaired
    assert history.pair(repaired) == repaired
    assert items == before


def test_output_is_moved_behind_its_call() -> None:
    items = [output("a"), user(), call("a"), user("b")]
    assert history.pair(items) == [user(), call("a"), output("a"), user("b")]


# --- preparation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "is_kept"),
    [
        (assistant(id="msg_1"), True),
        (assistant(id="rs_1"), False),
        (assistant(id="msg_"), False),
        (assistant(id="msg_" + "x" * 60), True),
        (assistant(id="msg_" + "x" * 61), False),
        (assistant(id=None), False),
        (assistant(id=7), False),
        (reasoning(id="rs_1"), True),
        (call("a", id="call_a"), False),
        ({"type": "new_type", "id": "anything"}, True),
    ],
    ids=lambda value: str(value.get("id"))[:12] if isinstance(value, dict) else "",
)
def test_id_is_kept_if_the_backend_accepts_it(item: Item, is_kept: bool) -> None:
    (prepared,) = history.prepare([item], repair=True)[:1]
    assert prepared == (item if is_kept else {name: value for name, value in item.items() if name != "id"})


def test_second_item_with_an_id_loses_it() -> None:
    assert history.prepare([assistant("a", id="msg_1"), assistant("b", id="msg_1")]) == [
        assistant("a", id="msg_1"),
        assistant("b"),
    ]


@pytest.mark.parametrize("output_id", [{}, {"id": "fco_1"}])
def test_response_that_was_saved_twice_is_sent_once(output_id: Item) -> None:
    turn = [reasoning(id="rs_1"), call("a", id="fc_1"), output("a", **output_id), assistant(id="msg_1")]
    assert history.prepare([user(), *turn, *turn, user()]) == [user(), *turn, user()]
    assert history.prepare([*turn[:2], *turn[1:]]) == turn


def test_items_whose_reasoning_is_missing_lose_their_ids() -> None:
    items = [reasoning(encrypted_content=None), call("a", id="fc_1"), output("a"), assistant(id="msg_1")]
    assert history.prepare(items) == [call("a"), output("a"), assistant(id="msg_1")]
    foreign = history.stamp([reasoning(), assistant(id="msg_1"), user()], model="m", account_id="a")
    assert history.prepare([*foreign, assistant(id="msg_2")], model="n") == [
        assistant(),
        user(),
        assistant(id="msg_2"),
    ]


@pytest.mark.parametrize("call_id", ["x" * 65, "a:b", "", "ü", "\ud800"])
def test_invalid_call_id_is_replaced_in_call_and_output(call_id: str) -> None:
    prepared = history.prepare([call(call_id), user(), output(call_id)])
    (new_id,) = {item["call_id"] for item in prepared if "call_id" in item}
    assert history.validate(prepared) == []
    assert new_id == history.prepare([call(call_id), output(call_id)])[0]["call_id"] != call_id
    assert history.prepare([call("x" * 64), output("x" * 64)])[0] == call("x" * 64)


def test_configuration_updates_in_a_row_are_merged() -> None:
    items = [update(effort="low", summary="auto"), update(effort="high"), user(), update(effort="low"), reasoning()]
    assert history.prepare(items) == [
        update(effort="high", summary="auto"),
        user(),
        update(effort="low"),
        reasoning(),
    ]
    assert history.prepare([{**update(), "reasoning": None}, update(effort="low")]) == [update(effort="low")]


def test_items_are_shaped_as_in_every_call() -> None:
    official = ResponseFunctionToolCall(type="function_call", call_id="a", name="f", arguments="{}", id="fc_1")
    items = [{"role": "system", "content": "x"}, official, output("a"), reasoning(content=[{"text": "x"}])]
    assert history.prepare(items) == [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        call("a", id="fc_1"),
        output("a"),
        reasoning(),
    ]
    assert history.prepare("hi") == history.prepare({"role": "user", "content": "hi"}) == [user()]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"type": "item_reference", "id": "msg_1"}, r"`input\[1\]` \(item_reference\) refers to a stored item"),
        (call(None), r"`input\[1\]` \(function_call\) has no `call_id`"),
    ],
)
def test_item_that_cannot_be_sent_is_an_error(item: Item, message: str) -> None:
    with pytest.raises(HistoryError, match=message):
        history.prepare([user(), item])
    assert history.prepare([user(), item], repair=True) == [user()]


def test_item_that_is_no_item_raises_type_error() -> None:
    for function in (history.prepare, history.pair):
        with pytest.raises(TypeError, match=r"`input\[0\]` must be a mapping"):
            function([7])
    assert history.pair("hi") == [{"role": "user", "content": "hi"}]


def test_sources_are_the_positions_of_the_items() -> None:
    prepared = history.PreparedHistory(model="n", repair=True)
    first = history.stamp([user(), reasoning(), call("a")], model="m", account_id=None)
    prepared.extend(first)
    prepared.extend([update(effort="low")])
    assert (prepared.sources, prepared.generation) == ([0, 2, 2, 3], 0)
    prepared.extend([update(effort="high"), user("b")])
    assert (prepared.sources, prepared.generation) == ([0, 2, 2, 4, 5], 1)
    assert prepared.items == history.prepare(
        [*first, update(effort="low"), update(effort="high"), user("b")], model="n", repair=True
    )


def test_rejected_items_are_not_added() -> None:
    prepared = history.PreparedHistory()
    prepared.extend([assistant(id="msg_1")])
    with pytest.raises(HistoryError, match=r"`input\[2\]`"):
        prepared.extend([assistant("new", id="msg_2"), call("a")])
    prepared.extend([assistant("new", id="msg_2"), call("a"), output("a")])
    assert prepared.items == [assistant(id="msg_1"), assistant("new", id="msg_2"), call("a"), output("a")]
    assert prepared.sources == [0, 1, 2, 3]


_call_ids = st.sampled_from(["a", "b", "x" * 70])
_ids = st.sampled_from([{}, {"id": "fc_1"}, {"id": "fc_2"}, {"id": "msg_1"}, {"id": "msg_2"}, {"id": "rs_1"}])
_stamps = st.sampled_from([{}, *({"stamp": {"model": model, "account_id": "a"}} for model in "mn")])
_encrypted = st.sampled_from([{}, {"encrypted_content": None}])
_items = st.one_of(
    st.just(user()),
    st.builds(lambda text, item_id: assistant(text, **item_id), st.sampled_from("xy"), _ids),
    st.builds(lambda item_id, stamp, rest: reasoning(**item_id, **stamp, **rest), _ids, _stamps, _encrypted),
    st.builds(lambda call_id, item_id: call(call_id, **item_id), _call_ids, _ids),
    st.builds(output, _call_ids),
    st.builds(lambda call_id: {**call(call_id), "type": "custom_tool_call"}, _call_ids),
    st.builds(lambda effort: update(effort=effort), st.sampled_from(["low", "high"])),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_items, max_size=14))
def test_preparation_is_stable_for_a_growing_history(items: list[Item]) -> None:
    prepared = history.prepare(items, model="m", repair=True)
    assert history.validate(prepared) == []
    assert history.prepare(prepared, repair=False) == prepared
    growing, start = history.PreparedHistory(model="m", repair=True), 0
    for end in range(len(items) + 1):
        try:
            part = history.prepare(items[:end], model="m")
        except HistoryError:
            continue  # a call is open
        growing.extend(items[start:end])
        start = end
        assert growing.items == part
        if not part or part[-1]["type"] != "configuration_update":
            assert prepared[: len(part)] == part


# --- validation ------------------------------------------------------------------------------------------------------


PROBLEMS: list[tuple[Any, str]] = [
    (7, r"`input\[0\]` \(no type\) is int, not an item"),
    ({"content": "x"}, "has neither a `type` nor a `role`"),
    ({"type": ["x"]}, "has neither"),
    ({"type": "item_reference", "id": "x"}, "refers to a stored item"),
    (assistant(id="rs_1"), "needs an id that begins with `msg_` and has at most 64 characters"),
    ({"type": "new_type", "id": "x" * 65}, "needs an id with at most 64 characters"),
    ({"role": "tool", "content": "x"}, "has the role 'tool'"),
    ({"role": "user", "content": 7}, "neither text nor a list"),
    (
        {"role": "assistant", "content": [{"type": "input_text"}]},
        "content part 0 of type 'input_text'",
    ),
    ({"role": "user", "content": ["x"]}, "content part 0 of type None"),
    ({"role": "user", "content": [{"type": "input_image", "image_url": {}}]}, "`image_url` that is not text"),
    (call(None), "has no `call_id`"),
    (output("x" * 65), "needs a `call_id` of at most 64 letters"),
    ([call("a", name="a b"), output("a")], "has the `name` 'a b'"),
    ([call("a", arguments={}), output("a")], "needs `arguments` as a JSON string"),
    ([call("a"), output("a", output={})], r"`input\[1\]` .* needs an `output` that is text or a list"),
    ([assistant(id="msg_1"), assistant("b", id="msg_1")], r"`input\[1\]` \(message\) has the id of `input\[0\]`"),
    ([update(), update()], r"`input\[1\]` \(configuration_update\) follows another one"),
    (call("a"), "has no output"),
    (output("a"), "has no call before it"),
    ([output("a"), call("a")], r"`input\[0\]` .* precedes its call"),
    ([call("a"), call("a"), output("a")], r"`input\[1\]` .* is repeated before its output"),
]


@pytest.mark.parametrize(("items", "message"), PROBLEMS, ids=[message[:40] for _, message in PROBLEMS])
def test_problem_is_found(items: Any, message: str) -> None:
    problems = history.validate(items if isinstance(items, list) else [items])
    assert [problem.message for problem in problems if re.search(message, problem.message)]
    assert all(problem.message.startswith(f"`input[{problem.index}]`") for problem in problems)


def test_valid_items_have_no_problems() -> None:
    items = ["hi", user(), assistant(id="msg_1"), reasoning(id="rs_1", content=[]), call("a"), output("a"), COMPACTION]
    assert history.validate([*items, SEARCH_CALL, {"role": "user", "content": None}]) == []


# --- errors and events -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "index"),
    [
        ("Unknown parameter: 'input[3].status'.", 3),
        ("Invalid 'input[12].content': array too long.", 12),
        ("No tool output found for function call call_1.", 1),
        ("No tool call found for function call output with call_id call_1.", 3),
        ("No tool call found for custom tool call output with call_id call_9.", None),
        ("Duplicate item found with id msg_1. Remove duplicate items", 2),
        ("Item with id 'msg_1' not found. Items are not persisted", 2),
        ("my_input[3] is wrong", None),
        ("The model is overloaded", None),
    ],
)
def test_error_names_its_item(message: str, index: int | None) -> None:
    items = [user(), call("call_1"), assistant(id="msg_1"), output("call_1")]
    assert history.failed_item_index(message, items) == index
    assert history.failed_item_index(message) == (index if "input[" in message and index else None)


def added(index: int, item: Item) -> Item:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: Item) -> Item:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


COMPLETED = {"type": "response.completed"}


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ([], []),
        ([{"type": "response.created"}, done(0, user())], [user()]),
        ([done(0, reasoning())], []),
        ([done(0, reasoning()), COMPLETED], [reasoning()]),
        ([done(0, reasoning()), added(1, assistant())], []),
        ([done(0, reasoning()), added(1, assistant()), done(1, assistant())], [reasoning(), assistant()]),
        ([done(0, reasoning(n=0)), done(1, reasoning(n=1)), added(2, call("a"))], []),
        (
            [done(0, reasoning(n=0)), done(1, assistant()), done(2, reasoning(n=2)), added(3, call("a"))],
            [reasoning(n=0), assistant()],
        ),
        ([done(1, call("b")), done(0, call("a"))], [call("a"), call("b")]),
        ([done(0, reasoning()), added(1, call("a")), done(2, call("b"))], [call("b")]),
    ],
)
def test_unfinished_items_are_not_kept(events: list[Item], kept: list[Item]) -> None:
    assert history.finished_items(events) == kept
    assert history.finished_items([SimpleNamespace(**event) for event in events]) == kept
