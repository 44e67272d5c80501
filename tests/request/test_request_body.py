"""Test the body of a model request, and input that is already in the form that the backend accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from codex_backend_sdk import OpenAI
from codex_backend_sdk._request.compression import Compression
from codex_backend_sdk._request.instructions import InstructionsPlacement
from codex_backend_sdk._request.prepare import prepare
from codex_backend_sdk._request.request_body import PreparedInput
from codex_backend_sdk._upstream import FinalRequestOptions
from codex_backend_sdk.auth import MemoryStore

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

ITEM: dict[str, Any] = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}

_OPTIONS = OpenAI(credentials=MemoryStore())._codex


def _prepared(items: list[dict[str, Any]]) -> Any:
    return PreparedInput(items, history="history", generation=0)


@pytest.mark.parametrize("transport", ["http", "websocket"])
def test_prepared_input_is_sent_unchanged(sim: Simulator, transport: Literal["http", "websocket"]) -> None:
    with sim.client(transport=transport) as client:
        client.responses.create(input=_prepared([ITEM, ITEM]))
    (request,) = sim.model_requests
    assert request.transport == transport
    assert request.body["input"] == [ITEM, ITEM]


def test_prepared_input_is_not_copied() -> None:
    options = FinalRequestOptions(method="post", url="/responses", json_data={"input": _prepared([ITEM])})
    assert isinstance(options.json_data, dict)
    prepared = prepare(options, _OPTIONS, Compression(), InstructionsPlacement(), login=None, is_streamed=False)
    assert prepared.context.body.members["input"] is options.json_data["input"]


def test_prepared_input_can_be_streamed(client: Any) -> None:
    events = [event.type for event in client.responses.create(input=_prepared([ITEM]), stream=True)]
    assert events[-1] == "response.completed"
