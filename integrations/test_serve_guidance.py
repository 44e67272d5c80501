"""guidance, with the address and the key of the local server."""

from __future__ import annotations

import guidance
import pytest
from guidance import assistant, gen, models, system, user
from pydantic import ConfigDict
from samples import EXTRACT, MODEL, QUESTION, Person, assert_tool_call_with_effort, get_weather

_NO_ASYNC = "the library has no async calls"
NOT_APPLICABLE = {(feature, "async"): _NO_ASYNC for feature in ("plain", "stream", "tool", "structured")}


class StrictPerson(Person):
    """guidance sends a strict schema as it is, so it must allow no other members."""

    model_config = ConfigDict(extra="forbid")


@pytest.fixture
def connect(local_server):
    """Return a model by its name."""
    address = {"base_url": local_server.base_url, "api_key": local_server.key}
    return lambda name: models.OpenAI(name, echo=False, reasoning_effort="low", max_retries=0, **address)


@pytest.fixture
def model(connect):
    return connect("gpt-5.6-terra")


def with_question(model, text):
    with system():
        model += "Be brief."
    with user():
        model += text
    return model


def complete(model, text, node):
    """Add a question, and the node that generates its response."""
    model = with_question(model, text)
    with assistant():
        return model + node


@pytest.mark.covers("plain", "sync")
def test_model_returns_the_text_and_sends_the_effort(model, sim):
    assert complete(model, "Say hello there", gen("text"))["text"] == "hello there"
    body = sim.model_requests[-1].body
    assert body["reasoning"]["effort"] == "low"
    assert [item["role"] for item in body["input"]] == ["developer", "user"]


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(model):
    # A stream runs in a thread of its own, which does not know the role of the block around it.
    @guidance.guidance
    def reply(model):
        with assistant():
            return model + gen("text")

    texts = [str(state) for state in with_question(model, "Say hello there").stream() + reply()]
    assert texts[-1].endswith("hello there")
    assert len(set(texts)) > 2


@pytest.mark.covers("structured", "sync")
def test_json_matches_the_type(model):
    text = complete(model, EXTRACT, guidance.json("person", schema=StrictPerson))["person"]
    StrictPerson.model_validate_json(text)


@pytest.mark.covers("tool", "sync")
def test_tool_is_called(model, sim):
    conversation = complete(model, QUESTION, gen(tools=[get_weather]))
    assert "sunny in " in str(conversation)
    with assistant():
        conversation += gen(tools=[get_weather])
    assert 'get_weather returned: "sunny in ' in str(conversation)
    assert_tool_call_with_effort([request.body for request in sim.model_requests])


def test_model_with_another_name_is_rejected(connect, sim):
    """guidance requests log probabilities of all models but those with `gpt-5` in their names."""
    with pytest.raises(Exception, match="does not support `logprobs`"):
        complete(connect(MODEL), "Say hello", gen("text"))
    assert not sim.model_requests
