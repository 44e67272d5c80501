"""Test that each timeout ends its part of a call, and that the message names the argument."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from support.calls import CALLS, create, stream

import codex_backend_sdk as sdk
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from codex_backend_sdk.testing import Simulator

SHORT_SECONDS = 0.25
AMPLE_SECONDS = 1.0  # enough for a phase without a delay, also on a busy machine
LONG_SECONDS = 30.0  # longer than the test may take


@pytest.fixture(autouse=True)
def require_fast_test() -> Iterator[None]:
    started_at = time.monotonic()
    yield
    assert time.monotonic() - started_at < 10


def test_connect_timeout_ends_the_attempt(new_client: Callable[..., Any], full_port: int) -> None:
    client = new_client(connect_timeout=SHORT_SECONDS, base_url=f"http://127.0.0.1:{full_port}/backend-api/codex")
    with pytest.raises(
        openai.APITimeoutError, match=r"could not connect to .* within 0\.25 s\. Increase `connect_timeout`"
    ):
        client.responses.create(input="hi")


@pytest.mark.parametrize("call", CALLS)
def test_first_byte_timeout_ends_the_attempt(new_client: Callable[..., Any], sim: Simulator, call: Any) -> None:
    sim.script(Turn.text("late").delayed(LONG_SECONDS))
    client = new_client(first_byte_timeout=SHORT_SECONDS, idle_timeout=LONG_SECONDS)
    with pytest.raises(
        openai.APITimeoutError, match=r"begin to respond within 0\.25 s\. Increase `first_byte_timeout`"
    ) as e:
        call(client)
    assert not isinstance(e.value, sdk.StreamInterruptedError)


@pytest.mark.parametrize("call", CALLS)
def test_idle_timeout_interrupts_the_response(new_client: Callable[..., Any], sim: Simulator, call: Any) -> None:
    sim.script(Turn.text("half a response").stalled(8, LONG_SECONDS))
    with pytest.raises(sdk.IdleTimeoutError, match=r"interrupted after 8 events: .* `idle_timeout`") as caught:
        call(new_client(first_byte_timeout=LONG_SECONDS, idle_timeout=SHORT_SECONDS))
    assert isinstance(caught.value, openai.APITimeoutError)
    assert isinstance(caught.value, sdk.StreamInterruptedError)
    assert caught.value.events_seen == 8
    assert caught.value.partial.output_text
    assert caught.value.status_code == 200


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("limits", "turn"),
    [
        (
            {"idle_timeout": AMPLE_SECONDS, "first_byte_timeout": LONG_SECONDS},
            Turn.text("complete").delayed(1.5 * AMPLE_SECONDS),
        ),
        (
            {"first_byte_timeout": AMPLE_SECONDS, "idle_timeout": LONG_SECONDS},
            Turn.text("complete").stalled(3, 1.5 * AMPLE_SECONDS),
        ),
        ({"idle_timeout": 2 * SHORT_SECONDS}, Turn.text("complete").keepalives(6 * SHORT_SECONDS)),
        ({"total_timeout": LONG_SECONDS}, Turn.text("complete").stalled(3, SHORT_SECONDS)),
        ({"connect_timeout": AMPLE_SECONDS}, Turn.text("complete").delayed(1.5 * AMPLE_SECONDS)),
    ],
    ids=["idle, not first byte", "first byte, not idle", "comments count as data", "total", "connect, not first byte"],
)
def test_limits_are_independent(
    new_client: Callable[..., Any], sim: Simulator, call: Any, limits: dict[str, Any], turn: Turn
) -> None:
    sim.script(turn)
    assert call(new_client(**limits)) == "complete"


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "turn",
    [
        Turn.text("late").delayed(LONG_SECONDS),
        Turn.text("half").stalled(4, LONG_SECONDS),
        Turn.text("slow").throttled(3, 0.02),
    ],
    ids=["no response", "stalled", "throttled"],
)
def test_total_timeout_ends_the_call(new_client: Callable[..., Any], sim: Simulator, call: Any, turn: Turn) -> None:
    sim.script(turn)
    started_at = time.monotonic()
    with pytest.raises(sdk.TotalTimeoutError, match="longer than `total_timeout`") as caught:
        call(new_client(total_timeout=2 * SHORT_SECONDS, max_retries=5))
    assert time.monotonic() - started_at < 3
    assert isinstance(caught.value, openai.APITimeoutError)
    assert len(sim.requests) == 1, "a call past its deadline is not retried"


def test_total_timeout_includes_waits(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.error(503, {}, {"retry-after": "5"}))
    with pytest.raises(openai.InternalServerError):
        new_client(total_timeout=2.0, max_retries=2).responses.create(input="hi")
    assert len(sim.requests) == 1


def test_official_timeout_of_a_call_takes_precedence(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client(first_byte_timeout=LONG_SECONDS, idle_timeout=LONG_SECONDS)
    sim.script(Turn.text("late").delayed(LONG_SECONDS), Turn.text("half").stalled(4, LONG_SECONDS))
    with pytest.raises(openai.APITimeoutError):
        client.responses.create(input="hi", timeout=SHORT_SECONDS)
    with pytest.raises(sdk.IdleTimeoutError):
        list(client.responses.create(input="hi", timeout=SHORT_SECONDS, stream=True))


def test_copy_has_its_own_limits(new_client: Callable[..., Any], sim: Simulator) -> None:
    sim.script(Turn.text("half").stalled(4, LONG_SECONDS))
    with pytest.raises(sdk.IdleTimeoutError):
        new_client().with_options(idle_timeout=SHORT_SECONDS).responses.create(input="hi")


def test_connection_is_reusable_after_a_deadline(new_client: Callable[..., Any], sim: Simulator) -> None:
    client = new_client()
    limited = client.with_options(total_timeout=1.0)
    assert [stream(limited), create(limited)] == [stream(client), create(client)]
    time.sleep(1.1)  # the deadline of the earlier calls has passed
    sim.script(Turn.text("complete").stalled(3, SHORT_SECONDS))
    assert stream(client) == "complete"


def test_timeout_of_a_wrong_type_raises(client: Any, sim: Simulator) -> None:
    with pytest.raises(TypeError, match=r"`timeout` must be a number of seconds, .*, not '5'"):
        client.responses.create(input="hi", timeout="5")
    assert sim.requests == []
