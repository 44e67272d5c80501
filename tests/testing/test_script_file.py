"""Test the turns of script files, and the errors in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.testing.script_file import read_script

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
- Hello
- text: Yes.
  reasoning: A question.
- calls:
    - {name: get_weather, arguments: {city: Paris}}
    - {name: get_time}
    - {name: raw, arguments: '{"a":'}
- web_search: {query: tides, sources: {"https://example.com/": Tides}}
  text: The Moon.
- web_search: tides
- image: a cat
  text: Here.
- fault: overloaded
  times: 2
- fault: failed:server_error+byte_by_byte
- text: |
    Several
    lines
  delay: 0.01
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that writes a script and returns its path."""

    def write_script(content: str | bytes, name: str = "turns.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_script


def test_turns_are_sent_in_order(raw_client: Any, write: Any) -> None:
    raw_client.sim.script_file(write(SCRIPT))
    assert raw_client.text("hi") == "Hello"
    assert [item["type"] for item in raw_client.items("hi")] == ["reasoning", "message"]
    calls = raw_client.items("hi")
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("get_weather", '{"city": "Paris"}'),
        ("get_time", "{}"),
        ("raw", '{"a":'),
    ]
    search, message = raw_client.items("hi")
    assert search["action"]["query"] == "tides"
    assert message["content"][0]["text"] == "The Moon. ([example.com](https://example.com/))"
    assert len(raw_client.items("hi")[1]["content"][0]["annotations"]) == 1
    assert [item["type"] for item in raw_client.items("hi")] == ["image_generation_call", "message"]
    assert [raw_client.create("hi").status_code for _ in range(2)] == [503, 503]
    assert raw_client.events("hi")[-1]["type"] == "response.failed"
    assert raw_client.text("hi") == "Several\nlines\n"
    assert raw_client.text("Say hi") == "hi", "the script has ended"


@pytest.mark.parametrize(
    ("entry", "window_minutes", "plan", "seconds"),
    [
        ("true", 300, "pro", 3600),
        ("{plan: plus, resets_in: 60}", 300, "plus", 60),
        ("{window: week}", 10080, "pro", 3600),
    ],
)
def test_usage_limit_has_its_members(
    raw_client: Any, write: Any, entry: str, window_minutes: int, plan: str, seconds: int
) -> None:
    raw_client.sim.script_file(write(f"- usage_limit: {entry}"))
    error = raw_client.create("hi").json()["error"]
    assert (error["type"], error["plan_type"]) == ("usage_limit_reached", plan)
    assert error["limit_window_minutes"] == window_minutes
    assert error["resets_in_seconds"] == pytest.approx(seconds, abs=1)


def test_cut_turn_ends_early(raw_client: Any, write: Any) -> None:
    raw_client.sim.script_file(write("- {text: a b c d, cut_after: 6}"))
    with (
        raw_client.http.stream(
            "POST", f"{raw_client.sim.base_url}/responses", json=raw_client.body("hi"), headers=raw_client.headers
        ) as response,
        pytest.raises(Exception, match="closed"),
    ):
        for _ in response.iter_raw():
            pass


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_accepted(raw_client: Any, write: Any, indent: Any) -> None:
    turns = ["one", {"text": "two\ttabs “”", "times": 2}]
    raw_client.sim.script_file(write("\ufeff" + json.dumps(turns, indent=indent), "turns.json"))
    assert [raw_client.text("Say hi") for _ in range(4)] == ["one", "two\ttabs “”", "two\ttabs “”", "hi"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- a\n\n- txt: b", r"turns.yaml, turn 2 \(line 3\): Unknown key `txt`. Did you mean `text`\?"),
        ("- zzz: b", r"turn 1 \(line 1\): Unknown key `zzz`. Use `text`, .*`times`."),
        ("- 2026-01-01", r"turn 1 .*A turn is a text or a mapping, not datetime.*quotes"),
        ("- [a]", "A turn is a text or a mapping, not \\['a'\\]"),
        ("- {}", "exactly one of `text`.*found: none"),
        ("- {times: 2}", "found: none"),
        ("- {text: a, calls: [{name: f}]}", "found: `text` and `calls`"),
        ("- {image: a, fault: reset}", "found: `image` and `fault`"),
        ("- {text: 5}", "`text` is a text, not 5. Put it in quotes"),
        ("- {fault: overlaoded}", "Unknown fault.*Did you mean overloaded"),
        ("- {fault: reset@token}", "has no route and no count"),
        ("- {fault: 'overloaded*2'}", "has no route and no count"),
        ("- {fault: tls_failure}", "has no route and no count"),
        ("- {calls: {}}", "`calls` is a list"),
        ("- {calls: [f]}", "`calls` has `name`, `arguments`, but is 'f'"),
        ("- {calls: [{arguments: {}}]}", "`calls` has no `name`"),
        ("- {calls: [{name: f, args: {}}]}", "Unknown key `args` of `calls`"),
        ("- {calls: [{name: f, arguments: [1]}]}", "`arguments` of `calls` are a mapping"),
        ("- {calls: [{name: f, arguments: {day: 2026-01-01}}]}", "are not JSON.*Put dates in quotes"),
        ("- {web_search: {sources: {}}}", "`web_search` has no `query`"),
        ("- {web_search: {query: a, sources: [b]}}", "`sources` maps URLs to titles"),
        ("- {usage_limit: {window: day}}", "`window` is 5h or week, not 'day'"),
        ("- {usage_limit: yes please}", "`usage_limit` has `plan`, `resets_in`, `window`, but is"),
        ("- {usage_limit: {resets_in: -1}}", "`resets_in` is a number of seconds from 0"),
        ("- {text: a, delay: .inf}", "`delay` is a number of seconds"),
        ("- {text: a, cut_after: 1.5}", "`cut_after` is a whole number from 0 to 10,000, not 1.5"),
        ("- {text: a, times: 0}", "`times` is a whole number from 1"),
        ("- {text: a, times: true}", "`times` is a whole number"),
        ("- {image: a, reasoning: b}", "`reasoning` requires `text`"),
        ("text: a", "a script is a list of turns. Example"),
        ("", "a script is a list of turns"),
        ("[]", "a script is a list of turns"),
        ("- a\n- {b", r"turns.yaml, line \d+: invalid YAML or JSON"),
        ("- !!python/object:os.system a", "line 1: invalid YAML or JSON"),
        (b"- \xff", "is not UTF-8: invalid start byte at byte 2"),
        ("[" * 5000, "invalid YAML or JSON"),
    ],
)
def test_invalid_script_names_the_problem(write: Any, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_script(write(content))
    assert "turns.yaml" in str(caught.value)


def test_missing_script_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Cannot read the script .*nowhere\.yaml: No such file"):
        read_script(tmp_path / "nowhere.yaml")
    with pytest.raises(ValueError, match="Cannot read the script"):
        read_script(tmp_path)


def test_invalid_script_queues_nothing(raw_client: Any, write: Any) -> None:
    with pytest.raises(ValueError, match="turn 2"):
        raw_client.sim.script_file(write("- one\n- {}"))
    assert raw_client.text("Say hi") == "hi"
