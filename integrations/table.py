"""Render the results of the tests as a table with five columns: one row for each library, with its notes below.

`make integrations` prints the table, keeps the results in results.json, and writes the tables of docs/integrations.md
from that file. The columns:

- sync, async: a call that returns a whole response (tests that cover `plain` in that mode)
- stream, tool, structured: the outcome in both modes, `sync / async` where they differ
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["COLUMNS", "Row", "render_notes", "render_table"]

_MODES = ("sync", "async")
# The cells of `covers(feature, mode)` that each column shows.
COLUMNS = {
    "sync": [("plain", "sync")],
    "async": [("plain", "async")],
    **{feature: [(feature, mode) for mode in _MODES] for feature in ("stream", "tool", "structured")},
}
# The outcome of several tests of one cell is the first of these that one of them has.
_BY_SEVERITY = ("FAILED", "fault", "skipped", "n/a", "ok")


@dataclass(frozen=True)
class Row:
    """The results of one library.

    `cells` are the texts of the columns, by name. `notes` are the reasons of cells that are not ok, and of other tests
    that met a fault of the library. `note` says what had to be adapted to install it. `problem` is set if the library
    could not be tested, or if a test failed.
    """

    name: str
    version: str = ""
    cells: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    note: str = ""
    problem: str = ""

    @classmethod
    def from_outcomes(
        cls, name: str, version: str, outcomes: list[dict[str, Any]], *, note: str = "", problem: str = ""
    ) -> Row:
        """Build the row of a library from the outcomes of its tests.

        An outcome has the members `feature`, `mode` (both None for a test of something else), `outcome` (one of ok,
        FAILED, fault, skipped, n/a) and `reason`.
        """
        cells = {column: _cell(outcomes, covered) for column, covered in COLUMNS.items()}
        reasons = dict.fromkeys(f"{each['outcome']}: {each['reason']}" for each in outcomes if each["reason"])
        failed = any(each["outcome"] == "FAILED" for each in outcomes)
        return cls(name, version, cells, tuple(reasons), note, problem or ("A test failed." if failed else ""))


def _cell(outcomes: list[dict[str, Any]], covered: list[tuple[str, str]]) -> str:
    """Return the outcomes of the covered features: one text if they agree, `-` if no test covers a feature."""
    texts = []
    for key in covered:
        found = {each["outcome"] for each in outcomes if (each["feature"], each["mode"]) == key}
        texts.append(next((outcome for outcome in _BY_SEVERITY if outcome in found), "-"))
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def render_table(rows: list[Row], links: dict[str, str] | None = None) -> str:
    """Return the table as Markdown. `links` are the anchors of names that have a section."""
    lines = [
        "| library | version | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for row in rows:
        name = f"[{row.name}]({links[row.name]})" if links and row.name in links else row.name
        cells = " | ".join(row.cells.get(column, "-") for column in COLUMNS)
        lines.append(f"| {name} | {row.version or '-'} | {cells} |")
    return "\n".join(lines) + "\n"


def render_notes(rows: list[Row], *, all_notes: bool = True) -> str:
    """Return the notes as a Markdown list. Without `all_notes`, leave out how a library was installed."""
    lines = []
    for row in rows:
        texts = [row.problem, row.note, *row.notes] if all_notes else row.notes
        lines += [f"- {row.name}: {text}" for text in texts if text]
    return "\n".join(lines) + "\n" if lines else ""
