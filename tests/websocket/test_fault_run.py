"""A conversation over a backend that fails at random ends with the history of one without failures.

`make fault-run` makes longer runs. A failure names the seed and the faults of the call.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal
from support.fault_run import FaultRun, SimulatedClock, comparable
from support.sync_adapter import SyncAdapter

from codex_backend_sdk.testing import Simulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_YEARS = timedelta(days=3650)
TURNS = int(os.environ.get("FAULT_RUN_TURNS", "20"))
SEED = int(os.environ.get("FAULT_RUN_SEED", "20261128"))


@pytest.fixture
def sim_clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def sim(sim_clock: SimulatedClock) -> Iterator[Simulator]:
    # Its clock is advanced by an hour again and again; the login must stay valid.
    with Simulator(clock=sim_clock, access_token_lifetime=_YEARS) as simulator:
        yield simulator


@pytest.fixture(params=["sync", "async"])
def new_client(request: pytest.FixtureRequest, sim: Simulator) -> Iterator[Callable[..., Any]]:
    if request.param == "sync":
        yield sim.client
        return
    with start_blocking_portal() as portal:
        yield lambda **options: SyncAdapter(sim.async_client(**options), portal)


@pytest.mark.timeout(60 + 10 * TURNS)
def test_history_survives_random_faults(
    sim: Simulator, sim_clock: SimulatedClock, new_client: Callable[..., Any], tmp_path: Path
) -> None:
    print(f"\n{TURNS} turns, seed {SEED}")  # noqa: T201  (pytest shows it if the test fails)
    undisturbed = FaultRun(sim, sim_clock, new_client, tmp_path / "undisturbed.jsonl", seed=SEED, fault_share=0)
    expected = undisturbed.run(TURNS)
    assert len(expected) == 6 * TURNS
    disturbed = FaultRun(sim, sim_clock, new_client, tmp_path / "disturbed.jsonl", seed=SEED)
    history = disturbed.run(TURNS)
    print(", ".join(f"{name} {count}" for name, count in sorted(disturbed.counts.items())))  # noqa: T201
    assert comparable(history) == comparable(expected)
