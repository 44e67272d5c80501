"""Runs of tools on a conversation: `run`, `run_stream` and `resume`.

`tools.run_loop` says what comes next, without I/O. The two drivers here do it: they send with `conversation.stream()`,
and execute with `tools.execution`. Everything a run does is in the records of the conversation as soon as it is done:

- A call and the response are recorded by the conversation, `call_started` before a function runs, and each output as
  soon as the function has returned.
- If `on_call` pauses, the decisions so far are recorded, and the calls stay open. `resume` continues from the records,
  in this process or in another one.

So an interrupted run leaves open calls in the history, whether the process was killed, Ctrl-C or a cancellation ended
the run, or the caller left its stream. On `resume`, a call that was started is reported to the model as one that may
have run; it is repeated only if the caller's decision says so. A new message reports all open calls to the model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Iterable, Mapping
from contextlib import aclosing
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from .._exceptions import ConversationError, RunStoppedError
from .._streaming.events import build_response
from ..tools.calls import CALL_TYPES, Allow, Deny, Pause, as_decision
from ..tools.execution import AsyncExecutor, adecide, decide, execute
from ..tools.function_tool import ToolSet
from ..tools.run_loop import DEFAULT_MAX_REPEATS, DEFAULT_MAX_TURNS, Execute, RunLimits, Send, run_loop
from .event_stream import AsyncConversationStream

if TYPE_CHECKING:
    from typing import Self

    from openai.types.responses import Response

    from ..tools.calls import Decision, ToolBatch
    from ..tools.execution import OnCall
    from .event_stream import Outcome
    from .state import ConversationState, Record

__all__ = ["AsyncRunStream", "RunOptions", "RunPlan", "definitions_of", "plan_run", "run_steps"]

_DECISIONS: Final[dict[str, type[Allow | Deny | Pause]]] = {"allow": Allow, "deny": Deny, "pause": Pause}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of a run. See `Conversation.run`."""

    max_turns: int = DEFAULT_MAX_TURNS
    max_repeats: int | None = DEFAULT_MAX_REPEATS
    parallel: bool = True
    on_call: OnCall | None = None
    on_call_timeout: float | None = None
    on_error: Literal["return", "raise"] = "return"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run that is about to start: its input, tools, options, and the unfinished part of an earlier run."""

    input: Any
    parameters: Mapping[str, Any]
    tools: ToolSet
    options: RunOptions
    limits: RunLimits
    open_calls: list[dict[str, Any]]
    started: frozenset[str]
    decisions: dict[str, Decision]
    finished: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    response: Response | None = None  # of a run that is complete already
    undecided: dict[str, Decision] = field(default_factory=dict)  # without a hook

    def loop(self) -> Generator[Send | Execute, Any, Response]:
        """Return the loop of the run."""
        return run_loop(
            self.tools,
            self.limits,
            open_calls=self.open_calls,
            started=self.started,
            decisions=self.decisions,
            finished=self.finished,
        )

    def request(self, is_first: bool) -> tuple[Any, dict[str, Any]]:
        """Return the input and the parameters of the next call. The outputs of tools are in the history already."""
        parameters = dict(self.parameters)
        # A call that every request requires would never let the run end.
        if not is_first and parameters.get("tool_choice") not in ("auto", "none"):
            parameters.pop("tool_choice", None)
        return (self.input if is_first else None), parameters


def plan_run(
    state: ConversationState,
    tools: ToolSet,
    input: Any,
    *,
    decisions: Mapping[str, object] | None,
    arguments: Mapping[str, Any],
) -> RunPlan:
    """Plan a run from the state of the conversation and the arguments of `run`. Raises what is wrong with them."""
    parameters = dict(arguments)
    options = RunOptions(
        **{each.name: parameters.pop(each.name) for each in fields(RunOptions) if each.name in parameters}
    )
    open_calls = [item for item in state.pending_calls() if item.get("type") in CALL_TYPES]
    if input is not None and state.interrupted_outputs():
        open_calls = []  # the new message reports them to the model
    if open_calls and input is not None:
        names = ", ".join(sorted({str(item.get("name")) for item in open_calls}))
        raise ConversationError(
            f"The history has calls without an output ({names}). Call conversation.resume() to continue the run, or "
            "conversation.repair() to add outputs without running them."
        )
    if open_calls and not len(tools):
        raise ConversationError("The history has calls without an output. Pass tools= to run them.")
    known = {str(item.get("call_id")) for item in open_calls} - state.finished_calls.keys()
    if decisions is not None and not isinstance(decisions, Mapping):
        raise TypeError(
            f"The decisions are {decisions!r}, which is not a dict. Pass them by call_id: resume({{call_id: Allow()}})."
        )
    given = {
        call_id: as_decision(value, origin=f"The decision on the call {call_id!r} is")
        for call_id, value in (decisions or {}).items()
    }
    unknown = [call_id for call_id in given if call_id not in known]
    if unknown:
        raise ValueError(f"There is no open call {unknown[0]!r}. Open calls: {', '.join(sorted(known)) or 'none'}.")
    is_idle = input is None and not open_calls
    if is_idle and not state.count:
        raise ConversationError("There is nothing to resume: the history is empty. Call conversation.run(input).")
    # A decision is for one run of the call: after it was started, it may have run.
    recorded = {
        call_id: _restored(record)
        for call_id, record in state.decisions.items()
        if call_id in known and call_id not in state.started_calls
    }
    paused: dict[str, Decision] = {call_id: each for call_id, each in recorded.items() if isinstance(each, Pause)}
    return RunPlan(
        input=input,
        parameters=parameters,
        tools=tools,
        options=options,
        limits=RunLimits(max_turns=options.max_turns, max_repeats=options.max_repeats, on_error=options.on_error),
        open_calls=open_calls,
        started=frozenset(state.started_calls),
        finished=state.finished_calls,
        response=_finished_response(state) if is_idle else None,
        decisions={**{call_id: each for call_id, each in recorded.items() if call_id not in paused}, **given},
        undecided=paused,
    )


def _finished_response(state: ConversationState) -> Response | None:
    members = state.finished_response()
    if members is None:
        return None
    output = [{name: value for name, value in item.items() if name != "stamp"} for item in members["output"]]
    defaults = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    response: Response = build_response({**defaults, **members, "output": output})
    return response


def _restored(record: Mapping[str, Any]) -> Decision:
    decision = _DECISIONS.get(str(record.get("decision")), Pause)
    return Deny(str(record.get("reason") or "")) if decision is Deny else decision()


def _decision_records(batch: ToolBatch) -> list[Record]:
    return [
        {"type": "call_decided", "call_id": call.call_id, "decision": type(decision).__name__.lower()}
        | ({"reason": decision.reason} if isinstance(decision, Deny) else {})
        for call, decision in batch.decisions()
    ]


def _record_of(entry: dict[str, Any]) -> Record:
    entry = deepcopy(entry)  # the caller gets the same item in an event
    return entry if entry["type"] in ("call_started", "call_finished") else {"type": "item", "item": entry}


def definitions_of(tools: ToolSet, current: Iterable[Any]) -> list[Any]:
    """Return the definitions to send: the tools of the conversation that the backend runs itself, and those of the run.

    Other functions cannot be run, so they are left out.
    """
    hosted = [each for each in current if each.get("type") not in ("function", "custom")]
    return [*(each for each in hosted if each not in tools.definitions), *tools.definitions]


# --- sync ------------------------------------------------------------------------------------------------------------


def run_steps(conversation: Any, plan: RunPlan, outcome: Outcome) -> Generator[Any]:
    """Do the steps of a run, yield the events, and set the response of the outcome: the final one."""
    if plan.response is not None:
        outcome.response = plan.response
        return
    loop = plan.loop()
    is_first = True
    try:
        step = next(loop)
        while True:
            response: Response | None = None
            if isinstance(step, Send):
                response = yield from _send(conversation, plan, is_first, outcome)
                is_first = False
            else:
                yield from _execute(conversation, plan, step.batch)
            try:
                step = loop.send(response)
            except StopIteration as end:
                outcome.response = end.value
                return
    except RunStoppedError as error:
        error.conversation = conversation
        raise


def _send(conversation: Any, plan: RunPlan, is_first: bool, outcome: Outcome) -> Generator[Any, None, Response]:
    input, parameters = plan.request(is_first)
    stream = conversation.stream(input, **parameters)
    try:
        with stream:
            yield from stream
    except GeneratorExit:
        outcome.is_left, outcome.exchange = True, stream._outcome.exchange
        raise
    response: Response = stream.response
    return response


def _execute(conversation: Any, plan: RunPlan, batch: ToolBatch) -> Generator[Any]:
    options = plan.options
    decide(batch, options.on_call, seconds=options.on_call_timeout, default=plan.undecided)
    if batch.is_paused:
        conversation._change(_decision_records(batch))
        return
    yield from execute(batch, record=lambda entry: conversation._change([_record_of(entry)]), parallel=options.parallel)


# --- async -----------------------------------------------------------------------------------------------------------


class AsyncRunStream(AsyncConversationStream):
    """The stream that `AsyncConversation.run_stream()` returns. It must be used with `async with`."""

    def __init__(self, conversation: Any, plan: RunPlan) -> None:
        self._executor = AsyncExecutor()
        self._is_entered = False
        super().__init__(lambda outcome: self._steps(conversation, plan, outcome), conversation._streams)

    async def __aenter__(self) -> Self:
        await self._executor.__aenter__()
        self._is_entered = self._is_held = True
        return self

    async def __aexit__(self, *exception: object) -> None:
        try:
            await self.close()
        finally:
            await self._executor.__aexit__(*exception)

    async def _steps(self, conversation: Any, plan: RunPlan, outcome: Outcome) -> AsyncGenerator[Any]:
        if not self._is_entered:
            raise ConversationError("Use the stream of a run with `async with`: its tools run in tasks.")
        if plan.response is not None:
            outcome.response = plan.response
            return
        loop = plan.loop()
        is_first = True
        try:
            step = next(loop)
            while True:
                response: Response | None = None
                if isinstance(step, Send):
                    input, parameters = plan.request(is_first)
                    stream = conversation.stream(input, **parameters)
                    try:
                        async with stream:
                            async for event in stream:
                                yield event
                    except GeneratorExit:
                        outcome.is_left, outcome.exchange = True, stream._outcome.exchange
                        raise
                    response = stream.response
                    is_first = False
                else:
                    async with aclosing(self._execute(conversation, plan, step.batch)) as events:
                        async for event in events:
                            yield event
                try:
                    step = loop.send(response)
                except StopIteration as end:
                    outcome.response = end.value
                    return
        except RunStoppedError as error:
            error.conversation = conversation
            raise

    async def _execute(self, conversation: Any, plan: RunPlan, batch: ToolBatch) -> AsyncGenerator[Any]:
        options = plan.options
        await adecide(batch, options.on_call, seconds=options.on_call_timeout, default=plan.undecided)
        if batch.is_paused:
            await conversation._change(_decision_records(batch))
            return
        events = self._executor.execute(
            batch, record=lambda entry: conversation._change([_record_of(entry)]), parallel=options.parallel
        )
        async with aclosing(events):
            async for event in events:
                yield event
