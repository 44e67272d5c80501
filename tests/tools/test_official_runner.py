"""Test openai's own runner of tools on this client, with a definition that this package makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing import Turn
from codex_backend_sdk.tools import tool

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

runner = pytest.importorskip("openai.lib.responses_tool_runner", reason="this version of openai has no runner")


@tool
def add(x: int, y: int = 1) -> str:
    """Add."""
    return str(x + y)


@pytest.mark.parametrize("stream", [False, True])
def test_official_runner_runs_our_tool(sim: Simulator, stream: bool) -> None:
    def execute(arguments: dict[str, Any]) -> str:
        return add(**{name: value for name, value in arguments.items() if value is not None})

    sim.script(Turn.calls([("add", {"x": 1, "y": 2}), ("add", {"x": 5, "y": None})]), Turn.text("done"))
    definition: Any = add.definition
    made = runner.ResponsesToolRunner(functions=[runner.RegisteredFunction(definition, execute=execute)])
    with sim.client() as client:
        response = made.run(client, {"model": "gpt-6.1-terra", "input": "Add."}, max_steps=4, stream=stream)
    assert response.output_text == "done"
    sent = [item["output"] for item in sim.requests[-1].json()["input"] if item["type"] == "function_call_output"]
    assert sent == ["3", "6"]
