"""Draw the SVG plots of docs/performance.md from the results of a run.

The SVG is written without a plotting library: there are few plots, and they follow the dark mode of the reader.
Each plot paints its background, because a page can be dark on a system that is set to light.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["draw"]

_WIDTH = 760
_LEFT, _RIGHT, _TOP, _BOTTOM = 190, 110, 64, 56
_BAR, _GAP = 22, 10
_CHART_HEIGHT = 300
_STYLE = """
svg { color-scheme: light dark }
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .title { font-size: 16px; font-weight: 600 } .quiet { fill: #59636e }
.grid { stroke: #d1d9e0; stroke-width: 1 } .floor { fill: #9a6700; stroke: #9a6700 }
.ours { fill: #0969da; stroke: #0969da } .openai { fill: #cf222e; stroke: #cf222e }
.other { fill: #818b98; stroke: #818b98 } .light { fill: #54aeff; stroke: #54aeff }
polyline { fill: none !important; stroke-width: 2.5 } rect, circle { stroke: none !important }
text { stroke: #ffffff !important; stroke-width: 4px; paint-order: stroke }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; stroke: #0d1117 !important } .page { fill: #0d1117 }
  .quiet { fill: #9198a1 } .grid { stroke: #3d444d }
  .ours { fill: #4493f8; stroke: #4493f8 } .openai { fill: #f85149; stroke: #f85149 }
  .other { fill: #8b949e; stroke: #8b949e } .floor { fill: #d29922; stroke: #d29922 }
  .light { fill: #a5d6ff; stroke: #a5d6ff }
}
"""
_NAMES = {
    "ours": "this package",
    "ours, lazily": "import codex_backend_sdk",
    "ours, compressed": "this package, zstd",
    "original-0.2.0": "original 0.2.0",
    "original-0.5.9": "original 0.5.9",
    "floor": "floor (no types)",
    "new items": "the new items",
}
_CLASSES = {"ours": "ours", "openai": "openai", "floor": "floor", "new items": "floor"}


class PlotBar(NamedTuple):
    """One bar: the name of its client, its value, and the value as text."""

    name: str
    value: float
    text: str


def draw(rows: dict[str, Any]) -> dict[str, str]:
    """Return SVG by plot name. A plot is left out if one of its rows is missing from the results."""
    plots: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
        "cpu-per-event": (_cpu_per_event, ("text",)),
        "history": (_history, ("scale", "history")),
        "concurrency": (_concurrency, ("concurrent",)),
        "agent-bytes": (_agent_bytes, ("agent",)),
        "agent-cpu": (_agent_cpu, ("agent",)),
        "start-up": (_start_up, ("import", "cold")),
    }
    return {
        name: plot(*(rows[row] for row in needed)) for name, (plot, needed) in plots.items() if rows.keys() >= {*needed}
    }


def _cpu_per_event(row: dict[str, Any]) -> str:
    bars = [PlotBar(name, value, f"{value:.1f} µs") for name, value in _values(row, "cpu_us_per_event")]
    return _bars("CPU time of each streamed text delta", [("microseconds, shorter is better", bars)])


def _start_up(imports: dict[str, Any], cold: dict[str, Any]) -> str:
    def bars(row: dict[str, Any], metric: str) -> list[PlotBar]:
        return [PlotBar(name, value, f"{value:,.0f} ms") for name, value in _values(row, metric)]

    groups = [
        ("importing the client", bars(imports, "wall_ms")),
        ("first text of a new process, after its imports; the server responds after 300 ms", bars(cold, "text_ms")),
    ]
    return _bars("Start-up", groups)


def _history(scale: dict[str, Any], history: dict[str, Any]) -> str:
    curves = _curves(scale, "cpu_ms")
    longest = {name: value for name, value in _values(history, "cpu_ms") if name == "openai"}
    curves["openai"].append((10_000, longest["openai"]))
    return _lines("CPU time to prepare a request, by the length of its history", "items", "ms", curves)


def _concurrency(row: dict[str, Any]) -> str:
    curves = _curves(row, "events_per_s")
    for name, value in _values(row, "events_per_s"):
        curves[name].append((200, value))
    return _lines("Events per second, by concurrent streams", "streams", "events/s", curves)


def _agent_bytes(row: dict[str, Any]) -> str:
    curves = _curves_by_turn(row, "sent_kb_at_")
    curves["new items"] = _curves_by_turn(row, "new_kb_at_")["ours"]
    return _lines("Bytes that an agent has sent, by turn", "turn", "kB", curves)


def _agent_cpu(row: dict[str, Any]) -> str:
    return _lines("CPU time of a turn of an agent", "turn", "ms", _curves_by_turn(row, "cpu_ms_at_"))


def _curves_by_turn(row: dict[str, Any], prefix: str) -> dict[str, list[tuple[float, float]]]:
    return {
        job["name"]: [
            (int(metric.removeprefix(prefix)), value)
            for metric, value in job["medians"].items()
            if metric.startswith(prefix)
        ]
        for job in row["jobs"]
    }


def _values(row: dict[str, Any], metric: str) -> list[tuple[str, float]]:
    return [(job["name"], job["medians"][metric]) for job in row["jobs"] if job["point"] is None]


def _curves(row: dict[str, Any], metric: str) -> dict[str, list[tuple[float, float]]]:
    curves: dict[str, list[tuple[float, float]]] = {}
    for job in row["jobs"]:
        if job["point"] is not None:
            curves.setdefault(job["name"], []).append((job["point"], job["medians"][metric]))
    return curves


# Drawing


def _bars(title: str, groups: list[tuple[str, list[PlotBar]]]) -> str:
    largest = max(bar.value for _, bars in groups for bar in bars)
    parts: list[str] = []
    top = 52
    for subtitle, bars in groups:
        parts.append(_text(_LEFT, top, subtitle, "quiet"))
        top += 14
        for bar in bars:
            width = max(2.0, bar.value / largest * (_WIDTH - _LEFT - _RIGHT))
            middle = top + _BAR * 0.7
            parts += [
                _text(_LEFT - 12, middle, _display_name(bar.name), "", "end"),
                f'<rect class="{_css_class(bar.name)}" x="{_LEFT}" y="{top}" width="{width:.1f}" height="{_BAR}"'
                ' rx="3"/>',
                _text(_LEFT + width + 8, middle, bar.text, ""),
            ]
            top += _BAR + _GAP
        top += 22
    return _svg(title, top - 16, parts)


def _lines(title: str, across: str, up: str, curves: dict[str, list[tuple[float, float]]]) -> str:
    """Draw curves on two logarithmic axes, each with its name at its end."""
    points = [point for curve in curves.values() for point in curve]
    min_x, max_x = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    min_y, max_y = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))
    left, right = 92, _WIDTH - 170

    def place(x: float, y: float) -> tuple[float, float]:
        along = (log10(x) - min_x) / (max_x - min_x)
        return left + along * (right - left), _TOP + (max_y - log10(y)) / (max_y - min_y) * _CHART_HEIGHT

    parts = []
    for power in range(min_y, max_y + 1):
        _, y = place(10**min_x, 10.0**power)
        parts += [_line(left, y, right, y), _text(left - 8, y + 4, _number(10.0**power), "quiet", "end")]
    for value in sorted({x for x, _ in points}):
        x, _ = place(value, 10.0**min_y)
        parts += [
            _line(x, _TOP, x, _TOP + _CHART_HEIGHT),
            _text(x, _TOP + _CHART_HEIGHT + 20, _number(value), "quiet", "middle"),
        ]
    parts.append(_text((left + right) / 2, _TOP + _CHART_HEIGHT + 42, across, "quiet", "middle"))
    parts.append(_text(left - 8, _TOP - 12, up, "quiet", "end"))
    ends = []
    for name, curve in curves.items():
        places = [place(*point) for point in sorted(curve)]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline class="{_css_class(name)}" points="{drawn}"/>')
        parts += [f'<circle class="{_css_class(name)}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places]
        ends.append((places[-1], name))
    parts += _spread_labels([end for end in ends if end[0][0] > right - 1])
    # Other curves would run through the name of a curve that ends early, so it is written above its last point.
    parts += [
        _text(x - 8, y - 10, _display_name(name), _css_class(name), "end") for (x, y), name in ends if x <= right - 1
    ]
    return _svg(title, _TOP + _CHART_HEIGHT + _BOTTOM, parts)


def _spread_labels(ends: list[tuple[tuple[float, float], str]]) -> list[str]:
    """Write the names of curves at their ends, without overlaps."""
    used_heights: list[float] = []
    parts = []
    for (x, y), name in sorted(ends):
        at = y + 4
        while any(abs(at - other) < 16 for other in used_heights):
            at += 4
        used_heights.append(at)
        parts.append(_text(x + 12, at, _display_name(name), _css_class(name)))
    return parts


def _display_name(name: str) -> str:
    return _NAMES.get(name, name)


def _css_class(name: str) -> str:
    return _CLASSES.get(name, "light" if name.startswith("ours") else "other")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _svg(title: str, height: float, parts: list[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" role="img">'
    page = f'<rect class="page" width="{_WIDTH}" height="{height:.0f}" rx="6"/>'
    body = [f"<title>{escape(title)}</title>", f"<style>{_STYLE}</style>", page, _text(24, 30, title, "title"), *parts]
    return "\n".join([head, *body, "</svg>"]) + "\n"
