"""Test batches on a Dask cluster of real worker processes. The programs run in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from codex_backend_sdk.testing import Simulator

pytest.importorskip("distributed")
pytestmark = pytest.mark.timeout(240)

START = """
import os, signal, sys, time
from datetime import timedelta
import codex_backend_sdk as sdk
from codex_backend_sdk import OpenAI

def start_cluster(workers):
    import dask
    from distributed import Client, LocalCluster
    dask.config.set({"distributed.worker.daemon": True, "logging.distributed": "error"})
    cluster = LocalCluster(
        n_workers=workers, threads_per_worker=2, processes=True, dashboard_address=None, memory_limit=0
    )
    return cluster, Client(cluster)

def set_variable(name, value):
    os.environ[name] = value

def lines(count):
    return [{"custom_id": f"line-{n}", "input": f"Prompt {n}"} for n in range(count)]
"""


@pytest.fixture
def run_program(sim: Simulator, tmp_path: Path) -> Any:
    home = sim.write_codex_home(tmp_path / "codex")
    environment = {**os.environ, **sim.environment, "CODEX_HOME": str(home)}

    def run(body: str, **variables: str) -> str:
        indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
        (tmp_path / "program.py").write_text(f"{START}\nif __name__ == '__main__':\n{indented}\n")
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return done.stdout

    return run


def test_killed_worker_loses_and_repeats_no_result(run_program: Any, tmp_path: Path, sim: Simulator) -> None:
    out = run_program("""
cluster, dask_client = start_cluster(3)
victim = list(dask_client.run(os.getpid).values())[0]
killed = []

def kill(progress):
    if progress.completed >= 60 and not killed:
        killed.append(victim)
        os.kill(victim, signal.SIGKILL)

with OpenAI() as client:
    batch = client.codex.batch(lines(400), dask=dask_client, journal="journal", concurrency=12, on_progress=kill)
    progress = batch.write("out.jsonl")
print(progress.completed, progress.failed, len(killed), progress.retries > 0)
dask_client.close()
cluster.close()
""")
    assert out == "400 0 1 True\n"
    output = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert sorted(line["custom_id"] for line in output) == sorted(f"line-{number}" for number in range(400))
    assert all(line["response"]["body"]["status"] == "completed" for line in output)
    assert len(sim.model_requests) >= 400


def test_limit_of_one_worker_pauses_all(run_program: Any, sim: Simulator) -> None:
    sim.script(*["x"] * 30)
    sim.fail("usage_limit:plus,3", times=3)
    out = run_program("""
cluster, dask_client = start_cluster(2)
paused = []
with OpenAI() as client:
    batch = client.codex.batch(
        lines(80), dask=cluster.scheduler_address, wait_for_limit=True, concurrency=4,
        on_progress=lambda progress: paused.append(progress.paused_until),
    )
    results = list(batch)
print(len({result.custom_id for result in results}), sum(result.error is not None for result in results), any(paused))
dask_client.close()
cluster.close()
""")
    assert out == "80 0 True\n"
    assert len(sim.model_requests) <= 80 + 4


def test_worker_without_login_fails_the_run_at_start(run_program: Any, sim: Simulator, tmp_path: Path) -> None:
    out = run_program("""
cluster, dask_client = start_cluster(2)
dask_client.run(set_variable, "CODEX_HOME", "/nonexistent", workers=[sorted(dask_client.nthreads())[1]])
with OpenAI() as client:
    try:
        list(client.codex.batch(lines(10), dask=dask_client))
    except sdk.LoginRequiredError as error:
        print(error)
dask_client.close()
cluster.close()
""")
    assert out.startswith("Dask workers without a login: 1 of 2. ")
    assert "codex-backend login" in out
    assert not sim.model_requests


def test_client_is_made_on_the_worker(run_program: Any, sim: Simulator) -> None:
    out = run_program(
        """
cluster, dask_client = start_cluster(1)
token = os.environ.pop("TOKEN")
dask_client.run(set_variable, "MY_TOKEN", token)

def connect():
    return OpenAI(credentials=sdk.StaticToken(os.environ["MY_TOKEN"]))

with OpenAI(credentials=sdk.StaticToken(token), model="gpt-5.5") as client:
    batch = client.codex.batch(lines(5), dask=dask_client, connect=connect)
    print(sorted({result.response.model for result in batch}))
dask_client.close()
cluster.close()
""",
        TOKEN=sim.personal_access_token(),
    )
    assert out == "['gpt-5.5']\n"


def test_line_that_ends_workers_is_marked(run_program: Any) -> None:
    out = run_program("""
cluster, dask_client = start_cluster(2)

def connect():
    from codex_backend_sdk.resources.responses import Responses
    create = Responses.create
    def create_or_die(self, **params):
        if params["input"] == "Prompt 3":
            os.kill(os.getpid(), signal.SIGKILL)
        return create(self, **params)
    Responses.create = create_or_die
    return OpenAI()

with OpenAI() as client:
    results = list(client.codex.batch(lines(4), dask=dask_client, connect=connect, concurrency=8))
print(sorted((result.custom_id, result.error.code) for result in results if result.error), len(results))
dask_client.close()
cluster.close()
""")
    assert out == "[('line-3', 'worker_lost')] 4\n"
