"""Kill a batch at random moments, and continue it: each line is in the output once, and finished ones are not repeated.

`BATCH_KILL_LINES=2000 BATCH_KILLS=5 pytest tests/batch/test_kills.py` runs it at full size.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

LINES = int(os.environ.get("BATCH_KILL_LINES", "200"))
KILLS = int(os.environ.get("BATCH_KILLS", "3"))
FAULTS = ("status:500", "reset", "overloaded", "status:503")

PROGRAM = """
import sys
from codex_backend_sdk import OpenAI
from codex_backend_sdk.batch import read_requests

with OpenAI() as client:
    batch = client.codex.batch(read_requests("in.jsonl"), journal="out.jsonl.journal", concurrency=8)
    print(batch.write("out.jsonl"))
"""


@pytest.mark.timeout(60 + LINES)
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_killed_batch_answers_every_line_once(sim: Simulator, tmp_path: Path) -> None:
    home = sim.write_codex_home(tmp_path / "codex")
    environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}
    requests = [{"custom_id": f"line-{number}", "input": f"Prompt {number}"} for number in range(LINES)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(request) + "\n" for request in requests))
    sim.fail(*FAULTS, probability=0.2)
    journal, rng = tmp_path / "out.jsonl.journal", random.Random(7)

    def run() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment)

    finished = 0
    for kill in range(KILLS):
        target = LINES * (kill + 1) // (KILLS + 2)
        with run() as process:
            while count_lines(journal) < target and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.random() * 0.05)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        # A crash can cut the last record off; no other finished line is lost.
        assert count_lines(journal) >= max(target, finished)
        finished = count_lines(journal)
    for _ in range(3):  # a line whose retries failed is sent again by the next run
        with run() as process:
            assert process.wait(LINES + 60) == 0
    output = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(line["custom_id"] for line in output) == sorted(request["custom_id"] for request in requests)
    assert all(line["error"] is None and line["response"]["body"]["status"] == "completed" for line in output)
    records = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    completed = [record["id"] for record in records if record["final"]]
    assert len(completed) == len(set(completed)) == LINES, "no finished line was sent again"
    assert not (tmp_path / "out.errors.jsonl").exists()


def count_lines(journal: Path) -> int:
    """Return the number of whole lines of a journal, without its header."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0
