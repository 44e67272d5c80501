"""What a client did about a fault is told from what was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import faults
from bench.fault_call import PEERS
from bench.fault_cases import CASES, SAID, Case
from bench.fault_verdict import GOOD, Facts, judge
from codex_backend_sdk.testing.faults.fault_syntax import parse_fault

LASTING = Case("overloaded", "", tells="capacity")
PASSING = Case("overloaded*1", "", is_mendable=True)
RESET = 1_795_360_000  # 2026-11-22 15:06:40 UTC


def raised(words: str = "", *, module: str = "openai", **members: str) -> dict[str, Any]:
    return {"error": {"module": module, "class": "Oops", "words": words, "members": members}, "seconds": 1.25}


def returned(text: Any, status: str | None = "completed") -> dict[str, Any]:
    return {"text": text, "status": status, "seconds": 0.1}


@pytest.mark.parametrize(
    ("case", "said", "requests", "word", "details"),
    [
        (PASSING, returned(SAID), 2, "correct response", ""),
        (LASTING, returned(SAID), 1, "correct response", ""),
        (PASSING, returned(""), 1, "wrong response", "no text"),
        (PASSING, returned(None), 1, "wrong response", "no text"),
        (PASSING, returned(SAID[:5]), 1, "wrong response", "a part"),
        (PASSING, returned("hello", None), 1, "wrong response", "different"),
        (PASSING, returned("", "failed"), 1, "nothing raised", "`failed`"),
        (PASSING, raised("at capacity"), 3, "gave up", "`Oops` after 3 requests"),
        (PASSING, raised(), 0, "gave up", "no request"),
        (LASTING, raised("At CAPACITY"), 1, "clear error", "`Oops`"),
        (LASTING, raised("?", code="capacity"), 1, "clear error", "`Oops`"),
        (LASTING, raised("?"), 1, "unclear error", "does not name the cause"),
        (LASTING, raised("capacity", module="builtins"), 1, "untyped error", "`Oops`"),
        (LASTING, raised("capacity", module="json.decoder"), 1, "untyped error", "`Oops`"),
        (LASTING, raised("capacity"), 2, "blind retries", "2 requests in 1.2 s, then `Oops`"),
        (LASTING._replace(requests=2), raised("capacity"), 2, "clear error", "`Oops`"),
        (LASTING, None, 1, "crash", ""),
    ],
)
def test_the_verdicts(case: Case, said: dict[str, Any] | None, requests: int, word: str, details: str) -> None:
    verdict = judge(case, Facts(said, killed=False, requests=requests), expected=SAID)
    assert verdict.word == word
    assert details in verdict.details


def test_who_is_killed_hangs() -> None:
    assert judge(PASSING, Facts(None, killed=True, requests=1), expected=SAID).word == "hang"


@pytest.mark.parametrize(
    ("words", "word"),
    [
        (f"{{'resets_at': {RESET}}}", "clear error"),
        ("Until 2026-11-22 15:06 UTC.", "clear error"),
        ("Try again at 03:06 PM.", "clear error"),
        ("The limit is reached.", "unclear error"),
    ],
)
def test_a_limit_has_to_tell_its_reset(words: str, word: str) -> None:
    facts = Facts(raised(words), killed=False, requests=1, resets_at=RESET)
    assert judge(Case("usage_limit", ""), facts, expected=SAID).word == word


def test_every_case_is_a_fault_of_the_simulator_and_there_once() -> None:
    assert [parse_fault(case.fault) for case in CASES]
    assert len({case.fault for case in CASES}) == len(CASES)


def test_this_package_ends_as_it_should() -> None:
    for part in ("usage_limit:plus,3600", "cut_after_events:8*1"):
        (case,) = [case for case in CASES if case.fault == part]
        assert faults.run("ours", case)["verdict"] in GOOD


def test_the_table_stands_between_its_marks(tmp_path: Path) -> None:
    begin, end = "<!-- make faults writes this: begin -->", "<!-- end -->"
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{begin}\nold\n{end}\n\nAfter.\n")
    results = json.loads(faults.RESULTS.read_text(encoding="utf-8"))
    faults.render(results, page=page)
    written = page.read_text()
    assert written.startswith(f"Before.\n\n{begin}\n")
    assert written.endswith(f"{end}\n\nAfter.\n")
    assert "old" not in written
    assert faults.table(results) in faults.PAGE.read_text(encoding="utf-8")


def test_the_results_are_of_these_cases_and_name_no_place() -> None:
    told = faults.RESULTS.read_text(encoding="utf-8")
    rows = json.loads(told)["rows"]
    assert {(row["fault"], row["peer"]) for row in rows} == {(case.fault, peer) for case in CASES for peer in PEERS}
    assert len(rows) == len(CASES) * len(PEERS)
    assert str(faults.ROOT) not in told
