"""python-fastllm on the simulator: it sends no account id, and reads the login of the Codex CLI."""

from __future__ import annotations

from datetime import timedelta

import pytest
from fastllm.chat import AsyncChat, mk_msgs, structured
from fasttransport.errors import APIError
from samples import EXTRACT, QUESTION, Person, get_weather

MODEL = "codex/gpt-6.1-sol"
NOT_APPLICABLE = {(feature, "sync"): "the library is async" for feature in ("plain", "stream", "tool", "structured")}
sends_no_stream = pytest.mark.xfail(
    raises=APIError, reason="without stream=True, fastllm sends no `stream`, which the backend rejects"
)
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def login(official_sim, tmp_path, monkeypatch):
    monkeypatch.setenv("CODEX_AUTH_PATH", str(tmp_path / "codex" / "auth.json"))


def text_of(parts):
    return "".join(part.text or "" for part in parts if type(part).__name__ == "Text")


@sends_no_stream
@pytest.mark.covers("plain", "async")
async def test_whole_response_is_returned(official_sim):
    await AsyncChat(MODEL)("Say hello", retries=0)


@sends_no_stream
@pytest.mark.covers("structured", "async")
async def test_structured_response_is_returned(official_sim):
    await structured(MODEL, mk_msgs(EXTRACT), Person, retries=0)


@pytest.mark.covers("stream", "async")
async def test_stream_yields_the_text(official_sim):
    parts = [part async for part in await AsyncChat(MODEL)("Say hello there", stream=True)]
    assert text_of(parts) == "hello there"
    assert "chatgpt-account-id" not in official_sim.requests[-1].headers


@pytest.mark.covers("tool", "async")
async def test_streamed_tool_call_is_answered(official_sim):
    chat = AsyncChat(MODEL, tools=[get_weather])
    assert "sunny in" in text_of([part async for part in await chat(QUESTION, stream=True, max_steps=5)])


async def test_expired_login_is_refreshed(official_sim, tmp_path):
    official_sim.write_codex_home(tmp_path / "codex", expires_in=-timedelta(minutes=1))
    parts = [part async for part in await AsyncChat(MODEL)("Say hello there", stream=True)]
    assert text_of(parts) == "hello there"
    assert official_sim.requests[0].path == "/oauth/token"
