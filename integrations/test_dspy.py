"""DSPy on this client, with a subclass of its BaseLM."""

from __future__ import annotations

import dspy
import pytest

NOT_APPLICABLE = {("stream", mode): "a BaseLM returns whole responses" for mode in ("sync", "async")}


def answer(**values):
    """Return a response in the format that DSPy asks its models for."""
    fields = [f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()]
    return "\n\n".join([*fields, "[[ ## completed ## ]]"])


def get_weather(city: str) -> str:
    return f"sunny in {city}"


def script_of_a_tool_call():
    step = {"next_thought": "I look it up."}
    return (
        answer(**step, next_tool_name="get_weather", next_tool_args='{"city": "Paris"}'),
        answer(**step, next_tool_name="finish", next_tool_args="{}"),
        answer(reasoning="It is sunny.", answer="sunny"),
    )


@pytest.mark.covers("plain", "sync")
def test_recipe_prints_the_text(recipe):
    assert "hello" in recipe.printed


@pytest.mark.covers("structured", "sync")
def test_signature_is_filled_in(recipe, sim):
    sim.script(answer(capital="Paris"))
    with dspy.context(lm=recipe.model):
        assert dspy.Predict("country -> capital")(country="France").capital == "Paris"
    assert "France" in str(sim.requests[-1].json()["input"])


@pytest.mark.covers("tool", "sync")
def test_react_calls_the_tool(recipe, sim):
    sim.script(*script_of_a_tool_call())
    with dspy.context(lm=recipe.model):
        assert dspy.ReAct("question -> answer", tools=[get_weather])(question="Weather in Paris?").answer == "sunny"
    assert "sunny in Paris" in str(sim.requests[-1].json()["input"])


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_calls_do_the_same(recipe, sim):
    assert "hello" in str(await recipe.model.acall("Say hello"))
    sim.script(answer(capital="Paris"), *script_of_a_tool_call())
    with dspy.context(lm=recipe.model):
        assert (await dspy.Predict("country -> capital").acall(country="France")).capital == "Paris"
        agent = dspy.ReAct("question -> answer", tools=[get_weather])
        assert (await agent.acall(question="Weather in Paris?")).answer == "sunny"
