"""The examples of docs/reliability.md run, in order, and its tables name what there is."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pages import assert_links, examples_of

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    import pytest

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
    assert told == ours - {"CodexError", "CredentialStoreError", "LoginFailed", "UnsupportedEndpoint"}


def is_error(name: str) -> bool:
    return issubclass(getattr(sdk, name), sdk.CodexError)


def test_every_argument_that_is_named_is_one() -> None:
    named = set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE))
    known = set(inspect.signature(sdk.OpenAI.copy).parameters) | {"max_retries"}
    assert named
    assert named <= known


def test_every_link_leads_somewhere() -> None:
    assert_links(PAGE)
