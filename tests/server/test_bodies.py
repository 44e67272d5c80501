"""Bodies: codings, limits on the decompressed size, and responses that arrive although the body was not read."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.requests import Request
from support.scripted_backend import wait_until

from codex_backend_sdk.server.api_errors import ApiError
from codex_backend_sdk.server.bodies import BodyDrain, read_json

from .conftest import KEY

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codex_backend_sdk.testing import Simulator

LIMIT = 100_000
DATA = {"input": "häßlich", "numbers": list(range(2000))}
PLAIN = json.dumps(DATA).encode()


def read(parts: Iterable[bytes], headers: dict[str, str] | None = None, *, limit: int = LIMIT) -> dict[str, Any]:
    pending = list(parts)

    async def receive() -> dict[str, Any]:
        body = pending.pop(0) if pending else b""
        return {"type": "http.request", "body": body, "more_body": bool(pending)}

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    request = Request({"type": "http", "method": "POST", "headers": raw}, receive)

    async def run() -> dict[str, Any]:
        return await read_json(request, max_bytes=limit, idle_seconds=60)

    return anyio.run(run)


CODINGS = [
    ("identity", PLAIN),
    ("zstd", zstd.compress(PLAIN)),
    ("gzip", gzip.compress(PLAIN)),
    ("GZip", gzip.compress(PLAIN)),
    ("deflate", zlib.compress(PLAIN)),
]


@pytest.mark.parametrize(("coding", "body"), CODINGS)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_body_is_decompressed_in_any_pieces(coding: str, body: bytes, size: int) -> None:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    assert read(parts, {"content-encoding": coding}) == DATA


@pytest.mark.parametrize(("coding", "body"), CODINGS[1:])
@pytest.mark.parametrize("damage", ["cut", "trailing", "changed", "plain"])
def test_damaged_body_is_a_400(coding: str, body: bytes, damage: str) -> None:
    middle = len(body) // 2
    damaged = {
        "cut": body[:-1],
        "trailing": body + b"more",
        "changed": body[:2] + b"\xff\xff\xff\xff" + body[6:middle] + b"\0" * 8 + body[middle + 8 :],
        "plain": PLAIN,
    }[damage]
    for parts in ([damaged], [damaged[:9], damaged[9:-2], damaged[-2:]]):
        with pytest.raises(ApiError) as caught:
            read(parts, {"content-encoding": coding})
        assert caught.value.status == 400


@pytest.mark.parametrize("coding", ["br", "zstd, gzip", "compress"])
def test_unknown_coding_is_a_415(coding: str) -> None:
    with pytest.raises(ApiError) as caught:
        read([PLAIN], {"content-encoding": coding})
    assert caught.value.status == 415
    assert caught.value.headers["accept-encoding"] == "zstd, gzip, deflate"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"text"', b"{", b"\xff\xfe{}", b"{} {}", b"null", b'{"a":' * 5000 + b"1" + b"}" * 5000],
    ids=range(8),
)
def test_other_bodies_than_an_object_are_a_400(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        read([body])
    assert (caught.value.status, caught.value.code) == (400, "local_invalid_body")


@pytest.mark.parametrize("coding", ["zstd", "gzip", "deflate"])
def test_bomb_is_refused_without_being_unpacked(coding: str) -> None:
    zeros = bytes(100_000_000)
    bomb = {"zstd": zstd.compress, "gzip": gzip.compress, "deflate": zlib.compress}[coding](zeros)
    del zeros
    tracemalloc.start()
    try:
        with pytest.raises(ApiError) as caught:
            read([bomb], {"content-encoding": coding})
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert (caught.value.status, caught.value.code) == (413, "local_body_too_large")


def test_body_of_the_limit_is_accepted_and_one_more_is_not() -> None:
    assert read([PLAIN], limit=len(PLAIN)) == DATA
    for headers in ({}, {"content-length": str(len(PLAIN))}):
        with pytest.raises(ApiError) as caught:
            read([PLAIN], headers, limit=len(PLAIN) - 1)
        assert caught.value.status == 413


@pytest.mark.parametrize("is_chunked", [False, True])
def test_50_megabytes_get_a_413_and_are_not_kept(server: Any, is_chunked: bool) -> None:
    part = b" " * 1_000_000

    def parts() -> Any:
        for _ in range(50):
            yield part

    headers = {"content-type": "application/json"} | ({} if is_chunked else {"content-length": "50000000"})
    server.app.router.add_route("/v1/read", _read_route, methods=["POST"])
    tracemalloc.start()
    try:
        response = server.post("/read", content=parts(), headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (response.status_code, response.json()["error"]["code"]) == (413, "local_body_too_large")
    assert "codex-backend serve" in response.json()["error"]["message"]
    # With a length, nothing is kept. Without one, the bytes up to the limit of 32 MB were.
    assert peak < (80_000_000 if is_chunked else 10_000_000)


async def _read_route(request: Request) -> Any:
    await read_json(request, max_bytes=request.app.state.settings.max_body_bytes, idle_seconds=60)


@pytest.mark.parametrize("headers", [{"authorization": "Bearer wrong"}, {"content-type": "text/plain"}])
def test_rejection_arrives_after_a_large_body(server: Any, headers: dict[str, str]) -> None:
    headers = {"content-type": "application/json", **headers}
    response = server.post("/responses", content=b" " * 20_000_000, headers=headers)
    assert response.status_code in (401, 415)


@pytest.mark.parametrize(
    ("headers", "reads_first", "expected"),
    [([], 0, "rrrS"), ([], 1, "rrrS"), ([], 3, "rrrS"), ([(b"expect", b"100-continue")], 0, "S")],
)
def test_response_begins_after_the_body(headers: list[Any], reads_first: int, expected: str) -> None:
    """A response before the end of the body makes some clients report a reset connection."""
    steps: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(reads_first):
            await receive()
        await send({"type": "http.response.start", "status": 401, "headers": []})

    async def receive() -> dict[str, Any]:
        steps.append("r")
        assert len(steps) <= 3, "nothing is read after the end of the body"
        return {"type": "http.request", "body": b"part", "more_body": len(steps) < 3}

    async def send(message: Any) -> None:
        steps.append("S")

    async def run() -> None:
        await BodyDrain(app)({"type": "http", "headers": headers}, receive, send)

    anyio.run(run)
    assert "".join(steps) == expected


def test_endless_body_is_not_read_to_its_end() -> None:
    received = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 50_000_000
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        pass

    part = bytes(50_000_000)
    anyio.run(BodyDrain(app), {"type": "http", "headers": []}, receive, send)
    assert 200_000_000 <= received <= 300_000_000


SLOW_BODIES = [
    ("content-length: 100", ""),
    ("content-length: 100", '{"model": '),
    ("transfer-encoding: chunked", '9\r\n{"model":\r\n'),
    ("content-length: 100\r\nexpect: 100-continue", ""),
]


@pytest.mark.parametrize("path", ["/responses", "/chat/completions"])
@pytest.mark.parametrize(("length", "body"), SLOW_BODIES, ids=["nothing", "part", "chunk", "expect"])
def test_upload_that_stops_gets_a_408(serve: Any, path: str, length: str, body: str) -> None:
    server = serve(receive_seconds=1)
    head = f"POST /v1{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(f"{head}content-type: application/json\r\n{length}\r\n\r\n{body}".encode())
        received = b"".join(iter(lambda: client.recv(65536), b""))  # to the end of the connection
    status, _, content = received.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 408 ")
    assert json.loads(content)["error"]["code"] == "local_upload_timeout"
    wait_until(lambda: server.lines)
    assert server.lines[0].endswith("local_upload_timeout")


def test_slow_upload_is_read_while_bytes_arrive(serve: Any, sim: Simulator) -> None:
    server = serve(receive_seconds=5.0)
    body = json.dumps({"model": "gpt-5.5", "input": "hi"}).encode()

    def parts() -> Iterable[bytes]:
        for start in range(0, len(body), 4):
            time.sleep(0.01)
            yield body[start : start + 4]

    response = server.post("/responses", content=parts(), headers={"content-type": "application/json"})
    assert response.status_code == 200
