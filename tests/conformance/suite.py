"""Run the official package's own tests, in a process of their own, with our classes in place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RUN_LIMIT_SECONDS = 540
TEST_LIMIT_SECONDS = 120

# The tests of what our package replaces or feeds: streams, responses, the request machinery, WebSockets.
# None of them needs a server besides the ones they start. A version has those of its time.
STREAM_FILES = ("tests/test_streaming.py", "tests/test_sse_framing.py", "tests/test_stream_mode.py")
FILES = (
    *STREAM_FILES,
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
FILES_BY_MODE = {"off": FILES, "stream": STREAM_FILES, "classes": FILES, "client": FILES}
# A WebSocket passes none of our streams; that it begins at our resource is so in the whole client, too.
LEFT_OUT_BY_MODE = {"classes": "test_websocket_*.py"}

# Settings of the person who runs this must not reach the tests: keys, addresses, a login, pytest's own.
FOREIGN_SETTINGS = ("OPENAI_", "AZURE_OPENAI_", "CODEX_", "PYTEST_", "COVERAGE_")


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left: the outcome and, for a failed test, the reason, both by node id; its whole output."""

    outcomes: Mapping[str, str]
    reasons: Mapping[str, str]
    output: str


def unpacked_tests(version: str) -> Path:
    """The folder in which scripts/fetch_upstream_tests.py leaves the tests of one openai version."""
    return ROOT / ".cache" / "upstream" / f"openai-{version}"


def run(mode: str, upstream: Path, report: Path) -> Run:
    """Run the tests of `upstream` in `mode`; the outcomes are written to `report` and returned."""
    report.unlink(missing_ok=True)
    done = subprocess.run(
        command(mode, upstream),
        cwd=upstream,
        env=environment(mode, report),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=RUN_LIMIT_SECONDS,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"The run ended with code {done.returncode} and left no report:\n{done.stdout}")
    document = json.loads(report.read_text(encoding="utf-8"))
    return Run(document["outcomes"], document["reasons"], done.stdout)


def command(mode: str, upstream: Path) -> list[str]:
    """The command line: upstream's own settings, except for what concerns its console."""
    found = [path for glob in FILES_BY_MODE[mode] for path in sorted(upstream.glob(glob))]
    files = [
        str(path.relative_to(upstream)) for path in found if not fnmatch(path.name, LEFT_OUT_BY_MODE.get(mode, ""))
    ]
    return [
        *(sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "plugin", "-p", "no:cacheprovider"),
        *("-p", "no:codex_backend_sdk", "-n", "2", "--timeout", str(TEST_LIMIT_SECONDS), "-q", "--tb=line"),
        *files,
    ]


def environment(mode: str, report: Path) -> dict[str, str]:
    """The environment of a run: ours without foreign settings, and what the plugin reads."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN_SETTINGS)}
    return inherited | {
        "CONFORM_MODE": mode,
        "CONFORM_REPORT": str(report),
        "CODEX_HOME": str(report.parent / "no-login"),
        "CODEX_BASE_URL": "https://127.0.0.1:9/backend-api/codex",  # whatever a test does, it stays on this machine
        "PYTHONPATH": str(HERE),
    }
