"""Connections whose chunks are joined before the HTTP client sees them: the network backends of httpcore2, wrapped."""

from __future__ import annotations

from typing import Any

import httpcore2
import httpx2

from .._upstream import connect_through
from .chunks import ChunkJoiner

__all__ = ["join_chunks"]


def join_chunks(http_client: httpx2.Client | httpx2.AsyncClient) -> None:
    """Join the chunks on the connections that this client will make."""
    connect_through(http_client, _JoiningBackend if isinstance(http_client, httpx2.Client) else _AsyncJoiningBackend)


class _JoiningStream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream
        self._chunks = ChunkJoiner()

    def read(self, *given: Any, **named: Any) -> bytes:
        return self._chunks.join(self._stream.read(*given, **named))

    def write(self, *given: Any, **named: Any) -> None:
        self._chunks.begin()
        self._stream.write(*given, **named)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _JoiningStream(self._stream.start_tls(*given, **named))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _JoiningBackend(httpcore2.NetworkBackend):
    def __init__(self, backend: httpcore2.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _JoiningStream(self._backend.connect_tcp(*given, **named))

    def connect_unix_socket(self, *given: Any, **named: Any) -> httpcore2.NetworkStream:
        return _JoiningStream(self._backend.connect_unix_socket(*given, **named))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _AsyncJoiningStream(httpcore2.AsyncNetworkStream):
    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self._chunks = ChunkJoiner()

    async def read(self, *given: Any, **named: Any) -> bytes:
        return self._chunks.join(await self._stream.read(*given, **named))

    async def write(self, *given: Any, **named: Any) -> None:
        self._chunks.begin()
        await self._stream.write(*given, **named)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *given: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        return _AsyncJoiningStream(await self._stream.start_tls(*given, **named))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _AsyncJoiningBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._backend = backend

    async def connect_tcp(self, *given: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        return _AsyncJoiningStream(await self._backend.connect_tcp(*given, **named))

    async def connect_unix_socket(self, *given: Any, **named: Any) -> httpcore2.AsyncNetworkStream:
        return _AsyncJoiningStream(await self._backend.connect_unix_socket(*given, **named))

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)
