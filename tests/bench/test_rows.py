"""Every row runs, on tiny sizes and without a clock in an assertion. The peers that are installed here take part."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bench import report
from bench.judged import judge, medians
from bench.rows import ROWS, Job, Row
from bench.server import Answer
from bench.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = ("ours", "openai", "floor")
TINY = {"items": 2, "calls": 1, "streams": 2}


def tiny(row: Row) -> Row:
    jobs = tuple(_tiny(job) for job in row.jobs if job.peer in HERE and _is_needed(job))
    return replace(row, jobs=jobs, bars=tuple(bar for bar in row.bars if bar.by is None or bar.by in HERE))


def _is_needed(job: Job) -> bool:
    """Of the curves, which are drawn, only ours are judged."""
    return job.at is None or job.peer == "ours"


def _tiny(job: Job) -> Job:
    given: dict[str, Any] = {name: min(value, TINY.get(name, value)) for name, value in job.given.items()}
    if "answer" in given:
        answer = Answer(*given["answer"])
        given["answer"] = answer._replace(deltas=3, delay_ms=min(answer.delay_ms, 1))
    return replace(job, given=given)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(python=lambda _peer: Path(sys.executable)) as running:
        yield running


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.name != "import"])
def test_a_row_gives_the_figures_that_its_bars_need(session: Session, name: str) -> None:
    """A bar that names a job or a figure that is not there would fail here."""
    row = tiny(next(row for row in ROWS if row.name == name))
    figures = session.run(row, rounds=1)
    verdicts = judge(row, figures)
    assert len(verdicts) == len(row.bars) > 0
    assert all(len(values) == 1 for each in figures.values() for values in each.values())
    results = report.Results({}, 0.0)
    results.add(row, figures, verdicts)
    assert row.metric in results.rows[0]["jobs"][0]["medians"]
    assert row.title in report.line(row, medians(figures), verdicts)
