"""`Simulator.fail`, the header, and the places where requests can fail."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import httpx2
import pytest

from codex_backend_sdk.auth._jwt import account_of
from codex_backend_sdk.testing import Turn
from codex_backend_sdk.types import Secret

HEADER = "x-simulator-fault"


def statuses(wire: Any, count: int, **headers: str) -> list[int]:
    return [wire.post(wire.body("hi"), **headers).status_code for _ in range(count)]


def test_the_next_requests_fail_in_order_with_the_script(wire: Any) -> None:
    wire.sim.fail("overloaded", "usage_limit")
    wire.sim.script("Between.")
    wire.sim.fail(Turn.slow_down(), "status:500*2")
    assert statuses(wire, 2) == [503, 429]
    assert wire.text("hi") == "Between."
    assert statuses(wire, 4) == [503, 500, 500, 200]


def test_several_times_and_always(wire: Any) -> None:
    wire.sim.fail("overloaded", times=2)
    assert statuses(wire, 3) == [503, 503, 200]
    wire.sim.fail("status:500", "status:502", times=None)
    wire.sim.fail("status:504", times=None)
    wire.sim.script("one")
    assert statuses(wire, 6) == [200, 500, 502, 504, 500, 502]
    wire.sim.clear()
    assert statuses(wire, 2) == [200, 200]


def test_a_mistake_in_one_of_them_puts_none_in(wire: Any) -> None:
    with pytest.raises(ValueError, match="No such fault"):
        wire.sim.fail("overloaded", "wrong")
    assert statuses(wire, 1) == [200]


def test_a_share_is_drawn_by_the_seed(start_wire: Any) -> None:
    drawn = []
    for seed in (1, 1, 2):
        wire = start_wire(seed=seed)
        wire.sim.fail("overloaded", "status:500", probability=0.3)
        drawn.append(statuses(wire, 60))
    assert drawn[0] == drawn[1] != drawn[2]
    assert 5 < drawn[0].count(503) + drawn[0].count(500) < 35
    assert abs(drawn[0].count(503) - drawn[0].count(500)) <= 1


def test_a_request_that_is_refused_takes_no_fault(wire: Any) -> None:
    wire.sim.fail("overloaded")
    assert wire.ask("hi", temperature=1).status_code == 400
    assert statuses(wire, 1) == [503]


def test_a_header_asks_for_a_fault_of_its_own_request(wire: Any) -> None:
    assert statuses(wire, 2, **{HEADER: "overloaded"}) == [503, 503]
    assert statuses(wire, 1) == [200]
    assert wire.get("/codex/models", params={"client_version": "0.169.0"}).status_code == 200
    headers = {**wire.headers, HEADER: "status:500"}
    assert wire.http.get(f"{wire.sim.chatgpt_url}/wham/usage", headers=headers).status_code == 500


def test_a_header_counts_by_its_text_so_that_a_retry_can_succeed(wire: Any) -> None:
    assert statuses(wire, 3, **{HEADER: "overloaded*2"}) == [503, 503, 200]
    assert statuses(wire, 2, **{HEADER: "overloaded*1;test 7"}) == [503, 200]
    wire.sim.clear()
    assert statuses(wire, 1, **{HEADER: "overloaded*2"}) == [503]


def test_a_header_with_a_place_leaves_other_places_alone(wire: Any) -> None:
    headers = {**wire.headers, HEADER: "status:500@responses"}
    assert wire.http.get(f"{wire.sim.chatgpt_url}/wham/usage", headers=headers).status_code == 200
    assert statuses(wire, 1, **{HEADER: "status:500@responses"}) == [500]


@pytest.mark.parametrize("text", ["wrong", "tls_failure"])
def test_a_header_that_cannot_be_read_is_refused(wire: Any, text: str) -> None:
    answer = wire.post(wire.body("hi"), **{HEADER: text})
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("x-simulator-fault: ")


def test_other_places_have_queues_of_their_own(wire: Any) -> None:
    def usage() -> int:
        return int(wire.get("/wham/usage").status_code)

    wire.sim.fail("status:500@usage", "status:502")
    wire.sim.fail("status:503", route="/backend-api/wham/usage")
    wire.sim.fail(Turn.rate_limited(3), route="usage")
    assert statuses(wire, 1) == [502]
    assert [usage() for _ in range(4)] == [500, 503, 429, 200]


def test_the_answer_of_another_place_can_be_disturbed(wire: Any) -> None:
    models = {"client_version": "0.169.0"}
    whole = wire.get("/codex/models", params=models)
    wire.sim.fail("compressed:gzip", "header:etag,other", "cut_after_bytes:50", route="models")
    zipped, other = (wire.get("/codex/models", params=models) for _ in range(2))
    assert (zipped.json(), zipped.headers["content-encoding"]) == (whole.json(), "gzip")
    assert (other.json(), other.headers["etag"]) == (whole.json(), "other")
    with pytest.raises(httpx2.RemoteProtocolError):
        wire.get("/codex/models", params=models)


def test_a_websocket_takes_nothing_from_the_script(wire: Any) -> None:
    wire.sim.fail("overloaded")
    assert wire.get("/codex/responses").status_code == 426
    assert statuses(wire, 1) == [503]


# Renewals


def renew(wire: Any) -> httpx2.Response:
    body = {
        "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
        "grant_type": "refresh_token",
        "refresh_token": wire.tokens["refresh_token"],
    }
    answer: httpx2.Response = wire.http.post(f"{wire.sim.issuer}/oauth/token", json=body)
    return answer


@pytest.mark.parametrize("code", ["refresh_token_expired", "refresh_token_reused", "refresh_token_invalidated"])
def test_a_renewal_is_refused_and_the_token_is_not_used_up(wire: Any, code: str) -> None:
    wire.sim.fail(code, f"{code}:text", f"{code}:code,400")
    first, second, third = (renew(wire) for _ in range(3))
    assert (first.status_code, first.json()["error"]["code"]) == (401, code)
    assert (second.status_code, second.json()) == (401, {"error": code})
    assert (third.status_code, third.json()["code"]) == (400, code)
    assert renew(wire).status_code == 200


def test_it_says_what_the_issuer_itself_says(wire: Any) -> None:
    assert renew(wire).status_code == 200
    wire.sim.fail("refresh_token_reused")
    assert renew(wire).json() == renew(wire).json()


def test_other_failures_of_a_renewal(wire: Any) -> None:
    wire.sim.fail("refresh_refused", "invalid_grant", "token_status:429", "token_status", "html@token", "reset@token")
    assert [renew(wire).status_code for _ in range(5)] == [401, 400, 429, 503, 200]
    with pytest.raises(httpx2.ReadError):
        renew(wire)


def test_a_renewal_that_is_lost_on_its_way_has_used_the_token_up(wire: Any) -> None:
    wire.sim.fail("cut_after_bytes:10@token")
    with pytest.raises(httpx2.RemoteProtocolError):
        renew(wire)
    assert renew(wire).json()["error"]["code"] == "refresh_token_reused"


def test_a_renewal_with_something_missing_or_for_somebody_else(start_wire: Any) -> None:
    wire = start_wire()
    wire.sim.fail("token_without:id_token")
    assert {"id_token", "access_token", "refresh_token"} - set(renew(wire).json()) == {"id_token"}
    other = start_wire()
    other.sim.fail("token_other_account")
    answer = renew(other).json()
    account_id = account_of(Secret(answer["id_token"]), Secret(answer["access_token"]))
    assert account_id not in (None, other.tokens["account_id"])
    other.sim.fail("token_other_account")
    assert renew(other).status_code == 401


# Handshakes


def shake(wire: Any) -> str:
    host, port = wire.sim.url.removeprefix("http://").split(":")
    context = ssl.create_default_context()
    with socket.create_connection((host, int(port)), timeout=0.3) as plain:
        try:
            context.wrap_socket(plain, server_hostname="localhost")
        except (OSError, ssl.SSLError) as error:
            return f"{type(error).__name__} {getattr(error, 'reason', '')}".strip()
    return "no failure"


def test_a_tls_handshake_fails_as_it_was_told(wire: Any) -> None:
    wire.sim.fail("tls_failure:closed", "tls_failure:reset", "tls_failure:silent", "tls_failure:alert")
    # Which of the two it is depends on the version of OpenSSL.
    assert shake(wire) in ("SSLEOFError UNEXPECTED_EOF_WHILE_READING", "SSLZeroReturnError None")
    assert shake(wire) == "ConnectionResetError"
    assert shake(wire) == "TimeoutError"
    assert "ALERT_HANDSHAKE_FAILURE" in shake(wire)
    assert shake(wire) == "SSLError WRONG_VERSION_NUMBER"
    assert statuses(wire, 1) == [200]
