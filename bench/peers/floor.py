"""The floor: what any client has to do. httpx2 for the bytes, a split, jiter; no types and no promises."""

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
    """Bytes in, mappings out."""

    untyped = True

    def client(self, base_url: str) -> Any:
        return httpx2.Client(base_url=base_url, headers=_HEADERS)

    def canned_client(self, compress: bool = True) -> Any:
        return None

    def async_client(self, base_url: str) -> Any:
        return httpx2.AsyncClient(base_url=base_url, headers=_HEADERS)

    def events(self, client: Any, params: dict[str, Any]) -> Iterator[Any]:
        body = pydantic_core.to_json(params)
        if client is None:  # a request is prepared when it is written
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
        """Read an answer whole and parse its first event: what one long event costs at least."""
        with client.stream("POST", "/responses", content=pydantic_core.to_json(params)) as response:
            body = b"".join(response.iter_bytes())
        return jiter.from_json(body[body.index(b"\ndata: ") + 7 : body.index(b"\n\n")])
