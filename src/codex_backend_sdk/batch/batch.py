"""The batches of both clients: drive a run with threads or with tasks.

Nothing runs until the batch is iterated, and the iteration starts the requests: a caller that reads slowly slows the
batch down, and at most twice the concurrency is in memory.
"""

from __future__ import annotations

import os
import queue
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import anyio
import anyio.to_thread

from .._threads import start_in_thread
from .output_files import OutputFiles
from .results import BatchProgress, BatchResult
from .run import LINE_ERRORS, BatchRun, End, Outcome, exchange
from .schedule import Wait

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from .lines import BatchRequest
    from .run import BatchOptions

__all__ = ["AsyncBatch", "Batch"]

_FormatT = TypeVar("_FormatT")

# How long a driver waits before it looks at the clock and reports progress: a machine may have slept meanwhile.
_SLICE_SECONDS = 1.0
# Closing connections takes milliseconds; a proxy may delay the end of TLS.
_CANCEL_SECONDS = 5.0


class _BaseBatch(Generic[_FormatT]):
    """What both batches share."""

    def __init__(self, client: Any, requests: Iterable[Any], options: BatchOptions) -> None:
        if isinstance(requests, (str, bytes, dict, os.PathLike)):
            raise TypeError(
                f"`requests` must be a list or another iterable of lines, not {type(requests).__name__}. Put a single "
                "line into a list. Read a file with `codex_backend_sdk.batch.read_requests(path)`."
            )
        self._run = BatchRun(client, requests, options)
        self._has_begun = False

    @property
    def progress(self) -> BatchProgress:
        """The state of the batch: counts, estimated end, limits of the plan."""
        return self._run.progress()

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Stop starting requests. The iteration yields the results of running requests, then raises BatchStoppedError.

        Requests that are not finished after `grace_seconds` are abandoned. May be called from any thread, and from a
        signal handler.
        """
        self._run.stop(grace_seconds)

    def _begin(self) -> None:
        if self._has_begun:
            raise RuntimeError("A batch can be iterated once. Create another one; with a journal, it continues.")
        self._has_begun = True


class Batch(_BaseBatch[_FormatT]):
    """The lines of a batch. Iterate over it for the results; `client.codex.batch()` creates it.

    As a context manager, it closes the journal when the block ends, also if the results were not read to the end.
    """

    _iterator: Iterator[BatchResult[_FormatT]] | None = None

    def __iter__(self) -> Iterator[BatchResult[_FormatT]]:
        """Send the requests and yield the results: first those in the journal, then each when it is finished.

        Raises BatchInputError and JournalError before the first request, and BatchStoppedError if the run ends before
        the last line. Errors that concern all lines, such as LoginRequiredError, are raised as they are.
        """
        self._begin()
        options = self._run.options
        if options.dask is None:
            self._iterator = self._iterate()
        else:
            from .dask_driver import iterate  # few programs use it

            self._iterator = iterate(self._run, options.dask, options.connect, options.text_format)
        return self._iterator

    def _iterate(self) -> Iterator[BatchResult[_FormatT]]:
        run = self._run
        finished: queue.SimpleQueue[tuple[BatchRequest, Outcome | BaseException]] = queue.SimpleQueue()
        try:
            run.open()
            while True:
                step = run.next_step()
                if isinstance(step, BatchResult):
                    run.report()
                    yield step
                    _drain(run, finished)
                elif isinstance(step, End):
                    break
                elif isinstance(step, Wait):
                    run.report()
                    self._wait(step, finished)
                else:
                    self._start(step, finished)
            if run.journal is not None:
                run.journal.flush()
            run.report(now=True)
            if step.error is not None:
                raise step.error
        finally:
            run.close()

    def _wait(self, wait: Wait, finished: queue.SimpleQueue[Any]) -> None:
        seconds = _SLICE_SECONDS if wait.seconds is None else min(wait.seconds, _SLICE_SECONDS)
        if not self._run.schedule.running:
            self._run.clock.sleep(seconds)
            return
        with suppress(queue.Empty):
            _record(self._run, *finished.get(timeout=seconds))
        _drain(self._run, finished)

    def _start(self, request: BatchRequest, finished: queue.SimpleQueue[Any]) -> None:
        action = partial(self._send, request)
        # Daemon threads: a program that is interrupted does not wait for requests that take minutes.
        future = start_in_thread(action, name="codex-batch", daemon=True)
        future.add_done_callback(lambda done: finished.put((request, done.exception() or done.result())))

    def _send(self, request: BatchRequest) -> Outcome:
        flow = exchange(request, self._run.format)
        params = next(flow)
        while True:
            reply: Any
            try:
                reply = self._run.request_client.responses.create(**params)
            except LINE_ERRORS as error:
                reply = error
            try:
                params = flow.send(reply)
            except StopIteration as end:
                return self._run.settle(request, end.value)

    def preview(self) -> BatchProgress:
        """Read and check the input as a run does, and return the counts, with those of the journal. Sends nothing.

        The batch cannot be iterated after that.
        """
        self._begin()
        try:
            self._run.open()
            return self._run.progress()
        finally:
            self._run.close()

    def write(self, output: str | os.PathLike[str], errors: str | os.PathLike[str] | None = None) -> BatchProgress:
        """Send the requests, write the results to files, and return the final progress.

        Complete responses are lines of `output`, failures are lines of `errors` (default: `output` with `.errors`
        before its extension), in the format of the official Batch API. A file whose name ends with `.csv` or `.tsv` is
        a table with the columns `custom_id`, `output_text` and `error`, which `read_results` does not read. Each run
        replaces the files, and first writes the results of earlier runs. Raises the errors of the iteration; the files
        then have all finished lines.
        """
        with self, OutputFiles(output, errors, journal=self._run.options.journal) as files:
            for result in self:
                files.write(result)
        return self.progress

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal. Running requests are abandoned: the next run sends their lines again."""
        if self._iterator is not None:
            self._iterator.close()  # type: ignore[attr-defined]  # it is a generator


class AsyncBatch(_BaseBatch[_FormatT]):
    """The lines of a batch. Iterate over it with `async for`; see `Batch`. Runs on asyncio and trio."""

    _iterator: Any = None

    def __init__(self, client: Any, requests: Iterable[Any], options: BatchOptions) -> None:
        if options.dask is not None:
            raise TypeError("A batch on a Dask cluster needs the sync client. Use `OpenAI` instead of `AsyncOpenAI`.")
        super().__init__(client, requests, options)

    def __aiter__(self) -> AsyncIterator[BatchResult[_FormatT]]:
        """Send the requests and yield the results; see `Batch.__iter__`."""
        self._begin()
        self._iterator = self._iterate()
        iterator: AsyncIterator[BatchResult[_FormatT]] = self._iterator
        return iterator

    async def _iterate(self) -> AsyncIterator[BatchResult[_FormatT]]:
        run = self._run
        tasks = _Tasks()
        try:
            await anyio.to_thread.run_sync(run.open)
            while True:
                step = run.next_step()
                if isinstance(step, BatchResult):
                    run.report()
                    yield step
                    tasks.drain(run)
                elif isinstance(step, End):
                    break
                elif isinstance(step, Wait):
                    run.report()
                    await self._wait(step, tasks)
                else:
                    tasks.start(self._send, step)
            if run.journal is not None:
                await anyio.to_thread.run_sync(run.journal.flush)
            run.report(now=True)
            if step.error is not None:
                raise step.error
        finally:
            await tasks.cancel()
            run.close()

    async def _wait(self, wait: Wait, tasks: _Tasks) -> None:
        seconds = _SLICE_SECONDS if wait.seconds is None else min(wait.seconds, _SLICE_SECONDS)
        if self._run.schedule.running:
            await tasks.wait(seconds)
        else:
            await self._run.clock.sleep_async(seconds)
        tasks.drain(self._run)

    async def _send(self, request: BatchRequest) -> Outcome:
        flow = exchange(request, self._run.format)
        params = next(flow)
        while True:
            reply: Any
            try:
                reply = await self._run.request_client.responses.create(**params)
            except LINE_ERRORS as error:
                reply = error
            try:
                params = flow.send(reply)
            except StopIteration as end:
                return self._run.settle(request, end.value)

    async def preview(self) -> BatchProgress:
        """Read and check the input as a run does, and return the counts; see `Batch.preview`."""
        self._begin()
        try:
            await anyio.to_thread.run_sync(self._run.open)
            return self._run.progress()
        finally:
            self._run.close()

    async def write(
        self, output: str | os.PathLike[str], errors: str | os.PathLike[str] | None = None
    ) -> BatchProgress:
        """Send the requests, write the results to files, and return the final progress; see `Batch.write`."""
        with OutputFiles(output, errors, journal=self._run.options.journal) as files:
            async with self:
                async for result in self:
                    files.write(result)
        return self.progress

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the journal. Running requests are cancelled: the next run sends their lines again."""
        if self._iterator is not None:
            await self._iterator.aclose()


def _drain(run: BatchRun, finished: queue.SimpleQueue[Any]) -> None:
    with suppress(queue.Empty):
        while True:
            _record(run, *finished.get_nowait())


def _record(run: BatchRun, request: BatchRequest, outcome: Outcome | BaseException) -> None:
    """Record an outcome. An exception that is not the error of a line is a bug, or the journal cannot be written."""
    if isinstance(outcome, BaseException):
        raise outcome
    run.finished(request, outcome)


class _Tasks:
    """Tasks of any event loop that outlive no iteration: they are cancelled when it ends.

    A task group cannot be used, because an asynchronous generator may be closed in another task.
    """

    def __init__(self) -> None:
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._tasks: set[Any] = set()
        self._outcomes: list[tuple[BatchRequest, Outcome | BaseException]] = []
        self._event = anyio.Event()

    def start(self, send: Any, request: BatchRequest) -> None:
        scope = self._scopes[request.index] = anyio.CancelScope()

        async def run() -> None:
            with scope:
                try:
                    outcome: Any = await send(request)
                except Exception as error:
                    outcome = error
                self._outcomes.append((request, outcome))
            self._scopes.pop(request.index, None)
            self._event.set()

        if _runs_in_trio():
            import trio

            trio.lowlevel.spawn_system_task(run)
        else:
            import asyncio

            task = asyncio.get_running_loop().create_task(run())
            self._tasks.add(task)  # the loop itself has only a weak reference
            task.add_done_callback(self._tasks.discard)

    async def wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._event.wait()

    def drain(self, run: BatchRun) -> None:
        outcomes, self._outcomes = self._outcomes, []
        self._event = anyio.Event()
        for request, outcome in outcomes:
            _record(run, request, outcome)

    async def cancel(self) -> None:
        """Cancel the requests, and wait until their connections are closed."""
        for scope in list(self._scopes.values()):
            scope.cancel()
        with anyio.move_on_after(_CANCEL_SECONDS, shield=True):
            while self._scopes:
                self._event = anyio.Event()
                await self._event.wait()


def _runs_in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and trio.lowlevel.in_trio_run()
