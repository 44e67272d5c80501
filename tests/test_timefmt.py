"""Test the formatting of times and durations."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from codex_backend_sdk._timefmt import format_count, format_duration, format_local_time

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def set_zone(monkeypatch: pytest.MonkeyPatch, zone: str) -> Iterator[None]:
    """Set the time zone of this process during a test."""
    with monkeypatch.context() as environment:
        environment.setenv("TZ", zone)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ignores TZ and uses the system's setting")
@pytest.mark.usefixtures("set_zone")
@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2026-11-23 00:00 UTC"),
        ("EST5EDT", "2026-11-22 19:00 EST"),
        ("<+0530>-5:30", "2026-11-23 05:30 UTC+05:30"),
    ],
)
def test_local_time_names_its_zone(zone: str, expected: str) -> None:
    assert format_local_time(datetime(2026, 11, 23, 0, 0, tzinfo=UTC)) == expected


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (timedelta(days=9, hours=23, minutes=59), "9 d 23 h"),
        (timedelta(days=2, minutes=5), "2 d"),
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(seconds=59), "0 min"),
    ],
)
def test_duration_has_its_two_largest_units(duration: timedelta, expected: str) -> None:
    assert format_duration(duration) == expected


@pytest.mark.parametrize(("count", "expected"), [(0, "0 lines"), (1, "1 line"), (2_000, "2,000 lines")])
def test_count_has_the_number_of_its_noun(count: int, expected: str) -> None:
    assert format_count(count, "line") == expected
