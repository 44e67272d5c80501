"""Test the retry policy: number and length of waits, and waits for the reset of a limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk._errors.classify import NO_RESPONSE_FAILURE, Failure, classify
from codex_backend_sdk._errors.retry_policy import RetryPolicy
from codex_backend_sdk._options import RetryOptions

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def failure(status: int, body: Any = None, **headers: str) -> Failure:
    return classify(status, body, {name.replace("_", "-"): value for name, value in headers.items()}, now=NOW)


def exhausted_limit(resets_in: float | None) -> Failure:
    resets_at = None if resets_in is None else NOW.timestamp() + resets_in
    return failure(429, {"error": {"type": "usage_limit_reached", "resets_at": resets_at}})


def waits_after(
    policy: RetryPolicy, failure: Failure, *, times: int = 1, elapsed: float = 0.0, jitter: float = 1.0
) -> list[float | None]:
    return [policy.wait_after(failure, elapsed=elapsed, now=NOW, jitter=jitter) for _ in range(times)]


# Retries


def test_waits_double_up_to_eight_seconds() -> None:
    policy = RetryPolicy(RetryOptions(), max_retries=6)
    assert waits_after(policy, NO_RESPONSE_FAILURE, times=7) == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, None]
    assert policy.retries_taken == 6


def test_jitter_covers_the_whole_wait() -> None:
    assert waits_after(RetryPolicy(RetryOptions(), max_retries=2), NO_RESPONSE_FAILURE, times=2, jitter=0.25) == [
        0.125,
        0.25,
    ]
    assert waits_after(RetryPolicy(RetryOptions(), max_retries=1), NO_RESPONSE_FAILURE, jitter=0.0) == [0.0]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (failure(500), 0.5),
        (failure(503, {"error": {"code": "server_is_overloaded"}}), 0.5),
        (failure(429, retry_after="7"), 7.0),
        (failure(429, retry_after="60"), 60.0),
        (failure(429, retry_after="61"), None),
        (failure(400), None),
        (failure(401), None),
        (failure(429, {"error": {"code": "insufficient_quota"}}, retry_after="1"), None),
    ],
)
def test_only_retryable_failures_are_retried(failure: Failure, expected: float | None) -> None:
    assert waits_after(RetryPolicy(RetryOptions(), max_retries=2), failure) == [expected]


def test_max_retries_zero_means_no_retry() -> None:
    assert waits_after(RetryPolicy(RetryOptions(), max_retries=0), failure(500)) == [None]


def test_max_retry_after_bounds_the_wait() -> None:
    policy = RetryPolicy(RetryOptions(max_retry_after=5), max_retries=2)
    assert waits_after(policy, failure(429, retry_after="6")) == [None]
    assert waits_after(policy, failure(429, retry_after="5")) == [5.0]


@pytest.mark.parametrize(("elapsed", "expected"), [(0.0, 2.0), (8.0, 2.0), (8.1, None)])
def test_deadline_includes_the_wait(elapsed: float, expected: float | None) -> None:
    policy = RetryPolicy(RetryOptions(deadline_seconds=10.0), max_retries=2)
    assert waits_after(policy, failure(429, retry_after="2"), elapsed=elapsed) == [expected]


# Waiting for the reset of a usage limit


def test_exhausted_limit_is_not_retried() -> None:
    assert waits_after(RetryPolicy(RetryOptions(), max_retries=9), exhausted_limit(0)) == [None]


@pytest.mark.parametrize(
    ("resets_in", "expected"), [(600, 601.0), (3600, 3601.0), (3601, None), (None, None), (-5, 1.0), (0, 1.0)]
)
def test_wait_for_reset_is_bounded(resets_in: float | None, expected: float | None) -> None:
    policy = RetryPolicy(RetryOptions(wait_for_limit=timedelta(hours=1)), max_retries=0)
    assert waits_after(policy, exhausted_limit(resets_in)) == [expected]
    assert policy.retries_taken == 0, "a wait for a reset is not a retry"


def test_waits_for_resets_share_one_budget() -> None:
    policy = RetryPolicy(RetryOptions(wait_for_limit=timedelta(seconds=25)), max_retries=0)
    assert waits_after(policy, exhausted_limit(10), times=3) == [11.0, 11.0, None]
    past = RetryPolicy(RetryOptions(wait_for_limit=timedelta(seconds=2)), max_retries=0)
    assert waits_after(past, exhausted_limit(-100), times=3) == [1.0, 1.0, None], "a reset that never takes effect"


def test_deadline_excludes_waits_for_resets() -> None:
    policy = RetryPolicy(RetryOptions(deadline_seconds=10.0, wait_for_limit=timedelta(hours=1)), max_retries=1)
    assert waits_after(policy, exhausted_limit(600)) == [601.0]
    assert waits_after(policy, failure(429, retry_after="2"), elapsed=605.0) == [2.0]


@pytest.mark.parametrize(
    ("allowed_minutes", "resets_in_minutes", "reason"),
    [
        (0, 60, None),
        (0, None, None),
        (60, 60, None),
        (60, -1, None),
        (60, None, "The client does not wait, because the backend did not report when the limit resets."),
        (60, 90, "The client does not wait: the limit resets in 1 h 30 min, and `wait_for_limit` allows 1 h."),
    ],
)
def test_reason_not_to_wait(allowed_minutes: int, resets_in_minutes: int | None, reason: str | None) -> None:
    policy = RetryPolicy(RetryOptions(wait_for_limit=timedelta(minutes=allowed_minutes)), max_retries=0)
    resets_at = None if resets_in_minutes is None else NOW + timedelta(minutes=resets_in_minutes)
    assert policy.reason_not_to_wait(resets_at, now=NOW) == reason


def test_reason_not_to_wait_counts_earlier_waits() -> None:
    policy = RetryPolicy(RetryOptions(wait_for_limit=timedelta(minutes=60)), max_retries=0)
    for reason in (None, "allows 19 min more."):
        text = policy.reason_not_to_wait(NOW + timedelta(minutes=40), now=NOW)
        assert text is reason if reason is None else str(text).endswith(reason)
        policy.wait_until_reset(NOW + timedelta(minutes=40), now=NOW)
