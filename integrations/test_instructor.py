"""instructor on this client, in the modes of the Responses API."""

from __future__ import annotations

import instructor
import pytest
from samples import EXTRACT, MODEL, Person

from codex_backend_sdk import AsyncOpenAI, OpenAI

_NO_TEXT = "the library returns only structured output"
NOT_APPLICABLE = {
    **{("plain", mode): _NO_TEXT for mode in ("sync", "async")},
    **{("tool", mode): _NO_TEXT for mode in ("sync", "async")},
}
PROMPT = [{"role": "user", "content": EXTRACT}]
MODES = pytest.mark.parametrize("mode", ["RESPONSES_TOOLS", "RESPONSES_TOOLS_WITH_INBUILT_TOOLS"])


def test_recipe_prints_a_person(recipe):
    assert recipe.printed.startswith("name='")


@MODES
@pytest.mark.covers("structured", "sync")
def test_response_model_is_returned(sim, mode):
    client = instructor.from_openai(OpenAI(), mode=instructor.Mode[mode])
    assert isinstance(client.responses.create(model=MODEL, input=PROMPT, response_model=Person), Person)


@pytest.mark.covers("stream", "sync")
def test_partial_models_are_streamed(recipe):
    *_, last = recipe.client.responses.create_partial(model=MODEL, input=PROMPT, response_model=Person)
    assert isinstance(last.age, int)


@MODES
@pytest.mark.anyio
@pytest.mark.covers("structured", "async")
async def test_async_client_returns_the_model(sim, mode):
    client = instructor.from_openai(AsyncOpenAI(), mode=instructor.Mode[mode])
    assert isinstance(await client.responses.create(model=MODEL, input=PROMPT, response_model=Person), Person)


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_async_partial_models_are_streamed(sim):
    client = instructor.from_openai(AsyncOpenAI(), mode=instructor.Mode.RESPONSES_TOOLS)
    stream = client.responses.create_partial(model=MODEL, input=PROMPT, response_model=Person)
    models = [model async for model in stream]
    assert isinstance(models[-1].age, int)
