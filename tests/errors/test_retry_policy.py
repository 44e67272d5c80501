from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk._errors.classify import NO_ANSWER, Failure, classify
from codex_backend_sdk._errors.retry_policy import RetryPolicy
from codex_backend_sdk._options import RetryOptions as Retries

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def failed(status: int, body: Any = None, **headers: str) -> Failure:
    return classify(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW)


def limited(resets_in: float | None) -> Failure:
    resets_at = None if resets_in is None else NOW.timestamp() + resets_in
    return failed(429, {"error": {"type": "usage_limit_reached", "resets_at": resets_at}})


def waits(
    attempts: RetryPolicy, failure: Failure, *, times: int, elapsed: float = 0.0, jitter: float = 1.0
) -> list[Any]:
    return [attempts.wait_after(failure, elapsed=elapsed, now=NOW, jitter=jitter) for _ in range(times)]


def test_waits_double_up_to_a_limit_and_end() -> None:
    attempts = RetryPolicy(Retries(), max_retries=6)
    assert waits(attempts, NO_ANSWER, times=7) == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, None]
    assert attempts.taken == 6


def test_full_jitter() -> None:
    assert waits(RetryPolicy(Retries(), max_retries=2), NO_ANSWER, times=2, jitter=0.25) == [0.125, 0.25]
    assert waits(RetryPolicy(Retries(), max_retries=1), NO_ANSWER, times=1, jitter=0.0) == [0.0]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (failed(500), 0.5),
        (failed(503, {"error": {"code": "server_is_overloaded"}}), 0.5),
        (failed(429, retry_after="7"), 7.0),
        (failed(429, retry_after="60"), 60.0),
        (failed(429, retry_after="61"), None),
        (failed(400), None),
        (failed(401), None),
        (failed(429, {"error": {"code": "insufficient_quota"}}, retry_after="1"), None),
    ],
)
def test_what_is_repeated_and_when(failure: Failure, expected: float | None) -> None:
    assert waits(RetryPolicy(Retries(), max_retries=2), failure, times=1) == [expected]


def test_no_retries() -> None:
    assert waits(RetryPolicy(Retries(), max_retries=0), failed(500), times=1) == [None]


def test_the_longest_wait_that_the_backend_may_ask_for_is_an_argument() -> None:
    attempts = RetryPolicy(Retries(max_retry_after=5), max_retries=2)
    assert waits(attempts, failed(429, retry_after="6"), times=1) == [None]
    assert waits(attempts, failed(429, retry_after="5"), times=1) == [5.0]


@pytest.mark.parametrize(("elapsed", "expected"), [(0.0, 2.0), (8.0, 2.0), (8.1, None)])
def test_the_deadline_counts_the_wait_too(elapsed: float, expected: float | None) -> None:
    attempts = RetryPolicy(Retries(deadline=10.0), max_retries=2)
    assert waits(attempts, failed(429, retry_after="2"), times=1, elapsed=elapsed) == [expected]


def test_a_used_up_plan_is_not_asked_again() -> None:
    assert waits(RetryPolicy(Retries(), max_retries=9), limited(0), times=1) == [None]


@pytest.mark.parametrize(
    ("resets_in", "expected"), [(600, 601.0), (3600, 3601.0), (3601, None), (None, None), (-5, 1.0), (0, 1.0)]
)
def test_waiting_for_a_reset(resets_in: float | None, expected: float | None) -> None:
    attempts = RetryPolicy(Retries(wait_for_limit=timedelta(hours=1)), max_retries=0)
    assert waits(attempts, limited(resets_in), times=1) == [expected]
    assert attempts.taken == 0, "waiting for a reset is no retry"


def test_waiting_for_resets_ends_when_the_time_for_it_is_used_up() -> None:
    attempts = RetryPolicy(Retries(wait_for_limit=timedelta(seconds=25)), max_retries=0)
    assert waits(attempts, limited(10), times=3) == [11.0, 11.0, None]
    late = RetryPolicy(Retries(wait_for_limit=timedelta(seconds=2)), max_retries=0)
    assert waits(late, limited(-100), times=3) == [1.0, 1.0, None], "a reset that never comes true"


def test_waiting_for_a_reset_does_not_count_for_the_deadline() -> None:
    attempts = RetryPolicy(Retries(deadline=10.0, wait_for_limit=timedelta(hours=1)), max_retries=1)
    assert waits(attempts, limited(600), times=1) == [601.0]
    assert waits(attempts, failed(429, retry_after="2"), times=1, elapsed=605.0) == [2.0]
