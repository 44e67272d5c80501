"""Test the SVG of the usage history."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from codex_backend_sdk.limits.limit_types import RateLimitWindow
from codex_backend_sdk.limits.usage_history import UsageReading
from codex_backend_sdk.limits.usage_plot import draw_usage

if TYPE_CHECKING:
    from collections.abc import Iterator

SINCE = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=2)
LEFT, RIGHT, TOP, BOTTOM = 64, 736, 72, 352
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from local_zone("UTC", monkeypatch)


def local_zone(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not hasattr(time, "tzset"):
        pytest.skip("Windows has no tzset")
    monkeypatch.setenv("TZ", name)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def reading(
    hours: float, percent: float, *, resets: float | None = None, length: int = 5, **changes: Any
) -> UsageReading:
    window = RateLimitWindow(
        used_percent=percent,
        length=timedelta(hours=length),
        resets_at=None if resets is None else SINCE + timedelta(hours=resets),
    )
    values = {"account": "a", "plan": "pro", "limit": "codex", "limit_name": None, "is_exhausted": False, **changes}
    return UsageReading(received_at=SINCE + timedelta(hours=hours), window=window, **values)


def draw(*readings: UsageReading, until: datetime = UNTIL) -> ET.Element:
    return ET.fromstring(draw_usage(readings, since=SINCE, until=until))


def lines(svg: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the points of each line, as hours since the beginning and percent."""
    return [
        [
            (round((float(x) - LEFT) / (RIGHT - LEFT) * 48, 1), round((BOTTOM - float(y)) / (BOTTOM - TOP) * 100, 1))
            for x, y in (point.split(",") for point in polyline.attrib["points"].split())
        ]
        for polyline in svg.iter(f"{SVG}polyline")
    ]


def texts(svg: ET.Element) -> list[str]:
    return [str(text.text) for text in svg.iter(f"{SVG}text")]


def test_value_holds_until_the_next_reading() -> None:
    svg = draw(reading(12, 10), reading(24, 30), reading(36, 130))
    assert lines(svg) == [[(12, 10), (24, 10), (24, 30), (36, 30), (36, 100), (48, 100)]]
    assert "5 h, 130 % used" in texts(svg)


def test_line_drops_at_the_reset() -> None:
    svg = draw(reading(12, 50, resets=24), reading(36, 20, resets=72))
    assert lines(svg) == [[(12, 50), (24, 50), (24, 0), (36, 0), (36, 20), (48, 20)]]
    assert [mark.attrib["x1"] for mark in svg.iter(f"{SVG}line") if "reset" in mark.attrib["class"]] == ["400"]


def test_windows_and_limits_are_separate_lines() -> None:
    spark = reading(3, 5, limit="codex_spark", limit_name="Spark <&>\x1b[2J")
    svg = draw(reading(1, 1), reading(2, 2, length=168), spark, reading(4, 4))
    assert len(lines(svg)) == 3
    plan, week, other = (text for text in texts(svg) if text.endswith("used"))
    assert (plan, week) == ("5 h, 4 % used", "weekly, 2 % used")
    assert other.startswith("Spark <&>")
    assert svg.findtext(f"{SVG}desc", "").startswith("5 h: 4 % used; weekly: 2 % used; Spark <&>")
    assert "\x1b" not in ET.tostring(svg, encoding="unicode")


def test_used_up_limits_are_marked() -> None:
    svg = draw(reading(6, 99, is_exhausted=True), reading(12, 100))
    circles = list(svg.iter(f"{SVG}circle"))
    assert [(circle.attrib["cx"], circle.attrib["class"]) for circle in circles] == [("148", "exhausted")]


def test_readings_outside_of_the_period_are_left_out() -> None:
    svg = draw(reading(-1, 90), reading(12, 10), reading(49, 90))
    assert lines(svg) == [[(12, 10), (48, 10)]]
    assert lines(draw()) == []


@pytest.mark.parametrize(
    ("days", "zone", "labels"),
    [
        (2, "UTC", ["20 Nov", "06:00", "12:00", "18:00", "21 Nov", "06:00", "12:00", "18:00", "22 Nov"]),
        (2, "America/New_York", ["20 Nov", "06:00", "12:00"]),
        (7, "Asia/Kolkata", ["21 Nov", "22 Nov", "23 Nov"]),
        (30, "UTC", ["20 Nov", "24 Nov", "28 Nov"]),
        (3000, "UTC", ["20 Nov", "15 Jan"]),
        (0.1, "UTC", ["20 Nov", "01:00", "02:00"]),
    ],
)
def test_axis_has_local_times(days: float, zone: str, labels: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in local_zone(zone, monkeypatch):
        shown = [text for text in texts(draw(until=SINCE + timedelta(days=days))) if re.match(r"\d\d:|\d+ [A-Z]", text)]
    assert shown[: len(labels)] == labels


def test_midnights_are_right_where_the_clock_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    since = datetime(2026, 10, 30, 4, 0, tzinfo=UTC)  # midnight in New York; the clock goes back on 1 November
    for _ in local_zone("America/New_York", monkeypatch):
        svg = ET.fromstring(draw_usage([], since=since, until=since + timedelta(days=4, hours=2)))
        positions = [
            float(text.attrib["x"]) for text in svg.iter(f"{SVG}text") if re.match(r"\d+ (Oct|Nov)", str(text.text))
        ]
    hours = [round((x - LEFT) / (RIGHT - LEFT) * 98) for x in positions]
    assert hours == [0, 24, 48, 73, 97]


def test_long_names_are_shortened_and_lines_share_colors() -> None:
    svg = draw(
        *(reading(1, 1, limit=f"limit {number}", limit_name="A very long name of a model") for number in range(2))
    )
    assert "A very long nam…, 1 % used" in texts(svg)
    many = draw(*(reading(1, 1, limit=f"limit {number}") for number in range(8)))
    assert len({line.attrib["class"] for line in many.iter(f"{SVG}polyline")}) == 6


def test_plot_follows_the_dark_mode() -> None:
    assert "@media (prefers-color-scheme: dark)" in draw_usage([], since=SINCE, until=UNTIL)


def test_many_readings_need_few_points() -> None:
    readings = [reading(number / 250, number % 100 / 10) for number in range(10_000)]
    assert len(draw_usage(readings, since=SINCE, until=UNTIL)) < 400_000
