"""llm on this client, with a subclass of its model for the Responses API."""

from __future__ import annotations

import json

import pytest
from llm.default_plugins.openai_models import AsyncResponses
from samples import EXTRACT, MODEL, QUESTION, Person, get_weather

from codex_backend_sdk import AsyncOpenAI

ABILITIES = {"supports_tools": True, "supports_schema": True, "reasoning": True}


class AsyncCodexModel(AsyncResponses):
    needs_key = None

    def get_client(self, key, *, async_=False):
        return AsyncOpenAI()


@pytest.mark.covers("plain", "sync")
def test_recipe_prints_the_text(recipe):
    assert recipe.printed == "hello\n"


@pytest.mark.covers("stream", "sync")
def test_stream_yields_the_text(recipe):
    chunks = [*recipe.model.prompt("Say hello there")]
    assert len(chunks) > 1
    assert "".join(chunks) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_chain_calls_the_tool(recipe):
    assert "sunny in" in recipe.model.chain(QUESTION, tools=[get_weather]).text()


@pytest.mark.covers("structured", "sync")
def test_schema_is_followed(recipe):
    Person.model_validate(json.loads(recipe.model.prompt(EXTRACT, schema=Person).text()))


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_does_the_same(sim):
    model = AsyncCodexModel(MODEL, **ABILITIES)
    assert await model.prompt("Say hello").text() == "hello"
    assert "".join([chunk async for chunk in model.prompt("Say hello there")]) == "hello there"
    assert "sunny in" in await model.chain(QUESTION, tools=[get_weather]).text()
    Person.model_validate(json.loads(await model.prompt(EXTRACT, schema=Person).text()))
