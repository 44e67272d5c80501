"""Test running calls in threads and tasks. One table of scenarios runs on both executors, and on both event loops."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import from_thread

from codex_backend_sdk import ToolDefinitionError, ToolResultError
from codex_backend_sdk.tools import Allow, Deny, FunctionTool, Pause, ToolSet
from codex_backend_sdk.tools.calls import NOT_RUN, ToolBatch, ToolCall, read_calls
from codex_backend_sdk.tools.execution import AsyncExecutor, adecide, check_sync, decide, execute

LONG = 30.0  # an upper bound for what takes milliseconds


class Outcome:
    """What the execution of a batch did: its events, records and outputs."""

    def __init__(self, watch: Any = None) -> None:
        self.events: list[Any] = []
        self.records: list[dict[str, Any]] = []
        self.batch: Any = None
        self._watch = watch

    def record(self, entry: dict[str, Any]) -> None:
        self.records.append(entry)
        if self._watch is not None:
            self._watch(entry)

    @property
    def outputs(self) -> list[Any]:
        return [item["output"] for item in self.batch.outputs]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        return [(event.type.removeprefix("tool_call."), event.call.name) for event in self.events]


def batch_of(*functions: Callable[..., Any], on_error: Any = "return", **options: Any) -> ToolBatch:
    """A batch with one call, without arguments, of each function; `options` are those of the tools."""
    tools = [FunctionTool.from_function(function, **options) for function in functions]
    items = [
        {"type": "function_call", "call_id": f"c{index}", "name": tool.name, "arguments": "{}"}
        for index, tool in enumerate(tools)
    ]
    return ToolBatch(read_calls(items, ToolSet(tools)), on_error=on_error)


def run_sync(
    made: ToolBatch, *, on_call: Any = None, seconds: Any = None, watch: Any = None, **options: Any
) -> Outcome:
    outcome = Outcome(watch)
    outcome.batch = made
    decide(made, on_call, seconds=seconds)
    if not made.is_paused:
        outcome.events = [*execute(made, record=outcome.record, **options)]
    return outcome


async def arun(
    made: ToolBatch, *, on_call: Any = None, seconds: Any = None, watch: Any = None, **options: Any
) -> Outcome:
    outcome = Outcome(watch)
    outcome.batch = made
    await adecide(made, on_call, seconds=seconds)
    if not made.is_paused:
        async with AsyncExecutor() as executor:
            outcome.events = [event async for event in executor.execute(made, record=outcome.record, **options)]
    return outcome


def run_async(backend: str, made: ToolBatch, **options: Any) -> Outcome:
    return anyio.run(partial(arun, made, **options), backend=backend)


RUNNERS: dict[str, Callable[..., Outcome]] = {
    "sync": run_sync,
    "asyncio": partial(run_async, "asyncio"),
    "trio": partial(run_async, "trio"),
}


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    return RUNNERS[request.param]


@pytest.fixture(params=["asyncio", "trio"])
def arunner(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    return RUNNERS[request.param]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """An event that lets blocked tools return. It is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def one() -> int:
    return 1


def two() -> int:
    return 2


def fails() -> None:
    raise ValueError("bad")


def test_calls_run_at_the_same_time(run: Callable[..., Outcome]) -> None:
    barrier = threading.Barrier(2, timeout=LONG)

    def left() -> int:
        return barrier.wait()

    def right() -> int:
        return barrier.wait()

    assert sorted(run(batch_of(left, right)).outputs) == ["0", "1"]


def test_outputs_have_the_order_of_the_calls(run: Callable[..., Outcome]) -> None:
    second_recorded = threading.Event()

    def first() -> str:
        assert second_recorded.wait(LONG)
        return "first"

    def second() -> str:
        return "second"

    def watch(entry: dict[str, Any]) -> None:
        if entry["type"] == "call_finished":
            second_recorded.set()

    outcome = run(batch_of(first, second), watch=watch)
    assert outcome.outputs == ["first", "second"]
    assert [(record["type"], record["call_id"]) for record in outcome.records] == [
        ("call_started", "c0"),
        ("call_started", "c1"),
        ("call_finished", "c1"),
        ("function_call_output", "c0"),
        ("function_call_output", "c1"),
    ]
    assert outcome.kinds[:2] == [("started", "first"), ("started", "second")]
    assert sorted(outcome.kinds[2:]) == [("finished", "first"), ("finished", "second")]


def test_serial_calls_run_one_after_the_other(run: Callable[..., Outcome]) -> None:
    running: list[int] = []

    def first() -> int:
        running.append(1)
        time.sleep(0.02)
        running.pop()
        return len(running)

    def second() -> int:
        return len(running)

    outcome = run(batch_of(first, second), parallel=False)
    assert outcome.outputs == ["0", "0"]
    assert outcome.kinds == [("started", "first"), ("finished", "first"), ("started", "second"), ("finished", "second")]
    assert [record["type"] for record in outcome.records] == ["call_started", "function_call_output"] * 2


def test_failure_does_not_affect_the_other_calls(run: Callable[..., Outcome]) -> None:
    outcome = run(batch_of(one, fails, two))
    assert outcome.outputs == ["1", "ValueError: bad", "2"]
    assert outcome.batch.error is None
    (failed,) = [event for event in outcome.events if event.call.name == "fails" and event.type == "tool_call.finished"]
    assert isinstance(failed.error, ValueError)


def test_siblings_finish_before_an_error_is_raised(run: Callable[..., Outcome]) -> None:
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise ValueError("bad")

    def sibling() -> str:
        assert failed.wait(LONG)
        return "done"

    outcome = run(batch_of(fail, sibling, on_error="raise"))
    assert outcome.outputs == ["ValueError: bad", "done"]
    assert isinstance(outcome.batch.error, ValueError)


def test_serial_calls_after_an_error_are_not_run(run: Callable[..., Outcome]) -> None:
    outcome = run(batch_of(one, fails, two, on_error="raise"), parallel=False)
    assert outcome.outputs == ["1", "ValueError: bad", NOT_RUN]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_exit_of_a_tool_does_not_hang(run: Callable[..., Outcome], error: BaseException) -> None:
    def leave() -> None:
        raise error

    outcome = run(batch_of(leave, one))
    assert outcome.outputs[1] == "1"
    assert outcome.batch.error is error


def test_timeout_is_told_to_the_model(
    run: Callable[..., Outcome], release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def hang() -> str:
        release.wait(LONG)
        return "late"

    caplog.set_level(logging.WARNING)
    outcome = run(batch_of(hang, one, timeout=0.2))
    assert outcome.outputs == ["The call timed out after 0.2 s. It may have run.", "1"]
    assert any("Abandoned threads that still run" in message for message in caplog.messages)
    release.set()
    assert outcome.outputs[0].startswith("The call timed out")  # the late result is dropped


def test_abandoned_threads_are_counted(release: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    def hang() -> None:
        release.wait(LONG)

    def stuck() -> None:
        release.wait(LONG)

    caplog.set_level(logging.WARNING)
    run_sync(batch_of(hang, stuck, timeout=0.1))
    messages = [message for message in caplog.messages if "Abandoned threads" in message]
    counts = [int(message.rstrip(".").rpartition(" ")[2]) for message in messages]
    assert counts[1] == counts[0] + 1


def secret() -> str:
    return "password"


def test_failed_calls_are_logged_once(run: Callable[..., Outcome], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "codex_backend_sdk")
    run(batch_of(fails, secret))
    (entry,) = caplog.records
    assert entry.getMessage().startswith("Tool fails raised ValueError after ")
    assert entry.exc_info is not None
    assert isinstance(entry.exc_info[1], ValueError)
    assert 'raise ValueError("bad")' in caplog.text


def test_calls_are_logged_with_their_duration(run: Callable[..., Outcome], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "codex_backend_sdk")
    run(batch_of(secret))
    messages = [entry.getMessage() for entry in caplog.records if entry.name == "codex_backend_sdk.tools"]
    assert messages[0] == "Tool secret started (c0)."
    assert re.fullmatch(r"Tool secret finished after \d+\.\d{3} s \(c0\)\.", messages[1])
    assert "password" not in caplog.text


def test_timeout_is_logged(
    run: Callable[..., Outcome], release: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    def hang() -> None:
        release.wait(LONG)

    caplog.set_level(logging.WARNING, "codex_backend_sdk")
    run(batch_of(hang, timeout=0.1))
    assert sum("Tool hang raised TimeoutError" in message for message in caplog.messages) == 1


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE")


def test_context_variables_are_carried_over(run: Callable[..., Outcome]) -> None:
    def read() -> str:
        return VARIABLE.get("nothing")

    token = VARIABLE.set("value")
    try:
        assert run(batch_of(read)).outputs == ["value"]
    finally:
        VARIABLE.reset(token)


def test_calls_that_are_not_run_have_an_event(run: Callable[..., Outcome]) -> None:
    outcome = run(batch_of(one, two), on_call=lambda call: call.name == "two")
    assert outcome.outputs == ["The call was denied.", "2"]
    assert outcome.kinds == [("finished", "one"), ("started", "two"), ("finished", "two")]
    assert (outcome.events[0].was_run, outcome.events[2].was_run) == (False, True)
    assert [record["type"] for record in outcome.records] == [
        "function_call_output",
        "call_started",
        "function_call_output",
    ]


def test_nothing_starts_before_all_are_decided(run: Callable[..., Outcome]) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")

    def second() -> None:
        ran.append("second")

    asked: list[str] = []

    def ask(call: ToolCall) -> object:
        asked.append(call.name)
        assert ran == []
        return Pause() if call.name == "second" else Allow()

    outcome = run(batch_of(first, second), on_call=ask)
    assert asked == ["first", "second"]
    assert (outcome.batch.is_paused, ran, outcome.records) == (True, [], [])


def test_hook_without_an_answer_in_time_denies(run: Callable[..., Outcome], release: threading.Event) -> None:
    def ask(call: ToolCall) -> object:
        release.wait(LONG)
        return Allow()

    outcome = run(batch_of(one), on_call=ask, seconds=0.1)
    assert outcome.outputs == ["The call was denied: there was no decision within 0.1 s"]


def test_hook_with_an_answer_in_time_decides(run: Callable[..., Outcome]) -> None:
    outcome = run(batch_of(one, two), on_call=lambda call: Deny("no") if call.name == "one" else Allow(), seconds=LONG)
    assert outcome.outputs == ["The call was denied: no", "2"]


@pytest.mark.parametrize("seconds", [None, LONG])
def test_error_of_the_hook_is_raised(run: Callable[..., Outcome], seconds: float | None) -> None:
    def ask(call: ToolCall) -> object:
        raise LookupError("no policy")

    with pytest.raises(LookupError, match="no policy"):
        run(batch_of(one), on_call=ask, seconds=seconds)
    with pytest.raises(TypeError, match="on_call returned None"):
        run(batch_of(one), on_call=lambda call: None, seconds=seconds)


def test_unsendable_result_ends_the_run(run: Callable[..., Outcome]) -> None:
    def binary() -> bytes:
        return b"x"

    outcome = run(batch_of(binary, one))
    assert isinstance(outcome.batch.error, ToolResultError)
    assert outcome.outputs[1] == "1"


def test_failing_record_ends_the_execution(run: Callable[..., Outcome]) -> None:
    made = batch_of(one)
    decide(made, None)

    def record(entry: dict[str, Any]) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        [*execute(made, record=record)]

    async def main() -> None:
        async with AsyncExecutor() as executor:
            async for _ in executor.execute(amade, record=record):
                pass

    amade = batch_of(one)
    decide(amade, None)
    with pytest.raises(OSError, match="disk full"):
        anyio.run(main)


# --- sync only -------------------------------------------------------------------------------------------------------


async def acoroutine() -> int:
    return 1


def returns_coroutine() -> Any:
    return acoroutine()


def test_sync_client_refuses_coroutine_functions() -> None:
    check_sync(ToolSet([one]))
    with pytest.raises(ToolDefinitionError, match=r"'acoroutine' is a coroutine function\. Use AsyncOpenAI"):
        check_sync(ToolSet([one, acoroutine]))


def test_sync_client_refuses_awaitable_results() -> None:
    outcome = run_sync(batch_of(returns_coroutine, one))
    assert isinstance(outcome.batch.error, ToolResultError)
    assert "returned an awaitable" in outcome.outputs[0]
    assert outcome.outputs[1] == "1"


@pytest.mark.parametrize("seconds", [None, LONG])
def test_sync_client_refuses_async_hooks(seconds: float | None) -> None:
    async def ask(call: ToolCall) -> bool:
        return True

    with pytest.raises(TypeError, match="on_call returned an awaitable"):
        run_sync(batch_of(one), on_call=ask, seconds=seconds)


def test_closed_iterator_leaves_unfinished_calls_open(release: threading.Event) -> None:
    def hang() -> None:
        release.wait(LONG)

    records: list[Any] = []
    made = batch_of(one, hang, two)
    decide(made, None)
    events = execute(made, record=records.append, parallel=False)
    while next(events).call.name != "hang":
        pass
    events.close()
    outputs = [record["output"] for record in records if "output" in record]
    assert outputs == ["1"]
    assert [each.name for each in made.calls if each.call_id not in {item["call_id"] for item in made.outputs}] == [
        "hang",
        "two",
    ]


def test_closed_iterator_records_the_results_that_exist(release: threading.Event) -> None:
    ended = threading.Event()

    def hang() -> None:
        release.wait(LONG)

    def end() -> str:
        ended.set()
        return "ended"

    records: list[Any] = []
    made = batch_of(hang, end)
    decide(made, None)
    events = execute(made, record=records.append)
    next(events)
    assert ended.wait(LONG)
    wait_for_thread("codex-tool-end")
    events.close()
    assert [record["type"] for record in records] == ["call_started", "call_started", "call_finished"]
    assert records[-1]["item"] == {"type": "function_call_output", "call_id": "c1", "output": "ended"}


def wait_for_thread(name: str) -> None:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(LONG)


INTERRUPTED = """
import signal, sys, threading, time
from codex_backend_sdk.tools import ToolSet
from codex_backend_sdk.tools.calls import ToolBatch, read_calls
from codex_backend_sdk.tools.execution import decide, execute
def hang() -> None:
    signal.raise_signal(signal.SIGINT)
    time.sleep(600)
items = [{"type": "function_call", "call_id": "c", "name": "hang", "arguments": ""}]
batch = ToolBatch(read_calls(items, ToolSet([hang])))
decide(batch, None)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    list(execute(batch, record=lambda entry: print(entry.get("output", entry["type"]))))
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupt_ends_the_wait_and_the_program() -> None:
    result = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout.splitlines() == ["call_started", "interrupted"]


# --- async only ------------------------------------------------------------------------------------------------------


def test_coroutines_and_functions_run_at_the_same_time(arunner: Callable[..., Outcome]) -> None:
    begun = anyio.Event()
    tokens: list[Any] = []
    ready = threading.Event()

    async def coroutine() -> str:
        tokens.append(anyio.lowlevel.current_token())
        ready.set()
        with anyio.fail_after(LONG):
            await begun.wait()
        return "async"

    def function() -> str:
        assert ready.wait(LONG)
        from_thread.run_sync(begun.set, token=tokens[0])
        return "sync"

    assert arunner(batch_of(coroutine, function)).outputs == ["async", "sync"]


def test_sync_function_does_not_block_the_loop(arunner: Callable[..., Outcome]) -> None:
    ticked = threading.Event()

    def function() -> bool:
        return ticked.wait(LONG)

    async def tick() -> None:
        ticked.set()

    assert arunner(batch_of(function, tick)).outputs[0] == "true"


def test_awaitable_of_a_sync_function_is_awaited(arunner: Callable[..., Outcome]) -> None:
    assert arunner(batch_of(returns_coroutine)).outputs == ["1"]


def test_async_hook_decides(arunner: Callable[..., Outcome]) -> None:
    async def ask(call: ToolCall) -> bool:
        await anyio.lowlevel.checkpoint()
        return call.name == "one"

    assert arunner(batch_of(one, two), on_call=ask).outputs == ["1", "The call was denied."]


def test_coroutine_is_cancelled_after_its_timeout(arunner: Callable[..., Outcome]) -> None:
    cancelled: list[bool] = []

    async def hang() -> None:
        try:
            await anyio.sleep(LONG)
        finally:
            cancelled.append(True)

    async def swallows() -> str:
        with suppress(BaseException):
            await anyio.sleep(LONG)
        return "swallowed"

    async def converts() -> None:
        try:
            await anyio.sleep(LONG)
        except BaseException:
            raise ValueError("converted") from None

    outcome = arunner(batch_of(hang, swallows, converts, timeout=0.1))
    assert outcome.outputs == ["The call timed out after 0.1 s. It may have run."] * 3
    assert cancelled == [True]


def test_cancelled_error_of_a_tool_is_its_failure() -> None:
    async def leak() -> None:
        raise asyncio.CancelledError("mine")

    outcome = run_async("asyncio", batch_of(leak, one))
    assert outcome.outputs == ["CancelledError: mine", "1"]


def test_async_records_are_awaited(arunner: Callable[..., Outcome]) -> None:
    del arunner
    records: list[dict[str, Any]] = []

    async def record(entry: dict[str, Any]) -> None:
        await anyio.lowlevel.checkpoint()
        records.append(entry)

    async def main() -> None:
        made = batch_of(one)
        await adecide(made, None)
        async with AsyncExecutor() as executor:
            async for _ in executor.execute(made, record=record):
                pass

    anyio.run(main)
    assert [entry["type"] for entry in records] == ["call_started", "function_call_output"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancellation_leaves_unfinished_calls_open(backend: str, release: threading.Event) -> None:
    started = threading.Event()

    async def hang() -> None:
        started.set()
        await anyio.sleep(LONG)

    def stuck() -> None:
        release.wait(LONG)

    async def main() -> list[Any]:
        made = batch_of(one, hang, stuck)
        await adecide(made, None)
        records: list[Any] = []
        with anyio.CancelScope() as scope:
            async with AsyncExecutor() as executor:
                async for event in executor.execute(made, record=records.append):
                    if event.type == "tool_call.finished":  # of the first call; the others are running
                        scope.cancel()
        return [record["output"] for record in records if "output" in record]

    assert anyio.run(main, backend=backend) == ["1"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_early_end_of_the_iteration_leaves_calls_open(backend: str) -> None:
    async def hang() -> None:
        await anyio.sleep(LONG)

    async def main() -> list[Any]:
        made = batch_of(hang)
        await adecide(made, None)
        records: list[Any] = []
        async with AsyncExecutor() as executor:
            events = executor.execute(made, record=records.append)
            async for _ in events:
                break
            await events.aclose()  # type: ignore[attr-defined]
        return [record.get("output") for record in records]

    assert anyio.run(main, backend=backend) == [None]


ABANDONED = """
import sys, time
import anyio
from codex_backend_sdk.tools import FunctionTool, ToolSet
from codex_backend_sdk.tools.calls import ToolBatch, read_calls
from codex_backend_sdk.tools.execution import AsyncExecutor, adecide
def hang() -> None:
    time.sleep(600)
tools = ToolSet([FunctionTool.from_function(hang, timeout=0.1)])
async def main():
    items = [{"type": "function_call", "call_id": "c", "name": "hang", "arguments": ""}]
    batch = ToolBatch(read_calls(items, tools))
    await adecide(batch, None)
    async with AsyncExecutor() as executor:
        async for event in executor.execute(batch, record=lambda entry: None):
            print(event.type)
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_abandoned_thread_does_not_keep_the_program(backend: str) -> None:
    command = [sys.executable, "-c", ABANDONED, backend]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert result.stdout.splitlines() == ["tool_call.started", "tool_call.finished"]
