"""Test the summaries that `Simulator(on_request=...)` receives, over HTTP and on a WebSocket."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from codex_backend_sdk.testing import RequestSummary, Turn

if TYPE_CHECKING:
    from collections.abc import Callable


class Summaries:
    """The summaries that a simulator reported. It reports them in its own thread, after the response was sent."""

    def __init__(self) -> None:
        self.received: list[RequestSummary] = []

    def wait(self, count: int) -> list[RequestSummary]:
        deadline = time.monotonic() + 10
        while len(self.received) < count:
            assert time.monotonic() < deadline, self.received
            time.sleep(0.002)
        return self.received

    def last(self, count: int) -> RequestSummary:
        return self.wait(count)[-1]


@pytest.fixture
def summaries() -> Summaries:
    return Summaries()


@pytest.fixture
def raw_client(start_raw_client: Callable[..., Any], clock: Any, summaries: Summaries) -> Any:
    return start_raw_client(clock=clock, on_request=summaries.received.append)


def test_summary_describes_a_model_request(raw_client: Any, clock: Any, summaries: Summaries) -> None:
    usage = raw_client.events("Say hello", reasoning={"effort": "low"})[-1]["response"]["usage"]
    summary = summaries.last(1)
    assert (summary.method, summary.path, summary.status) == ("POST", "/backend-api/codex/responses", 200)
    assert (summary.model, summary.time) == ("gpt-6.1-sol", clock.now)
    assert summary.response.items == ("reasoning", "message")
    assert summary.response.input_tokens == usage["input_tokens"]
    assert summary.response.output_tokens == usage["output_tokens"]
    assert (summary.response.problem, summary.seconds > 0) == (None, True)


def test_other_routes_are_reported(raw_client: Any, summaries: Summaries) -> None:
    raw_client.get("/wham/usage")
    raw_client.get("/nowhere")
    assert [(entry.path, entry.status, entry.model) for entry in summaries.wait(2)] == [
        ("/backend-api/wham/usage", 200, None),
        ("/backend-api/nowhere", 404, None),
    ]


@pytest.mark.parametrize(
    ("fault", "status", "problem"),
    [
        ("overloaded", 503, "server_is_overloaded"),
        ("usage_limit", 429, "usage_limit_reached"),
        ("bad_request:No", 400, "No"),
        ("cloudflare", 403, None),
        ("failed:server_error", 200, "server_error"),
        ("failed_without_error", 200, "failed"),
        ("incomplete:max_output_tokens", 200, "incomplete"),
        ("error_event:server_error", 200, "server_error"),
        ("cut_after_bytes:20", 200, "cut"),
        ("reset:200", 200, "reset"),
        ("reset", None, "reset"),
        ("not_http", None, "not HTTP"),
        ("empty", 200, None),
    ],
)
def test_problem_of_a_fault_is_reported(
    raw_client: Any, summaries: Summaries, fault: str, status: int | None, problem: str | None
) -> None:
    raw_client.sim.fail(fault)
    with contextlib.suppress(httpx2.HTTPError):
        raw_client.create("hi")
    summary = summaries.last(1)
    assert (summary.status, summary.response.problem) == (status, problem)


def test_fault_of_another_route_is_reported(raw_client: Any, summaries: Summaries) -> None:
    raw_client.sim.fail("cut_after_bytes:5@usage")
    with pytest.raises(httpx2.HTTPError):
        raw_client.get("/wham/usage")
    assert summaries.last(1).response.problem == "cut"


def test_client_that_disconnects_is_reported(raw_client: Any, summaries: Summaries) -> None:
    raw_client.sim.script(Turn.text("one").stalled(after_events=3))
    url, body = f"{raw_client.sim.base_url}/responses", raw_client.body("hi")
    with raw_client.http.stream("POST", url, json=body, headers=raw_client.headers) as response:
        next(response.iter_raw())
    summary = summaries.last(1)
    assert (summary.status, summary.response.problem) == (200, "client disconnected")


def test_messages_on_a_socket_are_reported(raw_client: Any, open_socket: Any, summaries: Summaries) -> None:
    client = open_socket(raw_client)
    client.text("Say hello")
    assert (summaries.last(1).method, summaries.last(1).status) == ("WS", 200)
    assert summaries.last(1).response.items == ("message",)
    raw_client.sim.fail("overloaded")
    client.error("hi")
    assert (summaries.last(2).status, summaries.last(2).response.problem) == (503, "server_is_overloaded")
    client.create("hi", previous_response_id="resp_unknown")
    assert summaries.last(3).response.problem == "previous_response_not_found"
    client.connection.close()
    upgrade = summaries.last(4)
    assert (upgrade.method, upgrade.status) == ("GET", 101)


def test_rejected_body_is_reported(raw_client: Any, summaries: Summaries) -> None:
    host, port = raw_client.sim.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /backend-api/codex/responses HTTP/1.1\r\nhost: x\r\ncontent-encoding: what\r\n"
            b"content-length: 2\r\n\r\n{}"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 415 ")
    assert summaries.last(1).status == 415
