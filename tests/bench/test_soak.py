"""The soak test: a short run passes, and defects and leaks are detected."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import openai
import pytest

from bench.report import ROOT
from bench.soak import ResourceCounts, growth
from bench.soak_callers import CORRECT, Outcomes, classify
from bench.soak_server import FAULTS
from codex_backend_sdk.testing.faults.fault_syntax import parse_fault

WARM = ResourceCounts(sockets=50, threads=1, tasks=0, objects=100_000, memory=100_000_000)


class InterruptedStreamError(openai.OpenAIError):
    partial = SimpleNamespace(output_text="thread 2")


@pytest.mark.timeout(180)
def test_short_run_passes() -> None:
    """In another process, because it counts the resources of its process."""
    command = [sys.executable, "-m", "bench.soak", "--minutes", str(5 / 60), "--callers", "100", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"    {CORRECT}: " in done.stdout
    assert "    ServerOverloadedError: " in done.stdout or "    ContextLengthExceededError: " in done.stdout
    assert "closed: ResourceCounts(sockets=0" in done.stdout


@pytest.mark.parametrize(
    ("result", "outcome", "is_defect"),
    [
        ("thread 1", CORRECT, False),
        ("thread 2", "WRONG TEXT", True),
        ("", "WRONG TEXT", True),
        (openai.OpenAIError("no"), "OpenAIError", False),
        (InterruptedStreamError("no"), "WRONG PARTIAL TEXT", True),
        (ValueError("no"), "UNTYPED ERROR", True),
    ],
)
def test_outcome_is_classified(result: str | Exception, outcome: str, is_defect: bool) -> None:
    actual, defect = classify("thread 1", result)
    assert (actual.partition(":")[0], defect) == (outcome, is_defect)


@pytest.mark.parametrize(
    ("end", "description"),
    [
        (WARM._replace(sockets=400), "sockets grew from 50 to 400"),
        (WARM._replace(threads=9), "threads grew from 1 to 9"),
        (WARM._replace(tasks=1), "tasks grew from 0 to 1"),
        (WARM._replace(objects=200_000), "objects grew from 100000 to 200000"),
        (WARM._replace(memory=150_000_000), "memory grew from 100000000 to 150000000"),
    ],
)
def test_growth_is_detected(end: ResourceCounts, description: str) -> None:
    assert growth(WARM, end, callers=100) == [description]
    assert growth(WARM, WARM._replace(sockets=150, threads=2), callers=100) == []


def test_percentile_of_durations() -> None:
    outcomes = Outcomes()
    assert outcomes.percentile(0.5) == 0.0
    for number in range(100):
        outcomes.record(CORRECT, float(number))
    assert [outcomes.percentile(fraction) for fraction in (0.5, 0.95, 1.0)] == [50.0, 95.0, 99.0]


def test_faults_are_those_of_the_simulator() -> None:
    assert [parse_fault(fault) for fault in FAULTS]
