"""Run openai's own tests in a separate process, on the official client or on the client of this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUN_TIMEOUT_SECONDS = 540
TEST_TIMEOUT_SECONDS = 120

# `off`: the official client, the baseline that checks this runner. `client`: the client of this package.
MODES = ("off", "client")
# The tests of the parts that the client replaces or uses: streams, responses, chat completions, the request pipeline,
# WebSockets. They start the servers that they need. Each version has some of these files.
FILES = (
    "tests/test_streaming.py",
    "tests/test_sse_framing.py",
    "tests/test_stream_mode.py",
    # without test_completions_streaming.py, whose snapshots are not in the source distribution
    "tests/lib/chat/test_completions.py",
    "tests/lib/chat/test_content_filter.py",
    "tests/lib/chat/test_create_validation.py",
    "tests/lib/chat/test_single_pass_tools.py",
    "tests/lib/chat/test_stream_moderation.py",
    "tests/lib/chat/test_tool_call_deltas.py",
    "tests/lib/responses/test_*.py",
    "tests/lib/test_responses_tool_runner.py",
    "tests/lib/test_runner_*.py",
    "tests/lib/test_responses_input_file_history.py",
    "tests/test_response.py",
    "tests/test_legacy_response.py",
    "tests/test_status_error_messages.py",
    "tests/test_retry_after_overflow.py",
    "tests/test_client.py",
    "tests/test_models.py",
    "tests/test_websocket_*.py",
)
# Prefixes of environment variables that must not affect the tests: keys, URLs, a login, options of pytest.
EXCLUDED_PREFIXES = ("OPENAI_", "AZURE_OPENAI_", "CODEX_", "PYTEST_", "COVERAGE_")


@dataclass(frozen=True, slots=True)
class Run:
    """The result of one run. `outcomes` and `reasons` (of failed tests) are by node id; `output` is that of pytest."""

    outcomes: Mapping[str, str]
    reasons: Mapping[str, str]
    output: str


def unpacked_tests(version: str) -> Path:
    """Return the directory in which scripts/fetch_upstream_tests.py stores the tests of one openai version."""
    return ROOT / ".cache" / "upstream" / f"openai-{version}"


def run_suite(mode: str, upstream: Path, report: Path) -> Run:
    """Run the tests of `upstream` on two workers. Write the outcomes to `report` and return them."""
    files = [str(path.relative_to(upstream)) for glob in FILES for path in sorted(upstream.glob(glob))]
    return _run(mode, upstream, report, ["-n", "2", *files])


def run_alone(mode: str, upstream: Path, report: Path, tests: Iterable[str]) -> Run:
    """Run some tests again, in sequence, because tests that measure time can fail on a busy machine."""
    return _run(mode, upstream, report, ["-n", "0", *tests])


def _run(mode: str, upstream: Path, report: Path, arguments: list[str]) -> Run:
    report.unlink(missing_ok=True)
    # The settings of openai's own pytest, except for those of its console.
    command = [
        *(sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "plugin", "-p", "no:cacheprovider"),
        *("-p", "no:codex_backend_sdk", "--timeout", str(TEST_TIMEOUT_SECONDS), "-q", "--tb=line"),
        *arguments,
    ]
    process = subprocess.run(
        command,
        cwd=upstream,
        env=_environment(mode, report),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=RUN_TIMEOUT_SECONDS,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"The run ended with code {process.returncode} and wrote no report:\n{process.stdout}")
    document = json.loads(report.read_text(encoding="utf-8"))
    return Run(document["outcomes"], document["reasons"], process.stdout)


def _environment(mode: str, report: Path) -> dict[str, str]:
    """Return the environment of a run: the current one without excluded variables, and the variables of the plugin."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(EXCLUDED_PREFIXES)}
    return inherited | {
        "CONFORM_MODE": mode,
        "CONFORM_REPORT": str(report),
        "CODEX_HOME": str(report.parent / "no-login"),
        "CODEX_BASE_URL": "https://127.0.0.1:9/backend-api/codex",  # a request of any test stays on this machine
        "PYTHONPATH": str(HERE),
    }
