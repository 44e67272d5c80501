"""Test the tables of docs/differences.md: what raises, what is dropped, and what works."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from pages import ROOT

import codex_backend_sdk as sdk

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

TEXT = (ROOT / "docs" / "differences.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    """Return the text between this level-2 heading and the next."""
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(heading: str) -> list[tuple[list[str], str]]:
    """Return the code in the first cell, and the second cell, of each row of a section."""
    found = re.findall(r"^\| (`.+?) \| (.*?) \|", section(heading), re.MULTILINE)
    return [(re.findall(r"`([^`]+)`", names), effect) for names, effect in found]


PARAMETERS = [(name, effect) for names, effect in rows("Parameters") for name in names if effect.startswith("raises")]
MISSING = [name for names, effect in rows("Resources") for name in names if effect.startswith("no")]


@pytest.mark.parametrize(("parameter", "effect"), PARAMETERS)
def test_parameter_raises_or_is_dropped(parameter: str, effect: str, sim: Simulator) -> None:
    name, _, value = parameter.partition("=")
    body = {name: {"True": True}.get(value, 7)}
    with sim.client() as client, pytest.raises(sdk.CodexBackendUnsupportedParameterError) as caught:
        client.responses.create(input="hi", extra_body=body)
    assert caught.value.parameters == (name,)
    assert not sim.requests
    with sim.client(unsupported="drop") as client:
        if effect == "raises":
            with pytest.raises(sdk.CodexBackendUnsupportedParameterError):
                client.responses.create(input="hi", extra_body=body)
        else:
            client.responses.create(input="hi", extra_body=body)
            assert name not in sim.requests[-1].json()


def test_other_parameters_are_sent_as_documented(sim: Simulator) -> None:
    with sim.client() as client:
        client.responses.create(
            input=[{"role": "system", "content": "Be brief."}, "Hello"],
            service_tier="auto",
            temperature=1,
            store=False,
        )
        body = sim.requests[-1].json()
        assert [item["role"] for item in body["input"]] == ["developer", "user"]
        assert body["instructions"] == "You are a helpful assistant."
        assert "service_tier" not in body
        assert "temperature" not in body
        client.responses.create(input="Hello", instructions="", service_tier="flex")
        body = sim.requests[-1].json()
        assert "instructions" not in body
        assert body["service_tier"] == "flex"


def test_missing_resources_raise() -> None:
    calls: dict[str, Any] = {
        "chat.completions.retrieve": lambda client: client.chat.completions.retrieve("x"),
        "completions": lambda client: client.completions.create(model="x", prompt="x"),
        "responses.retrieve": lambda client: client.responses.retrieve("x"),
        ".delete": lambda client: client.responses.delete("x"),
        ".cancel": lambda client: client.responses.cancel("x"),
        "responses.input_tokens": lambda client: client.responses.input_tokens.count(input="x"),
        "conversations": lambda client: client.conversations.create(),
        "images": lambda client: client.images.generate(prompt="x"),
        "files": lambda client: client.files.list(),
        "uploads": lambda client: client.uploads.cancel("x"),
        "vector_stores": lambda client: client.vector_stores.list(),
        "batches": lambda client: client.batches.list(),
        "embeddings": lambda client: client.embeddings.create(model="x", input="x"),
        "moderations": lambda client: client.moderations.create(input="x"),
        "audio": lambda client: client.audio.speech.create(model="x", voice="alloy", input="x"),
        "videos": lambda client: client.videos.retrieve("x"),
        "realtime": lambda client: client.realtime.connect(model="x").__enter__(),
        "fine_tuning": lambda client: client.fine_tuning.jobs.list(),
        "evals": lambda client: client.evals.list(),
        "containers": lambda client: client.containers.list(),
    }
    assert sorted(calls) == sorted(MISSING)
    with sdk.OpenAI(base_url="http://127.0.0.1:9") as client, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of openai, about videos
        for call in calls.values():
            with pytest.raises(sdk.UnsupportedEndpointError):
                call(client)


@pytest.mark.parametrize("tool", re.findall(r"`(\w+)`", section("Tools").partition("rejects others")[2])[:4])
def test_other_tools_are_rejected(tool: str, sim: Simulator) -> None:
    with sim.client() as client, pytest.raises(sdk.UnsupportedParameterError, match=tool):
        client.responses.create(input="hi", tools=[{"type": tool}])
