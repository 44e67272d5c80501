"""A short soak ends well, and what a soak looks for is found."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import openai
import pytest

from bench.report import ROOT
from bench.soak import Held, grown
from bench.soak_callers import RIGHT, Outcomes, outcome_of
from bench.soak_server import FAULTS
from codex_backend_sdk.testing.faults.fault_syntax import parse_fault

WARM = Held(sockets=50, threads=1, tasks=0, objects=100_000, memory=100_000_000)


class Cut(openai.OpenAIError):
    partial = SimpleNamespace(output_text="thread 2")


@pytest.mark.timeout(180)
def test_a_short_one() -> None:
    """In a process of its own, because it counts what a process holds."""
    command = [sys.executable, "-m", "bench.soak", "--minutes", str(10 / 60), "--callers", "100", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"    {RIGHT}: " in done.stdout
    assert "    ServerOverloadedError: " in done.stdout or "    ContextLengthExceededError: " in done.stdout
    assert "closed: Held(sockets=0" in done.stdout


@pytest.mark.parametrize(
    ("got", "outcome", "is_defect"),
    [
        ("thread 1", RIGHT, False),
        ("thread 2", "WRONG TEXT", True),
        ("", "WRONG TEXT", True),
        (openai.OpenAIError("no"), "OpenAIError", False),
        (Cut("another's"), "WRONG PART", True),
        (ValueError("no"), "UNTYPED ERROR", True),
    ],
)
def test_how_a_call_ended(got: str | Exception, outcome: str, is_defect: bool) -> None:
    found, defect = outcome_of("thread 1", got)
    assert (found.partition(":")[0], defect) == (outcome, is_defect)


@pytest.mark.parametrize(
    ("end", "what"),
    [
        (WARM._replace(sockets=400), "sockets grew from 50 to 400"),
        (WARM._replace(threads=9), "threads grew from 1 to 9"),
        (WARM._replace(tasks=1), "tasks grew from 0 to 1"),
        (WARM._replace(objects=200_000), "objects grew from 100000 to 200000"),
        (WARM._replace(memory=150_000_000), "memory grew from 100000000 to 150000000"),
    ],
)
def test_growth_is_found(end: Held, what: str) -> None:
    assert grown(WARM, end, callers=100) == [what]
    assert grown(WARM, WARM._replace(sockets=150, threads=2), callers=100) == []


def test_percentiles() -> None:
    outcomes = Outcomes()
    assert outcomes.percentile(0.5) == 0.0
    for number in range(100):
        outcomes.note(RIGHT, float(number))
    assert [outcomes.percentile(share) for share in (0.5, 0.95, 1.0)] == [50.0, 95.0, 99.0]


def test_the_faults_are_those_of_the_simulator() -> None:
    assert [parse_fault(fault) for fault in FAULTS]
