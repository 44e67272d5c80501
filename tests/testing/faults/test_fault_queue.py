"""`Simulator.script` and `Simulator.fail`: which turn applies to which request."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest

from codex_backend_sdk.testing import Simulator, Turn


def statuses(wire: Any, count: int) -> list[int]:
    return [wire.create("hi").status_code for _ in range(count)]


def test_faults_and_scripted_turns_share_a_queue(wire: Any) -> None:
    wire.sim.fail("overloaded", "usage_limit")
    wire.sim.script("Between.")
    wire.sim.fail(Turn.slow_down(), "status:500*2")
    assert statuses(wire, 2) == [503, 429]
    assert wire.text("hi") == "Between."
    assert statuses(wire, 4) == [503, 500, 500, 200]


def test_faults_repeat_in_turn_until_clear(wire: Any) -> None:
    wire.sim.fail("overloaded", times=2)
    assert statuses(wire, 3) == [503, 503, 200]
    wire.sim.fail("status:500", "status:502", times=None)
    wire.sim.fail("status:504", times=None)
    wire.sim.script("one")
    assert statuses(wire, 6) == [200, 500, 502, 504, 500, 502]
    wire.sim.clear()
    assert statuses(wire, 2) == [200, 200]


def test_probability_draws_from_the_seed(start_wire: Any) -> None:
    draws = []
    for seed in (1, 1, 2):
        wire = start_wire(seed=seed)
        wire.sim.fail("overloaded", "status:500", probability=0.3)
        draws.append(statuses(wire, 60))
    assert draws[0] == draws[1] != draws[2]
    assert 5 < draws[0].count(503) + draws[0].count(500) < 35
    assert abs(draws[0].count(503) - draws[0].count(500)) <= 1


def test_refused_request_uses_up_no_fault(wire: Any) -> None:
    wire.sim.fail("overloaded")
    assert wire.create("hi", temperature=1).status_code == 400
    assert wire.get("/codex/responses").status_code == 426, "a WebSocket is refused as well"
    assert statuses(wire, 1) == [503]


def test_routes_have_their_own_queues(wire: Any) -> None:
    wire.sim.fail("status:500@usage", "status:502")
    wire.sim.fail("status:503", route="/backend-api/wham/usage")
    wire.sim.fail(Turn.rate_limited(3), route="usage")
    assert statuses(wire, 1) == [502]
    assert [wire.get("/wham/usage").status_code for _ in range(4)] == [500, 503, 429, 200]


def test_invalid_fault_adds_no_fault(wire: Any) -> None:
    with pytest.raises(ValueError, match="Unknown fault"):
        wire.sim.fail("overloaded", "wrong")
    assert statuses(wire, 1) == [200]


def test_invalid_arguments_are_errors() -> None:
    sim = Simulator()
    with pytest.raises(TypeError, match=r"fail\(\) takes the names of faults and Turns, not 42"):
        sim.fail(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="probability must be between 0 and 1, not 20"):
        sim.fail("reset", probability=20)
    with pytest.raises(ValueError, match="times must be 1 or more"):
        sim.fail("reset", times=0)


def handshake_error(wire: Any) -> str:
    host, port = wire.sim.url.removeprefix("http://").split(":")
    context = ssl.create_default_context()
    with socket.create_connection((host, int(port)), timeout=0.3) as connection:
        try:
            context.wrap_socket(connection, server_hostname="localhost")
        except (OSError, ssl.SSLError) as error:
            return f"{type(error).__name__} {getattr(error, 'reason', '')}".strip()
    return "no error"


def test_tls_handshakes_fail_in_order(wire: Any) -> None:
    wire.sim.fail("tls_failure:closed", "tls_failure:reset", "tls_failure:silent", "tls_failure:alert")
    # The version of OpenSSL decides between the two.
    assert handshake_error(wire) in ("SSLEOFError UNEXPECTED_EOF_WHILE_READING", "SSLZeroReturnError None")
    assert handshake_error(wire) == "ConnectionResetError"
    assert handshake_error(wire) == "TimeoutError"
    assert "ALERT_HANDSHAKE_FAILURE" in handshake_error(wire)
    assert handshake_error(wire) == "SSLError WRONG_VERSION_NUMBER"
    assert statuses(wire, 1) == [200]
