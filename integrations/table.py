"""Render the results of the tests as a table: one row for each library, with its notes below."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["FEATURES", "MODES", "Row", "render"]

FEATURES = ("plain", "stream", "tool", "structured")
MODES = ("sync", "async")
# The outcome of several tests of one cell is the first of these that one of them has.
_BY_SEVERITY = ("FAILED", "fault", "skipped", "n/a", "ok")


class Row(NamedTuple):
    """The results of one library.

    `outcomes` are objects with the members `feature`, `mode` (both None for a test of something else), `outcome` (one
    of ok, FAILED, fault, skipped, n/a) and `reason`.
    """

    name: str
    version: str
    outcomes: list[dict[str, Any]] = []  # noqa: RUF012  # it is never changed
    note: str = ""
    problem: str = ""

    @property
    def has_failed(self) -> bool:
        """True if a test failed or the library could not be tested."""
        return bool(self.problem) or any(each["outcome"] == "FAILED" for each in self.outcomes)

    def cell(self, feature: str | None, mode: str | None) -> str:
        """Return the outcome of a feature in a mode: `-` if no test covers it."""
        outcomes = {each["outcome"] for each in self.outcomes if (each["feature"], each["mode"]) == (feature, mode)}
        return next((outcome for outcome in _BY_SEVERITY if outcome in outcomes), "-")


def render(rows: list[Row]) -> str:
    """Return the table as Markdown. A cell has the outcomes `sync / async`."""
    lines = [
        "| library | version | " + " | ".join(FEATURES) + " | other |",
        "|---|---|" + "---|" * (len(FEATURES) + 1),
    ]
    notes = []
    for row in rows:
        cells = [" / ".join(row.cell(feature, mode) for mode in MODES) for feature in FEATURES]
        if row.problem and not row.outcomes:
            cells = ["-"] * len(FEATURES)
        lines.append(f"| {row.name} | {row.version or '-'} | {' | '.join(cells)} | {row.cell(None, None)} |")
        reasons = dict.fromkeys(f"{each['outcome']}: {each['reason']}" for each in row.outcomes if each["reason"])
        notes += [f"- {row.name}: {text}" for text in (row.problem, row.note, *reasons) if text]
    return "\n".join(["", *lines, "", *notes])
