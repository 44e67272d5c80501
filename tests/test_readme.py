"""Test the README: each example runs alone with its documented output, and names and links exist."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import openai
import pytest
from pages import (
    ROOT,
    Block,
    assert_links,
    parametrize_programs,
    parametrize_pytest_files,
    run_script,
    run_tests,
    simulator_in_environment,
)

import codex_backend_sdk
from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")

# A part of the code of each program, and a part of its output.
OUTPUTS = {"Explain quicksort": "quicksort", "get_weather": "weekly 34 % used"}
MAX_WORDS = 700

# Calls from the README of version 0.x that users still have in their programs.
# https://github.com/B4PT0R/codex-backend-sdk, README.md (MIT licence)
VERSION_0_EXAMPLES = """
stream = client.responses.create(
    model="gpt-5.5",
    input="Say 'hi' five times.",
    stream=True,
)

for event in stream:
    if event.type in {"response.output_text.delta", "response.content_part.delta"}:
        delta = event.delta
        print(delta if isinstance(delta, str) else delta.get("text", ""), end="")

tools = [{"type": "function", "name": "get_weather", "parameters": {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}}]
first = client.responses.create(
    input="What's the weather in Paris?",
    tools=tools,
)
call = next(item for item in first.output if item["type"] == "function_call")
result = {"temperature": 18, "unit": "celsius", "condition": "cloudy"}
second = client.responses.create(
    input=[
        call,
        {
            "type": "function_call_output",
            "call_id": call["call_id"],
            "output": json.dumps(result),
        },
    ],
    tools=tools,
)
"""


@pytest.mark.timeout(180)
@parametrize_programs(README)
def test_program_runs_alone(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = next(output for code, output in OUTPUTS.items() if code in block.code)
    with simulator_in_environment(tmp_path, monkeypatch):
        assert expected in run_script(block, tmp_path)


@parametrize_pytest_files(README)
def test_pytest_file_passes_alone(block: Block, pytester: pytest.Pytester) -> None:
    run_tests(block, pytester)


def test_examples_of_version_0_still_run(capsys: pytest.CaptureFixture[str]) -> None:
    with Simulator() as simulator, simulator.client() as client:
        namespace = {"client": client, "json": json}
        exec(compile(VERSION_0_EXAMPLES, "README.md of 0.x", "exec"), namespace)
    assert capsys.readouterr().out.startswith("hi hi hi hi hi")
    assert "cloudy" in namespace["second"].output_text


def test_readme_is_short() -> None:
    assert len(TEXT.split()) < MAX_WORDS


def test_readme_begins_with_the_installation() -> None:
    first_block = re.findall(r"^```\w*\n(.+?)^```", TEXT, re.MULTILINE | re.DOTALL)[0]
    assert [line.partition("  ")[0] for line in first_block.splitlines()] == [
        "$ pip install .",
        "$ codex-backend login",
    ]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_readme_names_targets_of_the_makefile(target: str) -> None:
    assert f"`make {target}`" in TEXT
    assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["images", "files", "audio", "embeddings", "batches", "Realtime"])
def test_table_names_what_does_not_work(name: str) -> None:
    assert re.search(rf"^\| [^|]*\b{re.escape(name)}\b[^|]* \| no \| .+ \|$", TEXT, re.MULTILINE)


def test_error_names_exist() -> None:
    names = set(re.findall(r"`(?:openai\.)?(\w+Error)`", TEXT))
    assert names
    assert not {name for name in names if not hasattr(codex_backend_sdk, name) and not hasattr(openai, name)}


def test_readme_links_every_page_for_users() -> None:
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert pages <= set(re.findall(r"\]\(([^)#]+)\)", TEXT))


def test_link_targets_exist() -> None:
    assert_links(README)
