"""`python -m bench.soak --minutes 10`: many callers at once on a backend that fails, and nothing may be left behind.

Half of the callers are threads with the sync client, half are tasks with the async one. Every call asks for a text that
nobody else asks for, and has to end in it or in an error with a class. The exit code is 1 when one did not, when one
hung, or when sockets, threads, tasks or memory grew after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.environments import ROOT
from bench.soak_callers import Outcomes, call_async, call_sync
from codex_backend_sdk import AsyncOpenAI, OpenAI
from codex_backend_sdk.auth import Credentials, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Held", "grown", "soak"]

# Of the whole time; before it nobody knows how many connections there will be.
_WARM_UP = 0.2
# A call may take that long by itself, on a machine that has other things to do.
_HANG_SECONDS = 60.0
_LIMITS = {"first_byte_timeout": 2.0, "idle_timeout": 2.0, "total_timeout": 20.0, "max_retry_after": 5.0}
_MEGABYTE = 1 << 20


class Held(NamedTuple):
    """What this process holds; `memory` in bytes."""

    sockets: int
    threads: int
    tasks: int
    objects: int
    memory: int

    @classmethod
    def now(cls, tasks: int) -> Held:
        """Count, after the garbage was collected."""
        gc.collect()
        descriptors = Path("/proc/self/fd")
        links = (
            [os.readlink(each) for each in descriptors.iterdir() if each.is_symlink()] if descriptors.exists() else []
        )
        sockets = sum(link.startswith("socket:") for link in links)
        return cls(sockets, threading.active_count(), tasks, len(gc.get_objects()), _memory())


def _memory() -> int:
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0


def grown(warm: Held, end: Held, *, callers: int) -> list[str]:
    """Say what has grown between two moments at which no call was under way."""
    may_grow = Held(
        # The pools keep idle connections, as many as there were calls at once.
        sockets=max(2 * callers - warm.sockets, 0),
        threads=2,
        tasks=0,
        objects=warm.objects // 10 + 5000,
        memory=warm.memory // 10 + 20 * _MEGABYTE,
    )
    return [
        f"{name} grew from {before} to {after}"
        for name, before, after, more in zip(Held._fields, warm, end, may_grow, strict=True)
        if after - before > more
    ]


@contextmanager
def _backend(seed: int, share: float) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Run the simulator in a process of its own; the second mapping is filled at the end."""
    command = [sys.executable, "-m", "bench.soak_server", str(seed), str(share)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    at_the_end: dict[str, Any] = {}
    try:
        yield json.loads(process.stdout.readline()), at_the_end
        process.stdin.close()
        at_the_end.update(json.loads(process.stdout.readline()))
        process.wait(_HANG_SECONDS)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _Crowd:
    """The clients, and the callers that share them."""

    def __init__(self, told: dict[str, Any], callers: int) -> None:
        self._callers = callers
        self._runner = asyncio.Runner()
        login = Credentials(MemoryStore(told["login"]), issuer=told["issuer"])
        given: Any = {"base_url": told["base_url"], "issuer": told["issuer"], "credentials": login, **_LIMITS}
        client, async_client = OpenAI(**given), AsyncOpenAI(**given)
        # Every other call may begin again in the middle.
        self._sync: list[Any] = [client, client.with_options(on_interrupt="restart")]
        self._async: list[Any] = [async_client, async_client.with_options(on_interrupt="restart")]

    def call(self, seconds: float, outcomes: Outcomes, phase: str) -> int:
        """Let all of them call for so long, wait for the last to end, and return the number of those that hung."""
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(
                target=call_sync, args=(self._sync, f"{phase} thread {number}", outcomes, until), daemon=True
            )
            for number in range(self._callers // 2)
        ]
        for thread in threads:
            thread.start()
        hung = self._runner.run(self._call_async(seconds, outcomes, phase, until))
        for thread in threads:
            thread.join(max(until + _HANG_SECONDS - time.monotonic(), 0))
        return hung + sum(thread.is_alive() for thread in threads)

    async def _call_async(self, seconds: float, outcomes: Outcomes, phase: str, until: float) -> int:
        tasks = [
            asyncio.create_task(call_async(self._async, f"{phase} task {number}", outcomes, until))
            for number in range(self._callers - self._callers // 2)
        ]
        done, pending = await asyncio.wait(tasks, timeout=seconds + _HANG_SECONDS)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
        return len(pending)

    def held(self) -> Held:
        """Count what there is."""

        async def others() -> int:
            return len(asyncio.all_tasks()) - 1

        return Held.now(self._runner.run(others()))

    def close(self) -> None:
        """Close the clients."""
        self._sync[0].close()
        self._runner.run(self._async[0].close())
        self._runner.close()


def soak(*, seconds: float, callers: int, seed: int, share: float) -> tuple[list[str], list[str]]:
    """Return the lines of the report, and what was found to be wrong."""
    before = Held.now(0)
    warming, outcomes = Outcomes(), Outcomes()
    begun = time.monotonic()
    with _backend(seed, share) as (told, asked):
        crowd = _Crowd(told, callers)
        hung = crowd.call(seconds * _WARM_UP, warming, "warm")
        warm = crowd.held()
        hung += crowd.call(seconds * (1 - _WARM_UP), outcomes, "hot")
        end = crowd.held()
        crowd.close()
    after = Held.now(0)
    wrong = [*warming.defects, *outcomes.defects, *grown(warm, end, callers=callers)]
    wrong += [f"{hung} callers hung"] if hung else []
    wrong += [f"{after.sockets - before.sockets} sockets were left open"] if after.sockets > before.sockets else []
    total = sum(outcomes.counts.values())
    lines = [
        f"{callers} callers for {time.monotonic() - begun:.0f} s, seed {seed}, faults at {share:.0%}: "
        f"{total} calls after the warm-up, {asked['requests']} requests in all",
        "latency: " + ", ".join(f"p{share:g} {outcomes.percentile(share / 100):.3f} s" for share in (50, 95, 99, 100)),
        *(f"    {name}: {count} ({count / total:.2%})" for name, count in outcomes.counts.most_common()),
        *(f"{name}: {moment}" for name, moment in (("warm", warm), ("end", end), ("closed", after))),
    ]
    return lines, wrong


def main() -> int:
    """Soak, and print the report."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--callers", type=int, default=200)
    parser.add_argument("--share", type=float, default=0.2, help="of the requests that fail")
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed when it is not given")
    asked = parser.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    lines, wrong = soak(seconds=asked.minutes * 60, callers=asked.callers, seed=seed, share=asked.share)
    print("\n".join(lines))
    print("\n".join(f"WRONG: {each}" for each in wrong) or "Nothing was wrong, nothing was left behind.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
