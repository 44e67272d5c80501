"""Fixtures for the tests of integrations: simulators, the recipe of the library, and no network but loopback.

A test with the marker `covers(feature, mode)` fills in a cell of the table. `feature` is one of plain (a call that
returns a whole response), stream, tool and structured; `mode` is sync or async. `NOT_APPLICABLE` of a test file has the
reasons for the features that the library does not have. A fault of the library is a strict `xfail` whose reason names
the library's issue: `pytest.mark.xfail(reason="owner/repository#123: what it does")`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from local_server import LocalServer, run_local_server
from loopback_only import allow_loopback_only
from official_hosts import redirect_official_hosts
from pages import ROOT, simulator_in_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

RECIPES = ROOT / "examples" / "integrations"
_foreign_hosts = allow_loopback_only()
_outcomes: list[dict[str, Any]] = []


@pytest.fixture(autouse=True)
def _no_other_host_was_contacted() -> Iterator[None]:
    """Fail a test in which a library tried to connect to another host, even if the library hid the error."""
    _foreign_hosts.clear()
    yield
    assert not _foreign_hosts


@pytest.fixture
def foreign_hosts() -> set[str]:
    """The other hosts that the test tried to contact, for a test that shows that a check can fail. Clear it."""
    return _foreign_hosts


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def sim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulator that `OpenAI()` and `AsyncOpenAI()` find through the environment."""
    monkeypatch.chdir(tmp_path)
    with simulator_in_environment(tmp_path / "codex", monkeypatch) as simulator:
        yield simulator


@pytest.fixture
def official_sim(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator that receives what clients send to the official addresses with httpx or httpx2."""
    redirect_official_hosts(sim.url, monkeypatch)
    return sim


@pytest.fixture
def local_server(sim: Simulator, tmp_path: Path) -> Iterator[LocalServer]:
    """`codex-backend serve`, with the simulator behind it."""
    with run_local_server(tmp_path) as server:
        yield server


@pytest.fixture
def recipe(request: pytest.FixtureRequest, sim: Simulator) -> SimpleNamespace:
    """The global variables of the library's recipe after it ran, what it `printed`, and the bodies that it `sent`.

    The recipe of `test_<name>.py` is `examples/integrations/with_<name>.py`.
    """
    file = RECIPES / request.path.name.replace("test_", "with_", 1)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        variables = runpy.run_path(str(file), run_name="__main__")
    sent = [request.body for request in sim.model_requests]
    sim.clear()
    return SimpleNamespace(**{**variables, "printed": printed.getvalue(), "sent": sent})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Record the outcome of each test for the table."""
    report = yield
    if report.when == "call" or report.outcome != "passed":
        outcome, reason = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[report.outcome], ""
        if report.outcome == "skipped" and hasattr(report, "wasxfail"):
            outcome, reason = "fault", report.wasxfail.removeprefix("reason: ")
        elif report.outcome == "skipped":
            reason = report.longrepr[2].removeprefix("Skipped: ")
        elif report.outcome == "failed":
            reason = item.name
        cells = [marker.args for marker in item.iter_markers("covers")] or [(None, None)]
        _outcomes.extend(_outcome(cell, outcome, reason) for cell in cells)
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Record the features that the test file declares as not applicable: `{(feature, mode): reason}`."""
    for module in {item.getparent(pytest.Module) for item in items}:
        assert module is not None
        reasons = getattr(module.obj, "NOT_APPLICABLE", {})
        _outcomes.extend(_outcome(cell, "n/a", reason) for cell, reason in reasons.items())


def _outcome(cell: tuple[str | None, str | None], outcome: str, reason: str) -> dict[str, Any]:
    feature, mode = cell
    return {"feature": feature, "mode": mode, "outcome": outcome, "reason": reason}


def pytest_sessionfinish() -> None:
    """Write the outcomes for the table."""
    if path := os.environ.get("INTEGRATION_RESULTS"):
        with open(path, "w", encoding="utf-8") as file:
            json.dump(_outcomes, file)
