"""Test retries of interrupted streams: before the first event, and after it with `on_interrupt="restart"`."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.clocks import RecordingClock

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator


def text_of(events: list[Any]) -> str:
    """Return the text after the last `response.created`."""
    last = max(index for index, event in enumerate(events) if event.type == "response.created")
    return "".join(event.delta for event in events[last:] if event.type == "response.output_text.delta")


def test_text_deltas_are_the_text(client: Any, sim: Simulator) -> None:
    sim.script(Turn.text("one two three"))
    stream = client.responses.create(input="hi", stream=True)
    assert "".join(stream.text_deltas()) == "one two three"


OVERLOADED = Turn.error(503, {"error": {"code": "server_is_overloaded"}})


@pytest.mark.parametrize(
    "turn",
    [
        Turn.raw(200, {"content-type": "text/event-stream"}, b"", then="cut"),
        Turn.raw(200, {"content-type": "text/event-stream"}, b": hello\n\n", then="cut"),
        Turn.events([{"type": "error", "code": "server_is_overloaded", "message": "…"}]),
    ],
    ids=["closed at once", "closed after a comment", "overloaded"],
)
def test_stream_interrupted_before_any_event_is_retried(
    new_client: Callable[..., Any], sim: Simulator, turn: Turn
) -> None:
    clock = RecordingClock()
    sim.script(turn, OVERLOADED, Turn.text("complete"))
    stream = new_client(max_retries=2, clock=clock).responses.create(input="hi", stream=True)
    events = list(stream)
    assert text_of(events) == "complete"
    assert [event.type for event in events].count("response.created") == 1
    assert stream.restarts == 1
    assert clock.waits == [0.5, 1.0]
    assert len(sim.requests) == 3


def test_opening_and_reading_share_one_retry_count(new_client: Callable[..., Any], sim: Simulator) -> None:
    clock = RecordingClock()
    cut = Turn.raw(200, {"content-type": "text/event-stream"}, b"", then="cut")
    sim.script(OVERLOADED, cut, cut, Turn.text("never requested"))
    stream = new_client(max_retries=2, clock=clock).responses.create(input="hi", stream=True)
    with pytest.raises(sdk.StreamInterruptedError, match="before any event"):
        list(stream)
    assert clock.waits == [0.5, 1.0]


@pytest.mark.parametrize(
    "turn", [Turn.text("half of it").cut_after_events(8), Turn.failed("server_error", text="half")]
)
def test_stream_interrupted_after_an_event_raises(new_client: Callable[..., Any], sim: Simulator, turn: Turn) -> None:
    sim.script(turn)
    stream = iter(new_client(max_retries=5).responses.create(input="hi", stream=True))
    assert next(stream).type == "response.created"
    with pytest.raises((sdk.StreamInterruptedError, sdk.ResponseFailedError)) as caught:
        list(stream)
    assert caught.value.partial is not None
    assert len(sim.requests) == 1


@pytest.mark.parametrize(
    "turn", [Turn.text("half of it").cut_after_events(8), Turn.failed("server_error", text="half")]
)
def test_stream_interrupted_after_an_event_can_restart(
    new_client: Callable[..., Any], sim: Simulator, turn: Turn
) -> None:
    sim.script(turn, Turn.text("complete"))
    client = new_client(max_retries=1, on_interrupt="restart", clock=RecordingClock())
    stream = client.responses.create(input="hi", stream=True)
    events = list(stream)
    assert [event.type for event in events].count("response.created") == 2
    assert text_of(events) == "complete"
    assert events[-1].response.output_text == "complete"
    assert stream.restarts == 1
    assert sim.requests[0].body == sim.requests[1].body


def test_restarts_count_as_retries(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(*[Turn.text("half of it").cut_after_events(8)] * 3)
    client = new_client(max_retries=2, clock=RecordingClock()).with_options(on_interrupt="restart")
    with pytest.raises(sdk.StreamInterruptedError):
        list(client.responses.create(input="hi", stream=True))
    assert len(sim.requests) == 3


def test_permanent_failure_is_not_restarted(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.failed("context_length_exceeded", text="half"))
    with pytest.raises(sdk.ContextLengthExceededError) as caught:
        list(new_client(max_retries=2, on_interrupt="restart").responses.create(input="hi", stream=True))
    assert caught.value.status_code == 400
    assert caught.value.partial.output_text == "half"
    assert len(sim.requests) == 1


def test_stream_helper_restarts(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.text("half of it").cut_after_events(8), Turn.text("complete"))
    client = new_client(max_retries=1, on_interrupt="restart", clock=RecordingClock())
    with client.responses.stream(input="hi") as stream:
        snapshots = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_text == "complete"
    assert snapshots[-1] == "complete"


def test_usage_limit_before_any_event_waits_for_the_reset(new_client: Callable[..., Any], sim: Simulator) -> None:
    clock = RecordingClock()
    now = int(clock.now().timestamp())
    first, second = (
        Turn.events([{"type": "error", "error": {"code": "usage_limit_reached", "resets_at": time, "message": "…"}}])
        for time in (now + 600, now + 1800)
    )
    sim.script(first, Turn.text("complete"), second)
    client = new_client(wait_for_limit=timedelta(hours=1), clock=clock)
    assert text_of(list(client.responses.create(input="hi", stream=True))) == "complete"
    assert clock.waits == [601.0]
    with pytest.raises(openai.RateLimitError):
        list(client.with_options(wait_for_limit=timedelta(minutes=5)).responses.create(input="hi", stream=True))


OPEN_AT_EXIT = """
import asyncio, builtins, sys
from codex_backend_sdk.testing import Simulator
simulator = Simulator().start()

async def main():
    global stream
    stream = await simulator.async_client().responses.create(input="x" * 300, stream=True)
    await anext(stream)

if sys.argv[1] == "asyncio":
    asyncio.run(main())
elif sys.argv[1] == "trio":
    import trio
    trio.run(main)
else:
    stream = simulator.client().responses.create(input="x" * 300, stream=True)
    next(stream)
    builtins.stream = stream  # as long as any object
"""


@pytest.mark.parametrize("library", ["asyncio", "trio", "sync"])
def test_stream_that_stays_open_at_exit_prints_nothing(library: str) -> None:
    command = [sys.executable, "-c", OPEN_AT_EXIT, library]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert (result.stdout, result.stderr) == ("", "")
