"""The examples of the README run, in order, and give what they promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pages import assert_links, examples_of

if TYPE_CHECKING:
    import pytest

README = Path(__file__).parent.parent / "README.md"
HEADINGS = {
    "Basic usage",
    "Streaming",
    "Models",
    "Multi-turn input",
    "Function calling",
    "Structured output",
    "Codex-specific endpoints",
}


def test_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with examples_of(README, tmp_path, monkeypatch) as (examples, found, simulator):
        for example in examples:
            example.evaluate()
        with simulator.client() as client:
            found["test_my_function"](client)
        found["client"].close()
        found["test_my_program"](simulator, monkeypatch, tmp_path)
    output = capsys.readouterr().out
    assert len(examples) == 15
    assert "You asked about quicksort" in output
    assert "hi hi hi hi hi" in output
    assert "gpt-6.1-sol GPT-6.1-Sol 272000" in output
    assert found["info"].id == "gpt-5.5"
    assert "Alice" in found["reply2"]
    assert found["call"]["arguments"] == '{"city": "Paris"}'
    assert "cloudy" in found["second"].output_text
    assert "{'name': 'Bob', 'age': 42}" in output
    assert found["quota"]["plan_type"] == "pro"
    assert re.search(r"plan pro; 5 h 12 % used, resets .*; weekly 34 % used", output)
    assert "weekly 66.0 " in output
    assert "['temperature']" in output
    assert "The model 'gpt-4o' is not in the catalogue of this account." in output


def test_it_has_the_seven_examples_of_the_original() -> None:
    titles = {line.removeprefix("### ") for line in README.read_text().splitlines() if line.startswith("### ")}
    assert titles == HEADINGS


def test_every_link_leads_somewhere() -> None:
    assert_links(README)
