from __future__ import annotations

from typing import Any

import pytest
from openai import BaseModel
from openai.types.responses import Response

from codex_backend_sdk import MaxTurnsError, RepeatedCallError, RunPausedError
from codex_backend_sdk.tools import Allow, Deny, Pause, ToolSet
from codex_backend_sdk.tools.run_loop import Execute, RunLimits, Send, run_loop


def double(x: int) -> int:
    """Double."""
    return 2 * x


TOOLS = ToolSet([double])


def item(arguments: str, call_id: str = "c1", name: str = "double") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def response(*items: dict[str, Any], status: str = "completed") -> Response:
    return Response.model_construct(output=[BaseModel.model_construct(**each) for each in items], status=status)


FINAL = response({"type": "message"})


class Run:
    """Drive the loop: reply with these responses, and run the calls."""

    def __init__(self, *responses: Response, pause: bool = False, **options: Any) -> None:
        limits = options.pop("limits", RunLimits())
        self.loop = run_loop(TOOLS, limits, **options)
        self.responses = list(responses)
        self.pause = pause
        self.sent: list[Any] = []
        self.result: Response | None = None

    def __call__(self) -> Run:
        step: Any = next(self.loop)
        while True:
            reply = None
            if isinstance(step, Send):
                self.sent.append(step.items)
                reply = self.responses.pop(0)
            else:
                self.execute(step)
            try:
                step = self.loop.send(reply)
            except StopIteration as stop:
                self.result = stop.value
                return self

    def execute(self, step: Execute) -> None:
        for call in step.batch.undecided():
            step.batch.decide(call, Pause() if self.pause else Allow())
        if not step.batch.is_paused:
            for call in step.batch.allowed():
                try:
                    step.batch.succeed(call, call.tool.function(**call.kwargs))  # type: ignore[union-attr]
                except ValueError as error:
                    step.batch.fail(call, error)

    @property
    def outputs(self) -> list[Any]:
        return [[each["output"] for each in items] if items else items for items in self.sent]


def test_run_without_calls_is_one_request() -> None:
    run = Run(FINAL)()
    assert run.result is FINAL
    assert run.sent == [None]


def test_outputs_are_sent_until_there_are_no_calls() -> None:
    run = Run(response(item('{"x": 1}'), item('{"x": 2}', "c2")), response(item('{"x": 3}')), FINAL)()
    assert run.result is FINAL
    assert run.outputs == [None, ["2", "4"], ["6"]]


def test_open_calls_are_run_first() -> None:
    run = Run(
        FINAL,
        open_calls=[item('{"x": 1}'), item('{"x": 2}', "c2"), item('{"x": 3}', "c3")],
        started=["c2"],
        decisions={"c3": Deny("no")},
    )()
    assert run.outputs == [["2", "[no result: the program was interrupted during this call, which may have run]", (
        "The call was denied: no")]]  # fmt: skip


def test_limit_of_requests_keeps_the_outputs() -> None:
    run = Run(response(item('{"x": 1}')), response(item('{"x": 2}')), limits=RunLimits(max_turns=2))
    with pytest.raises(MaxTurnsError, match=r"after 2 requests .*conversation\.resume\(\)") as caught:
        run()
    assert run.outputs == [None, ["2"]]
    assert caught.value.partial is not None
    assert caught.value.partial.output[0].arguments == '{"x": 2}'  # type: ignore[union-attr]


def repeating(count: int) -> list[Response]:
    return [response(item('{"x": 1}', f"c{index}")) for index in range(count)]


def test_repeated_call_ends_the_run() -> None:
    run = Run(*repeating(3), limits=RunLimits(max_repeats=3))
    with pytest.raises(RepeatedCallError, match="called double 3 times in a row") as caught:
        run()
    assert run.outputs == [None, ["2"], ["2"]]
    assert caught.value.partial is not None


def test_other_call_between_restarts_the_count() -> None:
    run = Run(*repeating(2), response(item('{"x": 2}')), *repeating(2), FINAL, limits=RunLimits(max_repeats=3))()
    assert run.result is FINAL


def test_repetitions_may_be_unlimited() -> None:
    assert Run(*repeating(10), FINAL, limits=RunLimits(max_repeats=None))().result is FINAL


def test_pause_names_the_calls() -> None:
    paused = response(item('{"x": 1}'), item("{}", "c2"))
    run = Run(paused, pause=True)
    with pytest.raises(RunPausedError, match=r"before the calls of double\. .*resume") as caught:
        run()
    assert caught.value.calls == [{"call_id": "c1", "name": "double", "arguments": {"x": 1}}]
    assert caught.value.partial is paused


@pytest.mark.parametrize("status", ["incomplete", "failed", None])
def test_calls_of_an_incomplete_response_are_not_run(status: Any) -> None:
    cut = response(item('{"x": 1}'), item("{", "c2"), status=status)
    run = Run(cut)()
    assert run.result is cut
    assert run.sent == [None]


def test_exception_of_a_tool_ends_the_run_on_demand() -> None:
    def refuse(x: int) -> None:
        raise ValueError("bad")

    call = response(item('{"x": 1}', name="refuse"))
    options: dict[str, Any] = {"limits": RunLimits(on_error="raise")}
    run = Run(call, **options)
    run.loop = run_loop(ToolSet([refuse]), options["limits"])
    with pytest.raises(ValueError, match="bad"):
        run()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_turns": 0}, "max_turns is 0"),
        ({"max_repeats": 1}, "max_repeats is 1"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
    ],
)
def test_impossible_limits_are_refused(limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RunLimits(**limits)
