"""Pytest plugin that runs openai's own tests on the official client or on the client of this package.

Use it as `pytest -p plugin`, with this directory on the path and two environment variables:

- CONFORM_MODE: `off` uses the official client (the baseline), `client` replaces it by the client of this package;
- CONFORM_REPORT: the file for the outcome of every test, as JSON.

pytest imports the plugin before any conftest, so the tests import the names that it rebinds in `openai`.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest


class Recorder:
    """Recorder of one outcome for each test, across its phases and the workers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the worst outcome of the phases of a test: a test with a failed teardown has failed."""
        if report.when == "call" or report.outcome != "passed":
            self._record(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record a file that cannot be imported as a failed test of that name."""
        if report.outcome == "failed":
            self._record(report)

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        self._path.write_text(json.dumps({"outcomes": self._outcomes, "reasons": self._reasons}, indent=1))

    def _record(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if self._outcomes.get(report.nodeid) != "failed":
            self._outcomes[report.nodeid] = report.outcome
        if report.outcome == "failed":
            self._reasons[report.nodeid] = failure_reason(report)


def failure_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return the first line of the failure's message."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = report.longreprtext if crash is None else str(crash.message)
    return next(iter(text.strip().splitlines()), "no reason given")


def pytest_configure(config: pytest.Config) -> None:
    """Record in the main process, to which the workers of xdist send their reports."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(os.environ["CONFORM_REPORT"])))


if os.environ["CONFORM_MODE"] == "client":
    import_module("stand_in_client").install()
