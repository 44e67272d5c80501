"""DSPy on this client, with an LM of this package: adapters, ReAct, native function calls, streams and errors."""

from __future__ import annotations

import anyio.to_thread
import dspy
import pytest
from dspy.utils.exceptions import ContextWindowExceededError, LMError, LMProviderError, LMRateLimitError
from samples import MODEL, Person, get_weather

from codex_backend_sdk import UsageLimitError
from codex_backend_sdk.integrations.dspy import lm

PERSON = {"name": "Bob", "age": 42}


class Extraction(dspy.Signature):
    text: str = dspy.InputField()
    person: Person = dspy.OutputField()


def answer(**values):
    """Return a response in the format that DSPy asks its models for."""
    fields = [f"[[ ## {name} ## ]]\n{value}" for name, value in values.items()]
    return "\n\n".join([*fields, "[[ ## completed ## ]]"])


def script_of_a_tool_call():
    step = {"next_thought": "I look it up."}
    return (
        answer(**step, next_tool_name="get_weather", next_tool_args='{"city": "Paris"}'),
        answer(**step, next_tool_name="finish", next_tool_args="{}"),
        answer(reasoning="It is sunny.", answer="sunny"),
    )


def streamed(**options):
    listeners = [dspy.streaming.StreamListener("answer")]
    return dspy.streamify(dspy.Predict("question -> answer"), stream_listeners=listeners, **options)


def texts(chunks):
    return [chunk.chunk for chunk in chunks if isinstance(chunk, dspy.streaming.StreamResponse) and chunk.chunk]


@pytest.fixture
def model(sim):
    return lm(MODEL, reasoning_effort="low", cache=False)


@pytest.mark.covers("tool", "sync")
def test_recipe_calls_the_tool_natively(recipe):
    assert recipe.printed.startswith("sunny in ")
    assert recipe.model.history[-1]["response_model"] == MODEL


@pytest.mark.covers("plain", "sync")
def test_model_returns_text_and_sends_the_effort(model, sim):
    assert model("Say hello") == ["hello"]
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}
    assert model.history[-1]["usage"]["total_tokens"] > 0


@pytest.mark.covers("structured", "sync")
@pytest.mark.parametrize("adapter", [dspy.ChatAdapter, dspy.JSONAdapter])
def test_signature_is_filled_in(model, sim, adapter):
    person = Person(**PERSON).model_dump_json()
    is_json = adapter is dspy.JSONAdapter
    sim.script(f'{{"person": {person}}}' if is_json else answer(person=person))
    with dspy.context(lm=model, adapter=adapter()):
        assert dspy.Predict(Extraction)(text="Bob is 42.").person == Person(**PERSON)
    assert ("text" in sim.requests[-1].json()) == is_json, "JSONAdapter sends a schema"


@pytest.mark.covers("tool", "sync")
def test_react_calls_the_tool(model, sim):
    sim.script(*script_of_a_tool_call())
    with dspy.context(lm=model):
        assert dspy.ReAct("question -> answer", tools=[get_weather])(question="Weather in Paris?").answer == "sunny"
    assert "sunny in Paris" in str(sim.requests[-1].json()["input"])


@pytest.mark.covers("tool", "sync")
def test_native_tool_is_not_strict(recipe, sim, model):
    with dspy.context(lm=model, adapter=dspy.ChatAdapter(use_native_function_calling=True)):
        prediction = dspy.Predict(recipe.Forecast)(question="Weather?", tools=[dspy.Tool(get_weather)])
    assert prediction.calls.tool_calls[0].name == "get_weather"
    assert sim.requests[-1].json()["tools"][0]["strict"] is False


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_field(model, sim):
    sim.script(answer(answer="blue sky today and tomorrow"))
    with dspy.context(lm=model):
        chunks = texts(streamed(async_streaming=False)(question="Sky?"))
    assert len(chunks) > 1
    assert "".join(chunks) == "blue sky today and tomorrow"


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_async_stream_yields_the_field(model, sim):
    long_text = "word " * 30_000  # lm15 itself refuses lines of more than 64 KiB
    sim.script(answer(answer=long_text))
    with dspy.context(lm=model):
        chunks = texts([chunk async for chunk in streamed()(question="Words?")])
    assert "".join(chunks).strip() == long_text.strip()


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_calls_do_the_same(model, sim):
    assert await model.acall("Say hello") == ["hello"]
    sim.script(answer(person=Person(**PERSON).model_dump_json()), *script_of_a_tool_call())
    with dspy.context(lm=model):
        assert (await dspy.Predict(Extraction).acall(text="Bob is 42.")).person == Person(**PERSON)
        agent = dspy.ReAct("question -> answer", tools=[get_weather])
        assert (await agent.acall(question="Weather in Paris?")).answer == "sunny"


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("usage_limit:plus,3600", LMRateLimitError),
        ("context_length_exceeded", ContextWindowExceededError),
        ("invalid_prompt", LMProviderError),
    ],
)
@pytest.mark.anyio
async def test_errors_are_those_of_dspy(model, sim, fault, error_class):
    for call in (model, model.acall):
        sim.clear()
        sim.fail(fault)
        with pytest.raises(error_class) as caught:
            await anyio.to_thread.run_sync(call, "Say hello") if call is model else await call("Say hello")
    assert len(sim.requests) == 1, "DSPy does not retry what the client has given up"
    assert isinstance(caught.value, LMError)
    if fault.startswith("usage_limit"):
        assert isinstance(caught.value.__cause__.__cause__, UsageLimitError)


def test_rollout_with_a_temperature_is_answered(model, sim):
    assert model.copy(rollout_id=1, temperature=1.0)("Say hello") == ["hello"]
    assert "temperature" not in sim.requests[-1].json()
