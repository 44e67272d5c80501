"""Outlines on this client."""

from __future__ import annotations

import outlines
import pytest
from outlines.inputs import Chat
from samples import EXTRACT, MODEL, Person

from codex_backend_sdk import AsyncOpenAI
from codex_backend_sdk.testing import Turn

_NO_TOOLS = "the library calls no tools"
NOT_APPLICABLE = {("tool", mode): _NO_TOOLS for mode in ("sync", "async")}


@pytest.fixture
def async_model(sim):
    return outlines.from_openai(AsyncOpenAI(), MODEL)


@pytest.mark.covers("structured", "sync")
def test_recipe_prints_a_person(recipe):
    assert recipe.printed.startswith("name='")


@pytest.mark.covers("plain", "sync")
def test_model_returns_the_text_and_sends_the_effort(recipe, sim):
    assert recipe.model("Say hello", reasoning_effort="low") == "hello"
    assert sim.requests[-1].json()["reasoning"] == {"effort": "low"}


def test_chat_keeps_its_roles(recipe, sim):
    chat = Chat([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello"}])
    assert recipe.model(chat) == "hello"
    assert [item["role"] for item in sim.requests[-1].json()["input"]] == ["developer", "user"]


@pytest.mark.covers("stream", "sync")
@pytest.mark.covers("structured", "sync")
def test_stream_yields_text_and_types(recipe):
    assert "".join(recipe.model.stream("Say hello there")) == "hello there"
    Person.model_validate_json("".join(recipe.model.stream(EXTRACT, Person)))


def test_refusal_is_an_error(recipe, sim):
    content = [{"type": "refusal", "refusal": "No."}]
    sim.script(Turn.items({"type": "message", "role": "assistant", "content": content}))
    with pytest.raises(outlines.exceptions.GenerationError, match="No"):
        recipe.model(EXTRACT, Person)


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_does_the_same(async_model):
    assert await async_model("Say hello") == "hello"
    assert "".join([text async for text in async_model.stream("Say hello there")]) == "hello there"
    Person.model_validate_json(await async_model(EXTRACT, Person))
