"""Run the calls of a `ToolBatch`: in threads for the sync client, in tasks and threads for the async client.

A function cannot be stopped from outside. A call that exceeds its timeout is abandoned: its output says so, a warning
counts the threads that still run, and the late result is dropped. The threads are daemons, so an abandoned one does not
keep the program from ending. They see the context variables of the caller.

`record` stores what happened before it matters: `call_started` before a function runs, and after it the output item, or
`call_finished` with the item while an earlier call has no output yet. It is called only from the caller's own thread or
task. An interruption leaves the calls without a result open.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

from .._exceptions import ToolDefinitionError, ToolResultError
from .._threads import run_into, start_in_thread
from .calls import NOT_RUN, Allow, Deny, ToolBatch, ToolCall, ToolCallFinished, ToolCallStarted, as_decision

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    from .calls import Decision
    from .function_tool import ToolSet

__all__ = ["AsyncExecutor", "adecide", "check_sync", "decide", "execute"]

_log = logging.getLogger("codex_backend_sdk.tools")

Event: TypeAlias = "ToolCallStarted | ToolCallFinished"
Record: TypeAlias = Callable[[dict[str, Any]], object]
Settle: TypeAlias = Callable[[ToolBatch], ToolCallFinished]
OnCall: TypeAlias = Callable[[ToolCall], object]

# On Windows, Ctrl-C interrupts a wait only when it ends.
_WAIT_SECONDS: Final = 1.0
_abandoned: Final[set[Future[Any]]] = set()


def check_sync(tools: ToolSet) -> None:
    """Raise ToolDefinitionError if the sync client cannot run one of the tools."""
    for tool in tools:
        if tool.is_async:
            raise ToolDefinitionError(
                f"The tool {tool.name!r} is a coroutine function. Use AsyncOpenAI, or make it sync."
            )


def _abandon(call: ToolCall, outcome: Future[Any]) -> None:
    _abandoned.add(outcome)
    outcome.add_done_callback(_abandoned.discard)
    _log.warning(
        "The call of the tool %r was abandoned, but its thread cannot be stopped. Its result will be dropped. "
        "Abandoned threads that still run: %d.",
        call.name,
        len(_abandoned),
    )


def _start(action: Callable[[], Any], *, name: str) -> Future[Any]:
    return start_in_thread(partial(copy_context().run, action), name=f"codex-tool-{name}", daemon=True)


def _log_start(call: ToolCall) -> None:
    _log.debug("Tool %s started (%s).", call.name, call.call_id)


def _log_end(event: ToolCallFinished, started: float) -> None:
    """Log how a call ended, without its arguments and its result, which may be secret."""
    name, call_id, seconds = event.call.name, event.call.call_id, time.monotonic() - started
    if event.error is None:
        _log.debug("Tool %s finished after %.3f s (%s).", name, seconds, call_id)
    else:
        kind = type(event.error).__name__
        _log.warning("Tool %s raised %s after %.3f s (%s).", name, kind, seconds, call_id, exc_info=event.error)


def _bound(call: ToolCall) -> Callable[[], Any]:
    assert call.tool is not None
    return partial(call.tool.function, *call.args, **call.kwargs)


# --- sync ------------------------------------------------------------------------------------------------------------


def decide(
    batch: ToolBatch,
    on_call: OnCall | None,
    *,
    seconds: float | None = None,
    default: Mapping[str, Decision] | None = None,
) -> None:
    """Call the hook for each call that is not decided, one after the other.

    Without a hook, a call is decided by `default`, or allowed. With `seconds`, the hook runs in a thread, and a call
    that is not decided in time is denied.
    """
    for call in batch.undecided():
        if on_call is None:
            batch.decide(call, (default or {}).get(call.call_id, Allow()))
        else:
            batch.decide(call, _invoke_hook(on_call, call, seconds))


def _invoke_hook(on_call: OnCall, call: ToolCall, seconds: float | None) -> Decision:
    if seconds is None:
        returned = on_call(call)
    else:
        try:
            returned = _start(partial(on_call, call), name="approval").result(seconds)
        except TimeoutError:
            return _late_denial(seconds)
    if inspect.isawaitable(returned):
        _close(returned)
        raise TypeError("on_call returned an awaitable, which the sync client cannot await. Use AsyncOpenAI.")
    return as_decision(returned)


def _late_denial(seconds: float) -> Deny:
    return Deny(f"there was no decision within {seconds:g} s")


def _close(awaitable: object) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()  # without a warning that it was never awaited


def execute(batch: ToolBatch, *, record: Record, parallel: bool = True) -> Iterator[Event]:
    """Run the allowed calls of a batch, and yield the events.

    If the iterator is closed or interrupted, the results that exist are recorded, and the other calls stay open.
    """
    waiting = deque(batch.allowed())
    running: dict[int, _Running] = {}
    finished: SimpleQueue[int] = SimpleQueue()
    try:
        _record(batch, record)
        yield from batch.rejected()
        while waiting or running:
            started: list[Event] = []
            while waiting and (parallel or not running):
                call = waiting.popleft()
                record(batch.start(call))
                running[call.index] = _Running(call, finished)
                started.append(ToolCallStarted(call))
            yield from started  # after the start of all, so that a slow reader delays none
            events = _wait(batch, running, finished)
            _record(batch, record)
            yield from events
            if batch.error is not None:
                _skip(batch, waiting)
                _record(batch, record)
    finally:
        for each in running.values():
            if each.outcome.done():
                _settle(batch, each)
            else:
                _abandon(each.call, each.outcome)
        _record(batch, record)


def _record(batch: ToolBatch, record: Record) -> None:
    for entry in batch.take_records():
        record(entry)


def _skip(batch: ToolBatch, waiting: deque[ToolCall]) -> None:
    while waiting:
        batch.reject(waiting.popleft(), NOT_RUN)


class _Running:
    """A call that runs in a thread. The thread puts the index of the call into the queue when it ends."""

    def __init__(self, call: ToolCall, finished: SimpleQueue[int]) -> None:
        assert call.tool is not None
        self.call = call
        timeout = call.tool.timeout
        self.started = time.monotonic()
        self.deadline = None if timeout is None else self.started + timeout
        _log_start(call)
        self.outcome = _start(_bound(call), name=call.name)
        self.outcome.add_done_callback(lambda _: finished.put(call.index))


def _wait(batch: ToolBatch, running: dict[int, _Running], finished: SimpleQueue[int]) -> list[Event]:
    """Wait for the next calls that return, or for the next timeout, but not for long."""
    events: list[Event] = []
    deadlines = [each.deadline for each in running.values() if each.deadline is not None]
    remaining = min([_WAIT_SECONDS, *(deadline - time.monotonic() for deadline in deadlines)])
    try:
        index = finished.get(timeout=max(0.0, remaining))
        while True:
            if index in running:  # else it was abandoned
                events.append(_settle(batch, running.pop(index)))
            index = finished.get_nowait()
    except Empty:
        pass
    if not events:
        for each in [*running.values()]:
            if each.deadline is not None and time.monotonic() >= each.deadline:
                del running[each.call.index]
                _abandon(each.call, each.outcome)
                event = batch.time_out(each.call)
                _log_end(event, each.started)
                events.append(event)
    return events


def _settle(batch: ToolBatch, running: _Running) -> ToolCallFinished:
    call, error = running.call, running.outcome.exception()
    result = None if error is not None else running.outcome.result()
    if inspect.isawaitable(result):
        _close(result)
        text = f"The tool {call.name!r} returned an awaitable, which the sync client cannot await. Use AsyncOpenAI."
        error = ToolResultError(text)
    event = batch.succeed(call, result) if error is None else batch.fail(call, error)
    _log_end(event, running.started)
    return event


# --- async -----------------------------------------------------------------------------------------------------------


async def adecide(
    batch: ToolBatch,
    on_call: OnCall | None,
    *,
    seconds: float | None = None,
    default: Mapping[str, Decision] | None = None,
) -> None:
    """Call the hook for each call that is not decided, as `decide` does. A sync hook runs in a thread."""
    for call in batch.undecided():
        if on_call is None:
            batch.decide(call, (default or {}).get(call.call_id, Allow()))
            continue
        returned: object = None if seconds is None else _late_denial(seconds)
        with anyio.move_on_after(seconds):
            returned = await _invoke(partial(on_call, call), name="approval")
        batch.decide(call, as_decision(returned))


async def _invoke(action: Callable[[], Any], *, name: str, call: ToolCall | None = None) -> Any:
    """Call a coroutine function here, or any other function in a thread, and await what it returns."""
    function: Any = action.func if isinstance(action, partial) else action
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None)):  # noqa: B004
        return await action()
    result = await _run_in_thread(action, name=name, call=call)
    return await result if inspect.isawaitable(result) else result


async def _run_in_thread(action: Callable[[], Any], *, name: str, call: ToolCall | None) -> Any:
    # anyio's worker threads are not daemons: an abandoned one would keep the program from ending.
    ended, token, loop_thread = anyio.Event(), current_token(), get_ident()
    outcome: Future[Any] = Future()

    def run() -> None:
        run_into(outcome, action)
        if get_ident() == loop_thread:  # no thread could be started
            ended.set()
            return
        with suppress(RuntimeError):  # the event loop has ended
            from_thread.run_sync(ended.set, token=token)

    _start(run, name=name)
    try:
        await ended.wait()
    finally:
        if call is not None and not outcome.done():
            _abandon(call, outcome)
    return outcome.result()


class AsyncExecutor:
    """Run batches of calls in the tasks of one task group. Use it as async context manager."""

    def __init__(self) -> None:
        self._group = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._group.cancel_scope.cancel()
        # Without the exception, which would be wrapped in a group: it did not occur in a task of this one.
        await self._group.__aexit__(None, None, None)

    async def execute(self, batch: ToolBatch, *, record: Record, parallel: bool = True) -> AsyncGenerator[Event]:
        """Run the allowed calls of a batch, and yield the events, as `execute()`."""
        waiting = deque(batch.allowed())
        running: dict[int, anyio.CancelScope] = {}
        finished = _Finished()
        try:
            await _arecord(record, batch.take_records())
            for rejected in batch.rejected():
                yield rejected
            while waiting or running:
                started: list[Event] = []
                while waiting and (parallel or not running):
                    call = waiting.popleft()
                    await _arecord(record, [batch.start(call)])
                    running[call.index] = anyio.CancelScope()
                    self._group.start_soon(_run, call, running[call.index], finished)
                    started.append(ToolCallStarted(call))
                for event in started:
                    yield event
                await finished.wait()
                events = finished.settle(batch, running)
                await _arecord(record, batch.take_records())
                for event in events:
                    yield event
                if batch.error is not None:
                    _skip(batch, waiting)
                    await _arecord(record, batch.take_records())
        finally:
            finished.settle(batch, running)
            for scope in running.values():
                scope.cancel()
            with anyio.CancelScope(shield=True):
                await _arecord(record, batch.take_records())


async def _arecord(record: Record, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
        recorded = record(entry)
        if inspect.isawaitable(recorded):
            await recorded


class _Finished:
    """A queue from the tasks to the executor: a call, how its outcome is stored in the batch, and when it started."""

    def __init__(self) -> None:
        self._entries: deque[tuple[ToolCall, Settle, float]] = deque()
        self._added = anyio.Event()

    def put(self, call: ToolCall, settle: Settle, started: float) -> None:
        self._entries.append((call, settle, started))
        self._added.set()

    async def wait(self) -> None:
        """Wait for an entry."""
        while not self._entries:
            self._added = anyio.Event()
            await self._added.wait()

    def settle(self, batch: ToolBatch, running: dict[int, anyio.CancelScope]) -> list[Event]:
        """Store all outcomes in the batch, remove their calls from `running`, and return the events."""
        events: list[Event] = []
        while self._entries:
            call, settle, started = self._entries.popleft()
            del running[call.index]
            event = settle(batch)
            _log_end(event, started)
            events.append(event)
        return events


async def _run(call: ToolCall, scope: anyio.CancelScope, finished: _Finished) -> None:
    assert call.tool is not None
    settle: Settle | None = None
    started = time.monotonic()
    _log_start(call)
    with scope, anyio.move_on_after(call.tool.timeout) as limit:
        try:
            result = await _invoke(_bound(call), name=call.name, call=call)
            settle = partial(ToolBatch.succeed, call=call, result=result)
        except BaseException as error:
            settle = partial(ToolBatch.fail, call=call, error=error)
            # In a task that is cancelled, the deadline is past. Otherwise, a CancelledError is a failure of the tool.
            if anyio.current_effective_deadline() == -math.inf and not isinstance(error, Exception):
                raise
    if limit.cancel_called:
        settle = partial(ToolBatch.time_out, call=call)
    if settle is not None:
        finished.put(call, settle, started)
