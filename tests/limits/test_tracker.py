"""Test how the tracker stores, merges and reports limits."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

from codex_backend_sdk.limits.tracker import LimitsState, LimitsTracker

if TYPE_CHECKING:
    from codex_backend_sdk import RateLimits

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HEADERS = {"x-codex-primary-used-percent": "5", "x-codex-primary-window-minutes": "300"}
EVENT: dict[str, Any] = {
    "type": "codex.rate_limits",
    "plan_type": "plus",
    "rate_limits": {"primary": {"used_percent": 77, "window_minutes": 300}},
    "credits": {"has_credits": True, "unlimited": True},
}


def test_limits_of_another_account_are_dropped() -> None:
    tracker = LimitsTracker(now=lambda: NOW)
    tracker.record_usage({"plan_type": "pro", "credits": {"has_credits": True, "unlimited": True}}, account_id="a")
    tracker.record_headers(httpx2.Headers(HEADERS), account_id="a")
    assert tracker.newest is not None
    assert tracker.newest.plan == "pro"
    tracker.record_headers(httpx2.Headers(HEADERS), account_id="b")
    assert tracker.newest.plan is None
    assert tracker.newest.credits is None


def test_reports_are_merged_in_order_of_arrival() -> None:
    times = iter(NOW + timedelta(seconds=number) for number in range(100))
    tracker = LimitsTracker(now=lambda: next(times))
    tracker.record_headers(httpx2.Headers(HEADERS), account_id="a")
    tracker.record_event(EVENT, account_id="a")
    tracker.record_headers(httpx2.Headers({**HEADERS, "x-codex-primary-used-percent": "6"}), account_id="a")
    limits = tracker.newest
    assert limits is not None
    assert limits.received_at == NOW + timedelta(seconds=2)
    assert (limits.plan, [window.used_percent for window in limits.windows]) == ("plus", [6])


def test_pending_reports_are_bounded() -> None:
    state = LimitsState(now=lambda: NOW)
    tracker = LimitsTracker(now=lambda: NOW, state=state)
    for number in range(1000):
        headers = {**HEADERS, f"x-{number}-primary-used-percent": "1"}
        tracker.record_headers(httpx2.Headers(headers), account_id="a")
        assert len(state._pending) <= 8
    assert tracker.newest is not None
    assert len(tracker.newest.additional) == 1000


def test_callback_ignores_what_headers_do_not_have() -> None:
    received: list[RateLimits] = []
    tracker = LimitsTracker(now=lambda: NOW, on_limits=received.append)
    headers = {**HEADERS, "x-codex-primary-used-percent": "77", "x-codex-active-limit": "codex"}
    event = {**EVENT, "rate_limits": {**EVENT["rate_limits"], "limit_reached": False}}
    for _ in range(3):
        tracker.record_headers(httpx2.Headers(headers), account_id="a")
        tracker.record_event(event, account_id="a")
    assert [limits.plan for limits in received] == [None, "plus"]
    tracker.record_event({**event, "rate_limits": {**event["rate_limits"], "limit_reached": True}}, account_id="a")
    assert [limits.is_exhausted for limits in received] == [False, False, True]


def test_concurrent_reports_are_all_merged() -> None:
    received: list[RateLimits] = []
    tracker = LimitsTracker(now=lambda: NOW, on_limits=received.append)

    def report(number: int) -> None:
        for _ in range(20):
            headers = httpx2.Headers({f"x-limit-{number}-primary-used-percent": "1"})
            tracker.record_headers(headers, account_id="a")

    threads = [threading.Thread(target=report, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracker.newest is not None
    assert {limit.id for limit in tracker.newest.additional} == {f"limit_{number}" for number in range(8)}
    assert any(limits == tracker.newest for limits in received)
