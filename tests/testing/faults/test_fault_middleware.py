"""Faults of the request header, and of routes other than model requests."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

HEADER = "x-simulator-fault"
MODELS = {"client_version": "0.169.0"}


def statuses(wire: Any, count: int, **headers: str) -> list[int]:
    return [wire.post(wire.body("hi"), **headers).status_code for _ in range(count)]


def usage_status(wire: Any, fault: str) -> int:
    headers = {**wire.headers, HEADER: fault}
    return int(wire.http.get(f"{wire.sim.chatgpt_url}/wham/usage", headers=headers).status_code)


def test_header_applies_to_its_own_request(wire: Any) -> None:
    assert statuses(wire, 2, **{HEADER: "overloaded"}) == [503, 503]
    assert statuses(wire, 1) == [200]
    assert usage_status(wire, "status:500") == 500


def test_header_wins_over_the_queue(wire: Any) -> None:
    wire.sim.fail("status:500")
    assert statuses(wire, 1, **{HEADER: "overloaded"}) == [503]
    assert statuses(wire, 1) == [500]


def test_header_count_lets_a_retry_succeed(wire: Any) -> None:
    assert statuses(wire, 3, **{HEADER: "overloaded*2"}) == [503, 503, 200]
    assert statuses(wire, 2, **{HEADER: "overloaded*1;test 7"}) == [503, 200]
    wire.sim.clear()
    assert statuses(wire, 1, **{HEADER: "overloaded*2"}) == [503]


def test_header_with_a_route_applies_only_there(wire: Any) -> None:
    assert usage_status(wire, "status:500@responses") == 200
    assert statuses(wire, 1, **{HEADER: "status:500@responses"}) == [500]


@pytest.mark.parametrize("text", ["wrong", "tls_failure"])
def test_invalid_header_gets_400(wire: Any, text: str) -> None:
    response = wire.post(wire.body("hi"), **{HEADER: text})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("x-simulator-fault: ")


def test_default_response_of_a_route_is_modified(wire: Any) -> None:
    whole = wire.get("/codex/models", params=MODELS)
    wire.sim.fail("compressed:gzip", "header:etag,other", "cut_after_bytes:50", route="models")
    compressed, other = (wire.get("/codex/models", params=MODELS) for _ in range(2))
    assert (compressed.json(), compressed.headers["content-encoding"]) == (whole.json(), "gzip")
    assert (other.json(), other.headers["etag"]) == (whole.json(), "other")
    with pytest.raises(httpx2.RemoteProtocolError):
        wire.get("/codex/models", params=MODELS)
