"""Draw the usage history as an SVG.

The x axis has local times, the y axis the used share of each window in percent. A value holds until the next reading.
At the reset time of its window, the line drops to zero, and a mark on the axis shows the reset. The SVG is written
without a plotting library, and follows the dark mode of its reader. It paints its background, because a page can be
dark on a system that is set to light.

This module has no I/O, clock or randomness.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from .._redaction import remove_control_characters
from .._timefmt import format_zone
from .limit_parsing import PLAN_LIMIT_ID
from .limit_types import format_percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .usage_history import UsageReading

__all__ = ["draw_usage"]

_WIDTH: Final = 760
_LEFT, _RIGHT = 64, _WIDTH - 24
_CHART_HEIGHT: Final = 280
_LEGEND_COLUMN: Final = 224
_MAX_TICKS: Final = 8
_TICK_STEPS: Final = (
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 4, 7, 14, 28, 56)),
)
# The color of each line, on a light and on a dark page. They differ in lightness, too.
_COLORS: Final = (
    ("#0969da", "#4493f8"),
    ("#9a6700", "#d29922"),
    ("#8250df", "#ab7df8"),
    ("#1a7f37", "#3fb950"),
    ("#59636e", "#9198a1"),
    ("#bf3989", "#f778ba"),
)
_EXHAUSTED: Final = ("#cf222e", "#f85149")


def draw_usage(readings: Sequence[UsageReading], *, since: datetime, until: datetime) -> str:
    """Return an SVG of the readings, oldest first, between two times. Readings before `since` are left out."""
    series: dict[tuple[str, str], list[UsageReading]] = {}
    for reading in readings:
        if since <= reading.received_at <= until:
            series.setdefault(_key(reading), []).append(reading)
    legend_rows = -(-len(series) // 3)
    top = 52 + 20 * legend_rows
    chart = _Chart(since, until, top)
    parts = [*chart.grid()]
    for index, (key, own_readings) in enumerate(series.items()):
        css_class = f"line{index % len(_COLORS)}"
        parts += chart.line(own_readings, css_class)
        parts += _legend(index, key, own_readings[-1], css_class)
    parts.append(_text(_LEFT, chart.bottom + 44, f"Times are local ({format_zone(until)}).", "quiet"))
    parts.append(_text(_RIGHT, chart.bottom + 44, "A mark on the axis is a reset.", "quiet", "end"))
    newest = [f"{_name(key)}: {format_percent(own[-1].window.used_percent)} used" for key, own in series.items()]
    return _svg("Used share of the plan's limits", "; ".join(newest), chart.bottom + 60, parts)


def _key(reading: UsageReading) -> tuple[str, str]:
    is_plan = reading.limit == PLAN_LIMIT_ID
    return "" if is_plan else reading.limit_name or reading.limit, reading.window.name


def _name(key: tuple[str, str]) -> str:
    return ", ".join(part for part in key if part)


class _Chart:
    """The area of the lines, and the positions of times and percentages in it."""

    def __init__(self, since: datetime, until: datetime, top: int) -> None:
        self._since, self._until, self._top = since, until, top
        self.bottom = top + _CHART_HEIGHT

    def _x(self, moment: datetime) -> float:
        share = (moment - self._since) / (self._until - self._since)
        # Half pixels: a line has no more points than the chart has room for.
        return round(2 * (_LEFT + min(max(share, 0.0), 1.0) * (_RIGHT - _LEFT))) / 2

    def _y(self, percent: float) -> float:
        return round(self.bottom - min(percent, 100.0) / 100 * _CHART_HEIGHT, 1)

    def grid(self) -> Iterator[str]:
        for percent in (0, 25, 50, 75, 100):
            y = self._y(percent)
            yield f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}"/>'
            yield _text(_LEFT - 8, y + 4, f"{percent} %", "quiet", "end")
        step = next((step for step in _TICK_STEPS if (self._until - self._since) / step <= _MAX_TICKS), _TICK_STEPS[-1])
        for moment in _ticks(self._since, self._until, step):
            x = self._x(moment)
            yield f'<line class="grid" x1="{x}" y1="{self._top}" x2="{x}" y2="{self.bottom + 4}"/>'
            label = f"{moment.day} {moment:%b}" if moment.hour == 0 else f"{moment:%H:%M}"
            yield _text(x, self.bottom + 22, label, "quiet", "middle")

    def line(self, readings: Sequence[UsageReading], css_class: str) -> Iterator[str]:
        points: list[tuple[float, float]] = []
        resets: dict[float, None] = {}
        for reading, next_reading in zip(readings, [*readings[1:], None], strict=True):
            end = next_reading.received_at if next_reading is not None else self._until
            resets_at = reading.window.resets_at
            y = self._y(reading.window.used_percent)
            points += [(self._x(reading.received_at), y)]
            if resets_at is not None and reading.received_at < resets_at <= end:
                x = self._x(resets_at)
                resets[x] = None
                points += [(x, y), (x, self._y(0))]
                y = self._y(0)
            points.append((self._x(end), y))
        drawn = [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
        yield f'<polyline class="{css_class}" points="{" ".join(f"{x:g},{y:g}" for x, y in drawn)}"/>'
        for x in resets:
            yield f'<line class="{css_class} reset" x1="{x:g}" y1="{self.bottom}" x2="{x:g}" y2="{self.bottom + 7}"/>'
        exhausted = {self._x(each.received_at): each for each in readings if each.is_exhausted}
        for x, each in exhausted.items():
            yield f'<circle class="exhausted" cx="{x:g}" cy="{self._y(each.window.used_percent):g}" r="3"/>'


def _ticks(since: datetime, until: datetime, step: timedelta) -> Iterator[datetime]:
    """Yield local times: midnights, and hours that are multiples of the step, also where the clock changes."""
    is_hourly = step < timedelta(days=1)
    wall = since.astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    hours = timedelta(hours=1) if is_hourly else timedelta(days=1)
    count = 0
    while True:
        moment = wall.astimezone()  # a naive time is local
        if moment > until:
            return
        is_tick = wall.hour % (step // hours) == 0 if is_hourly else count % (step // hours) == 0
        if moment >= since:
            count += 1
            if is_tick:
                yield moment
        wall += hours


def _legend(index: int, key: tuple[str, str], newest: UsageReading, css_class: str) -> Iterator[str]:
    x, y = _LEFT + index % 3 * _LEGEND_COLUMN, 54 + index // 3 * 20
    name = remove_control_characters(_name(key))
    name = name if len(name) <= 16 else f"{name[:15]}…"
    yield f'<line class="{css_class}" x1="{x}" y1="{y - 4}" x2="{x + 18}" y2="{y - 4}"/>'
    yield _text(x + 26, y, f"{name}, {format_percent(newest.window.used_percent)} used", "")


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _style() -> str:
    light = "".join(f" .line{index} {{ stroke: {color} }}" for index, (color, _) in enumerate(_COLORS))
    dark = "".join(f" .line{index} {{ stroke: {color} }}" for index, (_, color) in enumerate(_COLORS))
    return f"""
svg {{ color-scheme: light dark }}
text {{ font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }}
.page {{ fill: #ffffff }} .title {{ font-size: 16px; font-weight: 600 }} .quiet {{ fill: #59636e }}
.grid {{ stroke: #d1d9e0; stroke-width: 1 }} .exhausted {{ fill: {_EXHAUSTED[0]} }}
polyline, .reset, [class^="line"] {{ fill: none; stroke-width: 2.2; stroke-linejoin: round }}
{light}
@media (prefers-color-scheme: dark) {{
  text {{ fill: #f0f6fc }} .page {{ fill: #0d1117 }} .quiet {{ fill: #9198a1 }} .grid {{ stroke: #3d444d }}
  .exhausted {{ fill: {_EXHAUSTED[1]} }}{dark}
}}
"""


def _svg(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" role="img">'
    page = f'<rect class="page" width="{_WIDTH}" height="{height:g}" rx="6"/>'
    described = f"<title>{escape(title)}</title><desc>{escape(remove_control_characters(description))}</desc>"
    return "\n".join(
        [head, described, f"<style>{_style()}</style>", page, _text(24, 28, title, "title"), *parts, "</svg>\n"]
    )
