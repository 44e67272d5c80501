"""Every row runs with tiny sizes and the peers that are installed here. No assertion depends on time."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import WebSocketException

from bench import report
from bench.bar_verdicts import judge_row, medians
from bench.peers import official
from bench.peers.agents import Turn
from bench.rows import ROWS, Job, Row
from bench.server import ResponseSpec, base_path
from bench.server_tasks import SERVER_TASKS
from bench.session import Session
from bench.tasks import TASKS, PeerClients
from bench.workloads import stream

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALLED = ("ours", "openai", "floor")
TINY = {"items": 2, "calls": 1, "streams": 2, "turns": 3, "count": 2, "lines": 3}


def tiny(row: Row) -> Row:
    jobs = tuple(tiny_job(job) for job in row.jobs if job.peer in INSTALLED and is_needed(job))
    return replace(
        row,
        jobs=jobs,
        bars=tuple(bar for bar in row.bars if bar.compared_with is None or bar.compared_with in INSTALLED),
    )


def is_needed(job: Job) -> bool:
    """Of the curves, only those of this package have bars."""
    return job.point is None or job.peer == "ours"


def tiny_job(job: Job) -> Job:
    arguments: dict[str, Any] = {name: min(value, TINY.get(name, value)) for name, value in job.arguments.items()}
    if "response" in arguments:
        spec = ResponseSpec(*arguments["response"])
        arguments["response"] = spec._replace(deltas=3, delay_ms=min(spec.delay_ms, 1))
    return replace(job, arguments=arguments)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(python=lambda _peer: Path(sys.executable)) as running:
        yield running


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.name != "import"])
def test_row_has_the_figures_for_its_bars(session: Session, name: str) -> None:
    row = tiny(next(row for row in ROWS if row.name == name))
    if sys.platform != "linux" and any(job.task in SERVER_TASKS for job in row.jobs):
        pytest.skip("the rows of local servers run on Linux only")
    figures = session.run(row, rounds=1)
    verdicts = judge_row(row, figures)
    assert len(verdicts) == len(row.bars) > 0
    assert all(len(values) == 1 for metrics in figures.values() for values in metrics.values())
    results = report.Results({}, 0.0)
    results.add(row, figures, verdicts)
    assert row.metric in results.rows[0]["jobs"][0]["medians"]
    assert row.title in report.progress(row, medians(figures), verdicts)


class IdleAgent:
    """An agent that sends no request, and returns the text that it should have received."""

    def turn(self, _items: list[dict[str, Any]]) -> Turn:
        return Turn(28, stream("agent", 20).characters, "call_1", "resp_1")

    def close(self) -> None:
        pass


class PeerWithAgents:
    def __init__(self, agent: Any) -> None:
        self._agent = agent

    def agents(self, _base_url: str, _way: str, _count: int = 1) -> list[Any]:
        return [self._agent]


def test_agent_that_sends_nothing_fails_the_task(session: Session) -> None:
    clients = PeerClients(PeerWithAgents(IdleAgent()), session.server)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="received 0 requests instead of 1"):
        TASKS["agent"](clients, turns=1, characters=10)
    clients.close()


def test_server_ends_a_websocket_that_continues_another_response(session: Session) -> None:
    spec = ResponseSpec("agent", 3, session=1)
    client = official.Official().client(session.server + base_path(spec))
    with client.responses.connect() as connection:
        parameters = {"model": "m", "input": [], "previous_response_id": "resp_other"}
        connection.response.create(**parameters)
        with pytest.raises(WebSocketException):
            connection.recv()
