from __future__ import annotations

from typing import Any

import pytest

from codex_backend_sdk import ToolResultError
from codex_backend_sdk.tools import Allow, CustomTool, Deny, Pause, ToolSet, tool
from codex_backend_sdk.tools.calls import (
    MAY_HAVE_RUN,
    ToolBatch,
    ToolCallFinished,
    as_decision,
    batch_key,
    read_calls,
)


def double(x: int) -> int:
    """Double."""
    return 2 * x


def shout(text: str) -> str:
    """Shout."""
    return text.upper()


TOOLS = ToolSet([tool(timeout=3)(double), CustomTool(shout)])


def call(name: str = "double", arguments: str | None = '{"x": 1}', call_id: str = "c1") -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": call_id, "name": name, "arguments": arguments}


def custom(name: str = "shout", text: str = "hi", call_id: str = "c9") -> dict[str, Any]:
    return {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": text}


def batch(*items: dict[str, Any], started: tuple[str, ...] = (), **options: Any) -> ToolBatch:
    return ToolBatch(read_calls(items, TOOLS, started=started), **options)


def three(**options: Any) -> ToolBatch:
    return batch(call(call_id="c1"), call(call_id="c2"), call(call_id="c3"), **options)


def allow_all(made: ToolBatch) -> ToolBatch:
    for each in made.undecided():
        made.decide(each, Allow())
    return made


def texts(made: ToolBatch) -> list[Any]:
    return [item["output"] for item in made.outputs]


@pytest.mark.parametrize(
    ("value", "decision"),
    [
        (True, Allow()),
        (Allow, Allow()),
        (Allow(), Allow()),
        (False, Deny()),
        (Deny, Deny()),
        (Deny("no"), Deny("no")),
        (Pause, Pause()),
        (Pause(), Pause()),
    ],
)
def test_hook_may_return_classes_and_booleans(value: object, decision: object) -> None:
    assert as_decision(value) == decision


@pytest.mark.parametrize("value", [None, "allow", 1, 0, Exception()])
def test_other_values_are_no_decision(value: object) -> None:
    with pytest.raises(TypeError, match=r"on_call returned .*Use Allow\(\)"):
        as_decision(value)
    with pytest.raises(TypeError, match="The decision on the call 'c1' is "):
        as_decision(value, origin="The decision on the call 'c1' is")


def test_calls_are_read_in_order() -> None:
    items = [{"type": "reasoning"}, call(), {"type": "message"}, custom()]
    first, second = read_calls(items, TOOLS)
    assert (first.call_id, first.name, first.arguments, first.kwargs, first.index) == (
        "c1",
        "double",
        {"x": 1},
        {"x": 1},
        0,
    )
    assert (second.name, second.arguments, second.args, second.index) == ("shout", "hi", ("hi",), 1)
    assert first.item is items[1]


PROBLEMS = [
    (call("tripel"), "There is no tool 'tripel' of this kind. Tools: double, shout."),
    (custom("double"), "There is no tool 'double' of this kind"),
    (call("shout"), "There is no tool 'shout' of this kind"),
    (call(arguments="{"), "The arguments are not valid JSON"),
    (call(arguments=""), "x: Field required"),
    (call(arguments=None), "x: Field required"),
    (call(arguments='{"x": "a"}'), "x: Input should be a valid integer"),
]


@pytest.mark.parametrize(("item", "text"), PROBLEMS)
def test_call_that_cannot_run_has_its_output_at_once(item: dict[str, Any], text: str) -> None:
    made = batch(item)
    assert made.undecided() == made.allowed() == []
    assert text in texts(made)[0]
    assert made.outputs[0]["type"] == item["type"] + "_output"
    assert made.outputs[0]["call_id"] == item["call_id"]
    (event,) = made.rejected()
    assert (event.item, event.result, event.error) == (made.outputs[0], None, None)
    assert made.error is None


def test_unknown_tool_without_tools_is_explained() -> None:
    (only,) = read_calls([call()], ToolSet())
    assert only.problem == "There is no tool 'double' of this kind. Tools: none."


def test_arguments_that_are_no_json_are_kept_as_text() -> None:
    (only,) = read_calls([call(arguments="{x")], TOOLS)
    assert only.arguments == "{x"


def kinds(records: list[Any]) -> list[Any]:
    return [(record["type"].removeprefix("function_"), record["call_id"]) for record in records]


def test_outputs_are_taken_in_the_order_of_the_calls() -> None:
    made = allow_all(three())
    first, second, third = made.allowed()
    assert made.start(first) == {"type": "call_started", "call_id": "c1", "name": "double"}
    assert made.succeed(third, 3) == ToolCallFinished(third, made.outputs[0], 3)
    assert made.take_records() == [{"type": "call_finished", "call_id": "c3", "item": made.outputs[0]}]
    assert made.take_records() == []
    made.succeed(first, 1)
    assert kinds(made.take_records()) == [("call_output", "c1")]
    made.succeed(second, 2)
    assert kinds(made.take_records()) == [("call_output", "c2"), ("call_output", "c3")]
    assert texts(made) == ["1", "2", "3"]


def test_recorded_output_is_used_instead_of_a_run() -> None:
    output = {"type": "function_call_output", "call_id": "c2", "output": "recorded"}
    made = three(started=("c1", "c2"), outputs={"c2": output})
    assert texts(made) == [MAY_HAVE_RUN, "recorded"]
    assert [event.item["output"] for event in made.rejected()] == [MAY_HAVE_RUN, "recorded"]
    assert kinds(made.take_records()) == [("call_output", "c1"), ("call_output", "c2")]
    assert [each.call_id for each in made.undecided()] == ["c3"]


def test_recorded_output_is_not_recorded_early_again() -> None:
    output = {"type": "function_call_output", "call_id": "c3", "output": "recorded"}
    made = three(outputs={"c3": output})
    assert made.take_records() == []


def test_denied_call_tells_the_reason() -> None:
    made = three()
    first, second, third = made.undecided()
    made.decide(first, Deny("not today"))
    made.decide(second, Deny())
    made.decide(third, Allow())
    assert texts(made) == ["The call was denied: not today", "The call was denied."]
    assert made.allowed() == [third]
    assert [event.call for event in made.rejected()] == [first, second]


def test_paused_call_remains_undecided() -> None:
    made = three()
    first, second, third = made.undecided()
    made.decide(first, Allow())
    made.decide(second, Pause())
    made.decide(third, Deny())
    assert made.is_paused
    assert made.undecided() == [second]
    assert made.decisions() == [(first, Allow()), (second, Pause()), (third, Deny())]


def test_existing_decisions_apply() -> None:
    made = three(decisions={"c1": Allow(), "c2": Deny("no"), "c4": Allow()})
    assert [each.call_id for each in made.allowed()] == ["c1"]
    assert [each.call_id for each in made.undecided()] == ["c3"]


def test_started_call_is_not_repeated_by_itself() -> None:
    made = three(started=("c1", "c2"), decisions={"c2": Allow()})
    assert texts(made) == [MAY_HAVE_RUN]
    assert [(each.call_id, each.may_have_run) for each in made.allowed()] == [("c2", True)]
    assert [each.call_id for each in made.undecided()] == ["c3"]


def test_exception_becomes_an_output() -> None:
    made = allow_all(three())
    first, second, third = made.allowed()
    error = ValueError("bad")
    event = made.fail(first, error)
    assert (event.error, event.result, event.item["output"]) == (error, None, "ValueError: bad")
    assert error.__notes__ == ["It was raised by the tool 'double' in the call 'c1'."]
    event = made.time_out(second)
    assert isinstance(event.error, TimeoutError)
    assert event.item["output"] == "The call timed out after 3 s. It may have run."
    made.succeed(third, 3)
    assert made.error is None


ENDING: list[tuple[BaseException, str, bool]] = [
    (ValueError("bad"), "return", False),
    (ValueError("bad"), "raise", True),
    (SystemExit(1), "return", True),
    (ToolResultError("no"), "return", True),
]


@pytest.mark.parametrize(("error", "on_error", "ends"), ENDING)
def test_some_errors_end_the_run(error: BaseException, on_error: Any, ends: bool) -> None:
    made = allow_all(three(on_error=on_error))
    first, second, _ = made.allowed()
    made.succeed(first, 1)
    made.fail(second, error)
    assert (made.error is error) is ends


def test_timeout_ends_the_run_if_errors_are_raised() -> None:
    made = allow_all(three(on_error="raise"))
    made.time_out(made.allowed()[0])
    assert isinstance(made.error, TimeoutError)


def test_result_that_cannot_be_sent_ends_the_run() -> None:
    made = allow_all(three())
    event = made.succeed(made.allowed()[0], b"bytes")
    assert isinstance(made.error, ToolResultError)
    assert event.item["output"].startswith("ToolResultError: Bytes cannot be sent")


def test_key_of_a_batch_ignores_the_order() -> None:
    def key(*items: dict[str, Any]) -> Any:
        return batch_key(read_calls(items, TOOLS))

    a, b = call(arguments='{"x": 1, "y": [{"b": 1, "a": 2}]}'), call(arguments='{ "y": [{"a": 2, "b": 1}], "x": 1}')
    assert key(a) == key(b)
    assert key(a, custom()) == key(custom(), b)
    assert key(a) != key(a, a)
    assert key(a) != key(call(arguments='{"x": 1, "y": [{"b": 1}]}'))
    assert key(custom(text="a")) != key(custom(text="b"))
