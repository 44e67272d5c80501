"""Adapt an async client to the sync interface, so that one test runs on `OpenAI` and on `AsyncOpenAI`.

`SyncAdapter(async_client)` runs every coroutine on an event loop in another thread, iterates async iterators and enters
async context managers.
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

_END = object()
_WRAPPED = (AsyncOpenAI, openai.AsyncStream, AsyncResponseStream, AsyncPaginator, AsyncPage)


class SyncAdapter:
    """A sync facade over an async object."""

    def __init__(self, target: Any, portal: BlockingPortal) -> None:
        self._target = target
        self._portal = portal

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._portal.call(_await, value) if inspect.isawaitable(value) else self._wrap(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_target", "_portal"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._target, name, value)

    def __len__(self) -> int:
        return len(self._target)

    def __bool__(self) -> bool:
        return True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            result = self._target(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return self._wrap(self._portal.call(call))

    def __iter__(self) -> Iterator[Any]:
        iterator = self._portal.call(self._target.__aiter__)

        async def next_item() -> Any:
            return await anext(iterator, _END)

        while (item := self._portal.call(next_item)) is not _END:
            yield self._wrap(item)

    def __next__(self) -> Any:
        async def next_item() -> Any:
            return await anext(self._target)

        return self._portal.call(next_item)

    def __enter__(self) -> Any:
        return self._wrap(self._portal.call(self._target.__aenter__))

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._portal.call(self._target.__aexit__, exc_type, exc, trace)

    def _wrap(self, value: Any) -> Any:
        # Wrap what may have async methods: methods, streams, pages and resources. Return data, such as a `Response`.
        is_data = isinstance(value, openai.BaseModel) and not isinstance(value, AsyncPage)
        is_async = (
            callable(value)
            or hasattr(value, "__aenter__")
            or hasattr(value, "__anext__")
            or isinstance(value, _WRAPPED)
        )
        is_resource = type(value).__module__.startswith(("openai.resources", "codex_backend_sdk.resources", "openai._"))
        if isinstance(value, (str, type)) or is_data or not (is_async or is_resource):
            return value
        return SyncAdapter(value, self._portal)


async def _await(value: Any) -> Any:
    return await value
