"""Test the pace of responses, over HTTP and on a WebSocket. Only lower bounds of the time are checked."""

from __future__ import annotations

import time
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn

TEXT = " ".join(["word"] * 20)
SECONDS = 20 / 100  # at least one token a word


def create(raw_client: Any, open_socket: Any, transport: str) -> str:
    if transport == "http":
        return str(raw_client.text("hi"))
    return str(open_socket(raw_client).text("hi"))


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_pace_delays_the_deltas(raw_client: Any, open_socket: Any, transport: str) -> None:
    raw_client.sim.pace = 100
    raw_client.sim.script(TEXT)
    started = time.monotonic()
    assert create(raw_client, open_socket, transport) == TEXT
    assert time.monotonic() - started >= SECONDS * 0.95


def test_deltas_arrive_one_by_one(raw_client: Any) -> None:
    raw_client.sim.pace = 100
    raw_client.sim.script(TEXT)
    url, body = f"{raw_client.sim.base_url}/responses", raw_client.body("hi")
    with raw_client.http.stream("POST", url, json=body, headers=raw_client.headers) as response:
        times = [time.monotonic() for chunk in response.iter_raw() if b"output_text.delta" in chunk]
    assert len(times) >= 3
    assert times[-1] - times[0] >= SECONDS / 2


def test_pace_applies_to_arguments_and_to_cut_turns(raw_client: Any) -> None:
    raw_client.sim.pace = 100
    raw_client.sim.script(Turn.call("f", {"text": TEXT}), Turn.text(TEXT).clean_end_after_events(16))
    started = time.monotonic()
    assert raw_client.items("hi")[0]["type"] == "function_call"
    assert time.monotonic() - started >= SECONDS * 0.9
    started = time.monotonic()
    raw_client.create("hi")
    assert time.monotonic() - started >= 0.05


def test_errors_have_no_pace(raw_client: Any) -> None:
    raw_client.sim.pace = 0.001
    raw_client.sim.fail("overloaded")
    assert raw_client.create("hi").status_code == 503
    assert raw_client.get("/wham/usage").status_code == 200


@pytest.mark.parametrize("pace", [0, -1, float("nan")])
def test_invalid_pace_raises(pace: float) -> None:
    with pytest.raises(ValueError, match="Invalid pace"):
        Simulator(pace=pace)
