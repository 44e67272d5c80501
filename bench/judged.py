"""Figures → what they say: medians, ratios, and which bars were met."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.rows import SIZES

if TYPE_CHECKING:
    from bench.rows import Bar, Row
    from bench.session import Figures

__all__ = ["Verdict", "judge", "medians"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a bar asks, what was found, and the smallest and the largest of the rounds."""

    asks: str
    found: str
    value: float
    low: float
    high: float
    is_met: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for results.json."""
        value, low, high = (float(f"{number:.4g}") for number in (self.value, self.low, self.high))
        return {
            "bar": self.asks, "found": self.found, "value": value, "low": low, "high": high, "met": self.is_met,
        }  # fmt: skip


def medians(figures: dict[str, Figures]) -> dict[str, dict[str, float]]:
    """Return the median of every metric of every job."""
    return {label: {name: median(values) for name, values in each.items()} for label, each in figures.items()}


def judge(row: Row, figures: dict[str, Figures]) -> list[Verdict]:
    """Return a verdict for each bar of a row."""
    return [_flatness(bar, figures) if bar.flat else _verdict(bar, figures) for bar in row.bars]


def _verdict(bar: Bar, figures: dict[str, Figures]) -> Verdict:
    ours = figures[bar.of][bar.metric]
    theirs = figures[bar.by][bar.metric] if bar.by is not None else [1.0]
    value = median(ours) / median(theirs)
    # The noise of a run shows in the ratios of its rounds; who sat out a round is compared by its median.
    others = theirs if len(theirs) == len(ours) else [median(theirs)] * len(ours)
    ratios = [mine / other for mine, other in zip(ours, others, strict=True)]
    is_met = value <= bar.at_most if bar.at_most is not None else value >= (bar.at_least or 0)
    return Verdict(_asked(bar), _as_ratio(value, bar), value, min(ratios), max(ratios), is_met)


def _asked(bar: Bar) -> str:
    limit = bar.at_most if bar.at_most is not None else bar.at_least
    assert limit is not None
    sign = "≤" if bar.at_most is not None else "≥"
    if bar.says == "below":
        return f"below {bar.by}"
    if bar.by is None:
        return f"{sign} {limit:g}" + (f" ({bar.says})" if bar.says else _unit(bar))
    number = f"1/{1 / limit:.0f}" if limit < 1 else f"{limit:g} times"
    return f"{sign} {number} {bar.by}" + (f" ({bar.says})" if bar.says else "")


def _unit(bar: Bar) -> str:
    return {"wall_ms": " ms", "peak_mb": " MB"}.get(bar.metric, "")


def _as_ratio(value: float, bar: Bar) -> str:
    if bar.by is None:
        return f"{value:.3g}{_unit(bar) if not bar.says else ''}"
    asks_for_a_fraction = bar.at_most is not None and bar.at_most < 1
    return f"1/{1 / value:.3g}" if asks_for_a_fraction else f"{value:.2f} times"


def _flatness(bar: Bar, figures: dict[str, Figures]) -> Verdict:
    """Compare what each item adds to a request that has one item, from the shortest history to the longest."""
    curve = [(size, figures[f"{bar.of} {size}"][bar.metric]) for size in (1, *SIZES)]
    alone = curve[0][1]
    rounds = range(min(len(values) for _, values in curve))

    def per_item(size: int, cost: float, one: float) -> float:
        return (cost - one) / (size - 1) * 1e3

    each = [per_item(size, median(values), median(alone)) for size, values in curve[1:]]
    by_round = [[per_item(size, values[i], alone[i]) for size, values in curve[1:]] for i in rounds]
    spreads = [max(costs) / min(costs) if min(costs) > 0 else inf for costs in by_round]
    value = max(each) / min(each) if min(each) > 0 else inf
    found = f"{value:.2f} times ({', '.join(f'{cost:.2f}' for cost in each)} µs an item)"
    asks = f"largest ≤ {bar.at_most:g} times smallest" + (f" ({bar.says})" if bar.says else "")
    return Verdict(asks, found, value, min(spreads), max(spreads), value <= (bar.at_most or 0))
