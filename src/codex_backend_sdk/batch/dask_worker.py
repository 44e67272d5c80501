"""The part of a batch that runs on the workers of a Dask cluster.

A worker has one client for a run. It is made on the worker, from settings without secrets, and signs requests with the
login that the worker itself finds: its file, its environment, or what `connect` opens, for example a Redis store.

The coordinator gives each worker a share, the most requests at once, and renews it every few seconds. A worker whose
share is not renewed, because the coordinator died or cannot reach it, starts no more requests. A worker that meets a
usage limit stops at once and returns the lines that it has not sent.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._exceptions import UsageLimitError
from .._threads import start_in_thread
from .response_formats import ResponseFormat
from .run import LINE_ERRORS, Outcome, exchange, is_overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..limits.limit_types import RateLimits
    from ..types import Retry
    from .lines import BatchRequest

__all__ = ["ChunkOutcome", "WorkerSettings", "check_login", "end_run", "renew_share", "run_chunk"]

_LEASE_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs for a run. It contains no secret."""

    run_id: str
    client_class: type
    client_options: dict[str, Any]
    text_format: Any
    connect: Callable[[], Any] | None


@dataclass(slots=True)
class ChunkOutcome:
    """The outcomes of a chunk by the position of the line, and the lines that were not sent."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    unsent: list[int] = field(default_factory=list)
    retries: int = 0
    is_overloaded: bool = False
    limits: RateLimits | None = None


class _WorkerRun:
    """The state of a run in this process, which several tasks may share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.share = 0
        self.renewed_at = float("-inf")
        self.period = 0  # the coordinator counts the pauses
        self.limited_period: int | None = None
        self.running = 0
        self.retries = 0
        self.is_overloaded = False
        self.client: Any = None

    @property
    def may_send(self) -> bool:
        is_current = time.monotonic() - self.renewed_at < _LEASE_SECONDS
        return self.share > 0 and is_current and self.limited_period != self.period

    def try_start(self) -> bool:
        with self.lock:
            if not self.may_send or self.running >= self.share:
                return False
            self.running += 1
            return True

    def end(self) -> None:
        with self.lock:
            self.running -= 1

    def record_retry(self, retry: Retry) -> None:
        with self.lock:
            self.retries += 1
            self.is_overloaded = self.is_overloaded or is_overload(retry.error)

    def connected(self, settings: WorkerSettings) -> Any:
        with self.lock:
            if self.client is None:
                if settings.connect is None:
                    client: Any = settings.client_class(**settings.client_options)
                else:
                    client = settings.connect()
                options = {name: settings.client_options[name] for name in ("model", "instructions", "max_retries")}
                self.client = client.with_options(**options, wait_for_limit=timedelta(0), on_retry=self.record_retry)
            return self.client


_runs: Final[dict[str, _WorkerRun]] = {}


def _run_of(run_id: str) -> _WorkerRun:
    return _runs.setdefault(run_id, _WorkerRun())


async def check_login(settings: WorkerSettings) -> str | None:
    """Return why this worker cannot send requests, or None. It loads the login, and sends no model request."""

    def check() -> str | None:
        try:
            _run_of(settings.run_id).connected(settings).credentials.current()
        except LINE_ERRORS as error:
            return str(error)
        return None

    return await asyncio.to_thread(check)  # the event loop of the worker must answer the scheduler meanwhile


def renew_share(run_id: str, share: int, period: int) -> None:
    """Let this worker send at most `share` requests at once for the next 30 seconds.

    `period` is the number of pauses so far: in a new one, the limit that this worker has reached does not count.
    """
    run = _run_of(run_id)
    with run.lock:
        run.share, run.period, run.renewed_at = share, period, time.monotonic()


def end_run(run_id: str) -> None:
    """Close the client of a run."""
    run = _runs.pop(run_id, None)
    if run is not None:
        run.share = 0
        if run.client is not None:
            run.client.close()


def run_chunk(settings: WorkerSettings, requests: list[BatchRequest]) -> ChunkOutcome:
    """Send the requests of a chunk, and return their outcomes."""
    run = _run_of(settings.run_id)
    client = run.connected(settings)
    response_format = None if settings.text_format is None else ResponseFormat(settings.text_format)
    waiting, result = deque(requests), ChunkOutcome()
    finished: queue.SimpleQueue[tuple[BatchRequest, Outcome | BaseException]] = queue.SimpleQueue()
    running = 0

    def start(request: BatchRequest) -> None:
        future = start_in_thread(lambda: _send(client, request, response_format), name="codex-batch", daemon=True)
        future.add_done_callback(lambda done: finished.put((request, done.exception() or done.result())))

    while waiting or running:
        while waiting and run.try_start():
            start(waiting.popleft())
            running += 1
        if not running and not run.may_send:
            break
        try:
            request, outcome = finished.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        running -= 1
        run.end()
        if isinstance(outcome, BaseException):
            raise outcome
        result.outcomes[request.index] = outcome
        if isinstance(outcome.run_error, UsageLimitError):
            run.limited_period = run.period
        elif outcome.run_error is not None:
            run.share = 0
    result.unsent = [request.index for request in waiting]
    with run.lock:
        result.retries, run.retries = run.retries, 0
        result.is_overloaded, run.is_overloaded = run.is_overloaded, False
    result.limits = client.codex.limits
    return result


def _send(client: Any, request: BatchRequest, response_format: ResponseFormat[Any] | None) -> Outcome:
    flow = exchange(request, response_format)
    params = next(flow)
    while True:
        reply: Any
        try:
            reply = client.responses.create(**params)
        except LINE_ERRORS as error:
            reply = error
        try:
            params = flow.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
