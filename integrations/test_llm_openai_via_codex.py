"""The plugin llm-openai-via-codex on the simulator. It reads the login of the Codex CLI."""

from __future__ import annotations

import json

import llm_openai_via_codex as plugin
import pytest
from samples import EXTRACT, QUESTION, Person, get_weather

MODEL = "gpt-6.1-terra"


@pytest.fixture(autouse=True)
def address(sim, monkeypatch):
    monkeypatch.setattr(plugin, "CODEX_BASE_URL", sim.base_url)


def test_models_are_those_of_the_simulator(sim):
    assert MODEL in plugin._fetch_codex_models()


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("stream", "sync")
def test_model_streams_the_text():
    chunks = [*plugin.CodexResponsesModel(MODEL).prompt("Say hello there")]
    assert len(chunks) > 1
    assert "".join(chunks) == "hello there"


@pytest.mark.covers("tool", "sync")
def test_chain_calls_the_tool():
    assert "sunny in" in plugin.CodexResponsesModel(MODEL).chain(QUESTION, tools=[get_weather]).text()


@pytest.mark.covers("structured", "sync")
def test_schema_is_followed():
    text = plugin.CodexResponsesModel(MODEL).prompt(EXTRACT, schema=Person).text()
    Person.model_validate(json.loads(text))


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("stream", "async")
@pytest.mark.covers("tool", "async")
@pytest.mark.covers("structured", "async")
async def test_async_model_does_the_same():
    model = plugin.AsyncCodexResponsesModel(MODEL)
    assert "".join([chunk async for chunk in model.prompt("Say hello there")]) == "hello there"
    assert "sunny in" in await model.chain(QUESTION, tools=[get_weather]).text()
    Person.model_validate(json.loads(await model.prompt(EXTRACT, schema=Person).text()))
