"""What becomes of a connection when one of its two ends has had enough."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn


@pytest.mark.parametrize("words", [2_000, 15_000])
def test_a_client_that_leaves_a_long_stream_is_written_to_no_more(
    wire: Any, words: int, caplog: pytest.LogCaptureFixture
) -> None:
    """asyncio logs a line for every write to a client that is gone."""
    wire.sim.script(Turn.text("word " * words))
    with wire.http.stream(
        "POST", f"{wire.sim.base_url}/responses", json=wire.body("hi"), headers=wire.headers
    ) as answer:
        next(answer.iter_raw())
    assert wire.text("Say hello") == "hello"
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_stopping_in_the_middle_of_a_stream_is_quick_and_quiet(caplog: pytest.LogCaptureFixture) -> None:
    with Simulator() as sim, sim.client() as client:
        sim.script(Turn.text("word " * 15_000))
        stream = client.responses.create(input="hi", stream=True)
        next(iter(stream))
        begun = time.monotonic()
        sim.stop()
        assert time.monotonic() - begun < 2
        stream.close()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING and r.name == "asyncio"] == []


def test_starting_and_stopping_takes_milliseconds() -> None:
    """A test suite starts hundreds. The first is left out: it imports."""
    Simulator().start().stop()
    taken = []
    for _ in range(20):
        begun = time.perf_counter()
        with Simulator():
            pass
        taken.append(time.perf_counter() - begun)
    assert sorted(taken)[len(taken) // 2] < 0.1
