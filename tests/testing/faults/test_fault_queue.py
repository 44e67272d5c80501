"""Test the selection of turns by `Simulator.script` and `Simulator.fail`."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn


def statuses(raw_client: Any, count: int) -> list[int]:
    return [raw_client.create("hi").status_code for _ in range(count)]


def test_faults_and_scripted_turns_share_a_queue(raw_client: Any) -> None:
    raw_client.sim.fail("overloaded", "usage_limit")
    raw_client.sim.script("Between.")
    raw_client.sim.fail(Turn.slow_down(), "status:500*2")
    assert statuses(raw_client, 2) == [503, 429]
    assert raw_client.text("hi") == "Between."
    assert statuses(raw_client, 4) == [503, 500, 500, 429], "the usage limit applies after the queue"


def test_faults_repeat_in_turn_until_clear(raw_client: Any) -> None:
    raw_client.sim.fail("overloaded", times=2)
    assert statuses(raw_client, 3) == [503, 503, 200]
    raw_client.sim.fail("status:500", "status:502", times=None)
    raw_client.sim.fail("status:504", times=None)
    raw_client.sim.script("one")
    assert statuses(raw_client, 6) == [200, 500, 502, 504, 500, 502]
    raw_client.sim.clear()
    assert statuses(raw_client, 2) == [200, 200]


def test_probability_draws_from_the_seed(start_raw_client: Any) -> None:
    draws = []
    for seed in (1, 1, 2):
        raw_client = start_raw_client(seed=seed)
        raw_client.sim.fail("overloaded", "status:500", probability=0.3)
        draws.append(statuses(raw_client, 60))
    assert draws[0] == draws[1] != draws[2]
    assert 5 < draws[0].count(503) + draws[0].count(500) < 35
    assert abs(draws[0].count(503) - draws[0].count(500)) <= 1


def test_rejected_request_uses_up_no_fault(raw_client: Any) -> None:
    raw_client.sim.fail("overloaded")
    assert raw_client.create("hi", temperature=1).status_code == 400
    assert raw_client.get("/codex/responses").status_code == 426, "a request for an upgrade that is none"
    assert statuses(raw_client, 1) == [503]


def test_routes_have_their_own_queues(raw_client: Any) -> None:
    raw_client.sim.fail("status:500@usage", "status:502")
    raw_client.sim.fail("status:503", route="/backend-api/wham/usage")
    raw_client.sim.fail(Turn.rate_limited(3), route="usage")
    assert statuses(raw_client, 1) == [502]
    assert [raw_client.get("/wham/usage").status_code for _ in range(4)] == [500, 503, 429, 200]


def test_invalid_fault_adds_no_fault(raw_client: Any) -> None:
    with pytest.raises(ValueError, match="Unknown fault"):
        raw_client.sim.fail("overloaded", "wrong")
    assert statuses(raw_client, 1) == [200]


def test_invalid_arguments_raise() -> None:
    sim = Simulator()
    with pytest.raises(TypeError, match=r"Invalid argument of fail\(\): 42"):
        sim.fail(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Invalid probability: 20"):
        sim.fail("reset", probability=20)
    with pytest.raises(ValueError, match="Invalid value of times: 0"):
        sim.fail("reset", times=0)


def handshake_error(raw_client: Any) -> str:
    host, port = raw_client.sim.url.removeprefix("http://").split(":")
    context = ssl.create_default_context()
    with socket.create_connection((host, int(port)), timeout=0.3) as connection:
        try:
            context.wrap_socket(connection, server_hostname="localhost")
        except (OSError, ssl.SSLError) as error:
            return f"{type(error).__name__} {getattr(error, 'reason', '')}".strip()
    return "no error"


def test_tls_handshakes_fail_in_order(raw_client: Any) -> None:
    raw_client.sim.fail("tls_failure:closed", "tls_failure:reset", "tls_failure:silent", "tls_failure:alert")
    # The version of OpenSSL decides between the two.
    assert handshake_error(raw_client) in ("SSLEOFError UNEXPECTED_EOF_WHILE_READING", "SSLZeroReturnError None")
    assert handshake_error(raw_client) == "ConnectionResetError"
    assert handshake_error(raw_client) == "TimeoutError"
    assert "ALERT_HANDSHAKE_FAILURE" in handshake_error(raw_client)
    assert handshake_error(raw_client) == "SSLError WRONG_VERSION_NUMBER"
    assert statuses(raw_client, 1) == [200]
