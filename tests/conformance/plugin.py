"""The pytest plugin under which the official package's own tests run.

`pytest -p plugin`, with this folder on the path and
- CONFORM_MODE  which of our classes stand in for the official ones (`MODES` below),
- CONFORM_REPORT  the file for the outcome of every test, as JSON.

The plugin is imported before any conftest, so the names it rebinds in `openai` are what the tests import.
"""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path

import pytest

# Each mode, and the module of this folder whose `install()` puts our classes in place.
# "off" is the official client untouched: the baseline.
MODES = {"off": None, "stream": "stand_in_stream", "classes": "stand_in_classes", "client": "stand_in_client"}


def install(mode: str) -> None:
    """Put the classes of `mode` in place of the official ones."""
    module = MODES[mode]
    if module is not None:
        import_module(module).install()


class Recorder:
    """Keep one outcome a test, across its phases and across the workers, and write them at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._outcomes: dict[str, str] = {}
        self._reasons: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst phase of a test: a failing teardown is a failed test."""
        if report.when == "call" or report.outcome != "passed":
            self._keep(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a file that cannot be imported as a failed test of that name."""
        if report.outcome == "failed":
            self._keep(report)

    def pytest_sessionfinish(self) -> None:
        """Write what was kept."""
        self._path.write_text(json.dumps({"outcomes": self._outcomes, "reasons": self._reasons}, indent=1))

    def _keep(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if self._outcomes.get(report.nodeid) != "failed":
            self._outcomes[report.nodeid] = report.outcome
        if report.outcome == "failed":
            self._reasons[report.nodeid] = reason(report)


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The line that says why a test failed."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = report.longreprtext if crash is None else str(crash.message)
    return next(iter(text.strip().splitlines()), "no reason given")


def pytest_configure(config: pytest.Config) -> None:
    """Record in the process that talks to the person; the workers only run."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(Path(os.environ["CONFORM_REPORT"])))


install(os.environ["CONFORM_MODE"])
