"""The state of a conversation is the fold of its records, and what it sends is prepared once for each item."""

from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import HistoryError
from codex_backend_sdk.conversation.state import ConversationState, resendable_items
from codex_backend_sdk.tools.calls import MAY_HAVE_RUN, NOT_RUN


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "y"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
COMPACTION = {
    "type": "compaction",
    "id": "cmp_1",
    "encrypted_content": "gAAA",
    "stamp": {"model": "m", "account_id": "a"},
}


def item(value: Any, **members: Any) -> dict[str, Any]:
    return {"type": "item", "item": value, **members}


def response(response_id: str, tokens: int | None = None, status: str = "completed") -> dict[str, Any]:
    usage = None if tokens is None else {"input_tokens": tokens - 1, "output_tokens": 1, "total_tokens": tokens}
    return {"type": "response", "id": response_id, "model": "m", "status": status, "usage": usage}


def fold(*records: dict[str, Any]) -> ConversationState:
    state = ConversationState()
    for record in records:
        state.apply(record)
    return state


TURN = (item(user("a")), item(said("b")), response("r1", 100), item(user("c")), item(said("d")), response("r2", 200))


def texts(state: ConversationState) -> str:
    return texts_of(state.items)


def texts_of(items: Any) -> str:
    return "".join(each["content"][0]["text"] if "content" in each else each["type"][0].upper() for each in items)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"type": "unknown"}, "abcd"),
        ({"type": "rollback", "to": 2}, "ab"),
        ({"type": "rollback", "view": 0, "to": 2}, "ab"),
        ({"type": "compaction", "item": COMPACTION, "kept": [0], "before": 2}, "aCcd"),
        ({"type": "compaction", "item": COMPACTION, "kept": [0, 2], "before": None}, "acC"),
        ({"type": "compaction", "item": COMPACTION, "kept": [0, 99], "before": 99}, "aC"),
        ({"type": "edit", "drop": [1], "insert": [{"before": 0, "item": user("x")}]}, "xacd"),
        ({"type": "edit", "drop": [], "insert": [{"before": None, "item": user("x")}]}, "abcdx"),
        ({"type": "expand", "compaction": 1}, "abcd"),
        ({"type": "settings", "settings": "damaged"}, "abcd"),
    ],
)
def test_records_change_the_history(record: dict[str, Any], expected: str) -> None:
    assert texts(fold(*TURN, record)) == expected


def test_undone_rollback_restores_the_history() -> None:
    state = fold(*TURN)
    place = state.place
    state.apply({"type": "rollback", "view": 0, "to": 2})
    assert state.last_response_id == "r1"
    assert state.context_tokens == 100
    state.apply({"type": "rollback", "view": place[0], "to": place[1], "undo": True})
    assert (texts(state), state.last_response_id, state.place) == ("abcd", "r2", place)


def test_expanding_restores_what_a_compaction_replaced() -> None:
    state = fold(*TURN, {"type": "compaction", "item": COMPACTION, "kept": [0], "before": 2})
    assert state.expandable_compactions() == [4]
    assert state.foreign_compactions("a") == []
    assert state.foreign_compactions("other") == [4]
    assert state.foreign_compactions(None) == []
    state.apply({"type": "expand", "compaction": 4})
    assert texts(state) == "abcd"
    assert state.expandable_compactions() == []


def test_tokens_are_measured_and_then_estimated() -> None:
    assert fold().context_tokens == 0
    assert fold(*TURN).context_tokens == 200
    assert fold(*TURN, item(user("x" * 400))).context_tokens > 300
    assert 0 < fold(*TURN, {"type": "edit", "drop": [0], "insert": []}).context_tokens < 200


def test_lost_item_keeps_the_positions_of_the_others() -> None:
    state = fold(item(user("a"), position=0), item(user("c"), position=2))
    state.apply({"type": "compaction", "item": COMPACTION, "position": 3, "kept": [1, 2], "before": None})
    assert texts(state) == "cC"
    assert len(state.all_items) == 3


def test_records_get_the_positions_of_their_items() -> None:
    edit = {
        "type": "edit",
        "drop": [],
        "insert": [{"before": None, "item": user("x")}, {"before": None, "item": user("y")}],
    }
    positioned = fold(item(user("a"))).with_positions([item(user("b")), edit, {"type": "settings"}, item(user("z"))])
    assert [record.get("position") for record in positioned] == [1, None, None, 4]
    assert [insertion["position"] for insertion in positioned[1]["insert"]] == [2, 3]
    assert "position" not in edit["insert"][0]


def test_edit_record_describes_any_new_list() -> None:
    state = fold(*TURN)
    a, b, c, d = state.items
    for wanted in ([a, b, c, d], [], [d, a], [user("x"), b, user("y"), d, user("z")], [c, b], [a, a]):
        other = state.copy()
        record = other.edit_record(wanted)
        assert (record is None) is (wanted == [a, b, c, d])
        if record is not None:
            other.apply(record)
        assert other.items == wanted
    assert state.items == [a, b, c, d]


@pytest.mark.parametrize(
    ("received", "kept"),
    [
        ([REASONING], ""),
        ([said("x"), REASONING], "x"),
        ([CALL], "FF"),
        ([{**CALL, "status": "incomplete"}], ""),
        ([REASONING, said("x")], "Rx"),
    ],
)
def test_killed_response_is_ended(received: list[dict[str, Any]], kept: str) -> None:
    state = fold(*TURN, item(user("e")), *(item(each, response="r3") for each in received))
    for record in state.open_response_records():
        state.apply(record)
    assert texts(state) == "abcde" + kept
    assert state.open_response_records() == []
    assert [each["type"] for each in resendable_items(received)] == [each["type"] for each in state.items[5:]]


def test_items_after_a_killed_response_stay() -> None:
    state = fold(item(REASONING, response="r"), item(user("a")))
    for record in state.open_response_records():
        state.apply(record)
    assert texts(state) == "a"


def test_calls_are_pending_until_their_output() -> None:
    state = fold(item(CALL), item(user("a")), {"type": "call_started", "call_id": "c", "name": "f"})
    assert state.pending_calls() == [CALL]
    assert state.started_calls == {"c": "f"}
    state.apply({"type": "call_decided", "call_id": "c", "decision": "allow"})
    assert "c" in state.decisions
    state.apply(item(OUTPUT))
    assert state.pending_calls() == []


SUMMARY = {"type": "compaction", "item": COMPACTION, "kept": [0]}
FINISHED: list[tuple[Any, tuple[str, str] | None]] = [
    ((), None),
    (TURN, ("r2", "d")),
    ((*TURN, item(user("e"))), None),
    ((*TURN, item(user("e")), {"type": "rollback", "to": 4}), ("r2", "d")),
    ((*TURN, {"type": "rollback", "view": 0, "to": 2}), ("r1", "b")),
    ((*TURN, {"type": "rollback", "view": 0, "to": 3}), None),
    ((*TURN, SUMMARY), ("r2", "d")),
    ((*TURN, SUMMARY, item(user("e"))), None),
    ((*TURN, {"type": "edit", "drop": [0, 1], "insert": []}), ("r2", "d")),
    ((*TURN[:5], response("r2", status="interrupted")), None),
    ((item(CALL), response("r1"), item(OUTPUT)), None),
    ((item(CALL), response("r1"), item(OUTPUT), item(said("b")), response("r2")), ("r2", "b")),
    ((item(user("a")), item(said("b")), item(CALL), item(OUTPUT), response("r1", status="incomplete")), ("r1", "bF")),
    ((item(said("a")), response("r1"), item(said("b")), response("r2")), ("r2", "b")),
]


@pytest.mark.parametrize(("records", "expected"), FINISHED)
def test_finished_response_ends_the_history(records: Any, expected: tuple[str, str] | None) -> None:
    members = fold(*records).finished_response()
    assert (members and (members["id"], texts_of(members["output"]))) == expected


def started(call_id: str) -> dict[str, Any]:
    return {"type": "call_started", "call_id": call_id, "name": "f"}


def finished(call_id: str) -> dict[str, Any]:
    return {"type": "call_finished", "call_id": call_id, "item": {**OUTPUT, "call_id": call_id}}


SECOND = {**CALL, "call_id": "d"}
SHELL_CALL = {"type": "local_shell_call", "call_id": "s"}
CALLS = (item(user("a")), item(CALL), item(OUTPUT), item(REASONING), item(SECOND), item({**CALL, "call_id": "e"}))
INTERRUPTED: list[tuple[Any, list[str]]] = [
    (CALLS, []),
    ((*CALLS, started("c")), []),  # of the response before
    ((*CALLS, started("d")), [MAY_HAVE_RUN, NOT_RUN]),
    ((*CALLS, started("e")), [NOT_RUN, MAY_HAVE_RUN]),
    ((*CALLS, started("d"), started("e"), finished("e")), [MAY_HAVE_RUN, "y"]),
    ((*CALLS, started("d"), item({**OUTPUT, "call_id": "d"})), [NOT_RUN]),
    ((*CALLS, started("d"), item(user("b"))), [MAY_HAVE_RUN, NOT_RUN]),
    ((*CALLS, started("d"), finished("d"), started("d")), [MAY_HAVE_RUN, NOT_RUN]),
    ((item(SHELL_CALL), started("s")), []),
    ((item(CALL), started("c"), item(OUTPUT), item(CALL)), []),  # the ID is used again
]


@pytest.mark.parametrize(("records", "expected"), INTERRUPTED)
def test_interrupted_calls_get_outputs(records: Any, expected: list[str]) -> None:
    assert [output["output"] for output in fold(*records).interrupted_outputs()] == expected


@pytest.mark.parametrize(("records", "index"), [((), 0), (TURN, 2), ((item(said("x")),), 0)])
def test_last_turn_begins_with_the_messages_of_the_user(records: Any, index: int) -> None:
    assert fold(*records).last_turn_index() == index


def test_place_of_an_unknown_response_is_an_error() -> None:
    assert fold(*TURN).place_of("r1") == (0, 2)
    with pytest.raises(KeyError):
        fold(*TURN).place_of("r9")


def test_prepared_history_grows_within_a_generation() -> None:
    state = fold(*TURN)
    first = state.prepared(model="m", account_id="a")
    generation, count = state.generation, len(first)
    state.apply(item(user("e")))
    assert state.unsent_index == count == 4
    assert state.prepared(model="m", account_id="a") is first
    assert (state.generation, len(first)) == (generation, 5)
    assert [state.source_index(index) for index in (0, 4, 5)] == [0, 4, None]


@pytest.mark.parametrize(
    "change",
    [
        {"type": "rollback", "to": 3},
        {"type": "edit", "drop": [0], "insert": []},
        response("r3", status="interrupted"),
        item({"type": "reasoning", "id": "rs_2", "summary": []}),
    ],
    ids=["rollback", "edit", "interrupted", "left out"],
)
def test_generation_changes_with_the_past(change: dict[str, Any]) -> None:
    state = fold(*TURN)
    state.prepared(model="m", account_id="a")
    generation = state.generation
    state.apply(change)
    state.prepared(model="m", account_id="a")
    assert state.generation != generation


def test_generation_changes_with_the_model_and_the_account() -> None:
    state = fold(*TURN)
    generations = set()
    for model, account_id in (("m", "a"), ("n", "a"), ("n", "b")):
        state.prepared(model=model, account_id=account_id)
        generations.add(state.generation)
    assert len(generations) == 3


def test_unpaired_call_is_named_by_its_index_in_the_history() -> None:
    state = fold(*TURN)
    state.prepared(model="m", account_id="a")
    state.apply(item(CALL))
    with pytest.raises(HistoryError) as caught:
        state.prepared(model="m", account_id="a")
    assert caught.value.indexes == (4,)
    assert state.source_index(0) == 0


def test_compactions_without_gain_are_useless() -> None:
    state = fold(*TURN)
    assert not state.is_compaction_useless(min_gain=0.2, at_most=10)
    compaction = {"type": "compaction", "item": COMPACTION, "kept": [], "before": None}
    state.apply({**compaction, "tokens_before": 100, "tokens_after": 90})
    assert state.is_compaction_useless(min_gain=0.2, at_most=10)
    state.apply({**compaction, "tokens_before": 100, "tokens_after": 10})
    assert not state.is_compaction_useless(min_gain=0.2, at_most=10)
    assert state.is_compaction_useless(min_gain=0.2, at_most=2)
    state.apply(item(user("x")))
    assert not state.is_compaction_useless(min_gain=0.2, at_most=10)
    state.apply(compaction)
    assert state.usage.compactions == 3


def test_usage_has_the_share_of_the_cache() -> None:
    assert fold().usage.cache_hit_ratio == 0
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2}
    found = fold({**response("r"), "usage": usage}).usage
    assert (found.cache_hit_ratio, found.total_tokens) == (0.4, 12)


def test_types_are_found_by_position() -> None:
    assert fold(*TURN).positions("reasoning") == []
    assert fold(*TURN, item(REASONING)).positions("reasoning") == [4]
    assert fold(*TURN).position(1) == 1
    assert fold(*TURN).position(9) is None


@pytest.mark.parametrize(
    "lost",
    [
        {"type": "edit", "drop": [0], "insert": []},
        {"type": "compaction", "item": COMPACTION, "kept": [], "before": None},
        {"type": "expand", "compaction": 0},
        {"type": "rollback", "view": 0, "to": 2},
    ],
    ids=lambda record: str(record["type"]),
)
def test_lost_change_keeps_later_rollbacks(lost: dict[str, Any]) -> None:
    state = fold(*TURN)
    records = []
    for record in (lost, item(user("e")), {"type": "edit", "drop": [1], "insert": []}):
        records += state.with_positions([record])
        state.apply(records[-1])
    view, to = state.place_of("r2")
    records += state.with_positions([{"type": "rollback", "view": view, "to": to}])
    damaged = fold(*TURN, *records[1:])
    assert texts(damaged) == "abcd"


def test_rollback_to_an_unknown_view_keeps_the_history() -> None:
    assert texts(fold(*TURN, {"type": "rollback", "view": 7, "to": 3})) == "abc"


ITEM = user("z")
INVALID = [
    {"type": "item"},
    {"type": "item", "item": "z"},
    {"type": "item", "item": {"type": ["message"]}},
    {"type": "item", "item": {}},
    {"type": "item", "item": ITEM, "position": "1"},
    {"type": "item", "item": ITEM, "position": -1},
    {"type": "item", "item": ITEM, "position": 10**9},
    {"type": "compaction", "item": COMPACTION, "kept": None},
    {"type": "compaction", "item": COMPACTION, "kept": [True]},
    {"type": "compaction", "item": COMPACTION, "kept": [], "before": [1]},
    {"type": "edit", "drop": 1, "insert": []},
    {"type": "edit", "drop": [], "insert": [{}]},
    {"type": "edit", "drop": [], "insert": [{"item": ITEM, "before": "0"}]},
    {"type": "edit", "drop": [], "insert": [{"item": ITEM, "before": None, "position": 1.5}]},
    {"type": "edit", "drop": [], "insert": [5]},
    {"type": "expand"},
    {"type": "rollback"},
    {"type": "rollback", "to": 1.5},
    {"type": "rollback", "to": 1, "view": "0"},
    {"type": "rollback", "to": 1, "view": 0, "views": -3},
]


@pytest.mark.parametrize("record", INVALID, ids=str)
def test_invalid_record_is_not_applied(record: dict[str, Any]) -> None:
    state = fold(*TURN)
    state.apply(record)
    assert texts(state) == "abcd"
    with pytest.raises(TypeError, match=f"type '{record['type']}': the member"):
        state.with_positions([record])


def test_compaction_is_early_until_the_history_has_grown() -> None:
    state = ConversationState()
    assert not state.is_compaction_early(100, min_gain=0.2)
    state.apply({"type": "item", "item": {"type": "message", "role": "user", "content": []}})
    record = {"type": "compaction", "item": {"type": "compaction"}, "kept": [], "tokens_before": 1000}
    state.apply({**record, "tokens_after": 900})
    assert state.is_compaction_early(1000, min_gain=0.2)
    assert not state.is_compaction_early(1080, min_gain=0.2)
    state.apply({**record, "tokens_after": 100})
    assert not state.is_compaction_early(101, min_gain=0.2)
