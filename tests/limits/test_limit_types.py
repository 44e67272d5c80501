"""Test the limit types: lookup of windows, exhaustion and text output."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from codex_backend_sdk._timefmt import format_local_time
from codex_backend_sdk.limits.limit_types import AdditionalLimit, Credits, RateLimits, RateLimitWindow, SpendControl

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
NEXT_WEEK = NOW + timedelta(days=6)
FIVE_HOURS, WEEK = timedelta(hours=5), timedelta(weeks=1)


def window(used: float, length: timedelta | None = FIVE_HOURS, resets_at: datetime | None = LATER) -> RateLimitWindow:
    return RateLimitWindow(used_percent=used, length=length, resets_at=resets_at)


def limits_of(*windows: RateLimitWindow, **members: Any) -> RateLimits:
    return RateLimits(received_at=NOW, windows=windows, **members)


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (timedelta(minutes=300), "5 h"),
        (timedelta(minutes=299), "5 h"),
        (timedelta(days=1), "daily"),
        (timedelta(days=7), "weekly"),
        (timedelta(days=28), "monthly"),
        (timedelta(days=31), "monthly"),
        (timedelta(days=365), "yearly"),
        (timedelta(days=14), "14 d"),
        (timedelta(minutes=90), "1 h 30 min"),
        (timedelta(minutes=1), "1 min"),
        (timedelta(seconds=1), "0 min"),
        (None, "limit"),
    ],
)
def test_window_is_named_by_its_length(length: timedelta | None, name: str) -> None:
    assert window(0, length).name == name


def test_remaining_percent_is_never_negative() -> None:
    assert (window(42.5).remaining_percent, window(101).remaining_percent) == (57.5, 0)


def test_window_is_exhausted_at_100_percent() -> None:
    assert (window(99.9).is_exhausted, window(100).is_exhausted) == (False, True)


def test_window_is_found_by_its_length() -> None:
    limits = limits_of(window(1, None), window(2, timedelta(minutes=299)), window(3, timedelta(hours=12)))
    assert limits.window(timedelta(hours=12)) is limits.windows[2]
    assert limits.five_hours is limits.windows[1]
    assert limits.weekly is None


def test_exhausted_window_is_the_one_that_resets_last() -> None:
    assert limits_of(window(10)).exhausted_window is None
    both = limits_of(window(100), window(100, WEEK, NEXT_WEEK))
    assert both.exhausted_window is both.windows[1]
    without_reset = limits_of(window(100, FIVE_HOURS, None), window(100, WEEK, NEXT_WEEK))
    assert without_reset.exhausted_window is without_reset.windows[0]


def test_refused_limit_is_exhausted_below_100_percent() -> None:
    windows = (window(99), window(40, WEEK, NEXT_WEEK))
    assert limits_of(*windows).exhausted_window is None
    assert limits_of(*windows, limit_reached=False).exhausted_window is None
    assert limits_of(*windows, limit_reached=True).exhausted_window is windows[0]
    assert limits_of(limit_reached=True).exhausted_window is None


@pytest.mark.parametrize(
    ("percents", "index"),
    [((10, 80), 1), ((80, 10), 0), ((50, 50), 1), ((100, 99), 0), ((100, 100), 1), ((0, 0), 1)],
)
def test_binding_window_stops_requests_first(percents: tuple[int, int], index: int) -> None:
    windows = (window(percents[0]), window(percents[1], WEEK, NEXT_WEEK))
    assert limits_of(*windows).binding_window is windows[index]


def test_binding_window_of_no_windows_is_none() -> None:
    assert limits_of().binding_window is None


@pytest.mark.parametrize(
    ("limits", "is_exhausted"),
    [
        (limits_of(), False),
        (limits_of(window(100)), True),
        (limits_of(window(100), limit_reached=False), False),
        (limits_of(window(1), limit_reached=True), True),
        (limits_of(reached_type="rate_limit_reached"), True),
        (limits_of(reached_type="rate_limit_reached", active_limit="codex"), True),
        (limits_of(reached_type="rate_limit_reached", active_limit="other"), False),
        (limits_of(limit_reached=False, spend_control=SpendControl(reached=True)), True),
        (limits_of(limit_reached=False, spend_control=SpendControl(reached=False)), False),
    ],
)
def test_reported_state_takes_precedence_over_percentages(limits: RateLimits, is_exhausted: bool) -> None:
    assert limits.is_exhausted is is_exhausted


def test_additional_limit_is_exhausted_as_stated_or_by_figures() -> None:
    assert AdditionalLimit(windows=(window(100),)).is_exhausted
    assert not AdditionalLimit(windows=(window(100),), limit_reached=False).is_exhausted


def test_additional_limit_is_found_by_id_or_name() -> None:
    limits = limits_of(additional=(AdditionalLimit(id="b"), AdditionalLimit(id="a", name="A")))
    assert limits.limit("A") is limits.limit("a") is limits.additional[1]
    assert limits.limit("c") is None


def test_values_are_frozen_and_hashable() -> None:
    limits = limits_of(window(10), credits=Credits(has_credits=False, unlimited=False))
    with pytest.raises(FrozenInstanceError):
        limits.plan = "free"  # type: ignore[misc]
    assert len({limits, replace(limits, received_at=LATER)}) == 1


def test_str_shows_all_limits_in_one_line() -> None:
    limits = limits_of(
        window(42),
        plan="pro",
        limit_reached=True,
        credits=Credits(has_credits=True, unlimited=False, balance=Decimal("12.50")),
        spend_control=SpendControl(reached=False, used=Decimal(8), limit=Decimal(25)),
        additional=(AdditionalLimit(id="a", windows=(window(99.96, WEEK, None),)), AdditionalLimit()),
    )
    assert str(limits) == (
        f"plan pro; 5 h 42 % used, resets {format_local_time(LATER)}; a: weekly 100 % used; additional: no data; "
        "credits 12.50; spending 8 of 25, not reached; the limit is reached"
    )
    assert str(limits_of(window(42, resets_at=None), spend_control=SpendControl(reached=False))) == "5 h 42 % used"
    assert str(limits_of()) == "no limits reported"
    assert str(SpendControl(reached=True)) == "reached"


@pytest.mark.parametrize(
    ("credits", "text"),
    [
        (Credits(has_credits=True, unlimited=True), "unlimited"),
        (Credits(has_credits=True, unlimited=False), "some"),
        (Credits(has_credits=False, unlimited=False, balance=Decimal(0)), "none"),
    ],
)
def test_str_of_credits_shows_the_balance(credits: Credits, text: str) -> None:
    assert str(credits) == text


def test_repr_omits_absent_fields() -> None:
    assert repr(limits_of(window(42, resets_at=None))) == (
        "RateLimits(received_at=2026-11-22 12:00:00+00:00, windows=(RateLimitWindow(used_percent=42, length=5:00:00),))"
    )
