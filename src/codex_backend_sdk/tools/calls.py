"""The calls of one response: read them, decide on them, and collect one output for each. Pure.

`ToolBatch` is the state machine that the sync and the async executor share. Its invariants:

- A call that cannot be run (an unknown tool, invalid arguments, a denial) has its output at once.
- Nothing is started before all calls are decided. If one is paused, none is started.
- Every call gets exactly one output. Outputs enter the history in the order of the calls. One that is ready before
  those of earlier calls is recorded at once as `call_finished`, so that a crash does not lose it.
- An interruption leaves the calls without an output open. `resume` decides on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic_core import from_json

from .._exceptions import ToolResultError
from .._json import encode
from .outputs import error_text, to_output
from .schema import ArgumentsError

if TYPE_CHECKING:
    from typing import TypeAlias

    from .function_tool import Tool, ToolSet

__all__ = [
    "CALL_TYPES",
    "MAY_HAVE_RUN",
    "Allow",
    "Decision",
    "Deny",
    "Pause",
    "ToolBatch",
    "ToolCall",
    "ToolCallFinished",
    "ToolCallStarted",
    "as_decision",
    "batch_key",
    "output_item",
    "read_calls",
]

Item = dict[str, Any]

# type of a call → the member with its arguments
CALL_TYPES: Final = {"function_call": "arguments", "custom_tool_call": "input"}
MAY_HAVE_RUN: Final = "[no result: the program was interrupted during this call, which may have run]"
NOT_RUN: Final = "[not run: the program was interrupted before this call]"


# --- decisions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allow:
    """The decision to run a call."""


@dataclass(frozen=True, slots=True)
class Deny:
    """The decision not to run a call. The model receives the reason."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """The decision to end the run before any call of the response is started. `conversation.resume()` continues."""


Decision: TypeAlias = "Allow | Deny | Pause"


def as_decision(value: object, *, origin: str = "on_call returned") -> Decision:
    """Return the decision for a value: an instance or a class of the three, True for Allow, or False for Deny.

    `origin` begins the message of the TypeError for any other value.
    """
    if value is True or value is Allow:
        return Allow()
    if value is False or value is Deny:
        return Deny()
    if value is Pause:
        return Pause()
    if isinstance(value, (Allow, Deny, Pause)):
        return value
    raise TypeError(f"{origin} {value!r}. Use Allow(), Deny(reason) or Pause().")


# --- calls -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the model.

    Attributes:
        call_id: The ID that connects the call and its output.
        name: The name of the tool.
        arguments: The arguments as the model sent them: a dict, decoded from the JSON, or the text of a custom tool.
            They are not validated; if they are not valid JSON, they are the text.
        tool: The tool, or None if the model called one that does not exist.
        args: The positional arguments of the function, validated.
        kwargs: The keyword arguments of the function, validated.
        may_have_run: Whether an earlier process started this call and recorded no output. Running it may repeat its
            effects.
        item: The item of the call.
        problem: Why the call cannot be run, as the model receives it, or None.
        index: The position among the calls of the response.
    """

    call_id: str
    name: str
    arguments: Any
    tool: Tool[..., Any] | None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    may_have_run: bool = False
    item: Item = field(default_factory=dict, repr=False)
    problem: str | None = None
    index: int = 0


def read_calls(items: Iterable[Item], tools: ToolSet, *, started: Iterable[str] = ()) -> list[ToolCall]:
    """Return the calls among the items, in their order. `started` has the IDs of the calls that may have run."""
    calls: list[ToolCall] = []
    may_have_run = frozenset(started)
    for item in items:
        if item.get("type") in CALL_TYPES:
            calls.append(_read_call(item, tools, len(calls), may_have_run))
    return calls


def _read_call(item: Item, tools: ToolSet, index: int, started: frozenset[str]) -> ToolCall:
    name, call_id = str(item.get("name")), str(item.get("call_id"))
    text = item.get(CALL_TYPES[item["type"]]) or ""
    tool = tools.get(name)
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    problem = None
    if tool is None or tool.call_type != item["type"]:
        problem = f"There is no tool {name!r} of this kind. Tools: {', '.join(tools.names) or 'none'}."
    else:
        try:
            args, kwargs = tool.parse(text)
        except ArgumentsError as error:
            problem = str(error)
    return ToolCall(call_id, name, _arguments(item, text), tool, args, kwargs, call_id in started, item, problem, index)


def _arguments(item: Item, text: str) -> Any:
    if item["type"] == "custom_tool_call":
        return text
    try:
        return from_json(text or "{}")
    except ValueError:
        return text


def batch_key(calls: Iterable[ToolCall]) -> tuple[tuple[str, bytes], ...]:
    """Return a value that is equal for batches of the same calls with the same arguments, in any order."""
    return tuple(sorted((call.name, encode(_sorted(call.arguments))) for call in calls))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(element) for element in value] if isinstance(value, list) else value


# --- events ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """An event of a run: a function is about to run."""

    call: ToolCall
    type: Literal["tool_call.started"] = "tool_call.started"


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """An event of a run: a call has its output.

    Attributes:
        call: The call.
        item: The output item that the model receives.
        result: What the function returned, unchanged; None if it did not return.
        error: What it raised; `TimeoutError` after its timeout; None if it returned, or was not run.
        was_run: Whether this run called the function. False for a call that was denied, is invalid, or has its output
            from an earlier run: `item` says why.
    """

    call: ToolCall
    item: Item
    result: Any = None
    error: BaseException | None = None
    was_run: bool = True
    type: Literal["tool_call.finished"] = "tool_call.finished"


# --- the calls of a response -----------------------------------------------------------------------------------------


class ToolBatch:
    """The calls of one response, from the decisions to the outputs.

    `decisions` and `outputs` are those that exist already, by call ID: a call with an output is not run again, and one
    that may have run is if there is a decision. `on_error` says whether the exception of a tool ends the run.
    """

    def __init__(
        self,
        calls: Iterable[ToolCall],
        *,
        decisions: Mapping[str, Decision] | None = None,
        outputs: Mapping[str, Item] | None = None,
        on_error: Literal["return", "raise"] = "return",
    ) -> None:
        self.calls = list(calls)
        self._on_error = on_error
        self._errors: list[BaseException] = []
        self._items: dict[int, Item] = {}
        self._decisions: dict[int, Decision] = {}
        self._started: set[int] = set()
        self._recorded = 0  # the number of outputs in the history
        self._recorded_early: set[int] = set()
        for call in self.calls:
            decision = (decisions or {}).get(call.call_id)
            output = (outputs or {}).get(call.call_id)
            if output is not None:
                self._items[call.index] = output
                self._recorded_early.add(call.index)
            elif call.problem is not None:
                self.reject(call, call.problem)
            elif decision is not None:
                self.decide(call, decision)
            elif call.may_have_run:
                self.reject(call, MAY_HAVE_RUN)

    @property
    def outputs(self) -> list[Item]:
        """The output items so far, in the order of the calls."""
        return [self._items[index] for index in sorted(self._items)]

    def undecided(self) -> list[ToolCall]:
        """Return the calls that need a decision."""
        return [call for call in self.calls if call.index not in self._items and not self._is_allowed(call)]

    def decide(self, call: ToolCall, decision: Decision) -> None:
        """Store the decision on a call."""
        self._decisions[call.index] = decision
        if isinstance(decision, Deny):
            self._set_output(call, f"The call was denied{f': {decision.reason}' if decision.reason else '.'}")

    @property
    def is_paused(self) -> bool:
        """Whether a call is paused, so that none may start."""
        return any(isinstance(decision, Pause) for decision in self._decisions.values())

    def decisions(self) -> list[tuple[ToolCall, Decision]]:
        """Return the decisions so far."""
        return [(call, self._decisions[call.index]) for call in self.calls if call.index in self._decisions]

    def rejected(self) -> list[ToolCallFinished]:
        """Return the events of the calls that have an output and are not run."""
        calls = [call for call in self.calls if call.index in self._items and call.index not in self._started]
        return [ToolCallFinished(call, self._items[call.index], was_run=False) for call in calls]

    def reject(self, call: ToolCall, reason: str) -> None:
        """Give a call that is not run its output."""
        self._set_output(call, reason)

    def allowed(self) -> list[ToolCall]:
        """Return the calls to run."""
        return [call for call in self.calls if self._is_allowed(call)]

    def start(self, call: ToolCall) -> Item:
        """Mark a call as started, and return the record of it."""
        self._started.add(call.index)
        return {"type": "call_started", "call_id": call.call_id, "name": call.name}

    def succeed(self, call: ToolCall, result: Any) -> ToolCallFinished:
        """Store the result of a call."""
        assert call.tool is not None
        try:
            item = self._set_output(call, to_output(result, max_bytes=call.tool.max_output_bytes))
        except ToolResultError as error:
            return self.fail(call, error)
        return ToolCallFinished(call, item, result)

    def fail(self, call: ToolCall, error: BaseException) -> ToolCallFinished:
        """Store the exception of a call."""
        assert call.tool is not None
        error.add_note(f"It was raised by the tool {call.name!r} in the call {call.call_id!r}.")
        self._errors.append(error)
        item = self._set_output(call, error_text(error, max_bytes=call.tool.max_output_bytes))
        return ToolCallFinished(call, item, error=error)

    def time_out(self, call: ToolCall) -> ToolCallFinished:
        """Store that a call did not end within its timeout."""
        assert call.tool is not None
        text = f"timed out after {call.tool.timeout:g} s"
        error = TimeoutError(f"The tool {call.name!r} {text}.")
        self._errors.append(error)
        return ToolCallFinished(call, self._set_output(call, f"The call {text}. It may have run."), error=error)

    def take_records(self) -> list[dict[str, Any]]:
        """Return what to record now: the output items of the next calls, `call_finished` for those of later calls."""
        records: list[dict[str, Any]] = []
        while self._recorded in self._items:
            records.append(self._items[self._recorded])
            self._recorded += 1
        for index in sorted(self._items):
            if index > self._recorded and index not in self._recorded_early:
                self._recorded_early.add(index)
                item = self._items[index]
                records.append({"type": "call_finished", "call_id": item["call_id"], "item": item})
        return records

    @property
    def error(self) -> BaseException | None:
        """The exception that ends the run. A result that cannot be sent and a SystemExit always do."""
        for error in self._errors:
            if self._on_error == "raise" or isinstance(error, ToolResultError) or not isinstance(error, Exception):
                return error
        return None

    def _is_allowed(self, call: ToolCall) -> bool:
        return isinstance(self._decisions.get(call.index), Allow)

    def _set_output(self, call: ToolCall, output: str | list[Item]) -> Item:
        item = self._items[call.index] = output_item(call.item, output)
        return item


def output_item(call: Item, output: str | list[Item]) -> Item:
    """Return the output item of the item of a call."""
    return {"type": f"{call['type']}_output", "call_id": str(call.get("call_id")), "output": output}
