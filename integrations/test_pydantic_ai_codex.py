"""Pydantic AI's own client for Codex, `openai-codex:`, on the simulator."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic_ai import Agent
from samples import EXTRACT, QUESTION, Person, get_weather

MODEL = "openai-codex:gpt-6.1-sol"


@pytest.fixture(autouse=True)
def login(official_sim):
    """It reads the login of the Codex CLI."""


@pytest.mark.covers("plain", "sync")
@pytest.mark.covers("structured", "sync")
@pytest.mark.covers("tool", "sync")
def test_agent_returns_text_types_and_calls_tools():
    assert Agent(MODEL).run_sync("Say hello").output == "hello"
    assert isinstance(Agent(MODEL, output_type=Person).run_sync(EXTRACT).output, Person)
    assert "sunny in" in Agent(MODEL, tools=[get_weather]).run_sync(QUESTION).output


@pytest.mark.covers("stream", "sync")
def test_sync_stream_yields_the_text():
    assert [*Agent(MODEL).run_stream_sync("Say hello").stream_text()][-1] == "hello"


@pytest.mark.anyio
@pytest.mark.covers("plain", "async")
@pytest.mark.covers("structured", "async")
@pytest.mark.covers("tool", "async")
async def test_async_agent_returns_text_types_and_calls_tools():
    assert (await Agent(MODEL).run("Say hello")).output == "hello"
    assert isinstance((await Agent(MODEL, output_type=Person).run(EXTRACT)).output, Person)
    assert "sunny in" in (await Agent(MODEL, tools=[get_weather]).run(QUESTION)).output


@pytest.mark.anyio
@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text():
    async with Agent(MODEL).run_stream("Say hello") as stream:
        assert await stream.get_output() == "hello"


def test_expired_login_is_refreshed(official_sim, tmp_path):
    official_sim.write_codex_home(tmp_path / "codex", expires_in=-timedelta(minutes=1))
    assert Agent(MODEL).run_sync("Say hello").output == "hello"
    assert official_sim.requests[0].path == "/oauth/token"
