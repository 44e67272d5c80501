"""The fault comparison: the rules of the verdicts, its cases and its table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import faults
from bench.fault_call import PEERS
from bench.fault_cases import CASES, EXPECTED_TEXT, Case
from bench.fault_verdict import GOOD, CallFacts, judge_call
from codex_backend_sdk.testing.faults.fault_syntax import parse_fault

PERMANENT = Case("overloaded", "", error_pattern="capacity")
TRANSIENT = Case("overloaded*1", "", is_recoverable=True)
RESET = 1_795_360_000  # 2026-11-22 15:06:40 UTC


def raised(message: str = "", *, module: str = "openai", **members: str) -> dict[str, Any]:
    return {"error": {"module": module, "class": "Oops", "message": message, "members": members}, "seconds": 1.25}


def returned(text: Any, status: str | None = "completed") -> dict[str, Any]:
    return {"text": text, "status": status, "seconds": 0.1}


@pytest.mark.parametrize(
    ("case", "outcome", "requests", "name", "details"),
    [
        (TRANSIENT, returned(EXPECTED_TEXT), 2, "correct response", ""),
        (PERMANENT, returned(EXPECTED_TEXT), 1, "correct response", ""),
        (TRANSIENT, returned(""), 1, "wrong response", "no text"),
        (TRANSIENT, returned(None), 1, "wrong response", "no text"),
        (TRANSIENT, returned(EXPECTED_TEXT[:5]), 1, "wrong response", "a part"),
        (TRANSIENT, returned("hello", None), 1, "wrong response", "different"),
        (TRANSIENT, returned("", "failed"), 1, "nothing raised", "`failed`"),
        (TRANSIENT, raised("at capacity"), 3, "gave up", "`Oops` after 3 requests"),
        (TRANSIENT, raised(), 0, "gave up", "no request"),
        (PERMANENT, raised("At CAPACITY"), 1, "clear error", "`Oops`"),
        (PERMANENT, raised("?", code="capacity"), 1, "clear error", "`Oops`"),
        (PERMANENT, raised("?"), 1, "unclear error", "does not name the cause"),
        (PERMANENT, raised("capacity", module="builtins"), 1, "untyped error", "`Oops`"),
        (PERMANENT, raised("capacity", module="json.decoder"), 1, "untyped error", "`Oops`"),
        (PERMANENT, raised("capacity"), 2, "blind retries", "2 requests in 1.2 s, then `Oops`"),
        (PERMANENT._replace(requests=2), raised("capacity"), 2, "clear error", "`Oops`"),
        (PERMANENT, None, 1, "crash", ""),
    ],
)
def test_verdict_follows_from_the_facts(
    case: Case, outcome: dict[str, Any] | None, requests: int, name: str, details: str
) -> None:
    verdict = judge_call(case, CallFacts(outcome, was_killed=False, requests=requests), expected=EXPECTED_TEXT)
    assert verdict.name == name
    assert details in verdict.details


def test_killed_process_is_a_hang() -> None:
    assert judge_call(TRANSIENT, CallFacts(None, was_killed=True, requests=1), expected=EXPECTED_TEXT).name == "hang"


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (f"{{'resets_at': {RESET}}}", "clear error"),
        ("Until 2026-11-22 15:06 UTC.", "clear error"),
        ("Try again at 03:06 PM.", "clear error"),
        ("The limit is reached.", "unclear error"),
    ],
)
def test_limit_error_must_contain_the_reset_time(message: str, name: str) -> None:
    facts = CallFacts(raised(message), was_killed=False, requests=1, resets_at=RESET)
    assert judge_call(Case("usage_limit", ""), facts, expected=EXPECTED_TEXT).name == name


def test_cases_are_distinct_faults_of_the_simulator() -> None:
    assert [parse_fault(case.fault) for case in CASES]
    assert len({case.fault for case in CASES}) == len(CASES)


def test_this_package_gets_a_good_verdict() -> None:
    for fault in ("usage_limit:plus,3600", "cut_after_events:8*1"):
        (case,) = [case for case in CASES if case.fault == fault]
        assert faults.run("ours", case)["verdict"] in GOOD


def test_table_is_written_between_its_markers(tmp_path: Path) -> None:
    begin, end = faults.MARKERS
    page = tmp_path / "page.md"
    page.write_text(f"Before.\n\n{begin}\nold\n{end}\n\nAfter.\n")
    results = json.loads(faults.RESULTS.read_text(encoding="utf-8"))
    faults.render(results, page=page)
    written = page.read_text()
    assert written.startswith(f"Before.\n\n{begin}\n")
    assert written.endswith(f"{end}\n\nAfter.\n")
    assert "old" not in written
    assert faults.table(results) in faults.PAGE.read_text(encoding="utf-8")


def test_results_cover_all_cases_without_local_paths() -> None:
    text = faults.RESULTS.read_text(encoding="utf-8")
    rows = json.loads(text)["rows"]
    assert {(row["fault"], row["peer"]) for row in rows} == {(case.fault, peer) for case in CASES for peer in PEERS}
    assert len(rows) == len(CASES) * len(PEERS)
    assert str(faults.ROOT) not in text
