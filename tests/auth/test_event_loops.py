"""Test the async client on asyncio and on trio."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2
import pytest
from support.calls import requested_paths

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import DeviceLoginSettings, Simulator, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytest.importorskip("trio")


@pytest.fixture(params=["asyncio", "trio"])
def run_on_loop(request: pytest.FixtureRequest) -> Callable[[Callable[[], Awaitable[None]]], None]:
    def run(scenario: Callable[[], Awaitable[None]]) -> None:
        anyio.run(scenario, backend=request.param)

    return run


def test_login_and_logout_succeed(run_on_loop: Callable[..., None]) -> None:
    async def scenario() -> None:
        with Simulator(device_login=DeviceLoginSettings()) as sim:
            async with sim.async_client(credentials=MemoryStore()) as client, anyio.create_task_group() as tasks:
                codes: list[object] = []
                loop_thread = threading.current_thread()

                async def show(code: object) -> None:
                    await anyio.lowlevel.checkpoint()
                    assert threading.current_thread() is loop_thread
                    codes.append(code)

                async def visit(url: str) -> None:
                    assert threading.current_thread() is loop_thread
                    tasks.start_soon(lambda: anyio.to_thread.run_sync(lambda: httpx2.get(url, follow_redirects=True)))

                await client.authenticate_device_code(on_code=show)
                assert [type(code) for code in codes] == [sdk.DeviceCode]
                await client.authenticate(force=True, open_browser=False, on_url=visit, ports=(0,), timeout=20)
                assert (await client.account()).email == "user@example.com"
                assert await client.revoke()
                with pytest.raises(sdk.LoginRequiredError):
                    await client.responses.create(input="hi")

    run_on_loop(scenario)


def test_cancelled_login_ends(run_on_loop: Callable[..., None]) -> None:
    async def scenario() -> None:
        with Simulator(approval="manual") as sim:
            async with sim.async_client(credentials=MemoryStore()) as client:
                with anyio.move_on_after(0.5) as scope:
                    await client.authenticate(open_browser=False, on_url=lambda url: None, ports=(0,))
                assert scope.cancelled_caught
                await anyio.sleep(1.5)
                assert "codex-login-server" not in {thread.name for thread in threading.enumerate()}

    run_on_loop(scenario)


def test_calls_streams_and_refreshes_succeed(run_on_loop: Callable[..., None], sim: Simulator) -> None:
    async def scenario() -> None:
        store = MemoryStore(sim.login_document(expires_in=-timedelta(minutes=1)))
        async with sim.async_client(credentials=Credentials(store, issuer=sim.issuer), max_retries=0) as client:
            statuses: list[Any] = []

            async def call() -> None:
                statuses.append((await client.responses.create(input="hi")).status)

            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(call)
            assert statuses == ["completed"] * 20
            assert requested_paths(sim).count("token") == 1, "one refresh for all tasks"
            sim.script(Turn.error(401, {}))
            async with client.responses.stream(input="hi") as stream:
                events = [event.type async for event in stream]
            assert events[-1] == "response.completed"
            assert requested_paths(sim).count("token") == 2
            assert [model.id async for model in await client.models.list()]

    run_on_loop(scenario)


def test_call_succeeds_after_interrupted_streams(run_on_loop: Callable[..., None], sim: Simulator) -> None:
    async def scenario() -> None:
        async with sim.async_client(max_retries=0) as client:
            async with await client.responses.create(input="hi", stream=True) as stream:
                async for event in stream:
                    assert event.type
                    break
            sim.script(Turn.text("one two three").throttled(1, 0.05))
            with anyio.move_on_after(0.5) as scope:
                await client.responses.create(input="hi")
            assert scope.cancelled_caught
            assert (await client.responses.create(input="hi")).status == "completed"

    run_on_loop(scenario)
