"""Test streams that several threads open, read and close."""

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

STALL_SECONDS = 30.0  # longer than the test may take


def test_total_timeout_applies_in_any_thread(sim: Simulator) -> None:
    """A web framework reads each part of a sync stream in another thread of its pool."""
    sim.script(Turn.text("half a response").stalled(5, STALL_SECONDS))
    with (
        sim.client(total_timeout=0.5) as client,
        ThreadPoolExecutor(1) as first_thread,
        ThreadPoolExecutor(1) as second_thread,
    ):
        events = iter(client.responses.create(input="hi", stream=True))
        first_thread.submit(next, events).result()
        with pytest.raises(sdk.TotalTimeoutError):
            second_thread.submit(list, events).result(10)


@pytest.mark.parametrize("on_interrupt", ["raise", "restart"])
@pytest.mark.parametrize(
    ("turn", "close_after_seconds"),
    [
        pytest.param(Turn.text("half a response").stalled(5, STALL_SECONDS), 0.3, id="no data"),
        pytest.param(Turn.text("half a response").cut_after_events(5), 0.3, id="retry"),
    ],
)
def test_close_interrupts_another_thread(
    new_client: Callable[..., Any], sim: Simulator, on_interrupt: Any, turn: Turn, close_after_seconds: float
) -> None:
    sim.script(turn, Turn.text("complete").delayed(1))
    client = new_client(max_retries=2, on_interrupt=on_interrupt)
    stream = client.responses.create(input="hi", stream=True)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(list, stream)
        time.sleep(close_after_seconds)
        stream.close()
        with pytest.raises(sdk.StreamInterruptedError):
            reading.result(10)
    assert client.responses.create(input="Say hello").output_text
