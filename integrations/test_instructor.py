"""instructor on this client, in its modes for responses and for chat completions."""

from __future__ import annotations

from typing import Literal

import instructor
import pytest
from pydantic import BaseModel
from samples import EXTRACT, MODEL, Person

from codex_backend_sdk import AsyncOpenAI, OpenAI

NOT_APPLICABLE = {("tool", mode): "the library uses tools only for types" for mode in ("sync", "async")}
PROMPT = [{"role": "user", "content": EXTRACT}]
RESPONSES_MODES = ["RESPONSES_TOOLS", "RESPONSES_TOOLS_WITH_INBUILT_TOOLS"]
MODES = pytest.mark.parametrize("mode", [*RESPONSES_MODES, "TOOLS", "TOOLS_STRICT", "JSON", "JSON_SCHEMA", "MD_JSON"])


def arguments_of(mode):
    if mode in RESPONSES_MODES:
        return {"model": MODEL, "input": PROMPT, "reasoning": {"effort": "low"}}
    return {"model": MODEL, "messages": PROMPT, "reasoning_effort": "low"}


def methods_of(client, mode):
    return client.responses if mode in RESPONSES_MODES else client.chat.completions


@pytest.fixture
def script(sim):
    """Script what the simulator would not generate: it follows schemas and tools, but no request in prose."""

    def prepare(mode):
        if mode == "JSON":
            sim.script('{"name": "Bob", "age": 42}')
        elif mode == "MD_JSON":
            sim.script('```json\n{"name": "Bob", "age": 42}\n```')

    return prepare


def test_recipe_prints_a_person(recipe):
    assert recipe.printed.startswith("name='")
    assert recipe.sent[0]["reasoning"]["effort"] == "low"


@MODES
@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
def test_response_model_is_returned(sim, script, mode):
    script(mode)
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode[mode])
    person = methods_of(client, mode).create(**arguments_of(mode), response_model=Person)
    assert isinstance(person, Person)
    assert sim.model_requests[-1].body["reasoning"]["effort"] == "low"


@MODES
@pytest.mark.covers("stream", "sync")
def test_partial_models_are_streamed(sim, script, mode):
    script(mode)
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode[mode])
    *_, last = methods_of(client, mode).create_partial(**arguments_of(mode), response_model=Person)
    assert isinstance(last.age, int)


@MODES
@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
async def test_async_client_returns_the_model(sim, script, mode):
    script(mode)
    client = instructor.from_openai(AsyncOpenAI(), mode=instructor.Mode[mode])
    person = await methods_of(client, mode).create(**arguments_of(mode), response_model=Person)
    assert isinstance(person, Person)


@MODES
@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_async_partial_models_are_streamed(sim, script, mode):
    script(mode)
    client = instructor.from_openai(AsyncOpenAI(), mode=instructor.Mode[mode])
    stream = methods_of(client, mode).create_partial(**arguments_of(mode), response_model=Person)
    models = [model async for model in stream]
    assert isinstance(models[-1].age, int)


class Animal(BaseModel):
    kind: Literal["cat", "dog"]


@pytest.mark.parametrize("mode", ["RESPONSES_TOOLS", "TOOLS"])
def test_invalid_object_is_requested_again(sim, mode):
    """The retry sends the call back with an output that names the error."""
    from codex_backend_sdk.testing import Turn

    sim.script(Turn.call("Animal", {"kind": "fish"}), Turn.call("Animal", {"kind": "dog"}))
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode[mode])
    animal = methods_of(client, mode).create(**arguments_of(mode), response_model=Animal, max_retries=2)
    assert animal.kind == "dog"
    assert len(sim.model_requests) == 2
    assert "fish" in str(sim.model_requests[-1].body["input"])


def test_parallel_tools_return_several_objects(sim):
    from collections.abc import Iterable

    client = instructor.from_openai(OpenAI(), mode=instructor.Mode.PARALLEL_TOOLS)
    objects = client.chat.completions.create(model=MODEL, messages=PROMPT, response_model=Iterable[Person])
    assert [type(each) for each in objects] == [Person]
