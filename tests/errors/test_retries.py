"""Test the retries of both clients: their number, their waits, and the error after the last one."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import openai
import pytest
from pydantic import BaseModel, model_serializer
from support.calls import CALLS, STREAM_CALLS, create, requested_paths
from support.clocks import RecordingClock

import codex_backend_sdk as sdk
from codex_backend_sdk.auth import Credentials, MemoryStore
from codex_backend_sdk.testing import Turn

if TYPE_CHECKING:
    from codex_backend_sdk.testing import Simulator

DATE = "%a, %d %b %Y %H:%M:%S GMT"
MINUTES = timedelta(minutes=1)


@pytest.fixture
def clock() -> RecordingClock:
    return RecordingClock()


def usage_limit_error(clock: RecordingClock, resets_in: timedelta) -> Turn:
    """Return a `usage_limit_reached` error whose reset is relative to the clock of the client."""
    resets_at = int((clock.now() + resets_in).timestamp())
    error = {"type": "usage_limit_reached", "plan_type": "plus", "resets_at": resets_at, "limit_window_minutes": 300}
    return Turn.error(429, {"error": error})


# The number of retries


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("fault", ["overloaded", "reset", "status:502", "rate_limited:0", "not_http", "slow_down"])
def test_single_fault_is_retried(fault: str, call: Any, clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail(fault)
    assert call(new_client(max_retries=2, clock=clock), []) == "hello"
    assert requested_paths(sim) == ["responses"] * 2


def test_different_faults_share_the_retries(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail("overloaded", "cut_after_events:4", "rate_limited:5", "reset", "failed:server_error")
    assert create(new_client(max_retries=5, clock=clock), []) == "hello"
    assert clock.waits == [0.5, 1.0, 5.0, 4.0, 8.0]


class RecordedItem(BaseModel):
    """An input item that records each serialization."""

    serialized: ClassVar[list[str]] = []
    text: str

    @model_serializer
    def serialize(self) -> dict[str, str]:
        self.serialized.append(self.text)
        return {"role": "user", "content": self.text}


def test_input_is_serialized_once_for_all_attempts(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail("overloaded", "unauthorized", "reset")
    RecordedItem.serialized.clear()
    history = (RecordedItem(text=f"{number} {'word ' * 20}") for number in range(300))
    new_client(max_retries=2, clock=clock).responses.create(input=history)
    bodies = [request.json() for request in sim.requests if request.path.endswith("/responses")]
    assert len(bodies) == 4
    assert len(bodies[0]["input"]) == 300
    assert all(body == bodies[0] for body in bodies)
    assert len(RecordedItem.serialized) == 300


@pytest.mark.parametrize("times", [0, 1, 4])
def test_max_retries_bounds_the_retries(times: int, clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail("overloaded", times=None)
    with pytest.raises(sdk.ServerOverloadedError):
        create(new_client(max_retries=7, clock=clock).with_options(max_retries=times), [])
    assert clock.waits == [0.5, 1.0, 2.0, 4.0][:times]


def test_each_attempt_sends_the_same_body(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail("overloaded", times=2)
    create(new_client(max_retries=2, clock=clock), [])
    first, second, third = sim.requests
    assert first.json() == second.json() == third.json()
    assert [request.headers["x-stainless-retry-count"] for request in sim.requests] == ["0", "1", "2"]


@pytest.mark.parametrize("call", STREAM_CALLS)
def test_stream_is_retried_before_its_first_event_only(
    call: Any, clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    sim.fail("overloaded", "cut_after_events:5")
    events: list[Any] = []
    with pytest.raises(sdk.StreamInterruptedError):
        call(new_client(max_retries=5, clock=clock), events)
    assert clock.waits == [0.5]
    assert (len(sim.requests), len(events)) == (2, 3)


def test_each_retry_is_logged(
    clock: RecordingClock, sim: Simulator, new_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sim.fail("overloaded", "rate_limited:5")
    with caplog.at_level(logging.INFO, logger="codex_backend_sdk"):
        create(new_client(max_retries=2, clock=clock), [])
    first, second = [record.getMessage() for record in caplog.records if record.name == "codex_backend_sdk"]
    assert first.startswith("Retrying POST /responses in 0.50 s after: The model is at capacity.")
    assert second.startswith("Retrying POST /responses in 5.00 s after: Too many requests were sent in a short time.")


# The length of waits


def test_retry_after_may_be_a_date(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    later = clock.now() + timedelta(seconds=45)
    sim.fail(f"rate_limited:{later.strftime(DATE).replace(',', '')}")
    assert create(new_client(max_retries=1, clock=clock), []) == "hello"
    assert clock.waits == [45.0]


@pytest.mark.parametrize(("max_retry_after", "waits"), [(None, []), (89, []), (90, [90.0])])
def test_max_retry_after_is_an_option(
    max_retry_after: float | None, waits: list[float], clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    sim.fail("rate_limited:90")
    client = new_client(max_retries=1, clock=clock)
    client = client if max_retry_after is None else client.with_options(max_retry_after=max_retry_after)
    if waits:
        assert create(client, []) == "hello"
    else:
        with pytest.raises(sdk.TooManyRequestsError) as caught:
            create(client, [])
        assert caught.value.retry_after == 90.0
    assert clock.waits == waits


@pytest.mark.parametrize(("deadline", "waits"), [(0.4, []), (1.6, [0.5, 1.0]), (3.5, [0.5, 1.0, 2.0])])
def test_retry_deadline_bounds_the_waits(
    deadline: float, waits: list[float], clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    sim.fail("overloaded", times=None)
    with pytest.raises(sdk.ServerOverloadedError):
        create(new_client(max_retries=9, clock=clock, retry_deadline=deadline), [])
    assert clock.waits == waits


# Waiting for the reset of an exhausted limit


@pytest.mark.parametrize("call", CALLS)
def test_call_waits_for_the_reset(call: Any, clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.script(usage_limit_error(clock, 10 * MINUTES))
    client = new_client(max_retries=0, clock=clock, wait_for_limit=15 * MINUTES)
    assert call(client, []) == "hello"
    assert clock.waits == [601.0]
    assert len(sim.requests) == 2


def test_copy_waits_for_the_reset(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.script(usage_limit_error(clock, 10 * MINUTES))
    assert create(new_client(clock=clock).with_options(wait_for_limit=15 * MINUTES), []) == "hello"
    assert clock.waits == [601.0]


@pytest.mark.parametrize("wait", [timedelta(0), 9 * MINUTES])
def test_call_does_not_wait_if_the_reset_is_too_late(
    wait: timedelta, clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    sim.script(usage_limit_error(clock, 10 * MINUTES))
    with pytest.raises(sdk.UsageLimitError) as caught:
        create(new_client(max_retries=5, clock=clock, wait_for_limit=wait), [])
    assert caught.value.resets_at == clock.now() + 10 * MINUTES
    assert (caught.value.plan, caught.value.window_length) == ("plus", timedelta(hours=5))
    assert ("`wait_for_limit` allows 9 min" in str(caught.value)) == bool(wait)
    assert clock.waits == []
    assert len(sim.requests) == 1


def test_reset_without_effect_ends_the_call(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail(usage_limit_error(clock, 5 * MINUTES), times=None)
    with pytest.raises(sdk.UsageLimitError):
        create(new_client(clock=clock, wait_for_limit=6 * MINUTES), [])
    assert sum(clock.waits) <= 361
    assert clock.waits[0] == 301.0


def test_calls_share_a_limit_and_wait_together(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    """The clock advances only by waits, so each call starts while the limit that the first one met is exhausted."""
    sim.fail(usage_limit_error(clock, 10 * MINUTES), times=1)
    client = new_client(max_retries=0, clock=clock, wait_for_limit=15 * MINUTES)
    with pytest.raises(sdk.UsageLimitError):
        create(client.with_options(wait_for_limit=timedelta(0)))
    for _ in range(20):
        assert create(client.with_options(model="gpt-5.5")) == "hello"
    assert clock.waits == [601.0]
    assert len(sim.requests) == 21


@pytest.mark.parametrize(
    "other",
    [
        {"wait_for_limit": timedelta(0)},
        {"wait_for_limit": 9 * MINUTES},
        {"wait_for_limit": 15 * MINUTES, "total_timeout": 60.0},
    ],
    ids=str,
)
def test_call_that_may_not_wait_is_sent(
    other: dict[str, Any], clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    sim.fail(usage_limit_error(clock, 10 * MINUTES), times=1)
    client = new_client(max_retries=0, clock=clock)
    with pytest.raises(sdk.UsageLimitError):
        create(client)
    assert create(client.with_options(**other)) == "hello"
    assert clock.waits == []


def test_another_login_does_not_share_the_limit(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail(usage_limit_error(clock, 10 * MINUTES), times=1)
    client = new_client(max_retries=0, clock=clock)
    with pytest.raises(sdk.UsageLimitError):
        create(client)
    other = client.with_options(credentials=MemoryStore(sim.login_document()), wait_for_limit=15 * MINUTES)
    assert create(other) == "hello"
    assert clock.waits == []


@pytest.mark.parametrize("call", CALLS)
def test_on_retry_reports_each_wait(call: Any, clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    retries: list[sdk.Retry] = []
    sim.script(Turn.error(503, {}), Turn.error(503, {}), usage_limit_error(clock, 10 * MINUTES))
    client = new_client(max_retries=2, clock=clock, wait_for_limit=15 * MINUTES, on_retry=retries.append)
    assert call(client, []) == "hello"
    assert [(retry.attempt, retry.wait_seconds) for retry in retries] == list(enumerate(clock.waits, start=1))
    assert [isinstance(retry.error, openai.InternalServerError) for retry in retries] == [True, True, False]
    assert isinstance(retries[2].error, sdk.UsageLimitError)


def test_on_retry_of_a_copy_replaces_that_of_the_client(clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    first: list[Any] = []
    second: list[Any] = []
    client = new_client(max_retries=1, clock=clock, on_retry=first.append)
    for copied in (client.with_options(), client.with_options(on_retry=second.append)):
        sim.script(Turn.error(503, {}))
        assert create(copied) == "hello"
    assert (len(first), len(second)) == (1, 1)


def test_exception_in_on_retry_does_not_break_the_call(
    clock: RecordingClock, sim: Simulator, new_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(retry: sdk.Retry) -> None:
        raise ZeroDivisionError

    sim.script(Turn.error(503, {}))
    assert create(new_client(max_retries=1, clock=clock, on_retry=fail)) == "hello"
    assert "`on_retry` raised an exception" in caplog.text


@pytest.mark.parametrize("fault", ["insufficient_quota", "usage_not_included", "usage_limit_no_reset"])
def test_other_limits_are_not_waited_for(fault: str, clock: RecordingClock, sim: Simulator, new_client: Any) -> None:
    sim.fail(fault, times=None)
    with pytest.raises(openai.RateLimitError):
        create(new_client(max_retries=5, clock=clock, wait_for_limit=600 * MINUTES), [])
    assert clock.waits == []
    assert len(sim.requests) == 1


# Failed token refreshes (Codex CLI, login/src/auth/manager.rs). None is retried within the call.

SHAPES = ("object", "text", "code")
LOGIN_LOST = [
    *((f"refresh_token_expired:{shape}", "The refresh token has expired.") for shape in SHAPES),
    *((f"refresh_token_reused:{shape}", "The refresh token was already used.") for shape in SHAPES),
    *((f"refresh_token_invalidated:{shape}", "The refresh token was revoked.") for shape in SHAPES),
    ("refresh_token_expired:object,400", "The refresh token has expired."),
    ("refresh_refused", "The issuer no longer accepts the refresh token."),
    ("invalid_grant", "The issuer no longer accepts the refresh token."),
    ("token_other_account", "the login of another account"),
]
TEMPORARY = [
    ("token_status:400", "returned status 400 for the token refresh"),
    ("token_status:403", "returned status 403 for the token refresh"),
    ("token_status:429", "returned status 429 for the token refresh"),
    ("token_status", "returned status 503 for the token refresh"),
    ("html@token", "not a JSON object"),
    ("reset@token", "could not be reached"),
    ("cut_after_bytes:20@token", "could not be reached"),
    ("redirect@token", "redirects to another URL"),
]


@pytest.mark.parametrize("login_state", ["expired", "rejected"])
@pytest.mark.parametrize(("fault", "message"), [*LOGIN_LOST, *TEMPORARY])
def test_failed_token_refresh_raises(
    fault: str, message: str, login_state: str, clock: RecordingClock, sim: Simulator, new_client: Any
) -> None:
    """The client refreshes once. The error has the remedy: log in again, or retry later."""
    client = new_client(max_retries=2, clock=clock, credentials=login(sim, is_expired=login_state == "expired"))
    sim.fail(fault, times=None)
    if login_state == "rejected":
        sim.fail("unauthorized:token_expired")
    is_lost = (fault, message) in LOGIN_LOST
    with pytest.raises(sdk.LoginRequiredError if is_lost else sdk.TokenRefreshError) as caught:
        create(client, [])
    assert message in str(caught.value)
    assert ("codex-backend login" in str(caught.value)) is is_lost
    assert isinstance(caught.value, RuntimeError if is_lost else ConnectionError)
    assert requested_paths(sim) == (["token"] if login_state == "expired" else ["responses", "token"])
    assert clock.waits == []


@pytest.mark.parametrize("member", ["id_token", "refresh_token"])
def test_refresh_without_a_member_keeps_the_old_one(member: str, sim: Simulator, new_client: Any) -> None:
    sim.fail(f"token_without:{member}")
    assert create(new_client(credentials=login(sim, is_expired=True)), []) == "hello"
    assert requested_paths(sim) == ["token", "responses"]


def login(sim: Simulator, *, is_expired: bool) -> Credentials:
    document = sim.login_document(expires_in=-5 * MINUTES if is_expired else None)
    return Credentials(MemoryStore(document), issuer=sim.issuer)
