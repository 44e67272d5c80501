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

from bench.environments import ROOT, ready
from bench.fault_call import PEERS
from bench.fault_cases import CASES, NOTHING, SAID, Case
from bench.fault_verdict import GOOD, Facts, judge
from codex_backend_sdk.testing import Simulator

__all__ = ["render", "run", "table"]

RESULTS = ROOT / "bench" / "faults.json"
PAGE = ROOT / "docs" / "fault-comparison.md"
_BEGIN, _END = "<!-- make faults writes this: begin -->", "<!-- end -->"
_START_SECONDS = 60
_LIMIT_SECONDS = 20
# Most of a call is starting Python, the rest is waiting.
_AT_ONCE = 4
_EXPIRED = timedelta(minutes=-5)
_TITLES = {"ours": "this package", "original-0.5.9": "codex-backend-sdk 0.5.9"}


def run(peer: str, case: Case, *, limit: float = _LIMIT_SECONDS) -> dict[str, Any]:
    """Make one call, which may take so many seconds, and return what was measured and what it means."""
    now = datetime.now(UTC)
    with Simulator(clock=lambda: now) as sim, tempfile.TemporaryDirectory() as home:
        sim.write_codex_home(home, expires_in=_EXPIRED if case.expired else None)
        name, _, times = case.fault.partition("*")
        if name:
            sim.fail(name, times=int(times) if times else None)
        resets_at = None if case.resets_in is None else int((now + case.resets_in).timestamp())
        facts = _facts(peer, sim, home, expired=case.expired, limit=limit)._replace(resets_at=resets_at)
    verdict = judge(case, facts, expected=SAID)
    said = facts.said or {}
    return {
        "fault": case.fault,
        "peer": peer,
        "verdict": verdict.word,
        "details": verdict.details,
        "requests": facts.requests,
        "seconds": said.get("seconds"),
        "error": said.get("error", {}).get("class"),
    }


def _facts(peer: str, sim: Simulator, home: str, *, expired: bool, limit: float) -> Facts:
    login = json.loads((Path(home) / "auth.json").read_text())
    lifetime = _EXPIRED if expired else timedelta(days=10)
    expires_at = (datetime.now(UTC) + lifetime).timestamp()
    told = {"base_url": sim.base_url, "issuer": sim.issuer, "login": login, "say": SAID, "expires_at": expires_at}
    # Nobody's own login, proxy or configuration.
    own = {"PATH": os.environ.get("PATH", ""), "HOME": home, "CODEX_HOME": home, "XDG_RUNTIME_DIR": home}
    python = sys.executable if peer == "ours" else str(ready(peer))
    process = subprocess.Popen(
        [python, "-m", "bench.fault_call", peer],
        cwd=ROOT,
        env=own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        line, killed = _line(process, _START_SECONDS)
        if line == "made\n":
            line, killed = _line(process, limit)
        process.kill()
    asked = [request for request in sim.requests if request.path.endswith("/responses")]
    return Facts(json.loads(line) if line else None, killed, len(asked))


def _line(process: subprocess.Popen[str], limit: float) -> tuple[str, bool]:
    """Return the next line, and whether the process was killed because none came within so many seconds."""
    assert process.stdout is not None
    timer = threading.Timer(limit, process.kill)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    return line, not line and process.wait() == -signal.SIGKILL


def table(results: dict[str, Any]) -> str:
    """Return the Markdown table of a run."""
    peers = list(results["peers"])
    found = {(row["fault"], row["peer"]): row for row in results["rows"]}
    lines = [f"| fault | {' | '.join(_TITLES.get(peer, peer) for peer in peers)} |", "|---|" + "---|" * len(peers)]
    for case in CASES:
        cells = [_cell(found[case.fault, peer]) for peer in peers]
        lines.append(f"| {case.title} | {' | '.join(cells)} |")
    counts = [Counter(row["verdict"] for row in results["rows"] if row["peer"] == peer) for peer in peers]
    total = " | ".join(f"{sum(count[word] for word in GOOD)} of {len(CASES)}" for count in counts)
    lines.append(f"| **correct response or clear error** | {total} |")
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any]) -> str:
    word = row["verdict"] if row["verdict"] in GOOD else f"**{row['verdict']}**"
    return f"{word}: {row['details']}" if row["details"] else word


def _as_lines(results: dict[str, Any]) -> str:
    """Return JSON with one line for each row, so that a diff shows what has changed."""
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in results["rows"])
    return json.dumps({**results, "rows": []}).replace('"rows": []', f'"rows": [\n{rows}\n]') + "\n"


def render(results: dict[str, Any], *, page: Path = PAGE) -> None:
    """Write the table into the page, between its two markers."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    page.write_text(f"{before}{_BEGIN}\n\n{table(results)}\n{_END}{after}", encoding="utf-8")


def main() -> int:
    """Run what the command line asks for; the exit code says nothing about the results."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--peers", nargs="+", choices=list(PEERS), default=list(PEERS))
    parser.add_argument("--faults", nargs="+", metavar="FAULT", help="the names of bench/fault_cases.py, or parts")
    asked = parser.parse_args()
    cases = [case for case in CASES if not asked.faults or any(part in case.fault for part in asked.faults)]
    for peer in asked.peers:
        if (found := run(peer, NOTHING))["verdict"] != "correct response":
            parser.exit(1, f"{peer} cannot be compared, it fails where nothing goes wrong: {found}\n")
    begun = time.monotonic()
    jobs = [(peer, case) for case in cases for peer in asked.peers]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        rows = list(pool.map(lambda job: run(*job), jobs))
        # A busy machine is no hang: again, when the others are done, and for longer.
        hung = [place for place, row in enumerate(rows) if row["verdict"] == "hang"]
        again = list(pool.map(lambda place: run(*jobs[place], limit=2 * _LIMIT_SECONDS), hung))
    for place, row in zip(hung, again, strict=True):
        rows[place] = row
    for row in rows:
        print(f"{row['fault']:34} {row['peer']:20} {_cell(row)}", flush=True)
    seconds = round(time.monotonic() - begun)
    print(f"{len(rows)} calls in {seconds} s", file=sys.stderr)
    if len(cases) < len(CASES) or len(asked.peers) < len(PEERS):
        print("Nothing was written: only a whole run is.", file=sys.stderr)
        return 0
    results = {"seconds": seconds, "peers": asked.peers, "rows": rows}
    RESULTS.write_text(_as_lines(results), encoding="utf-8")
    render(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
