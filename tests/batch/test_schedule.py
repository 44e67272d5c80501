"""Test the schedule of a batch: concurrency, pauses at usage limits, waits for the reset, and the estimate."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from codex_backend_sdk import RateLimits, RateLimitWindow
from codex_backend_sdk.batch.schedule import (
    AdaptiveLimit,
    Pause,
    PauseReason,
    RateEstimate,
    Schedule,
    Start,
    Stop,
    Wait,
)

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def admit(schedule: Schedule, now: datetime = NOW, **arguments: Any) -> Start | Wait | Stop:
    return schedule.admit(now=now, jitter=0, **arguments)


def start(schedule: Schedule, count: int) -> None:
    for _ in range(count):
        assert admit(schedule) == Start()
        schedule.started()


def limits(*windows: tuple[float, datetime | None]) -> RateLimits:
    return RateLimits(
        received_at=NOW,
        windows=tuple(RateLimitWindow(used_percent=percent, resets_at=resets_at) for percent, resets_at in windows),
    )


# --- concurrency -----------------------------------------------------------------------------------------------------


def test_run_starts_with_four_requests() -> None:
    schedule = Schedule(AdaptiveLimit())
    start(schedule, 4)
    assert admit(schedule) == Wait()


def test_number_of_the_caller_is_used_at_once() -> None:
    schedule = Schedule(AdaptiveLimit(), concurrency=20)
    start(schedule, 20)
    assert admit(schedule) == Wait()


def test_number_below_four_is_the_most() -> None:
    schedule = Schedule(AdaptiveLimit(), concurrency=1)
    start(schedule, 1)
    assert admit(schedule) == Wait()


def test_concurrency_rises_by_one_in_a_round() -> None:
    schedule = Schedule(AdaptiveLimit())
    for _ in range(4 + 5):
        schedule.succeed()
    assert schedule.concurrency == 6


def test_concurrency_has_a_maximum() -> None:
    limit = AdaptiveLimit()
    limit.raise_to(64)
    for _ in range(1000):
        limit.succeed()
    assert limit.allowed == 64


def test_number_above_the_maximum_is_kept() -> None:
    schedule = Schedule(AdaptiveLimit(), concurrency=100)
    for _ in range(1000):
        schedule.succeed()
    assert schedule.concurrency == 100


def test_other_limit_replaces_that_of_the_client() -> None:
    limit = AdaptiveLimit()
    schedule = Schedule(limit)
    schedule.allow(500)
    start(schedule, 100)
    assert (schedule.concurrency, limit.running) == (500, 0)


def test_abandoned_requests_do_not_count() -> None:
    limit = AdaptiveLimit()
    schedule = Schedule(limit)
    start(schedule, 3)
    schedule.abandon()
    assert (schedule.running, limit.running) == (0, 0)


def test_overload_halves_once_in_five_seconds() -> None:
    schedule = Schedule(AdaptiveLimit(), concurrency=16)
    for seconds in (0, 1, 4.9):
        schedule.overload(NOW + timedelta(seconds=seconds))
    assert schedule.concurrency == 8
    schedule.overload(NOW + timedelta(seconds=5))
    assert schedule.concurrency == 4
    for hours in range(1, 5):
        schedule.overload(NOW + hours * HOUR)
    assert schedule.concurrency == 1


def test_results_that_nobody_reads_stop_the_start() -> None:
    schedule = Schedule(AdaptiveLimit())
    start(schedule, 2)
    assert admit(schedule, unread=5) == Start()
    assert admit(schedule, unread=6) == Wait()


def test_two_runs_share_the_limit_of_a_client() -> None:
    limit = AdaptiveLimit()
    one, other = Schedule(limit), Schedule(limit)
    start(one, 3)
    start(other, 1)
    assert admit(other) == Wait(0.1)
    one.finished()
    assert admit(other) == Start()


@pytest.mark.parametrize("concurrency", [4, 30])
def test_many_failures_in_a_row_are_no_lines(concurrency: int) -> None:
    schedule = Schedule(AdaptiveLimit(), concurrency=concurrency)
    needed = max(10, 2 * concurrency)
    for _ in range(needed - 1):
        schedule.fail()
    assert not schedule.has_failed_too_often
    schedule.succeed()
    for _ in range(needed):
        assert not schedule.has_failed_too_often
        schedule.fail()
    assert schedule.has_failed_too_often


# --- limits ----------------------------------------------------------------------------------------------------------


def test_limit_lets_requests_end_and_then_stops() -> None:
    schedule = Schedule(AdaptiveLimit())
    start(schedule, 2)
    schedule.finished()
    schedule.reach_limit(NOW + HOUR, NOW)
    assert admit(schedule) == Wait()
    schedule.finished()
    assert admit(schedule) == Stop(Pause(PauseReason.USAGE_LIMIT, NOW + HOUR))


@pytest.mark.parametrize(
    ("resets_at", "max_wait", "expected"),
    [
        (None, None, Stop(Pause(PauseReason.USAGE_LIMIT, None))),
        (NOW + HOUR, timedelta(minutes=59), Stop(Pause(PauseReason.USAGE_LIMIT, NOW + HOUR))),
        (NOW + HOUR, HOUR, Wait(3601)),
        (NOW + HOUR, None, Wait(3601)),
        (NOW - HOUR, None, Wait(1)),
    ],
)
def test_wait_needs_a_reset_within_the_time(resets_at: Any, max_wait: Any, expected: object) -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True, max_wait=max_wait)
    schedule.reach_limit(resets_at, NOW)
    assert admit(schedule) == expected


def test_wait_has_jitter() -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True)
    schedule.reach_limit(NOW + HOUR, NOW)
    assert schedule.admit(now=NOW, jitter=1) == Wait(3616)
    assert schedule.admit(now=NOW, jitter=0) == Wait(3616)  # drawn once


def test_one_request_probes_after_the_reset() -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True)
    schedule.reach_limit(NOW + HOUR, NOW)
    admit(schedule)
    later = NOW + timedelta(hours=9)  # the machine slept
    assert admit(schedule, later) == Start()
    schedule.started()
    assert admit(schedule, later) == Wait()
    schedule.finished()
    schedule.succeed()
    start(schedule, 4)


def test_failed_probe_ends_the_probing() -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True)
    schedule.reach_limit(NOW, NOW)
    admit(schedule)
    assert admit(schedule, NOW + HOUR) == Start()
    schedule.fail()
    start(schedule, 2)


@pytest.mark.parametrize("resets_at", [None, NOW])
def test_refused_probe_without_a_later_reset_stops(resets_at: datetime | None) -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True)
    schedule.reach_limit(NOW, NOW)
    admit(schedule)
    assert admit(schedule, NOW + HOUR) == Start()
    schedule.reach_limit(resets_at, NOW + HOUR)
    assert admit(schedule, NOW + HOUR) == Stop(Pause(PauseReason.USAGE_LIMIT, None))


def test_refused_probe_waits_for_a_later_reset() -> None:
    schedule = Schedule(AdaptiveLimit(), can_wait=True)
    schedule.reach_limit(NOW, NOW)
    admit(schedule)
    assert admit(schedule, NOW + HOUR) == Start()
    schedule.reach_limit(NOW + 2 * HOUR, NOW + HOUR)
    assert admit(schedule, NOW + HOUR) == Wait(3601)


@pytest.mark.parametrize(
    ("resets", "expected"),
    [((HOUR, 2 * HOUR), 2 * HOUR), ((2 * HOUR, HOUR), 2 * HOUR), ((HOUR, None), HOUR), ((None, HOUR), None)],
)
def test_latest_reset_of_several_rejections_counts(resets: Any, expected: timedelta | None) -> None:
    schedule = Schedule(AdaptiveLimit())
    for reset in resets:
        schedule.reach_limit(None if reset is None else NOW + reset, NOW)
    # Without a known reset first, the first rejection says nothing about the time.
    latest = NOW + expected if expected is not None else NOW + HOUR
    assert admit(schedule) == Stop(Pause(PauseReason.USAGE_LIMIT, latest))


@pytest.mark.parametrize(
    ("windows", "resets_at"),
    [
        ([(95, NOW + HOUR)], NOW + HOUR),
        ([(90, NOW + HOUR), (99, NOW + 2 * HOUR), (10, NOW + 9 * HOUR)], NOW + 2 * HOUR),
        ([(95, None)], None),
        ([(95, None), (95, NOW + HOUR)], None),
    ],
)
def test_stop_at_ends_at_the_share(windows: Any, resets_at: datetime | None) -> None:
    schedule = Schedule(AdaptiveLimit(), stop_at=90)
    assert admit(schedule, limits=limits(*windows)) == Stop(Pause(PauseReason.STOP_AT, resets_at))


@pytest.mark.parametrize("windows", [[(89.9, NOW + HOUR)], [(95, NOW - HOUR)], []])
def test_stop_at_ignores_free_and_past_windows(windows: Any) -> None:
    schedule = Schedule(AdaptiveLimit(), stop_at=90)
    assert admit(schedule, limits=limits(*windows)) == Start()
    assert admit(schedule, limits=None) == Start()


def test_refusal_beats_the_percentage() -> None:
    schedule = Schedule(AdaptiveLimit(), stop_at=90)
    start(schedule, 1)
    assert admit(schedule, limits=limits((95, NOW + HOUR))) == Wait()
    schedule.reach_limit(NOW + timedelta(minutes=5), NOW)
    schedule.finished()
    assert admit(schedule) == Stop(Pause(PauseReason.USAGE_LIMIT, NOW + timedelta(minutes=5)))


def test_share_is_not_checked_by_the_probe() -> None:
    schedule = Schedule(AdaptiveLimit(), stop_at=90, can_wait=True)
    reached = limits((95, NOW + HOUR), (95, NOW + 2 * HOUR))
    assert admit(schedule, limits=reached) == Wait(7201)
    later = NOW + timedelta(hours=3)
    assert admit(schedule, later, limits=reached) == Start()
    schedule.started()
    schedule.finished()
    schedule.succeed()
    newer = limits((91, NOW + 5 * HOUR))
    assert isinstance(admit(schedule, later, limits=newer), Wait)


# --- estimate --------------------------------------------------------------------------------------------------------


def test_estimate_uses_the_last_minutes() -> None:
    rate = RateEstimate()
    assert rate.eta_seconds(10, 0, 0.0) is None
    for second in range(1000):
        rate.record(second if second < 700 else 700 + 10 * (second - 700), float(second))
    # 10 lines a second in the last 300 seconds.
    assert rate.eta_seconds(100, 700 + 2990, 999.0) == pytest.approx(10, rel=0.02)
    assert rate.eta_seconds(100, 700 + 2990, 999.0, pause_seconds=60) == pytest.approx(70, rel=0.02)
    assert rate.eta_seconds(0, 5000, 999.0) == 0


def test_estimate_needs_progress() -> None:
    rate = RateEstimate()
    rate.record(1, 0.0)
    rate.record(2, 0.5)  # within the same second
    assert rate.eta_seconds(10, 1, 5.0) is None
    assert rate.eta_seconds(10, 3, 0.0) is None
    assert rate.eta_seconds(10, 3, 2.0) == 10
