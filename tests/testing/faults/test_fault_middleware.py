"""Test faults that the request header selects, and faults of routes other than the model route."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

HEADER = "x-simulator-fault"
MODELS = {"client_version": "0.169.0"}


def statuses(raw_client: Any, count: int, **headers: str) -> list[int]:
    return [raw_client.post(raw_client.body("hi"), **headers).status_code for _ in range(count)]


def usage_status(raw_client: Any, fault: str) -> int:
    headers = {**raw_client.headers, HEADER: fault}
    return int(raw_client.http.get(f"{raw_client.sim.chatgpt_url}/wham/usage", headers=headers).status_code)


def test_header_applies_to_its_own_request(raw_client: Any) -> None:
    assert statuses(raw_client, 2, **{HEADER: "overloaded"}) == [503, 503]
    assert statuses(raw_client, 1) == [200]
    assert usage_status(raw_client, "status:500") == 500


def test_header_has_precedence_over_the_queue(raw_client: Any) -> None:
    raw_client.sim.fail("status:500")
    assert statuses(raw_client, 1, **{HEADER: "overloaded"}) == [503]
    assert statuses(raw_client, 1) == [500]


def test_header_with_a_count_allows_a_retry(raw_client: Any) -> None:
    assert statuses(raw_client, 3, **{HEADER: "overloaded*2"}) == [503, 503, 200]
    assert statuses(raw_client, 2, **{HEADER: "overloaded*1;test 7"}) == [503, 200]
    raw_client.sim.clear()
    assert statuses(raw_client, 1, **{HEADER: "overloaded*2"}) == [503]


def test_header_with_a_route_applies_only_there(raw_client: Any) -> None:
    assert usage_status(raw_client, "status:500@responses") == 200
    assert statuses(raw_client, 1, **{HEADER: "status:500@responses"}) == [500]


@pytest.mark.parametrize("text", ["wrong", "tls_failure"])
def test_invalid_header_returns_400(raw_client: Any, text: str) -> None:
    response = raw_client.post(raw_client.body("hi"), **{HEADER: text})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("x-simulator-fault: ")


def test_default_response_of_a_route_is_modified(raw_client: Any) -> None:
    default_response = raw_client.get("/codex/models", params=MODELS)
    raw_client.sim.fail("compressed:gzip", "header:etag,other", "cut_after_bytes:50", route="models")
    compressed, other = (raw_client.get("/codex/models", params=MODELS) for _ in range(2))
    assert (compressed.json(), compressed.headers["content-encoding"]) == (default_response.json(), "gzip")
    assert (other.json(), other.headers["etag"]) == (default_response.json(), "other")
    with pytest.raises(httpx2.RemoteProtocolError):
        raw_client.get("/codex/models", params=MODELS)
