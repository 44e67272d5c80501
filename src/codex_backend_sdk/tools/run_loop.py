"""The loop of a run of tools: send, run the calls of the response, send their outputs, until there are no calls. Pure.

`run_loop` is a generator without I/O. It yields `Send` and receives the response, or yields `Execute` and receives
nothing after the batch has been executed. The sync and the async runs of conversations drive it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from .._exceptions import MaxTurnsError, RepeatedCallError, RunPausedError
from .calls import ToolBatch, batch_key, read_calls

if TYPE_CHECKING:
    from openai.types.responses import Response

    from .calls import Decision
    from .function_tool import ToolSet

__all__ = ["DEFAULT_MAX_REPEATS", "DEFAULT_MAX_TURNS", "Execute", "RunLimits", "Send", "run_loop"]

DEFAULT_MAX_TURNS: Final = 20
DEFAULT_MAX_REPEATS: Final = 5


@dataclass(frozen=True, slots=True)
class RunLimits:
    """What ends a run.

    Attributes:
        max_turns: The number of requests.
        max_repeats: How many times in a row the model may make the same calls with the same arguments; None: no limit.
        on_error: Whether an exception of a tool is returned to the model or ends the run.
    """

    max_turns: int = DEFAULT_MAX_TURNS
    max_repeats: int | None = DEFAULT_MAX_REPEATS
    on_error: Literal["return", "raise"] = "return"

    def __post_init__(self) -> None:
        if self.max_turns < 1:
            raise ValueError(f"max_turns is {self.max_turns}. It must be at least 1.")
        if self.max_repeats is not None and self.max_repeats < 2:
            raise ValueError(f"max_repeats is {self.max_repeats}. It must be at least 2, or None.")
        if self.on_error not in ("return", "raise"):
            raise ValueError(f"on_error is {self.on_error!r}. It must be 'return' or 'raise'.")


@dataclass(frozen=True, slots=True)
class Send:
    """Send these items after the history. The reply is the response."""

    items: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class Execute:
    """Decide on the calls of the batch and, unless it is paused, run them and record their outputs."""

    batch: ToolBatch


def run_loop(
    tools: ToolSet,
    limits: RunLimits,
    *,
    open_calls: Iterable[dict[str, Any]] = (),
    started: Iterable[str] = (),
    decisions: Mapping[str, Decision] | None = None,
    finished: Mapping[str, dict[str, Any]] | None = None,
) -> Generator[Send | Execute, Any, Response]:
    """Return the final response.

    `Send(None)` stands for the input of the caller, or for the history alone when a run is resumed. `open_calls` are
    the calls of the history without output, `started` the IDs of those that may have run, `decisions` those that
    exist, and `finished` the output items, by call ID, that exist outside of the history.

    Raises MaxTurnsError, RepeatedCallError, RunPausedError, or the exception of a tool.
    """
    repeated: tuple[Any, ...] = ()
    repeats = 0
    outputs: list[dict[str, Any]] | None = None
    last: Response | None = None
    batch = ToolBatch(
        read_calls(open_calls, tools, started=started), decisions=decisions, outputs=finished, on_error=limits.on_error
    )
    if batch.calls:
        yield from _execute(batch, None)
        outputs = batch.outputs
    for _ in range(limits.max_turns):
        response: Response = yield Send(outputs)
        last = response
        batch = ToolBatch(read_calls(_items(response), tools), on_error=limits.on_error)
        if not batch.calls or response.status != "completed":  # calls of an incomplete response may be incomplete
            return response
        key = batch_key(batch.calls)
        repeats = repeats + 1 if key == repeated else 1
        repeated = key
        if repeats == limits.max_repeats:
            for call in batch.undecided():
                batch.reject(call, f"[not run: the same call was made {repeats} times in a row]")
            yield from _execute(batch, response)
            raise _stopped(
                RepeatedCallError(
                    f"The model called {', '.join(call.name for call in batch.calls)} {repeats} times in a row with "
                    "the same arguments. The run was stopped; the conversation can be continued. Check the tool's "
                    "outputs and description, or pass max_repeats=None."
                ),
                response,
            )
        yield from _execute(batch, response)
        outputs = batch.outputs
    raise _stopped(
        MaxTurnsError(
            f"The model still calls tools after {limits.max_turns} requests (max_turns). The outputs are in the "
            "conversation. Continue with conversation.resume(), or pass a higher max_turns."
        ),
        last,
    )


def _execute(batch: ToolBatch, response: Response | None) -> Generator[Execute, Any, None]:
    yield Execute(batch)
    if batch.is_paused:
        waiting = [
            {"call_id": call.call_id, "name": call.name, "arguments": call.arguments} for call in batch.undecided()
        ]
        names = ", ".join(call["name"] for call in waiting)
        raise _stopped(
            RunPausedError(
                f"on_call paused the run before the calls of {names}. Continue with conversation.resume({{call_id: "
                "Allow() or Deny(reason)}).",
                calls=waiting,
            ),
            response,
        )
    if batch.error is not None:
        raise batch.error


def _stopped(error: Any, response: Response | None) -> Any:
    error.partial = response
    return error


def _items(response: Response) -> list[dict[str, Any]]:
    return [item.to_dict() for item in response.output]
