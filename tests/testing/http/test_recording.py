from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
import zstandard


def test_request_is_recorded_with_query_headers_and_body(wire: Any) -> None:
    wire.get("/codex/models", params={"client_version": "0.169.0"})
    wire.create("hi")
    first, second = wire.sim.requests
    assert (first.method, first.path) == ("GET", "/backend-api/codex/models")
    assert first.query == {"client_version": "0.169.0"}
    assert second.json()["input"][0]["content"][0]["text"] == "hi"
    assert second.headers["chatgpt-account-id"] == wire.tokens["account_id"]
    assert wire.tokens["access_token"] not in repr(second)
    wire.sim.clear()
    assert wire.sim.requests == []


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("zstd", zstandard.ZstdCompressor(level=3).compress),
        ("zstd", lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data)),
        ("gzip", gzip.compress),
        ("identity", bytes),
    ],
)
def test_compressed_body_is_recorded_decompressed(wire: Any, encoding: str, compress: Any) -> None:
    data = json.dumps(wire.body("hi")).encode()
    headers = {**wire.headers, "content-encoding": encoding, "content-type": "application/json"}
    response = wire.http.post(f"{wire.sim.base_url}/responses", content=compress(data), headers=headers)
    assert response.status_code == 200
    assert wire.sim.requests[-1].body == data


@pytest.mark.parametrize(("encoding", "status"), [("zstd", 400), ("gzip", 400), ("br", 415)])
def test_undecodable_body_is_rejected(wire: Any, encoding: str, status: int) -> None:
    headers = {**wire.headers, "content-encoding": encoding}
    response = wire.http.post(f"{wire.sim.base_url}/responses", content=b"not compressed", headers=headers)
    assert response.status_code == status
    assert encoding in response.json()["detail"]


def test_requests_of_many_threads_are_all_recorded(wire: Any) -> None:
    texts: dict[int, str] = {}

    def create(number: int) -> None:
        texts[number] = wire.text(f"Say number{number}")

    threads = [threading.Thread(target=create, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {n: f"number{n}" for n in range(20)}
    assert len(wire.sim.requests) == 20
