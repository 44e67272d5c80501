"""Test that a body that is not a JSON object, or one with too many levels, gets 400 on every route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from codex_backend_sdk.testing import SimulatedLimits
from codex_backend_sdk.testing.http.request_json import parse_json_object

JSON_ROUTES = [
    "/oauth/token",
    "/oauth/revoke",
    "/api/accounts/deviceauth/usercode",
    "/api/accounts/deviceauth/token",
    "/backend-api/codex/responses",
    "/backend-api/wham/rate-limit-reset-credits/consume",
]


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    """Return an object with this many levels."""
    return b'{"x": ' + (opening * (levels - 1)).encode() + b"1" + (closing * (levels - 1)).encode() + b"}"


INVALID = {
    "empty": b"",
    "array": b"[]",
    "truncated": b"{",
    "no UTF-8": b"\xff",
    "lone surrogate": rb'{"x": "\ud800"}',
    "deeper than Python can parse": b"[" * 100_000,
    "deep arrays": nested(100_000),
    "deep objects": nested(100_000, '{"x": ', "}"),
    "deeper than Python can walk": nested(900),
    "one level too many": nested(101),
    "one level too many, of objects": nested(101, '{"x": ', "}"),
}


@pytest.mark.parametrize("route", JSON_ROUTES)
@pytest.mark.parametrize("content", INVALID.values(), ids=INVALID)
def test_invalid_json_gets_400(raw_client: Any, route: str, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    raw_client.sim.limits = SimulatedLimits(reset_credits=1)
    headers = {**raw_client.headers, "content-type": "application/json"}
    response = raw_client.http.post(raw_client.sim.url + route, content=content, headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"].startswith(
        ("The body must be a JSON object", "The JSON of the body has more than")
    )
    assert capfd.readouterr() == ("", "")


def test_deepest_object_is_parsed() -> None:
    assert parse_json_object(nested(100)) == json.loads(nested(100))
    with pytest.raises(HTTPException) as caught:
        parse_json_object(nested(101))
    assert caught.value.status_code == 400
