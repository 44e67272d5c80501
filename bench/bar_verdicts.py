"""Compare the figures of a row with its bars: medians, ratios, and whether each bar is met."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.rows import HISTORY_SIZES

if TYPE_CHECKING:
    from bench.rows import Bar, Row
    from bench.session import Figures

__all__ = ["BarVerdict", "judge_row", "medians"]

_UNITS = {"wall_ms": " ms", "peak_mb": " MB"}


@dataclass(frozen=True, slots=True)
class BarVerdict:
    """A bar and the result, both as text; the value, and the range of the values of single rounds."""

    bar: str
    result: str
    value: float
    low: float
    high: float
    is_met: bool

    def as_json(self) -> dict[str, Any]:
        """Return the verdict for results.json."""
        value, low, high = (float(f"{number:.4g}") for number in (self.value, self.low, self.high))
        texts = {"bar": self.bar, "result": self.result}
        return {**texts, "value": value, "low": low, "high": high, "met": self.is_met}


def medians(figures: dict[str, Figures]) -> dict[str, dict[str, float]]:
    """Return the median of each metric of each job."""
    return {label: {metric: median(values) for metric, values in metrics.items()} for label, metrics in figures.items()}


def judge_row(row: Row, figures: dict[str, Figures]) -> list[BarVerdict]:
    """Return a verdict for each bar of a row."""
    return [_judge_flatness(bar, figures) if bar.is_flat else _judge_bar(bar, figures) for bar in row.bars]


def _judge_bar(bar: Bar, figures: dict[str, Figures]) -> BarVerdict:
    values = figures[bar.job][bar.metric]
    references = figures[bar.compared_with][bar.metric] if bar.compared_with is not None else [1.0]
    references = [reference or 1.0 for reference in references]  # a short run may allocate no memory at all
    value = median(values) / median(references)
    # Rounds are compared one by one, which shows the noise. A job with fewer rounds is represented by its median.
    if len(references) != len(values):
        references = [median(references)] * len(values)
    ratios = [one / other for one, other in zip(values, references, strict=True)]
    is_met = value <= bar.at_most if bar.at_most is not None else value >= (bar.at_least or 0)
    return BarVerdict(_bar_text(bar), _result_text(value, bar), value, min(ratios), max(ratios), is_met)


def _bar_text(bar: Bar) -> str:
    limit = bar.at_most if bar.at_most is not None else bar.at_least
    assert limit is not None
    sign = "≤" if bar.at_most is not None else "≥"
    note = f" ({bar.note})" if bar.note else ""
    if bar.note == "below":
        return f"below {bar.compared_with}"
    if bar.compared_with is None:
        return f"{sign} {limit:g}" + (note or _UNITS.get(bar.metric, ""))
    ratio = f"1/{1 / limit:.3g}" if limit < 1 else f"{limit:g} times"
    return f"{sign} {ratio} {bar.compared_with}{note}"


def _result_text(value: float, bar: Bar) -> str:
    if bar.compared_with is None:
        return f"{value:.3g}" + ("" if bar.note else _UNITS.get(bar.metric, ""))
    is_fraction = bar.at_most is not None and bar.at_most < 1
    return f"1/{1 / value:.3g}" if is_fraction else f"{value:.2f} times"


def _judge_flatness(bar: Bar, figures: dict[str, Figures]) -> BarVerdict:
    """Compare the cost per item of the shortest to the longest history, after subtracting a request with one item."""
    single, *curve = [figures[f"{bar.job} {size}"][bar.metric] for size in (1, *HISTORY_SIZES)]

    def item_costs(single_ms: float, costs_ms: list[float]) -> list[float]:
        return [(cost - single_ms) / (size - 1) * 1e3 for size, cost in zip(HISTORY_SIZES, costs_ms, strict=True)]

    def spread(costs: list[float]) -> float:
        return max(costs) / min(costs) if min(costs) > 0 else inf

    costs = item_costs(median(single), [median(values) for values in curve])
    round_count = min(len(single), *map(len, curve))
    spreads = [spread(item_costs(single[i], [values[i] for values in curve])) for i in range(round_count)]
    value = spread(costs)
    text = f"largest ≤ {bar.at_most:g} times smallest" + (f" ({bar.note})" if bar.note else "")
    result = f"{value:.2f} times ({', '.join(f'{cost:.2f}' for cost in costs)} µs an item)"
    return BarVerdict(text, result, value, min(spreads), max(spreads), value <= (bar.at_most or 0))
