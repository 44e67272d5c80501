"""Test the recording of requests."""

from __future__ import annotations

import gzip
import json
import threading
from typing import Any

import pytest
import zstandard


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
