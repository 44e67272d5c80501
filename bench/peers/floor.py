"""The floor, the least that any client has to do: receive bytes, split them, parse JSON; no types, no checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import jiter
import pydantic_core

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["Floor"]

_HEADERS = {"content-type": "application/json", "accept": "text/event-stream"}


class Floor:
    """A client without types: it yields each event as a dict."""

    is_untyped = True

    def client(self, base_url: str) -> Any:
        return httpx2.Client(base_url=base_url, headers=_HEADERS)

    def mock_client(self, compress: bool = True) -> Any:
        return None  # `events` then only encodes the body

    def async_client(self, base_url: str) -> Any:
        return httpx2.AsyncClient(base_url=base_url, headers=_HEADERS)

    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        body = pydantic_core.to_json(params)
        if client is None:
            return
        rest = b""
        with client.stream("POST", "/responses", content=body) as response:
            for chunk in response.iter_bytes():
                *frames, rest = (rest + chunk).split(b"\n\n")
                for frame in frames:
                    yield jiter.from_json(frame[frame.index(b"\ndata: ") + 7 :])

    async def async_events(self, client: Any, params: dict[str, Any]) -> AsyncIterator[Any]:
        return self._async_events(client, params)

    async def _async_events(self, client: Any, params: dict[str, Any]) -> AsyncIterator[Any]:
        rest = b""
        async with client.stream("POST", "/responses", content=pydantic_core.to_json(params)) as response:
            async for chunk in response.aiter_bytes():
                *frames, rest = (rest + chunk).split(b"\n\n")
                for frame in frames:
                    yield jiter.from_json(frame[frame.index(b"\ndata: ") + 7 :])

    def long_event(self, client: Any, params: dict[str, Any]) -> Any:
        """Read a whole response and parse its first event, the least that one long event can cost."""
        with client.stream("POST", "/responses", content=pydantic_core.to_json(params)) as response:
            body = b"".join(response.iter_bytes())
        return jiter.from_json(body[body.index(b"\ndata: ") + 7 : body.index(b"\n\n")])
