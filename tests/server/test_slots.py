"""Slots: at most N at a time, the others in order, and those who leave are forgotten."""

from __future__ import annotations

import anyio
import pytest

from codex_backend_sdk.server.api_errors import ApiError
from codex_backend_sdk.server.slots import Slots

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_waiting_requests_are_served_in_order() -> None:
    slots, order, most = Slots(2, 100), [], 0

    async def work(number: int) -> None:
        nonlocal most
        async with slots.take():
            most = max(most, slots.running)
            order.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(work, number)
    assert order == list(range(20))
    assert (most, slots.running, slots.waiting) == (2, 0, 0)


async def test_full_queue_is_a_local_429() -> None:
    slots = Slots(1, 1)

    async def wait() -> None:
        async with slots.take():
            raise AssertionError("cancelled before")

    async with slots.take(), anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(ApiError) as caught:
            async with slots.take():
                pass
        group.cancel_scope.cancel()
    assert (caught.value.status, caught.value.code) == (429, "local_queue_full")
    assert "not a limit of your plan" in caught.value.message
    assert caught.value.headers["retry-after"] == "5"


async def test_cancelled_request_leaves_the_queue() -> None:
    slots, order = Slots(1, 10), []

    async def work(name: str, scope: anyio.CancelScope) -> None:
        with scope:
            async with slots.take():
                order.append(name)

    scopes = {name: anyio.CancelScope() for name in "abc"}
    async with anyio.create_task_group() as group:
        async with slots.take():
            for name, scope in scopes.items():
                group.start_soon(work, name, scope)
            await anyio.wait_all_tasks_blocked()
            scopes["b"].cancel()
            await anyio.wait_all_tasks_blocked()
            assert slots.waiting == 2
        # "a" has got the slot; if it leaves in this moment, "c" gets it.
        scopes["a"].cancel()
    assert order[-1] == "c"
    assert "b" not in order
    assert (slots.running, slots.waiting) == (0, 0)


async def test_failed_request_frees_its_slot() -> None:
    slots = Slots(1, 0)
    with pytest.raises(ZeroDivisionError):
        async with slots.take():
            raise ZeroDivisionError
    async with slots.take():
        assert slots.running == 1


@pytest.mark.parametrize("grace_seconds", [0.0, 60.0])
async def test_closed_slots_refuse_and_end_requests(grace_seconds: float) -> None:
    slots, errors, ended, gate = Slots(1, 10), list[ApiError](), list[str](), anyio.Event()

    async def work(name: str) -> None:
        try:
            async with slots.take():
                await gate.wait()
                ended.append(name)
        except ApiError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for name in ("running", "waiting", "waiting, too"):
            group.start_soon(work, name)
        await anyio.wait_all_tasks_blocked()
        slots.close(grace_seconds)
        await anyio.wait_all_tasks_blocked()
        assert (slots.running, slots.waiting) == (1 if grace_seconds else 0, 0)
        assert len(errors) == (2 if grace_seconds else 3)
        await work("later")
        gate.set()
    assert ended == (["running"] if grace_seconds else [])
    assert {(error.status, error.code) for error in errors} == {(503, "local_shutting_down")}
    assert errors[0].headers == {"retry-after": "5"}
    assert (slots.running, slots.waiting) == (0, 0)


async def test_failure_within_the_grace_period_is_kept() -> None:
    slots = Slots(1, 0)

    async def fail() -> None:
        async with slots.take():
            slots.close(60)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
