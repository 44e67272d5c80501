"""Test the recording of requests."""

from __future__ import annotations

import gzip
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from codex_backend_sdk.testing.http.recording import MAX_BODY_BYTES, RecordedRequest, RequestLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def test_request_is_recorded_with_query_headers_and_body(raw_client: Any) -> None:
    raw_client.get("/codex/models", params={"client_version": "0.169.0"})
    raw_client.create("hi")
    first, second = raw_client.sim.requests
    assert (first.method, first.path) == ("GET", "/backend-api/codex/models")
    assert first.query == {"client_version": "0.169.0"}
    assert second.json()["input"][0]["content"][0]["text"] == "hi"
    assert second.headers["chatgpt-account-id"] == raw_client.tokens["account_id"]
    assert raw_client.tokens["access_token"] not in repr(second)
    raw_client.sim.clear()
    assert raw_client.sim.requests == []


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("zstd", zstandard.ZstdCompressor(level=3).compress),
        ("zstd", lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data)),
        ("gzip", gzip.compress),
        ("identity", bytes),
    ],
)
def test_compressed_body_is_recorded_decompressed(raw_client: Any, encoding: str, compress: Any) -> None:
    data = json.dumps(raw_client.body("hi")).encode()
    headers = {**raw_client.headers, "content-encoding": encoding, "content-type": "application/json"}
    response = raw_client.http.post(f"{raw_client.sim.base_url}/responses", content=compress(data), headers=headers)
    assert response.status_code == 200
    assert raw_client.sim.requests[-1].body == data


@pytest.mark.parametrize(("encoding", "status"), [("zstd", 400), ("gzip", 400), ("br", 415)])
def test_undecodable_body_is_rejected(raw_client: Any, encoding: str, status: int) -> None:
    headers = {**raw_client.headers, "content-encoding": encoding}
    response = raw_client.http.post(f"{raw_client.sim.base_url}/responses", content=b"not compressed", headers=headers)
    assert response.status_code == status
    assert encoding in response.json()["detail"]


def test_requests_of_many_threads_are_all_recorded(raw_client: Any) -> None:
    texts: dict[int, str] = {}

    def create(number: int) -> None:
        texts[number] = raw_client.text(f"Say number{number}")

    threads = [threading.Thread(target=create, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {n: f"number{n}" for n in range(20)}
    assert len(raw_client.sim.requests) == 20


def recorded(body: bytes = b"") -> RecordedRequest:
    return RecordedRequest(method="POST", path="/", query={}, headers={}, body=body)


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_last_requests_are_kept(start_raw_client: Callable[..., Any], kept: int) -> None:
    raw_client = start_raw_client(max_recorded_requests=kept)
    for number in range(5):
        raw_client.get("/codex/models", params={"client_version": f"0.{number}.0"})
    versions = [request.query["client_version"] for request in raw_client.sim.requests]
    assert versions == [f"0.{number}.0" for number in range(5 - kept, 5)]


def test_long_bodies_are_dropped_first_in_first_out() -> None:
    log = RequestLog(100, max_bytes=10)
    for body in (b"aaaa", b"bbbb", b"cc", b"d", b"", b"eeeeeeeee"):
        log.append(recorded(body))
    assert [request.body for request in log.copy()] == [b"d", b"", b"eeeeeeeee"]
    log.append(recorded(b"x" * 11))
    assert log.copy() == []
    log.append(recorded(b"f" * 10))
    assert [request.body for request in log.copy()] == [b"f" * 10]
    log.clear()
    log.append(recorded(b"g" * 10))
    assert len(log.copy()) == 1


TOO_LONG = bytes(MAX_BODY_BYTES + 1)
BOMBS: dict[str, Callable[[], tuple[str, bytes]]] = {
    "plain": lambda: ("identity", TOO_LONG),
    "gzip": lambda: ("gzip", gzip.compress(TOO_LONG, compresslevel=1)),
    "gzip in two members": lambda: ("gzip", gzip.compress(TOO_LONG[: 2**24], compresslevel=1) * 3),
    "zstd": lambda: ("zstd", zstandard.compress(TOO_LONG)),
    "zstd without a size": lambda: ("zstd", zstandard.ZstdCompressor(write_content_size=False).compress(TOO_LONG)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("is_logged_in", [True, False])
def test_body_that_is_too_long_is_rejected(raw_client: Any, bomb: Any, is_logged_in: bool) -> None:
    encoding, content = bomb()
    headers = {**(raw_client.headers if is_logged_in else {}), "content-encoding": encoding}
    response = raw_client.http.post(f"{raw_client.sim.base_url}/responses", content=content, headers=headers)
    assert response.status_code == 413
    assert "33,554,432 bytes" in response.json()["detail"]
    assert raw_client.sim.requests == []
    assert raw_client.text("Say hello") == "hello"


def test_chunked_body_that_is_too_long_is_rejected(raw_client: Any) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(33):
            yield bytes(2**20)

    response = raw_client.http.post(f"{raw_client.sim.url}/oauth/token", content=chunks())
    assert (response.status_code, raw_client.sim.requests) == (413, [])


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd"])
def test_longest_body_is_recorded(raw_client: Any, encoding: str) -> None:
    body = bytes(MAX_BODY_BYTES)
    compress = {"identity": bytes, "gzip": lambda data: gzip.compress(data, 1), "zstd": zstandard.compress}[encoding]
    raw_client.http.post(f"{raw_client.sim.url}/x", content=compress(body), headers={"content-encoding": encoding})
    assert raw_client.sim.requests[-1].body == body


def test_gzip_members_are_joined_and_a_truncated_one_is_rejected(raw_client: Any) -> None:
    data = json.dumps(raw_client.body("hi")).encode()
    compressed = gzip.compress(data[:20]) + gzip.compress(data[20:])
    url, headers = f"{raw_client.sim.base_url}/responses", {**raw_client.headers, "content-encoding": "gzip"}
    assert raw_client.http.post(url, content=compressed, headers=headers).status_code == 200
    assert raw_client.sim.requests[-1].body == data
    assert raw_client.http.post(url, content=compressed[:-9], headers=headers).status_code == 400
