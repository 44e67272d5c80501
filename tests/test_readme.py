"""The examples of the README run, in order, and give what they promise."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pages import assert_links, examples_of, section

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    import pytest

pytest_plugins = ["pytester"]

README = Path(__file__).parent.parent / "README.md"
# Where the README shows another way by now. https://github.com/B4PT0R/codex-backend-sdk, README.md (MIT licence)
ORIGINAL = """
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
    with examples_of(README, tmp_path, monkeypatch) as (examples, found, _):
        for example in examples:
            example.evaluate()
        found["client"].close()
    output = capsys.readouterr().out
    assert len(examples) == 15
    assert "You asked about quicksort" in output
    assert "hi hi hi hi hi" in output
    assert "gpt-6.1-sol GPT-6.1-Sol 272000" in output
    assert found["info"].id == "gpt-5.5"
    assert "Alice" in found["reply2"]
    assert found["call"]["arguments"] == '{"city": "Paris"}'
    assert [item["type"] for item in found["history"][-2:]] == ["function_call", "function_call_output"]
    assert found["history"][0] == {"role": "user", "content": "What's the weather in Paris?"}
    assert "cloudy" in found["second"].output_text
    assert "{'name': 'Bob', 'age': 42}" in output
    assert found["quota"]["plan_type"] == "pro"
    assert re.search(r"plan pro; 5 h 12 % used, resets .*; weekly 34 % used", output)
    assert "weekly 66.0 " in output
    assert "['temperature']" in output
    assert "The client drops `temperature`." in output


def test_what_is_for_a_file_of_its_own_needs_no_other_example(pytester: pytest.Pytester) -> None:
    program, tests = re.findall(r"^```python\n(.+?)^```", section(README, "## Testing your own program"), re.M | re.S)
    exec(compile(program, "README.md", "exec"), {})
    pytester.makepyfile(test_pasted=tests)
    result = pytester.runpytest_subprocess("-q", "-W", "error", "--strict-markers", "-p", "no:asyncio")
    result.assert_outcomes(passed=2)


def test_the_originals_examples_run_as_it_wrote_them(capsys: pytest.CaptureFixture[str]) -> None:
    with Simulator() as simulator, simulator.client() as client:
        found = {"client": client, "json": json}
        exec(compile(ORIGINAL, "README.md of 0.x", "exec"), found)
    assert capsys.readouterr().out.startswith("hi hi hi hi hi")
    assert "cloudy" in found["second"].output_text


def test_it_has_the_seven_examples_of_the_original() -> None:
    titles = {line.removeprefix("### ") for line in README.read_text().splitlines() if line.startswith("### ")}
    assert titles == HEADINGS


def test_every_link_leads_somewhere() -> None:
    assert_links(README)
