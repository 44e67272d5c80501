"""Test batches on a Dask cluster of real worker processes.

A worker needs seconds to start, so one program runs all scenarios on one cluster. It runs in a process of its own, as
the spawned workers import its main module.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("distributed")

PROGRAM = """
import json, os, signal, sys
from distributed import Client, LocalCluster
import codex_backend_sdk as sdk
from codex_backend_sdk import OpenAI
from codex_backend_sdk.testing import Simulator

def lines(count):
    return [{"custom_id": f"line-{n}", "input": f"Prompt {n}"} for n in range(count)]

def start_cluster(workers):
    return LocalCluster(
        n_workers=workers, threads_per_worker=2, processes=True, dashboard_address=None, memory_limit=0
    )

def set_variable(name, value):
    os.environ[name] = value

def counts(results):
    return [len(results), len({result.custom_id for result in results}), sum(r.error is not None for r in results)]

def worker_without_login_ends_the_run_at_start():
    worker, home = sorted(dask_client.nthreads())[1], os.environ["CODEX_HOME"]
    dask_client.run(set_variable, "CODEX_HOME", "/nonexistent", workers=[worker])
    try:
        list(client.codex.batch(lines(10), dask=dask_client))
    except sdk.LoginRequiredError as error:
        text = str(error)
    dask_client.run(set_variable, "CODEX_HOME", home, workers=[worker])
    return [text.startswith("Dask workers without a login: 1 of 3. "), "codex-backend login" in text, requests()]

def client_is_made_on_the_worker():
    token = sim.personal_access_token()
    dask_client.run(set_variable, "MY_TOKEN", token)
    def connect():
        return OpenAI(credentials=sdk.StaticToken(os.environ["MY_TOKEN"]))
    with OpenAI(credentials=sdk.StaticToken(token), model="gpt-5.5") as other:
        batch = other.codex.batch(lines(5), dask=dask_client, connect=connect)
        return sorted({result.response.model for result in batch})

def limit_of_one_worker_pauses_all():
    sim.script(*["x"] * 15)
    sim.fail("usage_limit:plus,3", times=3)
    paused = []
    batch = client.codex.batch(
        lines(40), dask=cluster.scheduler_address, wait_for_limit=True, concurrency=4,
        on_progress=lambda progress: paused.append(progress.paused_until),
    )
    return [counts(list(batch)), any(paused), requests() <= 40 + 4]

def lines_of_a_killed_worker_are_sent_again():
    victim = next(iter(dask_client.run(os.getpid).values()))
    killed = []
    def kill(progress):
        if progress.completed >= 40 and not killed:
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)
    batch = client.codex.batch(lines(200), dask=dask_client, journal="journal", concurrency=12, on_progress=kill)
    batch.write("out.jsonl")
    with open("out.jsonl") as file:
        ids = [json.loads(line)["custom_id"] for line in file]
    return [len(ids), len(set(ids)), len(killed), batch.progress.retries > 0]

def line_that_ends_workers_is_marked():
    def connect():
        from codex_backend_sdk.resources.responses import Responses
        create = Responses.create
        def create_or_die(self, **params):
            if params["input"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            return create(self, **params)
        Responses.create = create_or_die
        return OpenAI()
    rows = [*lines(3), {"custom_id": "deadly", "input": "die"}]
    results = list(client.codex.batch(rows, dask=dask_client, connect=connect, concurrency=8))
    return [len(results), [(result.custom_id, result.error.code) for result in results if result.error]]

def lost_scheduler_ends_the_run():
    cluster = start_cluster(1)  # the nannies of killed workers may still start new ones in the other cluster
    closed = []
    def close(progress):
        if progress.completed >= 20 and not closed:
            closed.append(1)
            cluster.sync(cluster.scheduler.close)
    address = cluster.scheduler_address
    done = []
    try:
        done.extend(client.codex.batch(lines(200), dask=address, journal="other", concurrency=4, on_progress=close))
    except sdk.BatchStoppedError as error:
        text = f"{error.reason}: {error}"
    rest = list(client.codex.batch(lines(200), journal="other"))
    known = sum(result.is_from_journal for result in rest)
    try:
        list(client.codex.batch(["x"], dask=address))
    except sdk.BatchInputError as error:
        unreachable = str(error)
    return [text, counts(rest), known >= 20, "Cannot connect to the Dask scheduler tcp://" in unreachable]

def requests():
    return len(sim.model_requests)

SCENARIOS = (
    worker_without_login_ends_the_run_at_start, client_is_made_on_the_worker, limit_of_one_worker_pauses_all,
    lines_of_a_killed_worker_are_sent_again, line_that_ends_workers_is_marked, lost_scheduler_ends_the_run,
)

if __name__ == "__main__":
    import dask

    dask.config.set({"distributed.worker.daemon": True, "logging.distributed": "critical"})
    dask.config.set({"distributed.comm.timeouts.connect": "5s"})
    with Simulator() as sim:
        os.environ |= {**sim.environment, "CODEX_HOME": str(sim.write_codex_home("codex").resolve())}
        client = OpenAI()
        cluster = start_cluster(3)
        dask_client = Client(cluster)
        for scenario in SCENARIOS:
            sim.clear()
            print(json.dumps([scenario.__name__, scenario()]), flush=True)
        os._exit(0)  # closing a cluster takes seconds
"""
STOPPED = (
    "failures: The connection to the Dask scheduler was lost. Start the scheduler and its workers, and run the batch "
    "again to continue; finished lines are not sent again."
)


@pytest.mark.timeout(400)
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_batch_on_a_cluster_survives_its_losses(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=390, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert dict(map(json.loads, done.stdout.splitlines())) == {
        "worker_without_login_ends_the_run_at_start": [True, True, 0],
        "client_is_made_on_the_worker": ["gpt-5.5"],
        "limit_of_one_worker_pauses_all": [[40, 40, 0], True, True],
        "lines_of_a_killed_worker_are_sent_again": [200, 200, 1, True],
        "line_that_ends_workers_is_marked": [4, [["deadly", "worker_lost"]]],
        "lost_scheduler_ends_the_run": [STOPPED, [200, 200, 0], True, True],
    }
