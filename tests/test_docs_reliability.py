"""Test the examples and the tables of docs/reliability.md."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pages import ROOT, find_blocks, run_program, simulator_in_environment

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "reliability.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_restart_example_counts_one_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (block for block in find_blocks(PAGE) if "stream.restarts" in block.code)
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        simulator.script(Turn.text("half of it").cut_after_events(8))
        run_program(block)
    assert capsys.readouterr().out == "hello 1\n"


def test_arguments_of_tables_exist() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE))
    parameters = set(inspect.signature(sdk.OpenAI.copy).parameters) | {"max_retries"}
    assert len(documented) == 10
    assert documented <= parameters


def test_async_client_works_in_a_second_event_loop(tmp_path: Path) -> None:
    # This runs in its own process, because the sockets of the first loop cause warnings when they are collected.
    program = """
import asyncio
from codex_backend_sdk import AsyncOpenAI

client = AsyncOpenAI()

async def ask():
    return (await client.responses.create(input="Say hello")).output_text

print(asyncio.run(ask()))
print(asyncio.run(ask()))
"""
    with Simulator() as simulator:
        simulator.write_codex_home(tmp_path)
        env = {**os.environ, **simulator.environment, "CODEX_HOME": str(tmp_path)}
        env.pop("CODEX_ACCESS_TOKEN", None)
        result = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=40)
    assert result.stdout == "hello\nhello\n", result.stderr
