"""`python -m bench.soak --minutes 10`: concurrent callers on a backend that fails, with checks for errors and leaks.

Half of the callers are threads with the sync client, half are tasks with the async one. A few forked processes use the
sync client as well, with its idle connections. Each call requests a text that
no other call requests, and must return it or raise an exception of openai. The exit code is 1 if a call did neither,
if one hung, or if the number of sockets, threads, tasks or objects, or the memory, grew after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.environments import ROOT
from bench.soak_callers import Outcomes, call_async, call_forked, call_sync
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.auth import Credentials, FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ResourceCounts", "growth", "soak"]

# Fraction of the time. Before its end the number of pooled connections is not yet stable.
_WARM_UP_FRACTION = 0.2
# A short warm-up on a slow machine does not meet every kind of error, whose modules and models are loaded on first use.
# It is repeated while the resources grow; a leak grows in every phase, and therefore also after the last one.
_WARM_UPS = 5
# A call can take this long without an error on a busy machine.
_HANG_SECONDS = 60.0
_TIMEOUTS = {"first_byte_timeout": 2.0, "idle_timeout": 2.0, "total_timeout": 20.0, "max_retry_after": 5.0}
_FORKED_CALLERS = 4
_MEGABYTE = 1 << 20


class ResourceCounts(NamedTuple):
    """The resources of this process; `memory` in bytes."""

    sockets: int
    threads: int
    tasks: int
    objects: int
    memory: int

    @classmethod
    def measure(cls, tasks: int) -> ResourceCounts:
        """Count the resources after a garbage collection."""
        gc.collect()
        descriptors = Path("/proc/self/fd")
        links = (
            [os.readlink(path) for path in descriptors.iterdir() if path.is_symlink()] if descriptors.exists() else []
        )
        sockets = sum(link.startswith("socket:") for link in links)
        return cls(sockets, threading.active_count(), tasks, len(gc.get_objects()), _memory())


def _memory() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0


def growth(warm: ResourceCounts, end: ResourceCounts, *, callers: int) -> list[str]:
    """Describe the resources that grew between two moments without a running call."""
    allowed = ResourceCounts(
        # The pools keep as many idle connections as there were concurrent calls.
        sockets=max(2 * callers - warm.sockets, 0),
        threads=2,
        tasks=0,
        objects=warm.objects // 10 + 5000,
        memory=warm.memory // 10 + 20 * _MEGABYTE,
    )
    return [
        f"{name} grew from {before} to {after}"
        for name, before, after, limit in zip(ResourceCounts._fields, warm, end, allowed, strict=True)
        if after - before > limit
    ]


@contextmanager
def _backend(seed: int, probability: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Run the simulator in another process. Yields its settings, and its statistics, which are filled in at the end."""
    command = [sys.executable, "-m", "bench.soak_server", str(seed), str(probability)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    statistics: dict[str, Any] = {}
    try:
        yield json.loads(process.stdout.readline()), statistics
        process.stdin.close()
        statistics.update(json.loads(process.stdout.readline()))
        process.wait(_HANG_SECONDS)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _Callers:
    """The clients and the callers that share them."""

    def __init__(self, settings: dict[str, Any], count: int) -> None:
        self._count = count
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        # In a file, because the forked processes share the login.
        store = FileStore(Path(self._folder.name) / "auth.json")
        store.save(settings["login"])
        login = Credentials(store, issuer=settings["issuer"])
        login.refresh(login.current())  # imports the modules of a refresh before the resources are counted
        options: Any = {
            "base_url": settings["base_url"],
            "issuer": settings["issuer"],
            "credentials": login,
            **_TIMEOUTS,
        }
        client, async_client = OpenAI(**options), AsyncOpenAI(**options)
        # Every other call may restart its stream.
        self._sync: list[Any] = [client, client.with_options(on_interrupt="restart")]
        self._async: list[Any] = [async_client, async_client.with_options(on_interrupt="restart")]

    def call(self, seconds: float, outcomes: Outcomes, phase: str) -> int:
        """Let all callers call for `seconds`, wait for the last call, and return the number of callers that hung."""
        deadline = time.monotonic() + seconds
        children = self._fork(deadline) if phase == "hot" else []  # the sync client then has idle connections
        threads = [
            threading.Thread(
                target=call_sync, args=(self._sync, f"{phase} thread {number}", outcomes, deadline), daemon=True
            )
            for number in range(self._count // 2)
        ]
        for thread in threads:
            thread.start()
        hung = self._runner.run(self._call_async(seconds, outcomes, phase, deadline))
        for thread in threads:
            thread.join(max(deadline + _HANG_SECONDS - time.monotonic(), 0))
        for process, reader in children:
            if reader.poll(max(deadline + _HANG_SECONDS - time.monotonic(), 0)):
                outcomes.add(reader.recv())
            else:
                hung += 1
                process.kill()
            process.join()
            reader.close()
        return hung + sum(thread.is_alive() for thread in threads)

    def _fork(self, deadline: float) -> list[tuple[Any, Any]]:
        """Fork processes that use the sync client."""
        if not hasattr(os, "fork"):
            return []
        context = multiprocessing.get_context("fork")
        children = []
        for number in range(_FORKED_CALLERS):
            reader, writer = context.Pipe(duplex=False)
            process = context.Process(
                target=call_forked, args=(self._sync, f"hot process {number}", deadline, writer), daemon=True
            )
            process.start()
            writer.close()
            children.append((process, reader))
        return children

    async def _call_async(self, seconds: float, outcomes: Outcomes, phase: str, deadline: float) -> int:
        tasks = [
            asyncio.create_task(call_async(self._async, f"{phase} task {number}", outcomes, deadline))
            for number in range(self._count - self._count // 2)
        ]
        done, pending = await asyncio.wait(tasks, timeout=seconds + _HANG_SECONDS)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
        return len(pending)

    def resources(self) -> ResourceCounts:
        """Measure the resources, with the tasks of the event loop."""

        async def other_tasks() -> int:
            return len(asyncio.all_tasks()) - 1

        return ResourceCounts.measure(self._runner.run(other_tasks()))

    def close(self) -> None:
        """Close the clients."""
        self._sync[0].close()
        self._runner.run(self._async[0].close())
        self._runner.close()
        self._folder.cleanup()


def soak(*, seconds: float, callers: int, seed: int, probability: float) -> tuple[list[str], list[str]]:
    """Run a soak test. Return the lines of its report, and its defects."""
    before = ResourceCounts.measure(0)
    warm_up, outcomes = Outcomes(), Outcomes()
    start = time.monotonic()
    with _backend(seed, probability) as (settings, statistics):
        group = _Callers(settings, callers)
        hung, warm = 0, before
        for number in range(_WARM_UPS):
            cold = warm
            hung += group.call(seconds * _WARM_UP_FRACTION, warm_up, f"warm {number}")
            warm = group.resources()
            if not growth(cold, warm, callers=callers):
                break
        hung += group.call(seconds * (1 - _WARM_UP_FRACTION), outcomes, "hot")
        end = group.resources()
        group.close()
    after = ResourceCounts.measure(0)
    defects = [*warm_up.defects, *outcomes.defects, *growth(warm, end, callers=callers)]
    defects += [f"{hung} callers hung"] if hung else []
    defects += [f"{after.sockets - before.sockets} sockets were left open"] if after.sockets > before.sockets else []
    total = sum(outcomes.counts.values())
    lines = [
        f"{callers} callers for {time.monotonic() - start:.0f} s, seed {seed}, fault probability {probability:.0%}: "
        f"{total} calls after the warm-up, {statistics['requests']} requests in all",
        "latency: "
        + ", ".join(f"p{percent:g} {outcomes.percentile(percent / 100):.3f} s" for percent in (50, 95, 99, 100)),
        *(f"    {name}: {count} ({count / total:.2%})" for name, count in outcomes.counts.most_common()),
        *(f"{name}: {moment}" for name, moment in (("warm", warm), ("end", end), ("closed", after))),
    ]
    return lines, defects


def main() -> int:
    """Run the soak test and print its report."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--probability", type=float, default=0.2, help="of a fault, for each request")
    parser.add_argument("--seed", type=int, default=None, help="default: random, and printed")
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    lines, defects = soak(
        seconds=options.minutes * 60, callers=options.callers, seed=seed, probability=options.probability
    )
    print("\n".join(lines))
    print("\n".join(f"DEFECT: {defect}" for defect in defects) or "No defects and no leaks.")
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
