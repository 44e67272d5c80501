"""The state of one run, which the drivers of both clients and the Dask coordinator share.

A run first reads the whole input into a spool on the disk, and checks it against itself and the journal. Then
`next_step` returns what to do: start a request, yield a result, wait, or end. The driver calls `finished` with the
outcome of each request. Only one thread calls these methods; `settle`, which a request calls when it has its outcome,
may run in any.

At no time more lines are in memory than twice the concurrency; what waits for earlier lines is on the disk.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from weakref import WeakKeyDictionary

import openai

from .. import _exceptions as exceptions
from .._exceptions import BatchInputError, BatchStoppedError
from .._timefmt import format_count, format_local_time
from .batch_journal import BatchJournal
from .key_index import Entry, KeyIndex
from .lines import (
    DELIVERY_PARAMETERS,
    BatchRequest,
    describe_error,
    failure_line,
    generated_id,
    hash_id,
    hash_request,
    parse_request,
    result_line,
)
from .response_formats import ResponseFormat
from .results import BatchProgress, BatchResult
from .schedule import AdaptiveLimit, Pause, PauseReason, RateEstimate, Schedule, Start, Stop, Wait
from .spool import Spool

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from openai.types.responses import Response

    from ..limits.limit_types import RateLimits
    from ..types import Retry

__all__ = ["HOW_TO_CONTINUE", "BatchOptions", "BatchRun", "End", "OnChange", "Outcome", "exchange", "is_overload"]

# The remedy in the messages of `BatchStoppedError`. The command has another one.
HOW_TO_CONTINUE: Final = "Run it again to continue; it does not send finished lines again."

OnChange = Literal["error", "redo", "keep"]

# Bits in the number of an index entry: the line is in this input, and its result is a failure. The other bits are the
# position in the journal, or 0.
_SEEN: Final = 1 << 63
_FAILED: Final = 1 << 62
_POSITION: Final = _FAILED - 1
# States of a request that is sent once for several lines: the number of an index entry. Another number is one more than
# the position of its result.
_REQUEST_RUNS: Final = 0
_REQUEST_FAILED: Final = 1 << 63
_STOP_GRACE_SECONDS: Final = 10.0

# These errors would occur for every line: they end the run, and no line has failed.
_RUN_ERRORS: Final = (
    exceptions.LoginRequiredError,
    exceptions.CredentialStoreError,
    exceptions.TokenRefreshError,
    exceptions.CloudflareBlockedError,
    exceptions.RegionNotSupportedError,
    exceptions.UsageNotIncludedError,
    exceptions.QuotaExceededError,
)
# Everything that `responses.create()` raises for the parameters of a line, or after a response.
LINE_ERRORS: Final = (openai.OpenAIError, TypeError, ValueError, RecursionError)
_OVERLOADS: Final = (exceptions.TooManyRequestsError, exceptions.ServerOverloadedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """The validated arguments of `client.codex.batch`."""

    concurrency: int | None = None
    journal: str | os.PathLike[str] | None = None
    on_progress: Callable[[BatchProgress], object] | None = None
    ordered: bool = False
    stop_at: float | None = None
    wait_for_limit: bool | None = None
    max_wait: timedelta | None = None
    on_change: OnChange = "error"
    dedupe: bool = False
    retry_failed: bool = False
    text_format: type | dict[str, Any] | None = None
    retries: int | None = None
    dask: Any = None
    connect: Callable[[], openai.OpenAI] | None = None
    defaults: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.concurrency is not None and (not isinstance(self.concurrency, int) or self.concurrency < 1):
            raise ValueError(f"`concurrency` must be a number of at least 1, not {self.concurrency!r}.")
        if self.stop_at is not None and not 0 < self.stop_at <= 100:
            raise ValueError(f"`stop_at` must be a percentage from 0 to 100, not {self.stop_at!r}.")
        if self.max_wait is not None and not isinstance(self.max_wait, timedelta):
            raise TypeError(f"`max_wait` must be a timedelta, such as `timedelta(hours=6)`, not {self.max_wait!r}.")
        if unusable := sorted(DELIVERY_PARAMETERS & (self.defaults or {}).keys()):
            raise TypeError(f"A batch receives complete responses. Remove `{unusable[0]}` from its parameters.")
        if self.on_change not in ("error", "redo", "keep"):
            raise ValueError(f"`on_change` must be 'error', 'redo' or 'keep', not {self.on_change!r}.")


def is_overload(error: BaseException) -> bool:
    """Return whether an error says that the backend has too many requests."""
    return isinstance(error, _OVERLOADS)


class Outcome(NamedTuple):
    """How a request ended: an output line, or an error that says nothing about the line (`run_error`)."""

    line: dict[str, Any] | None = None
    is_retryable: bool = False
    is_overload: bool = False
    validation_retries: int = 0
    run_error: BaseException | None = None


class End(NamedTuple):
    """The run has ended: after its last line, or with this error."""

    error: BaseException | None


Step = BatchRequest | BatchResult[Any] | Wait | End


class _SharedLimiter:
    """The adaptive limit of a client and its copies, and the lock that guards it."""

    def __init__(self) -> None:
        self.limit = AdaptiveLimit()
        self.lock = threading.Lock()


_limiters: Final[WeakKeyDictionary[Any, _SharedLimiter]] = WeakKeyDictionary()


class BatchRun:
    """One run over the lines of a batch. `client` is the caller's; `request_client` is the one that sends requests."""

    def __init__(self, client: Any, requests: Iterable[Any], options: BatchOptions) -> None:
        self._client = client
        self._requests = requests
        self.options = options
        self.clock = client._clock
        self.format: ResponseFormat[Any] | None = (
            None if options.text_format is None else ResponseFormat(options.text_format)
        )
        self._limiter = _limiters.setdefault(client._shared_limit, _SharedLimiter())
        waits_by_client: timedelta = client._codex.retries.wait_for_limit
        can_wait = waits_by_client > timedelta(0) if options.wait_for_limit is None else options.wait_for_limit
        self.schedule = Schedule(
            self._limiter.limit,
            concurrency=options.concurrency,
            stop_at=options.stop_at,
            can_wait=can_wait,
            max_wait=options.max_wait or (waits_by_client or None),
        )
        self._on_retry = client._on_retry
        self.request_client = client.with_options(
            max_retries=max(4, client.max_retries) if options.retries is None else options.retries,
            wait_for_limit=timedelta(0),
            on_retry=self._record_retry,
        )
        self._index = KeyIndex()
        self._shared_requests = KeyIndex()  # with `dedupe`: by the hash of the request
        self._followers: dict[int, list[BatchRequest]] = {}
        self._spool: Spool | None = None
        self._held: Spool | None = None  # results that wait for earlier lines, or for other lines of the same request
        self._held_positions: dict[int, int] = {}
        self._next_index = 0
        self._has_released_all = False
        self.journal: BatchJournal | None = None
        self._queue: deque[BatchRequest] = deque()  # lines to be sent again
        self._pending: Iterator[BatchRequest] = iter(())
        self._cached: Iterator[BatchResult[Any]] = iter(())
        self._ready: deque[BatchResult[Any]] = deque()
        self._error: BaseException | None = None
        self._limit_cause: BaseException | None = None
        self._final_pause: Pause | None = None  # a usage limit that ends the run
        self._stop_deadline: float | None = None
        self._total = self._completed = self._failed = self._from_journal = self._retries = 0
        self._worker_limits: RateLimits | None = None
        self._rate = RateEstimate()
        self._reported_at = -1.0

    # --- beginning and end -------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Read and check the input, and open the journal. Nothing is sent. Raises BatchInputError and JournalError."""
        options = self.options
        folder = None
        if options.journal is not None:
            self.journal = BatchJournal.open(options.journal)
            folder = Path(options.journal).absolute().parent
            for line in self.journal.finished_lines():
                number = 0
                if line.is_final and not (line.is_failure and options.retry_failed):
                    number = line.position | (_FAILED if line.is_failure else 0)
                self._index.set(hash_id(line.custom_id), Entry(line.request_hash, number))
        had_entries = len(self._index) > 0
        self._spool = Spool(folder)
        self._held = Spool(folder)
        self._read_input(self._spool)
        if had_entries and not options.ordered:
            self._cached = self._cached_results()
        self._pending = self._pending_requests()

    def _read_input(self, spool: Spool) -> None:
        """Spool all requests. Raises BatchInputError for an invalid line, a repeated id, or changed lines."""
        client, options = self._client, self.options
        defaults = {
            "model": client._codex.model,
            "instructions": client._codex.instructions,
            **(options.defaults or {}),
        }
        identity = {"text_format": self.format.param} if self.format is not None else {}
        repeats: dict[int, int] = {}
        changed = 0
        for number, value in enumerate(self._requests, 1):
            if self._stop_deadline is not None:
                raise BatchStoppedError(
                    "The batch was stopped while it read the input. Run it again. No request was sent.",
                    reason="stopped",
                    progress=self.progress(),
                )
            custom_id, params = parse_request(value, number=number)
            params = {**(options.defaults or {}), **params}
            request_hash = hash_request({**defaults, **params, **identity}, number=number)
            if custom_id is None:
                custom_id = generated_id(request_hash, 1)
                if self._is_seen(custom_id):
                    repeats[request_hash] = repeats.get(request_hash, 1) + 1
                    custom_id = generated_id(request_hash, repeats[request_hash])
            id_hash = hash_id(custom_id)
            entry = self._index.get(id_hash) or Entry(request_hash, 0)
            if entry.number & _SEEN:
                raise BatchInputError(
                    f"Line {number} of the batch has the `custom_id` {custom_id!r:.80} of an earlier line. Make the "
                    "IDs unique. No request was sent."
                )
            if entry.request_hash != request_hash and entry.number:
                changed += 1
                if options.on_change != "keep":
                    entry = Entry(request_hash, 0)
            self._index.set(id_hash, Entry(entry.request_hash, entry.number | _SEEN))
            spool.append([custom_id, params, id_hash, request_hash])
            self._total = number
            if entry.number & _POSITION:
                self._from_journal += 1
                self._completed += not entry.number & _FAILED
                self._failed += bool(entry.number & _FAILED)
        if changed and options.on_change == "error":
            raise BatchInputError(
                f"In {changed:,} of {format_count(self._total, 'line')}, the request has changed since "
                f"{options.journal} was written: another prompt, parameter, model or instructions. Pass "
                '`on_change="redo"` to send these lines again, `on_change="keep"` to keep their results, or choose '
                "another journal. No request was sent.",
                changed=changed,
            )

    def _is_seen(self, custom_id: str) -> bool:
        entry = self._index.get(hash_id(custom_id))
        return entry is not None and bool(entry.number & _SEEN)

    def close(self) -> None:
        """Write the journal to the disk and close all files. Closing again does nothing."""
        with self._limiter.lock:
            self.schedule.abandon()
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.close()
        for spool in (self._spool, self._held):
            if spool is not None:
                spool.close()

    def stop(self, grace_seconds: float = _STOP_GRACE_SECONDS) -> None:
        """Start no more requests, and end the run after those that run, at the latest after `grace_seconds`."""
        self._stop_deadline = self.clock.monotonic() + grace_seconds

    # --- steps -------------------------------------------------------------------------------------------------------

    def next_step(self) -> Step:
        """Return what the driver does next."""
        cached = next(self._cached, None)
        if cached is not None:
            return cached
        if not self._is_ending():
            request = self.peek()
            if request is not None:
                decision = self.admit()
                if isinstance(decision, Start):
                    return self.take()
                if isinstance(decision, Stop):
                    self._final_pause = decision.pause
                elif not self._ready:
                    return decision
            elif not self.schedule.running and not self._ready:
                return End(None)
        if self._ready:
            return self._ready.popleft()
        if self.schedule.running and not self._is_grace_over():
            return Wait(self._grace_seconds())
        if self.options.ordered and not self._has_released_all:
            self._has_released_all = True
            self._cached = self._results_after_gap()
            return self.next_step()
        return End(self._end_error())

    def peek(self) -> BatchRequest | None:
        """Return the next line to send, or None if none is left. Lines of a request that was sent are settled."""
        while not self._queue:
            request = next(self._pending, None)
            if request is None:
                return None
            if not (self.options.dedupe and self._joins_earlier_line(request)):
                self._queue.append(request)
        return self._queue[0]

    def take(self) -> BatchRequest:
        """Return the line of `peek`, which is sent now."""
        request = self._queue.popleft()
        with self._limiter.lock:
            self.schedule.started()
        return request

    def admit(self) -> Start | Wait | Stop:
        """Return whether the next line may be sent."""
        limits = self._newest_limits if self.options.stop_at is not None else None
        with self._limiter.lock:
            return self.schedule.admit(
                now=self.clock.now(), jitter=self.clock.jitter(), unread=len(self._ready), limits=limits
            )

    def finished(self, request: BatchRequest, outcome: Outcome) -> None:
        """Record the outcome of a request, in the thread of the driver."""
        now = self.clock.now()
        with self._limiter.lock:
            schedule = self.schedule
            schedule.finished()
            error = outcome.run_error
            if error is None:
                if outcome.is_overload:
                    schedule.overload(now)
                if outcome.is_retryable:
                    schedule.fail()
                else:
                    schedule.succeed()
            elif isinstance(error, exceptions.UsageLimitError):
                schedule.reach_limit(error.resets_at, now)
            self._retries += outcome.validation_retries
        if error is not None:
            self._queue.appendleft(request)
            if isinstance(error, exceptions.UsageLimitError):
                self._limit_cause = error
            else:
                self._error = self._error or error
            return
        assert outcome.line is not None
        if schedule.has_failed_too_often:
            message = outcome.line["error"]["message"]
            self._error = self._error or BatchStoppedError(
                f"The batch stopped, because many requests in a row failed. The last error: {message} Correct its "
                "cause, and run the batch again to continue.",
                reason="failures",
            )
        self._settle_followers(request, outcome)
        self._deliver(request, outcome.line, validation_retries=outcome.validation_retries)

    def give_back(self, request: BatchRequest) -> None:
        """Put a line back that was taken and not sent."""
        with self._limiter.lock:
            self.schedule.finished()
        self._queue.appendleft(request)

    def settle(self, request: BatchRequest, outcome: Outcome) -> Outcome:
        """Write the outcome of a request to the journal. Called in the thread or task of the request."""
        journal = self.journal
        if journal is not None and outcome.line is not None:
            journal.add(request.custom_id, request.request_hash, outcome.line, is_final=not outcome.is_retryable)
        return outcome

    # --- results -----------------------------------------------------------------------------------------------------

    def _deliver(
        self, request: BatchRequest, line: dict[str, Any], *, from_journal: bool = False, validation_retries: int = 0
    ) -> None:
        if not from_journal:
            self._count(line)
        result = self._result(request.index, line, from_journal, validation_retries)
        if not self.options.ordered:
            self._ready.append(result)
            return
        if request.index == self._next_index:
            self._ready.append(result)
            self._next_index += 1
            self._release_held()
        else:
            assert self._held is not None
            self._held_positions[request.index] = self._held.append([line, from_journal, validation_retries])

    def _release_held(self) -> None:
        """Make the results ready that waited for a line that is ready now."""
        assert self._held is not None
        while (position := self._held_positions.pop(self._next_index, None)) is not None:
            self._ready.append(self._result(self._next_index, *self._held.read(position)))
            self._next_index += 1

    def _results_after_gap(self) -> Iterator[BatchResult[Any]]:
        """Yield the results that wait for a line which this run does not finish."""
        assert self._held is not None
        for request in self._spooled_requests():
            if request.index < self._next_index:
                continue
            position = self._held_positions.pop(request.index, None)
            if position is not None:
                yield self._result(request.index, *self._held.read(position))
            elif (line := self._journal_line(request)) is not None:
                yield self._result(request.index, line, from_journal=True)

    def _result(
        self, index: int, line: dict[str, Any], from_journal: bool, validation_retries: int = 0
    ) -> BatchResult[Any]:
        return BatchResult(
            line,
            index=index,
            is_from_journal=from_journal,
            validation_retries=validation_retries,
            response_format=self.format,
        )

    def _count(self, line: dict[str, Any]) -> None:
        if line.get("error") is None:
            self._completed += 1
        else:
            self._failed += 1
        self._rate.record(self._completed + self._failed - self._from_journal, self.clock.monotonic())

    def _spooled_requests(self) -> Iterator[BatchRequest]:
        assert self._spool is not None
        for index, (custom_id, params, id_hash, request_hash) in enumerate(self._spool):
            yield BatchRequest(index, custom_id, params, id_hash, request_hash)

    def _journal_line(self, request: BatchRequest) -> dict[str, Any] | None:
        """Return the line that an earlier run finished, or None."""
        entry = self._index.get(request.id_hash)
        position = entry.number & _POSITION if entry is not None else 0
        if not position:
            return None
        assert self.journal is not None
        return self.journal.line_at(position)

    def _cached_results(self) -> Iterator[BatchResult[Any]]:
        """Yield the results of earlier runs in the order of the input."""
        for request in self._spooled_requests():
            line = self._journal_line(request)
            if line is not None:
                self._share(request, line)
                yield self._result(request.index, line, from_journal=True)

    def _pending_requests(self) -> Iterator[BatchRequest]:
        """Yield the lines that are not finished. In order, also deliver the finished ones where they belong."""
        for request in self._spooled_requests():
            entry = self._index.get(request.id_hash)
            if entry is None or not entry.number & _POSITION:
                yield request
            elif self.options.ordered:
                line = self._journal_line(request)
                assert line is not None
                self._share(request, line)
                self._deliver(request, line, from_journal=True)

    # --- the same request in several lines ---------------------------------------------------------------------------

    def _share(self, request: BatchRequest, line: dict[str, Any]) -> None:
        """Keep a result for other lines with the same request."""
        if self.options.dedupe:
            assert self._held is not None
            self._shared_requests.set(request.request_hash, Entry(0, 1 + self._held.append(line)))

    def _joins_earlier_line(self, request: BatchRequest) -> bool:
        """Deliver the result of an earlier line with the same request, or wait for it. False if there is none."""
        entry = self._shared_requests.get(request.request_hash)
        if entry is None or entry.number == _REQUEST_FAILED:
            self._shared_requests.set(request.request_hash, Entry(0, _REQUEST_RUNS))
            return False
        if entry.number == _REQUEST_RUNS:
            self._followers.setdefault(request.request_hash, []).append(request)
        else:
            assert self._held is not None
            self._copy_result(request, self._held.read(entry.number - 1), is_final=True)
        return True

    def _settle_followers(self, request: BatchRequest, outcome: Outcome) -> None:
        if self.options.dedupe:
            assert outcome.line is not None
            if outcome.is_retryable:  # the next line with this request sends it again
                self._shared_requests.set(request.request_hash, Entry(0, _REQUEST_FAILED))
            else:
                self._share(request, outcome.line)
            for follower in self._followers.pop(request.request_hash, ()):
                self._copy_result(follower, outcome.line, is_final=not outcome.is_retryable)

    def _copy_result(self, request: BatchRequest, line: dict[str, Any], *, is_final: bool) -> None:
        line = {**line, "custom_id": request.custom_id}
        self.settle(request, Outcome(line, is_retryable=not is_final))
        self._deliver(request, line)

    # --- errors ------------------------------------------------------------------------------------------------------

    def _is_ending(self) -> bool:
        """Return whether no more requests start. Those that run may still finish, also the last ones of the batch."""
        if self._error is not None or self._final_pause is not None:
            return True
        return self._stop_deadline is not None and self.progress().remaining > 0

    def _end_error(self) -> BaseException | None:
        """Return the error that ends the run, with the counts of this moment, or None."""
        progress = self.progress()
        if self._final_pause is not None:
            self._error = self._limit_error(self._final_pause)
        elif self._error is None and self._stop_deadline is not None and progress.remaining:
            self._error = BatchStoppedError(
                f"The batch was stopped after {progress.total - progress.remaining:,} of "
                f"{format_count(progress.total, 'line')}. " + self._how_to_continue(),
                reason="stopped",
                progress=progress,
            )
        if isinstance(self._error, BatchStoppedError):
            self._error.progress = progress
        return self._error

    def _limit_error(self, pause: Pause) -> BatchStoppedError:
        progress = self.progress()
        if pause.reason is PauseReason.STOP_AT:
            what = f"{self.options.stop_at:g} % of a usage limit of the plan is used"
        else:
            what = "a usage limit of the plan is reached"
        reset = f" It resets at {format_local_time(pause.resets_at)}." if pause.resets_at is not None else ""
        error = BatchStoppedError(
            f"The batch stopped after {progress.total - progress.remaining:,} of "
            f"{format_count(progress.total, 'line')}: {what}."
            f"{reset} {self._how_to_continue()}",
            reason=pause.reason.value,
            resets_at=pause.resets_at,
            progress=progress,
        )
        error.__cause__ = self._limit_cause if pause.reason is PauseReason.USAGE_LIMIT else None
        return error

    def _how_to_continue(self) -> str:
        if self.options.journal is None:
            return "To continue a batch in a later run, pass `journal`."
        return HOW_TO_CONTINUE

    def _is_grace_over(self) -> bool:
        return self._stop_deadline is not None and self.clock.monotonic() >= self._stop_deadline

    def _grace_seconds(self) -> float | None:
        return None if self._stop_deadline is None else max(0.0, self._stop_deadline - self.clock.monotonic())

    # --- progress ----------------------------------------------------------------------------------------------------

    def progress(self) -> BatchProgress:
        """Return the state of the run."""
        pause = self.schedule.pause
        until = pause.resets_at if pause is not None else None
        finished = self._completed + self._failed
        pause_seconds = max(0.0, (until - self.clock.now()).total_seconds()) if until is not None else 0.0
        eta = self._rate.eta_seconds(
            self._total - finished,
            finished - self._from_journal,
            self.clock.monotonic(),
            pause_seconds=pause_seconds,
        )
        return BatchProgress(
            total=self._total,
            completed=self._completed,
            failed=self._failed,
            from_journal=self._from_journal,
            running=self.schedule.running,
            concurrency=self.schedule.concurrency,
            retries=self._retries,
            eta_seconds=eta,
            limits=self._newest_limits,
            paused_until=until,
        )

    def report(self, *, now: bool = False) -> None:
        """Call `on_progress`, at most ten times a second."""
        on_progress, seconds = self.options.on_progress, self.clock.monotonic()
        if on_progress is not None and (now or not 0 <= seconds - self._reported_at < 0.1):
            self._reported_at = seconds
            on_progress(self.progress())

    @property
    def requested_concurrency(self) -> int | None:
        """The number that the caller chose, or None."""
        return self.options.concurrency

    def worker_options(self) -> dict[str, Any]:
        """Return the arguments of a client on another machine, without anything that may be secret."""
        client = self.request_client
        return {**client._codex.as_arguments(), "base_url": str(client.base_url), "max_retries": client.max_retries}

    def use_limits(self, limits: RateLimits | None) -> None:
        """Use the limits that a worker reported instead of those of this client."""
        self._worker_limits = limits or self._worker_limits

    @property
    def _newest_limits(self) -> RateLimits | None:
        return self._worker_limits or self._client.codex.limits

    def count_retries(self, count: int) -> None:
        """Count requests that are sent again, because a worker was lost."""
        self._retries += count

    def _record_retry(self, retry: Retry) -> None:
        if is_overload(retry.error):
            with self._limiter.lock:
                self.schedule.overload(self.clock.now())
        with self._limiter.lock:
            self._retries += 1
        if self._on_retry is not None:
            self._on_retry(retry)


def exchange(
    request: BatchRequest, response_format: ResponseFormat[Any] | None
) -> Generator[dict[str, Any], Response | BaseException, Outcome]:
    """Run one line: yield the parameters of a request, receive the response or the error, and return the outcome.

    An output that does not match the format is requested once more.
    """
    params = request.params
    text = params.get("text") or {}
    if response_format is not None and isinstance(text, dict):  # the backend rejects anything else
        params = {**params, "text": {**text, "format": response_format.param}}
    retries = 0
    while True:
        response = yield params
        if isinstance(response, BaseException):
            return _failure(request, response, retries)
        outcome = _checked(request, response, response_format, retries)
        if retries or outcome.line is None or (outcome.line["error"] or {}).get("code") != "invalid_output":
            return outcome
        retries += 1


def _failure(request: BatchRequest, error: BaseException, retries: int) -> Outcome:
    if isinstance(error, (*_RUN_ERRORS, exceptions.UsageLimitError)):
        return Outcome(run_error=error, validation_retries=retries)
    described = describe_error(error)
    line = failure_line(
        request,
        described,
        status_code=getattr(error, "status_code", None),
        request_id=getattr(error, "request_id", None),
    )
    return Outcome(
        line,
        is_retryable=described["is_retryable"],
        is_overload=is_overload(error),
        validation_retries=retries,
    )


def _checked(
    request: BatchRequest, response: Response, response_format: ResponseFormat[Any] | None, retries: int
) -> Outcome:
    """Return the outcome of a response: incomplete ones, refusals and invalid outputs are failures."""
    problem: tuple[str, str] | None = None
    if response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        problem = "incomplete", f"The response is incomplete: {reason or 'the backend sent no reason'}."
    elif refusal := _refusal(response):
        problem = "refusal", f"The model refused: {refusal}"
    elif response_format is not None:
        try:
            response_format.parse(response.output_text)
        except ValueError as error:
            problem = "invalid_output", f"The text does not match the format: {error}"
    body, request_id = response.to_dict(mode="json"), response._request_id
    if problem is None:
        return Outcome(result_line(request, body, request_id=request_id), validation_retries=retries)
    code, message = problem
    described = {"code": code, "message": message, "type": "", "is_retryable": False}
    return Outcome(failure_line(request, described, body=body, request_id=request_id), validation_retries=retries)


def _refusal(response: Response) -> str | None:
    contents = (part for item in response.output if item.type == "message" for part in item.content)
    return next((part.refusal for part in contents if part.type == "refusal"), None)
