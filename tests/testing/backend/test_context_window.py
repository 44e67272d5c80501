"""Test that the simulator rejects an input that is longer than the context window, as the backend does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import ModelCatalog, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL = "gpt-small"


@pytest.fixture
def small_sim() -> Iterator[Simulator]:
    """A simulator whose model has a context window of 1,000 tokens."""
    catalog = ModelCatalog.of(MODEL)
    catalog.entries[0].members["context_window"] = 1000
    with Simulator(model_catalog=catalog) as simulator:
        yield simulator


def create(client: Any, text: str, **parameters: Any) -> Any:
    return client.responses.create(model=MODEL, input=text, instructions="", **parameters)


def test_input_that_fills_the_window_is_accepted(small_sim: Simulator) -> None:
    with small_sim.client() as client:
        text = "x" * 2000
        tokens = create(client, text).usage.input_tokens
        text += "x" * (4 * (1000 - tokens))
        assert create(client, text).usage.input_tokens == 1000
        with pytest.raises(sdk.ContextLengthExceededError):
            create(client, text + "xxxx")


@pytest.mark.parametrize("transport", ["http", "websocket"])
@pytest.mark.parametrize("stream", [False, True])
def test_overflow_keeps_the_scripted_turn(small_sim: Simulator, stream: bool, transport: Any) -> None:
    small_sim.script("one", "two")
    with small_sim.client(transport=transport) as client:
        assert create(client, "hi").output_text == "one"
        with pytest.raises(sdk.ContextLengthExceededError):
            list(create(client, "x" * 9000, stream=stream))
        assert create(client, "hi").output_text == "two"


def test_overflow_by_the_history_is_found(small_sim: Simulator) -> None:
    """A WebSocket message has only the new items; the window must hold all."""
    with small_sim.client() as client, client.codex.conversation(model=MODEL, auto_compact=False) as conversation:
        conversation.send("x" * 2500)
        with pytest.raises(sdk.ContextLengthExceededError):
            conversation.send("x" * 2500)


def test_overflow_is_an_event_of_a_stream(small_sim: Simulator) -> None:
    with small_sim.client() as client:
        create(client, "hi")
        request = small_sim.requests[-1]
        body = {"model": MODEL, "input": [{"role": "user", "content": "x" * 9000}], "stream": True, "store": False}
        headers = {"authorization": request.headers["authorization"]}
        response = httpx2.post(f"{small_sim.url}{request.path}", json=body, headers=headers, timeout=30)
    assert response.status_code == 200
    assert "event: response.failed" in response.text
    assert '"context_length_exceeded"' in response.text
