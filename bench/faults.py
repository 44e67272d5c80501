"""`python -m bench.faults`: compare what each client does about each fault.

Writes bench/faults.json and the table of docs/fault-comparison.md. Each call has its own simulator and its own
process, which is killed after a time limit.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.environments import ROOT, interpreter_of
from bench.fault_call import PEERS
from bench.fault_cases import CASES, EXPECTED_TEXT, NO_FAULT, Case
from bench.fault_verdict import GOOD, CallFacts, judge_call
from bench.report import replace_between
from codex_backend_sdk.testing import Simulator

__all__ = ["render", "run", "table"]

RESULTS = ROOT / "bench" / "faults.json"
PAGE = ROOT / "docs" / "fault-comparison.md"
MARKERS = "<!-- make faults writes this: begin -->", "<!-- end -->"
_START_TIMEOUT_SECONDS = 60
_CALL_TIMEOUT_SECONDS = 20
# Most of a call is the start of Python, the rest is waiting.
_CONCURRENT_CALLS = 4
_EXPIRED = timedelta(minutes=-5)
_TITLES = {"ours": "this package", "original-0.5.9": "codex-backend-sdk 0.5.9"}


def run(peer: str, case: Case, *, timeout: float = _CALL_TIMEOUT_SECONDS) -> dict[str, Any]:
    """Make one call, limited to `timeout` seconds. Return its facts and the verdict."""
    now = datetime.now(UTC)
    with Simulator(clock=lambda: now) as sim, tempfile.TemporaryDirectory() as home:
        sim.write_codex_home(home, expires_in=_EXPIRED if case.has_expired_token else None)
        name, _, times = case.fault.partition("*")
        if name:
            sim.fail(name, times=int(times) if times else None)
        resets_at = None if case.resets_in is None else int((now + case.resets_in).timestamp())
        facts = _make_call(peer, sim, home, has_expired_token=case.has_expired_token, timeout=timeout)._replace(
            resets_at=resets_at
        )
    verdict = judge_call(case, facts, expected=EXPECTED_TEXT)
    outcome = facts.outcome or {}
    return {
        "fault": case.fault,
        "peer": peer,
        "verdict": verdict.name,
        "details": verdict.details,
        "requests": facts.requests,
        "seconds": outcome.get("seconds"),
        "error": outcome.get("error", {}).get("class"),
    }


def _make_call(peer: str, sim: Simulator, home: str, *, has_expired_token: bool, timeout: float) -> CallFacts:
    login = json.loads((Path(home) / "auth.json").read_text())
    lifetime = _EXPIRED if has_expired_token else timedelta(days=10)
    expires_at = (datetime.now(UTC) + lifetime).timestamp()
    settings = {
        "base_url": sim.base_url,
        "issuer": sim.issuer,
        "login": login,
        "text": EXPECTED_TEXT,
        "expires_at": expires_at,
    }
    # Without the login, the proxy and the configuration of the user.
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": home, "CODEX_HOME": home, "XDG_RUNTIME_DIR": home}
    python = sys.executable if peer == "ours" else str(interpreter_of(peer))
    process = subprocess.Popen(
        [python, "-m", "bench.fault_call", peer],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        line, was_killed = _read_line(process, _START_TIMEOUT_SECONDS)
        if line == "ready\n":
            line, was_killed = _read_line(process, timeout)
        process.kill()
    requests = [request for request in sim.requests if request.path.endswith("/responses")]
    return CallFacts(json.loads(line) if line else None, was_killed, len(requests))


def _read_line(process: subprocess.Popen[str], timeout: float) -> tuple[str, bool]:
    """Return the next line, and whether the process was killed because it printed none within `timeout` seconds."""
    assert process.stdout is not None
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    return line, not line and process.wait() == -signal.SIGKILL


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table of a run."""
    peers = list(results["peers"])
    row_of = {(row["fault"], row["peer"]): row for row in results["rows"]}
    lines = [f"| fault | {' | '.join(_TITLES.get(peer, peer) for peer in peers)} |", "|---|" + "---|" * len(peers)]
    for case in CASES:
        cells = [_cell(row_of[case.fault, peer]) for peer in peers]
        lines.append(f"| {case.title} | {' | '.join(cells)} |")
    counts = [Counter(row["verdict"] for row in results["rows"] if row["peer"] == peer) for peer in peers]
    total = " | ".join(f"{sum(count[verdict] for verdict in GOOD)} of {len(CASES)}" for count in counts)
    lines.append(f"| **correct response or clear error** | {total} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    verdict = row["verdict"] if row["verdict"] in GOOD else f"**{row['verdict']}**"
    return f"{verdict}: {row['details']}" if row["details"] else verdict


def _as_json(results: dict[str, Any]) -> str:
    """Return JSON with one line per row, so that a diff shows what has changed."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in results["rows"])
    return json.dumps({**results, "rows": []}).replace('"rows": []', f'"rows": [\n{rows}\n]') + "\n"


def render(results: dict[str, Any], *, page: Path = PAGE) -> None:
    """Write the table between the markers of the page."""
    replace_between(MARKERS, page, table(results))


def main() -> int:
    """Run the chosen cases. The exit code is 0 whatever the verdicts are."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument(
        "--faults", nargs="+", metavar="FAULT", help="names of faults in bench/fault_cases.py, or parts of names"
    )
    options = parser.parse_args()
    cases = [case for case in CASES if not options.faults or any(part in case.fault for part in options.faults)]
    for peer in options.peers:
        row = run(peer, NO_FAULT)
        if row["verdict"] != "correct response":
            parser.exit(1, f"{peer} fails without any fault, so it cannot be compared: {row}\n")
    start = time.monotonic()
    jobs = [(peer, case) for case in cases for peer in options.peers]
    with ThreadPoolExecutor(_CONCURRENT_CALLS) as pool:
        rows = list(pool.map(lambda job: run(*job), jobs))
        # A busy machine can look like a hang, so these calls are repeated at the end with twice the time.
        hung = [index for index, row in enumerate(rows) if row["verdict"] == "hang"]
        repeated = list(pool.map(lambda index: run(*jobs[index], timeout=2 * _CALL_TIMEOUT_SECONDS), hung))
    for index, row in zip(hung, repeated, strict=True):
        rows[index] = row
    for row in rows:
        print(f"{row['fault']:34} {row['peer']:20} {_cell(row)}", flush=True)
    seconds = round(time.monotonic() - start)
    print(f"{len(rows)} calls in {seconds} s", file=sys.stderr)
    if len(cases) < len(CASES) or len(options.peers) < len(PEERS):
        print("No file was written. Only a complete run writes files.", file=sys.stderr)
        return 0
    results = {"seconds": seconds, "peers": options.peers, "rows": rows}
    RESULTS.write_text(_as_json(results), encoding="utf-8")
    render(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
