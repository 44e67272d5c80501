"""Drive a run with the workers of a Dask cluster.

This process is the coordinator: it reads the input, writes the journal and decides, and the workers hold nothing. It
sends chunks of at most 20 lines, two to a worker, and releases the future of a chunk as soon as its outcomes are in the
journal. Each chunk is bound to one worker, so the scheduler never repeats it by itself. When a worker is lost, its
chunks are sent to others: at least once to the backend, exactly once into the output. A chunk during which workers were
lost twice is split, until the line that ends workers is found and marked as failed.

The concurrency is that of the whole run. Each worker has a share of it; when one of them meets a usage limit, all get
the share 0 until the reset.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .._constants import INSTALL_EXTRA
from .._exceptions import BatchInputError, BatchStoppedError, LoginRequiredError
from . import dask_worker
from .dask_worker import ChunkOutcome, WorkerSettings
from .lines import BatchRequest, failure_line
from .results import BatchResult
from .run import End, Outcome
from .schedule import AdaptiveLimit, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .run import BatchRun

__all__ = ["iterate"]

log = logging.getLogger("codex_backend_sdk.batch")

_CHUNK_LINES: Final = 20
_CHUNKS_PER_WORKER: Final = 2
_RENEW_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.5
_RESULT_TIMEOUT_SECONDS: Final = 30.0
_LOSSES_BEFORE_SPLIT: Final = 2
_LOSSES_OF_A_LINE: Final = 3
_NO_WORKER_SECONDS: Final = 120.0
_MAX_LINES_RUNNING: Final = 2000
_SCHEDULER_LOST: Final = (
    "The connection to the Dask scheduler was lost. Start the scheduler and its workers, and run the batch again to "
    "continue; finished lines are not sent again."
)


@dataclass(slots=True, eq=False)
class _Chunk:
    requests: list[BatchRequest]
    losses: int = 0
    worker: str = ""
    future: Any = None


def iterate(run: BatchRun, dask: Any, connect: Any, text_format: Any) -> Iterator[BatchResult[Any]]:
    """Run the lines on a cluster, and yield the results. `dask` is an address or a `distributed.Client`."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise BatchInputError(
            "A batch on a Dask cluster needs the package distributed, which is not installed. "
            + INSTALL_EXTRA.format("dask")
        ) from None
    is_own = not isinstance(dask, Client)
    cluster: Any = _connect(dask) if is_own else dask
    coordinator = _Coordinator(run, cluster, connect, text_format)
    try:
        run.open()
        coordinator.open()
        while True:
            step = run.next_step()
            if isinstance(step, BatchRequest):
                coordinator.add(step)
                continue
            coordinator.send_chunks()
            if isinstance(step, BatchResult):
                run.report()
                yield step
                coordinator.drain()
            elif isinstance(step, End):
                break
            else:
                run.report()
                coordinator.wait(step)
        if run.journal is not None:
            run.journal.flush()
        run.report(now=True)
        if step.error is not None:
            raise step.error
    finally:
        coordinator.close()
        run.close()
        if is_own:
            cluster.close()


def _connect(address: Any) -> Any:
    from distributed import Client

    try:
        return Client(address, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise BatchInputError(
            f"Cannot connect to the Dask scheduler {address!s:.200} ({error!s:.200}). Start it, or correct the "
            "address. No request was sent."
        ) from error


class _Coordinator:
    def __init__(self, run: BatchRun, cluster: Any, connect: Any, text_format: Any) -> None:
        self._run = run
        self._cluster = cluster
        self._settings = WorkerSettings(
            run_id=uuid.uuid4().hex,
            client_class=type(run.request_client),
            client_options=run.worker_options(),
            text_format=text_format,
            connect=connect,
        )
        self._limit = AdaptiveLimit()
        if run.requested_concurrency is not None:
            self._limit.raise_to(run.requested_concurrency)
        self._workers: dict[str, bool] = {}  # address → whether it has a login
        self._shares: dict[str, int] = {}
        self._period = 0  # the number of pauses that have ended
        self._was_paused = False
        self._new: list[BatchRequest] = []
        self._again: deque[_Chunk] = deque()
        self._chunks: dict[str, _Chunk] = {}
        self._finished: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._renew = threading.Event()
        self._is_closed = False
        self._seconds_without_worker = 0.0
        self._number = 0

    # --- workers -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Check the login of all workers, and give them their shares. Raises LoginRequiredError with their names."""
        self._run.schedule.allow(_MAX_LINES_RUNNING)
        try:
            self._cluster.wait_for_workers(1, timeout=_NO_WORKER_SECONDS)
        except TimeoutError:
            raise BatchStoppedError(
                "The Dask cluster has no worker. Start workers, and run the batch again. No request was sent.",
                reason="failures",
                progress=self._run.progress(),
            ) from None
        problems = self._check_new_workers()
        if problems:
            names = {address: info.get("name") for address, info in self._cluster.scheduler_info()["workers"].items()}
            text = "; ".join(f"{names.get(address) or address}: {problem}" for address, problem in problems.items())
            raise LoginRequiredError(
                f"Dask workers without a login: {len(problems)} of {len(self._workers)}. {text} Log in on each worker, "
                "or pass `connect`, a function that returns a logged-in client there. No request was sent."
            )
        self._renew_shares()
        threading.Thread(target=self._renew_repeatedly, name="codex-batch-shares", daemon=True).start()

    def _check_new_workers(self) -> dict[str, str]:
        """Check the workers that joined, forget those that left, and return the problems by address."""
        present = self._present_workers()
        for address in set(self._workers) - present:
            del self._workers[address]
        joined = sorted(present - set(self._workers))
        if not joined:
            return {}
        problems = self._cluster.run(dask_worker.check_login, self._settings, workers=joined, on_error="return")
        found = {}
        for address in joined:
            problem = problems.get(address)
            if isinstance(problem, BaseException):
                if isinstance(problem, OSError):  # it has left again
                    continue
                problem = f"{type(problem).__name__}: {problem}"
            self._workers[address] = problem is None
            if problem is not None:
                found[address] = problem
        self._renew.set()
        return found

    def _present_workers(self) -> set[str]:
        """Return the addresses of all workers. Raises BatchStoppedError if the scheduler is lost."""
        cluster = self._cluster
        if cluster.status == "connecting":  # for 30 seconds, then the client is closed
            return set()
        try:
            if cluster.status == "running":
                return set(cluster.sync(cluster.scheduler.ncores, callback_timeout=_RESULT_TIMEOUT_SECONDS))
        except (OSError, AttributeError) as error:  # a timeout, too; the client may have been closed meanwhile
            log.warning("The Dask scheduler does not respond: %s", error)
        raise BatchStoppedError(_SCHEDULER_LOST, reason="failures", progress=self._run.progress())

    def _usable_workers(self) -> list[str]:
        return [address for address, has_login in self._workers.items() if has_login]

    def _renew_repeatedly(self) -> None:
        while not self._is_closed:
            self._renew.wait(_RENEW_SECONDS)
            self._renew.clear()
            self._renew_shares()

    def _renew_shares(self) -> None:
        is_paused = self._run.schedule.pause is not None
        self._period += self._was_paused and not is_paused
        self._was_paused = is_paused
        workers = self._usable_workers()
        total = 0 if is_paused else self._limit.allowed
        shares = {}
        for number, address in enumerate(workers):
            # The first workers get what cannot be divided.
            share = total // len(workers) + (number < total % len(workers))
            arguments = (self._settings.run_id, share, self._period)
            with suppress(Exception):  # it was lost meanwhile, which the coordinator finds out
                self._cluster.run(dask_worker.renew_share, *arguments, workers=[address], on_error="ignore")
                shares[address] = share
        self._shares = shares

    def close(self) -> None:
        """Cancel what runs, and close the clients of the workers."""
        self._is_closed = True
        self._renew.set()
        for chunk in self._chunks.values():
            chunk.future.cancel(force=True)
        if self._cluster.status == "running":
            with suppress(Exception):  # the cluster may be gone
                self._cluster.run(dask_worker.end_run, self._settings.run_id, on_error="ignore")

    # --- chunks ------------------------------------------------------------------------------------------------------

    def add(self, request: BatchRequest) -> None:
        """Add a line to the next chunk."""
        self._new.append(request)
        if len(self._new) >= _CHUNK_LINES:
            self._again.append(_Chunk(self._new))
            self._new = []
            self.send_chunks(partial=False)

    def send_chunks(self, *, partial: bool = True) -> None:
        """Send waiting chunks to the workers that have room."""
        if partial and self._new:
            self._again.append(_Chunk(self._new))
            self._new = []
        for chunk in list(self._again):
            worker = self._free_worker(chunk)
            if worker is not None:
                self._again.remove(chunk)
                self._send(chunk, worker)

    def _free_worker(self, chunk: _Chunk) -> str | None:
        """Return the least busy worker with room for a chunk, or None.

        A chunk during which a worker was lost runs alone, so that no other line is taken for the cause of a loss.
        """
        load = {address: 0 for address in self._usable_workers() if self._shares.get(address)}
        for running in self._chunks.values():
            if running.worker in load:
                load[running.worker] += _CHUNKS_PER_WORKER if running.losses else 1
        worker = min(load, key=lambda address: load[address], default=None)
        room = 1 if chunk.losses else _CHUNKS_PER_WORKER
        return worker if worker is not None and load[worker] < room else None

    def _send(self, chunk: _Chunk, worker: str) -> None:
        self._number += 1
        key = f"codex-batch-{self._settings.run_id}-{self._number}"
        chunk.worker = worker
        chunk.future = self._cluster.submit(
            dask_worker.run_chunk,
            self._settings,
            chunk.requests,
            key=key,
            workers=[worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        self._chunks[key] = chunk
        chunk.future.add_done_callback(lambda _: self._finished.put(key))

    def wait(self, wait: Wait) -> None:
        """Wait for a chunk, or for the clock during a pause."""
        seconds = _POLL_SECONDS if wait.seconds is None else min(wait.seconds, _POLL_SECONDS)
        if not self._run.schedule.running:
            self._run.clock.sleep(seconds)
        else:
            with suppress(queue.Empty):
                self._settle(self._finished.get(timeout=seconds))
        self.drain()
        for address, problem in self._check_new_workers().items():
            log.warning("The Dask worker %s has no login, so it receives no lines: %s", address, problem)
        self._find_lost_chunks(seconds)

    def drain(self) -> None:
        """Record the outcomes of all chunks that are finished."""
        with suppress(queue.Empty):
            while True:
                self._settle(self._finished.get_nowait())

    def _settle(self, key: str) -> None:
        chunk = self._chunks.pop(key, None)
        if chunk is None:  # its worker was lost before
            return
        future = chunk.future
        if future.status == "finished":
            try:
                outcome: ChunkOutcome = future.result(timeout=_RESULT_TIMEOUT_SECONDS)
            except Exception:  # the worker was lost with the result; distributed raises many classes
                self._lose(chunk)
            else:
                self._record(chunk, outcome)
            future.release()
        elif future.status == "error" and not _says_that_worker_is_lost(future.exception()):
            raise future.exception()
        else:
            self._lose(chunk)

    def _record(self, chunk: _Chunk, chunk_outcome: ChunkOutcome) -> None:
        run = self._run
        run.count_retries(chunk_outcome.retries)
        run.use_limits(chunk_outcome.limits)
        if chunk_outcome.is_overloaded:
            self._limit.overload(run.clock.now())
            self._renew.set()
        for request in reversed(chunk.requests):  # lines that are sent again return to the front, in their order
            outcome = chunk_outcome.outcomes.get(request.index)
            if outcome is None:
                run.give_back(request)
                continue
            if outcome.line is not None and not outcome.is_retryable:
                self._limit.succeed()
            run.finished(request, run.settle(request, outcome))
        if run.schedule.pause is not None:
            self._renew.set()

    def _find_lost_chunks(self, seconds: float) -> None:
        for key, chunk in list(self._chunks.items()):
            if chunk.worker not in self._workers:
                del self._chunks[key]
                self._lose(chunk)
        self._seconds_without_worker = 0.0 if self._usable_workers() else self._seconds_without_worker + seconds
        if self._seconds_without_worker > _NO_WORKER_SECONDS:
            raise BatchStoppedError(
                "The Dask cluster has no workers left. Start workers, and run the batch again to continue.",
                reason="failures",
                progress=self._run.progress(),
            )

    def _lose(self, chunk: _Chunk) -> None:
        """Send the lines of a lost worker to another one: together, then in halves. Mark a line that ends workers."""
        chunk.future.cancel(force=True)
        losses, requests = chunk.losses + 1, chunk.requests
        log.warning("A Dask worker (%s) was lost. Lines to send again: %d.", chunk.worker, len(requests))
        if len(requests) == 1 and losses >= _LOSSES_OF_A_LINE:
            error = {
                "code": "worker_lost",
                "message": f"{losses} Dask workers were lost while they processed this line. Check their logs.",
                "type": "",
                "is_retryable": False,
            }
            outcome = Outcome(failure_line(requests[0], error))
            self._run.finished(requests[0], self._run.settle(requests[0], outcome))
            return
        self._run.count_retries(len(requests))
        if len(requests) > 1 and losses >= _LOSSES_BEFORE_SPLIT:
            middle = len(requests) // 2
            self._again.extendleft(_Chunk(half, losses - 1) for half in (requests[middle:], requests[:middle]))
        else:
            self._again.appendleft(_Chunk(requests, losses))


def _says_that_worker_is_lost(error: BaseException) -> bool:
    from distributed.comm.core import CommClosedError
    from distributed.scheduler import KilledWorker

    return isinstance(error, (KilledWorker, CommClosedError))
