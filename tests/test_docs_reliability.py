"""The examples of docs/reliability.md run, in order, and its tables name what there is."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import assert_links, examples_of

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Simulator, Turn

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with examples_of(PAGE, tmp_path, monkeypatch) as (examples, found, simulator):
        for example in examples:
            if "restarts" in example.parsed:
                simulator.script(Turn.text("half of it").cut_after_events(8))
            example.evaluate()
        simulator.fail("usage_limit:plus", "cut_after_events:9", "rate_limited:100", "cut_after_bytes:0")
        found["client"] = found["client"].with_options(max_retries=0)
        said = [found["ask"]("Say one two") for _ in range(4)]
        found["client"].close()
    assert len(examples) == 6
    assert capsys.readouterr().out.splitlines() == ["hello", "hello", "hello 1", "hello", "hello"]
    assert said[0].startswith("The plus plan is used up until 20")
    assert said[1].startswith("Only so far: one")
    assert said[2].startswith("Not now: Too many requests")
    assert said[3] == "Only so far: nothing"


def test_every_error_that_a_call_can_raise_is_in_the_table() -> None:
    section = TEXT.partition("## What is raised")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| `", section, re.MULTILINE))
    told = {name.strip("`") for cell in named for name in cell.split(", ")}
    ours = {name for name in sdk.__all__ if inspect.isclass(getattr(sdk, name)) and is_error(name)}
    # Signing in and resources that are not there have pages of their own.
    assert told == ours - {"CodexError", "CredentialStoreError", "LoginFailedError", "UnsupportedEndpointError"}


def is_error(name: str) -> bool:
    return issubclass(getattr(sdk, name), sdk.CodexError)


def test_mistakes_in_the_program_are_pythons_own_errors() -> None:
    with Simulator() as simulator:
        with simulator.client() as client:
            for wrong, error in ((b"text", TypeError), (float("nan"), ValueError)):
                with pytest.raises(error):
                    client.responses.create(input=[{"role": "user", "content": wrong}])
        with pytest.raises(RuntimeError):
            client.responses.create(input="hi")
        assert not simulator.requests


def test_so_is_a_second_event_loop(tmp_path: Path) -> None:
    # In a process of its own: what the first loop leaves open is complained of at a moment that nobody can foresee.
    program = """
import asyncio
from codex_backend_sdk import AsyncOpenAI

client = AsyncOpenAI()

async def ask():
    return (await client.responses.create(input="Say hello")).output_text

print(asyncio.run(ask()))
try:
    asyncio.run(ask())
except RuntimeError as error:
    print(error)
"""
    with Simulator() as simulator:
        simulator.write_codex_home(tmp_path)
        env = {**os.environ, **simulator.environment, "CODEX_HOME": str(tmp_path)}
        env.pop("CODEX_ACCESS_TOKEN", None)
        ran = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=40)
    assert ran.stdout == "hello\nEvent loop is closed\n", ran.stderr


def test_every_argument_that_is_named_is_one() -> None:
    named = set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE))
    known = set(inspect.signature(sdk.OpenAI.copy).parameters) | {"max_retries"}
    assert named
    assert named <= known


def test_every_link_leads_somewhere() -> None:
    assert_links(PAGE)
