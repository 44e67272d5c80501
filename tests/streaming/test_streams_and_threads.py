"""A stream that one thread opens, another reads and a third one closes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable

    from codex_backend_sdk.testing import Simulator

LONG = 30.0  # nobody waits for it


def test_the_time_of_a_call_ends_whoever_reads(sim: Simulator) -> None:
    """As web frameworks do, which take each part of a sync stream in a thread of their pool."""
    sim.script(Turn.text("half an answer").stalled(5, LONG))
    with sim.client(total_timeout=0.5) as client, ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        events = iter(client.responses.create(input="hi", stream=True))
        one.submit(next, events).result()
        with pytest.raises(sdk.TotalTimeoutError):
            other.submit(list, events).result(10)


@pytest.mark.parametrize("on_interrupt", ["raise", "restart"])
@pytest.mark.parametrize(
    ("turn", "after"),
    [
        pytest.param(Turn.text("half an answer").stalled(5, LONG), 0.3, id="silence"),
        pytest.param(Turn.text("half an answer").cut_after_events(5), 0.3, id="another attempt"),
    ],
)
def test_closing_ends_the_reading_of_another_thread(
    new_client: Callable[..., Any], sim: Simulator, on_interrupt: Any, turn: Turn, after: float
) -> None:
    sim.script(turn, Turn.text("whole").delayed(1))
    client = new_client(max_retries=2, on_interrupt=on_interrupt)
    stream = client.responses.create(input="hi", stream=True)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, stream)
        time.sleep(after)
        stream.close()
        with pytest.raises(sdk.StreamInterruptedError):
            reading.result(10)
    assert client.responses.create(input="Say hello").output_text
