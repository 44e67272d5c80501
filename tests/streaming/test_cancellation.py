"""Test that the connection of an abandoned stream is closed or reusable within 100 ms."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from codex_backend_sdk.testing import Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


STALL_SECONDS = 30.0
CLOSE_SECONDS = 0.1
EVENTS = 4
SENT_EVENTS = EVENTS + 2  # the first two, about limits and metadata, are not delivered
# The simulator runs in this process and notices a closed connection with a delay, as do tests in other processes.
SLOWDOWN = 3 if os.environ.get("PYTEST_XDIST_WORKER") else 1


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        simulator.script(*[Turn.text("half a response").stalled(SENT_EVENTS, STALL_SECONDS)] * 5)
        yield simulator


def open_connections(client: Any) -> int:
    """Return the number of connections that are neither closed nor free for another call."""
    pool = client._client._transport._pool
    return sum(not (connection.is_closed() or connection.is_idle()) for connection in pool.connections)


def assert_no_open_connection(client: Any, since: float) -> None:
    while open_connections(client) and time.monotonic() - since < CLOSE_SECONDS * SLOWDOWN:
        time.sleep(0.005)
    assert open_connections(client) == 0


def open_stream(client: Any) -> Any:
    """Return a stream that has delivered its events and is stalled."""
    stream = client.responses.create(input="hi", stream=True)
    events = iter(stream)
    for _ in range(EVENTS):
        next(events)
    assert open_connections(client) == 1
    return stream


def break_out(client: Any) -> None:
    for count, _ in enumerate(client.responses.create(input="hi", stream=True), 1):
        if count == EVENTS:
            break


def close(client: Any) -> None:
    open_stream(client).close()


def leave_block(client: Any) -> None:
    with open_stream(client):
        pass


def stop_helper_early(client: Any) -> None:
    with client.responses.stream(input="hi") as stream:
        for count, _ in enumerate(stream, 1):
            if count == EVENTS:
                break


def fail_inside(client: Any) -> None:
    with pytest.raises(ZeroDivisionError), open_stream(client):
        1 / 0  # noqa: B018


def discard(client: Any) -> None:
    open_stream(client)


@pytest.mark.parametrize("leave", [break_out, close, leave_block, stop_helper_early, fail_inside, discard])
def test_abandoned_stream_closes_its_connection(sim: Simulator, leave: Callable[[Any], None]) -> None:
    with sim.client(max_retries=0) as client:
        leave(client)
        assert_no_open_connection(client, time.monotonic())


@pytest.mark.parametrize("is_streamed", [True, False])
def test_keyboard_interrupt_closes_the_connection(sim: Simulator, is_streamed: bool) -> None:
    with sim.client(max_retries=3) as client:
        pressed: list[float] = []

        def press() -> None:
            pressed.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

        timer = threading.Timer(0.5, press)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            list(
                client.responses.create(input="hi", stream=True) if is_streamed else client.responses.create(input="hi")
            )
        timer.join()
        assert time.monotonic() - pressed[0] < CLOSE_SECONDS * SLOWDOWN
        assert_no_open_connection(client, pressed[0])
    assert len(sim.requests) == 1


async def async_break_out(client: Any) -> None:
    count = 0
    async for _ in await client.responses.create(input="hi", stream=True):
        count += 1
        if count == EVENTS:
            break


async def async_open_stream(client: Any) -> Any:
    stream = await client.responses.create(input="hi", stream=True)
    events = aiter(stream)
    for _ in range(EVENTS):
        await anext(events)
    return stream


async def async_close(client: Any) -> None:
    await (await async_open_stream(client)).close()


async def async_leave_block(client: Any) -> None:
    async with await async_open_stream(client):
        pass


async def async_stop_helper_early(client: Any) -> None:
    count = 0
    async with client.responses.stream(input="hi") as stream:
        async for _ in stream:
            count += 1
            if count == EVENTS:
                break


async def cancelled_while_streaming(client: Any) -> None:
    async def read_all() -> None:
        async for _ in await client.responses.create(input="hi", stream=True):
            pass

    await _cancelled(read_all())


async def cancelled_while_collecting(client: Any) -> None:
    await _cancelled(client.responses.create(input="hi"))


async def out_of_time(client: Any) -> None:
    with anyio.move_on_after(0.3):
        await client.responses.create(input="hi")


async def _cancelled(work: Any) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    "leave",
    [
        async_break_out,
        async_close,
        async_leave_block,
        async_stop_helper_early,
        cancelled_while_streaming,
        cancelled_while_collecting,
        out_of_time,
    ],
)
def test_abandoned_async_stream_closes_its_connection(sim: Simulator, leave: Callable[[Any], Any]) -> None:
    async def scenario() -> None:
        async with sim.async_client(max_retries=2) as client:
            tasks = len(asyncio.all_tasks())
            await leave(client)
            since = time.monotonic()
            while time.monotonic() - since < CLOSE_SECONDS * SLOWDOWN:  # the pool sends no notification
                if not open_connections(client) and len(asyncio.all_tasks()) == tasks:
                    break
                await asyncio.sleep(0.005)
            assert open_connections(client) == 0
            assert len(asyncio.all_tasks()) == tasks

    anyio.run(scenario)
    assert len(sim.requests) == 1


def sockets() -> int:
    return sum(_target(name).startswith("socket:") for name in os.listdir("/proc/self/fd"))


def _target(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:  # another thread has closed it
        return ""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not list a process's sockets")
def test_closed_streams_leave_no_socket_or_thread(sim: Simulator) -> None:
    with sim.client(max_retries=0) as client:
        sim.clear()
        sim.script(*[Turn.text("half a response").stalled(SENT_EVENTS, STALL_SECONDS)] * 30)
        close(client)
        gc.collect()
        before, threads = sockets(), threading.active_count()
        for _ in range(25):
            close(client)
        deadline = time.monotonic() + 5  # the simulator closes its own ends in this process
        while sockets() > before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert sockets() <= before
        assert threading.active_count() <= threads
