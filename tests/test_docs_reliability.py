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


def section(heading: str) -> str:
    """Return the text between this level-2 heading and the next."""
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_error_example_names_each_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in find_blocks(PAGE) if "def complete" in block.code)
    block = block._replace(code=block.code.replace("OpenAI()", "OpenAI(max_retries=0)").partition("print(complete")[0])
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        namespace = run_program(block, close=False)
        simulator.fail("usage_limit:plus", "cut_after_events:9", "rate_limited:100", "cut_after_bytes:0")
        exhausted, interrupted, rate_limited, empty = (namespace["complete"]("Say one two") for _ in range(4))
        namespace["client"].close()
    assert exhausted.startswith("The usage limit of the plus plan is exhausted until 20")
    assert interrupted.startswith("Incomplete: one")
    assert rate_limited.startswith("Not now: ")
    assert empty == "Incomplete: nothing"


def test_restart_example_counts_one_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = (block for block in find_blocks(PAGE) if "stream.restarts" in block.code)
    with simulator_in_environment(tmp_path, monkeypatch) as simulator:
        simulator.script(Turn.text("half of it").cut_after_events(8))
        run_program(block)
    assert capsys.readouterr().out == "hello 1\n"


def test_error_tables_are_complete() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", section("Errors"), re.MULTILINE)
    classes = {name: getattr(sdk, name) for name in sdk.__all__ if inspect.isclass(getattr(sdk, name))}
    errors = {name for name, cls in classes.items() if issubclass(cls, sdk.CodexError)}
    # Errors of the login, of missing resources and of tools are described on other pages.
    assert set(documented) == errors - {
        "CodexError",
        "CredentialStoreError",
        "LoginFailedError",
        "MaxTurnsError",
        "RepeatedCallError",
        "RunPausedError",
        "RunStoppedError",
        "ToolDefinitionError",
        "ToolResultError",
        "UnsupportedEndpointError",
    }
    assert len(documented) == len(set(documented))


def test_errors_are_retryable_as_documented() -> None:
    for heading, is_retryable in (("Act", False), ("Retry", True), ("Report", False)):
        names = re.findall(
            r"^\| `(\w+)` \|", TEXT.partition(f"\n### {heading}\n")[2].partition("\n### ")[0], re.MULTILINE
        )
        # A retry of a call that reached its total timeout would reach it again.
        retryable = {name: getattr(sdk, name).is_retryable for name in names if name != "TotalTimeoutError"}
        assert retryable == dict.fromkeys(retryable, is_retryable)
        assert retryable


def test_arguments_of_tables_exist() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE))
    parameters = set(inspect.signature(sdk.OpenAI.copy).parameters) | {"max_retries"}
    assert len(documented) == 9
    assert documented <= parameters


def test_unsupported_parameters_are_rejected_before_sending() -> None:
    dropped = section("Unsupported parameters").partition("it drops")[2].partition("logs a warning")[0]
    names = set(re.findall(r"`([a-z_]+)`", dropped))
    assert len(names) > 10
    with Simulator() as simulator, simulator.client() as client:
        with pytest.raises(sdk.CodexBackendUnsupportedParameterError) as caught:
            client.responses.create(input="hi", extra_body=dict.fromkeys(names, 7))
        assert not simulator.requests
    assert set(caught.value.parameters) == names


def test_wrong_use_raises_builtin_errors() -> None:
    with Simulator() as simulator:
        with simulator.client() as client:
            for content, error in ((b"text", TypeError), (float("nan"), ValueError)):
                with pytest.raises(error):
                    client.responses.create(input=[{"role": "user", "content": content}])
        with pytest.raises(RuntimeError):
            client.responses.create(input="hi")
        assert not simulator.requests


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
