"""One scenario for both clients: a sync facade over an async client.

`Blocking(async_client)` runs every coroutine on an event loop in another thread, iterates async iterators and enters
async context managers, so that a test is written once and runs on `OpenAI` and on `AsyncOpenAI`.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import openai
from openai._base_client import AsyncPaginator
from openai.lib.streaming.responses import AsyncResponseStream
from openai.pagination import AsyncPage

from codex_backend_sdk import AsyncOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from anyio.from_thread import BlockingPortal

_WRAPPED = (AsyncOpenAI, openai.AsyncStream, AsyncResponseStream, AsyncPaginator, AsyncPage)


class Blocking:
    """A sync facade over an async object."""

    def __init__(self, target: Any, portal: BlockingPortal) -> None:
        self._target = target
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._portal.call(_awaited, value) if inspect.isawaitable(value) else self._wrap(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            result = self._target(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return self._wrap(self._portal.call(call))

    def __iter__(self) -> Iterator[Any]:
        iterator = self._portal.call(self._target.__aiter__)

        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(iterator)
            except StopAsyncIteration:
                return False, None

        while (step := self._portal.call(following))[0]:
            yield self._wrap(step[1])

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._target)

        return self._portal.call(following)

    def __enter__(self) -> Any:
        return self._wrap(self._portal.call(self._target.__aenter__))

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._target.__aexit__, exc_type, exc, trace)

    def _wrap(self, value: Any) -> Any:
        asynchronous = callable(value) or hasattr(value, "__aenter__") or isinstance(value, _WRAPPED)
        named = type(value).__module__.startswith(("openai.resources", "codex_backend_sdk.resources", "openai._"))
        plain = isinstance(value, openai.BaseModel) and not isinstance(value, AsyncPage)
        if isinstance(value, (str, type)) or plain or not (asynchronous or named):
            return value
        return Blocking(value, self._portal)


async def _awaited(value: Any) -> Any:
    return await value
