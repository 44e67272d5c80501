"""smolagents on this client. It has no async calls."""

from __future__ import annotations

import pytest
from samples import EXTRACT, QUESTION, Person
from smolagents import CodeAgent

from codex_backend_sdk.testing import Turn

_NO_ASYNC = "the library has no async calls"
NOT_APPLICABLE = {(feature, "async"): _NO_ASYNC for feature in ("plain", "stream", "tool", "structured")}


def messages(text):
    return [{"role": "user", "content": text}]


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool(recipe):
    assert "sunny in " in recipe.printed


@pytest.mark.covers("tool", "sync")
@pytest.mark.parametrize("stream", [False, True])
def test_agent_calls_tools_until_the_final_answer(recipe, sim, stream):
    recipe.agent.stream_outputs = stream
    sim.script(
        Turn.call("get_weather", {"city": "Paris"}), Turn.call("final_answer", {"answer": "It is sunny in Paris."})
    )
    assert recipe.agent.run(QUESTION) == "It is sunny in Paris."
    assert "sunny in Paris" in str(sim.requests[-1].json()["input"])
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize("stream", [False, True])
def test_code_agent_runs_its_code(recipe, sim, stream):
    sim.script('Thought: I look.\n<code>\nfinal_answer(get_weather("Paris"))\n</code> Observation: made up')
    agent = CodeAgent(tools=[recipe.get_weather], model=recipe.model, stream_outputs=stream)
    assert agent.run(QUESTION) == "sunny in Paris"
    assert "made up" not in str(agent.memory.steps[-1].model_output), "the client cuts at a stop sequence"


@pytest.mark.covers("plain", "sync")
def test_model_returns_the_text_and_its_tokens(recipe):
    message = recipe.model.generate(messages("Say hello"))
    assert message.content == "hello"
    assert message.token_usage.output_tokens > 0


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(recipe):
    deltas = list(recipe.model.generate_stream(messages("Say hello there")))
    assert "".join(delta.content or "" for delta in deltas) == "hello there"
    assert deltas[-1].token_usage.output_tokens > 0


@pytest.mark.covers("structured", "sync")
def test_structured_response_matches_the_type(recipe):
    schema = {"name": "person", "schema": Person.model_json_schema()}
    response_format = {"type": "json_schema", "json_schema": schema}
    message = recipe.model.generate(messages(EXTRACT), response_format=response_format)
    Person.model_validate_json(message.content)
